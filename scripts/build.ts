import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A workflow loads it with each step: what every job pays for is bounded. */
const MOST_ACTION_BYTES = 6_000_000;

/**
 * Builds dist/: the CLI with its chunks, and the action as one file. `--check` builds elsewhere and compares the action,
 * which is committed because a workflow runs it as it lies in the repository.
 */
function main(): void {
  if (process.argv.includes('--check')) {
    const dir = mkdtempSync(join(tmpdir(), 'headgate-build-'));
    const fresh = build(dir) === 0 && readFileSync(join(dir, 'action.js')).equals(readFileSync('dist/action.js'));
    rmSync(dir, { recursive: true, force: true });
    console.log(fresh ? 'dist/action.js is what the sources make of it' : 'dist/action.js is stale: npm run build, and commit it');
    process.exitCode = fresh ? 0 : 1;
    return;
  }
  // Old chunks would be packed with the new ones.
  rmSync('dist', { recursive: true, force: true });
  process.exitCode = build('dist');
}

function build(dir: string): number {
  const config = ['node_modules/rolldown/bin/cli.mjs', '-c', 'rolldown.config.ts', '--log-level', 'warn', '--dir', dir];
  const status = spawnSync(process.execPath, config, { stdio: 'inherit' }).status ?? 1;
  if (status !== 0) return status;
  const { size } = statSync(join(dir, 'action.js'));
  if (size <= MOST_ACTION_BYTES) return 0;
  console.log(`action.js has ${size} bytes, more than the ${MOST_ACTION_BYTES} that a workflow is to load`);
  return 1;
}

main();
