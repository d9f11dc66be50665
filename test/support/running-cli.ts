import { runCli } from '#cli/run.ts';
import { fakeProcess } from './fake-process.ts';

export interface RunningCli {
  /** All that it has printed so far, errors too. */
  out(): string;
  /** Resolves once what it has printed is enough. */
  until(isEnough: (out: string) => boolean): Promise<void>;
  /** Ctrl-C; gives the exit code. */
  stop(): Promise<number>;
}

/** A command that runs until Ctrl-C, as a function call. */
export function startCli(args: readonly string[], cwd: string): RunningCli {
  const ending = new AbortController();
  const texts: string[] = [];
  let wrote: () => void = () => undefined;
  const write = (text: string): void => {
    texts.push(text);
    wrote();
  };
  const process = { ...fakeProcess({ cwd, signal: ending.signal }), stdout: { write }, stderr: { write } };
  const ended = runCli([...args], process);
  return {
    out: () => texts.join(''),
    async until(isEnough) {
      while (!isEnough(texts.join(''))) await new Promise<void>((resolve) => (wrote = resolve));
    },
    stop() {
      ending.abort();
      return ended;
    },
  };
}
