import { run } from '@stricli/core';
import { app } from './app.ts';
import type { CliProcess } from './context.ts';

/** Wrong arguments are a failed command: the exit codes of DESIGN.md §8 know no negative ones. */
const FAILED = 1;

/** Runs one command line and gives its exit code. Never throws: what a command throws is printed as a bug. */
export async function runCli(args: readonly string[], cli: CliProcess): Promise<number> {
  const process = {
    stdout: { write: (text: string) => void cli.stdout.write(text) },
    stderr: { write: (text: string) => void cli.stderr.write(text) },
    env: { ...cli.env, STRICLI_NO_COLOR: '1' },
    exitCode: null as number | string | null,
  };
  await run(app, args.length === 0 ? ['--help'] : args, { process, cli });
  const code = typeof process.exitCode === 'number' ? process.exitCode : 0;
  return code < 0 ? FAILED : code;
}
