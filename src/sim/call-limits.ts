import { SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';

/** How many calls of a kind a simulated service takes: a bucket for each, full at first, filled as time goes by. */
export class CallLimits {
  readonly #clock: Clock;
  readonly #perSecond: ReadonlyMap<string, number>;
  readonly #levels = new Map<string, { readonly level: number; readonly at: number }>();

  constructor(clock: Clock, perSecond: ReadonlyMap<string, number>) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** False when the bucket is empty; kinds without a limit are always taken. */
  take(kind: string): boolean {
    const rate = this.#perSecond.get(kind);
    if (rate === undefined) return true;
    const deep = Math.max(1, rate);
    const at = this.#clock.monotonicMs();
    const before = this.#levels.get(kind) ?? { level: deep, at };
    const level = Math.min(deep, before.level + ((at - before.at) / SECOND_MS) * rate);
    this.#levels.set(kind, { level: level < 1 ? level : level - 1, at });
    return level >= 1;
  }
}
