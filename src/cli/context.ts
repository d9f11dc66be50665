import type { CommandContext, StricliProcess } from '@stricli/core';
import type { Clock } from '#ports/clock.ts';
import type { Wires } from '#ports/wires.ts';

export interface CliStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What the CLI may touch of its process: injected, so that a test of a command is a function call. */
export interface CliProcess {
  readonly stdout: CliStream;
  readonly stderr: CliStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted by Ctrl-C: what waits ends early, nothing is cut in the middle. */
  readonly signal: AbortSignal;
  /** All of standard input, for values that must not stand on a command line. */
  readonly input?: () => Promise<Uint8Array>;
  /** Calls whenever the process is told to reload (SIGHUP). Left out: it never is. */
  readonly onReload?: (reload: () => void) => void;
  /** Ends the process although something in it still holds on. Left out: it is let run out. */
  readonly exit?: (code: number) => void;
  /** In the place of the system's clock and the network: tests and the demo bring their own. */
  readonly clock?: Clock;
  /** What leases and single calls are timed with beside such a clock. */
  readonly wireClock?: Clock;
  readonly wires?: Wires;
}

export interface CliContext extends CommandContext {
  readonly process: StricliProcess;
  readonly cli: CliProcess;
}

/** Colour only where somebody looks, and not where NO_COLOR asks for none. */
export function wantsColour(cli: CliProcess): boolean {
  return cli.stdout.isTTY === true && (cli.env['NO_COLOR'] ?? '') === '' && cli.env['TERM'] !== 'dumb';
}
