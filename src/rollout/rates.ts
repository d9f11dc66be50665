import { MINUTE_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';

export interface Rate {
  /** Takes a token. `notBefore` is when the operation may run; `until`, when the pass is too short, when a token is free. */
  take(): { readonly kind: 'admitted'; readonly notBefore: Instant } | { readonly kind: 'limited'; readonly until: Instant };
  /** Takes a token that is never refused: what makes a fleet safe does not wait. */
  spend(): void;
}

/**
 * A bucket that is one minute's worth deep, over the stored instants of earlier intents: each token comes back a minute
 * after it was taken. Within the pass operations are spread over at most `passLimitMs`.
 */
export function makeRate(request: {
  readonly now: Instant;
  readonly perMinute: number;
  readonly passLimitMs: number;
  readonly recent: readonly Instant[];
}): Rate {
  const { now, perMinute, passLimitMs, recent } = request;
  const depth = Math.max(1, Math.floor(perMinute));
  const taken = recent.filter((at) => at > now - MINUTE_MS).toSorted((a, b) => a - b);
  const next = (): Instant => {
    const back = taken[taken.length - depth];
    return back === undefined ? now : Math.max(now, back + MINUTE_MS);
  };
  return {
    take: () => {
      const notBefore = next();
      if (notBefore > now + passLimitMs) return { kind: 'limited', until: notBefore };
      taken.push(notBefore);
      return { kind: 'admitted', notBefore };
    },
    spend: () => {
      taken.splice(taken.findLastIndex((at) => at <= now) + 1, 0, now);
    },
  };
}
