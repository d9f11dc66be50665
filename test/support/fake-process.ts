import type { CliProcess } from '#cli/context.ts';

export interface FakeProcess extends CliProcess {
  /** All that was written to standard output so far; `err` for the other one. */
  out(): string;
  err(): string;
}

/** A process whose output is kept, for commands run as function calls. */
export function fakeProcess(options: Partial<CliProcess> = {}): FakeProcess {
  const written: string[] = [];
  const failed: string[] = [];
  return {
    stdout: { write: (text) => written.push(text) },
    stderr: { write: (text) => failed.push(text) },
    env: {},
    cwd: process.cwd(),
    signal: new AbortController().signal,
    ...options,
    out: () => written.join(''),
    err: () => failed.join(''),
  };
}
