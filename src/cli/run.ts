import type { CliProcess } from './context.ts';
import { helpText, VERSION } from './help.ts';

/** Wrong arguments are a failed command: the exit codes of DESIGN.md §8 know no negative ones. */
const FAILED = 1;

/** Runs one command line and gives its exit code. Never throws: what a command throws is printed as a bug. */
export async function runCli(args: readonly string[], cli: CliProcess): Promise<number> {
  const [first] = args;
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    cli.stdout.write(helpText());
    return 0;
  }
  if (first === '--version' || first === '-v') {
    cli.stdout.write(`${VERSION}\n`);
    return 0;
  }
  const { runApp } = await import('./app.ts');
  const code = await runApp(args, cli);
  return code < 0 ? FAILED : code;
}
