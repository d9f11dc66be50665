import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { stableFraction } from '#kit/digest.ts';

/**
 * Milliseconds before the next attempt: a minute doubled per attempt up to an hour, spread by up to a quarter so that a
 * fleet that failed together does not return together. A wire that says `now` is asked again with the next pass; one
 * that says `never` (403, say) waits the full hour, because only a person can mend it.
 */
export function retryDelayMs(request: {
  readonly retry: 'now' | 'later' | 'never';
  readonly attempt: number;
  readonly seed: string;
}): number {
  if (request.retry === 'now') return 0;
  if (request.retry === 'never') return HOUR_MS;
  const base = Math.min(HOUR_MS, MINUTE_MS * 2 ** Math.min(request.attempt - 1, 10));
  return Math.round(base * (1 + stableFraction(`${request.seed} ${request.attempt}`) / 4));
}
