import { defineConfig } from 'rolldown';

/** What is published: Node refuses .ts under node_modules, so the CLI is built, with its lazily loaded parts as chunks. */
const cli = defineConfig({
  input: { cli: 'src/cli/main.ts' },
  platform: 'node',
  external: [/^node:/, /^[a-z@](?!:)/],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js', cleanDir: false },
});

/** What a workflow runs: one file with everything in it, because nobody installs packages for an action. */
const action = defineConfig({
  input: { action: 'src/action/main.ts' },
  platform: 'node',
  external: [/^node:/],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', codeSplitting: false, minify: false },
});

export default [cli, action];
