import type { Clock } from '#ports/clock.ts';
import { WireError } from '#ports/wire-error.ts';

interface Entry {
  readonly deadline: number;
  expire(): void;
}

export interface Hold {
  readonly ms: number;
  /** Begins the error's message. */
  readonly doing: string;
  readonly signal?: AbortSignal;
}

/** Made once: an abort without a reason makes an error with its stack, for each message that is sent. */
const RESTED = new Error('nothing is under way');

/**
 * Time limits for many calls under way at once with one timer: a burst of ten thousand publishes must not make ten
 * thousand timers.
 */
export class Limit {
  readonly #clock: Clock;
  readonly #entries = new Set<Entry>();
  #sleeping: { readonly until: number; readonly abort: AbortController } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the work gives, or WireError TIMEOUT after that many ms, or the signal's reason. */
  hold<T>(work: Promise<T>, { ms, doing, signal }: Hold): Promise<T> {
    return new Promise((resolve, reject) => {
      const entry: Entry = {
        deadline: this.#clock.monotonicMs() + ms,
        expire: () => finish(() => reject(new WireError('TIMEOUT', 'later', `${doing}: no answer within ${Math.round(ms / 1000)} s`))),
      };
      const abort = (): void => finish(() => reject(signal?.reason));
      const finish = (settle: () => void): void => {
        this.#entries.delete(entry);
        signal?.removeEventListener('abort', abort);
        this.#arm();
        settle();
      };
      this.#entries.add(entry);
      if (this.#sleeping !== null && entry.deadline < this.#sleeping.until) this.#rest();
      this.#arm();
      work.then(
        (value) => finish(() => resolve(value)),
        (error: unknown) => finish(() => reject(error)),
      );
      if (signal?.aborted === true) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Sleeps until the earliest deadline; does not sleep when nothing is under way, so that a process can end. */
  #arm(): void {
    if (this.#entries.size === 0) {
      this.#rest();
      return;
    }
    if (this.#sleeping !== null) return;
    let until = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries) until = Math.min(until, entry.deadline);
    const sleeping = { until, abort: new AbortController() };
    this.#sleeping = sleeping;
    void this.#expireAfter(sleeping.abort.signal, until).catch(() => undefined);
  }

  async #expireAfter(signal: AbortSignal, until: number): Promise<void> {
    await this.#clock.sleep(Math.max(0, until - this.#clock.monotonicMs()), signal);
    if (signal.aborted) return;
    this.#sleeping = null;
    const now = this.#clock.monotonicMs();
    this.#entries.forEach((entry) => (entry.deadline <= now ? entry.expire() : undefined));
    this.#arm();
  }

  #rest(): void {
    this.#sleeping?.abort.abort(RESTED);
    this.#sleeping = null;
  }
}
