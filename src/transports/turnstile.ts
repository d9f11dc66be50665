/** Lets so much work run at once, the rest in the order in which it came. */
export class Turnstile {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  /** What the work gives. Who gives up while waiting gets the signal's reason, and his work is never begun. */
  async pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const turn = Promise.withResolvers<void>();
    const begin = (): void => turn.resolve();
    const giveUp = (): void => {
      const at = this.#waiting.indexOf(begin);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      turn.reject(signal?.reason);
    };
    this.#waiting.push(begin);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      await turn.promise;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
