import { defineConfig } from 'rolldown';

/** What is published: Node refuses .ts under node_modules, so the CLI is built, with its lazily loaded parts as chunks. */
const cli = defineConfig({
  input: { cli: 'src/cli/main.ts' },
  platform: 'node',
  external: [/^node:/, /^[a-z@](?!:)/],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
});

/** Packages read their own version out of package.json; the rest of it has no place in a bundle. */
const onlyNameAndVersion = {
  name: 'only-name-and-version',
  transform: {
    filter: { id: /node_modules.*package\.json$/ },
    handler(code: string): { readonly code: string } {
      const { name, version } = JSON.parse(code) as { readonly name: string; readonly version: string };
      return { code: JSON.stringify({ name, version }) };
    },
  },
};

/** What a workflow runs: one file with everything in it, because nobody installs packages for an action. */
const action = defineConfig({
  input: { action: 'src/action/main.ts' },
  platform: 'node',
  external: [/^node:/],
  plugins: [onlyNameAndVersion],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', codeSplitting: false, minify: true },
});

export default [cli, action];
