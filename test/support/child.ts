import type { ChildProcess } from 'node:child_process';

const ASK_AGAIN_MS = 500;
const HARD_MS = 10_000;

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
