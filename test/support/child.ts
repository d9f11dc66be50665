import type { ChildProcess } from 'node:child_process';

const ASK_AGAIN_MS = 500;
const HARD_MS = 10_000;
const UP_MS = 60_000;

/**
 * Ends a program and waits until it is gone. It is asked more than once: mosquitto forgets a SIGTERM that comes between its
 * socket listening and its loop beginning.
 */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const again = setInterval(() => child.kill('SIGTERM'), ASK_AGAIN_MS);
    const hard = setTimeout(() => child.kill('SIGKILL'), HARD_MS);
    child.once('exit', () => {
      clearInterval(again);
      clearTimeout(hard);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

/** Waits until a program says that; throws with what it said when it does not. */
export function firstWords(child: ChildProcess, program: string, words: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (): void => reject(new Error(`${program} did not come up: ${said}`));
    const limit = setTimeout(fail, UP_MS);
    child.once('exit', fail);
    const listen = (chunk: Buffer): void => {
      said += chunk.toString('utf8');
      const found = words.exec(said);
      if (found === null) return;
      clearTimeout(limit);
      child.off('exit', fail);
      resolve(found);
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
  });
}
