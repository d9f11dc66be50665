export interface FaultScope {
  /** Things, devices, client ids or topics that begin so; all when left out. */
  readonly prefix?: string;
  /** How often it strikes; for ever when left out. */
  readonly times?: number;
  /** How many it lets pass first. */
  readonly skip?: number;
}

interface Entry<Fault> {
  readonly fault: Fault;
  readonly prefix: string;
  readonly points: readonly string[] | null;
  left: number;
  skip: number;
}

/** Faults that strike at named points of a simulated service, by whom it concerns, after so many, so often. */
export class FaultList<Fault> {
  #entries: Entry<Fault>[] = [];

  /** Returns the way to take it back. `points` undefined: all of them. */
  add(fault: Fault, scope: FaultScope, points: readonly string[] | undefined): () => void {
    const { prefix = '', times = Number.POSITIVE_INFINITY, skip = 0 } = scope;
    const entry = { fault, prefix, points: points ?? null, left: times, skip };
    this.#entries.push(entry);
    return () => {
      this.#entries = this.#entries.filter((other) => other !== entry);
    };
  }

  /** Those that strike; each use counts against their `times`. */
  strike(point: string, subject: string): readonly Fault[] {
    const hits: Fault[] = [];
    for (const entry of this.#entries) {
      if (!subject.startsWith(entry.prefix) || entry.points?.includes(point) === false) continue;
      if (entry.skip > 0) entry.skip -= 1;
      else if (entry.left > 0) {
        entry.left -= 1;
        hits.push(entry.fault);
      }
    }
    return hits;
  }

  clear(): void {
    this.#entries = [];
  }
}
