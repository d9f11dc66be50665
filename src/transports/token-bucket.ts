import { SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';

interface Bucket {
  level: number;
  at: number;
}

/**
 * Holds calls to so many per second, each kind by itself: a bucket of one second's worth that fills as time goes by. Who
 * comes when it is empty waits for its turn, in the order of coming.
 */
export class TokenBuckets<Kind extends string> {
  readonly #clock: Clock;
  readonly #perSecond: (kind: Kind) => number;
  readonly #buckets = new Map<Kind, Bucket>();

  constructor(clock: Clock, perSecond: (kind: Kind) => number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** Resolves when the call may be made; rejects with the signal's reason, and the turn is given back. */
  async take(kind: Kind, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const rate = this.#perSecond(kind);
    const now = this.#clock.monotonicMs();
    // A kind that is allowed less than once a second may still be asked for at once.
    const deep = Math.max(1, rate);
    const bucket = this.#buckets.get(kind) ?? { level: deep, at: now };
    this.#buckets.set(kind, bucket);
    bucket.level = Math.min(deep, bucket.level + ((now - bucket.at) / SECOND_MS) * rate) - 1;
    bucket.at = now;
    if (bucket.level >= 0) return;
    try {
      await this.#clock.sleep(Math.ceil((-bucket.level / rate) * SECOND_MS), signal);
    } catch (error) {
      bucket.level += 1;
      throw error;
    }
  }
}
