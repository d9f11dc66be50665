import type { Clock } from '#ports/clock.ts';

/**
 * The lives of a simulated device, or of its connection: each is a signal that is aborted at its end. Whatever lasts a
 * while belongs to the life in which it began.
 */
export class SimLife {
  readonly #clock: Clock;
  #ended = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get now(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whoever waits in this life waits no longer, and until the next one nobody does. */
  end(): void {
    this.#ended.abort();
  }

  /** Ends what is, and begins the next. */
  next(): AbortSignal {
    this.end();
    this.#ended = new AbortController();
    return this.now;
  }

  /** False when the life ended meanwhile, or before. */
  async pause(ms: number, life = this.now): Promise<boolean> {
    await this.#clock.sleep(ms, life).catch(() => undefined);
    return !life.aborted;
  }
}
