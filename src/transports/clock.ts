import type { Clock } from '#ports/clock.ts';

/** Timers of Node hold at most 2^31 - 1 ms: longer sleeps are made of several. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleepUntil(performance.now() + ms, signal),
};

function sleepUntil(end: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const next = (): void => {
      const left = end - performance.now();
      if (!(left > 0)) {
        signal?.removeEventListener('abort', abort);
        resolve();
        return;
      }
      timer = setTimeout(next, Math.min(Math.ceil(left), LONGEST_TIMER_MS));
    };
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    signal?.addEventListener('abort', abort, { once: true });
    // Even a sleep of nothing gives way once, as any timer does.
    timer = setTimeout(next, Math.min(Math.max(0, end - performance.now()), LONGEST_TIMER_MS));
  });
}
