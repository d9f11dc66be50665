import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

/** Builds dist/: the CLI with its chunks, and the action as one file. Old chunks would be packed with the new ones. */
rmSync('dist/chunks', { recursive: true, force: true });
const built = spawnSync(process.execPath, ['node_modules/rolldown/bin/cli.mjs', '-c', 'rolldown.config.ts', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exitCode = built.status ?? 1;
