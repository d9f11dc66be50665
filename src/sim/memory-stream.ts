import { Duplex } from 'node:stream';

/** One end of a pair of streams within the process; what is written at one end is read at the other, in order. */
class MemoryEnd extends Duplex {
  readonly #moved: () => void;
  #other: MemoryEnd | null = null;
  #taken: (() => void) | null = null;

  constructor(moved: () => void) {
    super({ allowHalfOpen: false });
    this.#moved = moved;
  }

  join(other: MemoryEnd): void {
    this.#other = other;
  }

  override _read(): void {
    const taken = this.#taken;
    this.#taken = null;
    taken?.();
  }

  /** What was corked together moves as one piece. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#moved();
    // Nobody is there yet: what is written waits until the connection is refused.
    if (this.#other === null) return;
    if (this.#other.destroyed) {
      done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' }));
      return;
    }
    // The reader's next read is what lets the writer go on.
    this.#other.#taken = done;
    this.#other.push(Buffer.concat(chunks.map(({ chunk }) => chunk)));
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#moved();
    if (this.#other !== null && !this.#other.destroyed) this.#other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#moved();
    const other = this.#other;
    // As with a socket, the other end learns of it in a turn of its own.
    if (other !== null && !other.destroyed) setImmediate(() => other.destroy());
    done(error);
  }
}

/** Two joined streams. `moved` is told of each piece that moves, so that a virtual clock knows that all is not quiet. */
export function memoryStreamPair(moved: () => void): readonly [Duplex, Duplex] {
  const near = new MemoryEnd(moved);
  const far = new MemoryEnd(moved);
  near.join(far);
  far.join(near);
  return [near, far];
}

/** A stream that fails like a connection to a closed port. */
export function refusedStream(moved: () => void): Duplex {
  const end = new MemoryEnd(moved);
  setImmediate(() => end.destroy(Object.assign(new Error('ECONNREFUSED'), { code: 'ECONNREFUSED' })));
  return end;
}
