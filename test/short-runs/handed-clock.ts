import type { Instant } from '#model/ids.ts';
import type { Clock } from '#ports/clock.ts';

/** Real time that whatever goes on beside a sleep is given before time moves on. */
const MEANWHILE_MS = 60;

interface Sleeper {
  readonly until: Instant;
  wake(): void;
}

/**
 * Time that another process owns: it stands still while this one works, and moves on only while this one sleeps. So how
 * fast the machine is makes no difference to what happens.
 */
export class HandedClock implements Clock {
  readonly #start: Instant;
  readonly #onWaiting: (until: Instant | null) => void;
  readonly #sleepers = new Set<Sleeper>();
  #now: Instant;

  constructor(start: Instant, onWaiting: (until: Instant | null) => void) {
    this.#start = start;
    this.#now = start;
    this.#onWaiting = onWaiting;
  }

  now(): Instant {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now - this.#start;
  }

  /** Until when the earliest sleeper sleeps. */
  get until(): Instant | null {
    return this.#sleepers.size === 0 ? null : Math.min(...[...this.#sleepers].map((sleeper) => sleeper.until));
  }

  move(now: Instant): void {
    this.#now = Math.max(this.#now, now);
    for (const sleeper of this.#sleepers) if (sleeper.until <= this.#now) sleeper.wake();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const done = (): void => {
        signal?.removeEventListener('abort', abort);
        clearTimeout(meanwhile);
        this.#sleepers.delete(sleeper);
      };
      const abort = (): void => {
        done();
        reject(signal?.reason);
        this.#onWaiting(this.until);
      };
      const sleeper: Sleeper = {
        until: this.#now + Math.max(0, ms),
        wake: () => {
          done();
          resolve();
        },
      };
      const meanwhile = setTimeout(() => {
        this.#sleepers.add(sleeper);
        this.#onWaiting(this.until);
      }, MEANWHILE_MS);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }
}
