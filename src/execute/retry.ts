import { HOUR_MS } from '#kit/duration.ts';
import type { OperationId } from '#model/ids.ts';
import { backOffMs } from '#rollout/backoff.ts';

/**
 * Milliseconds before the next attempt: a minute doubled per attempt up to an hour, spread by up to a quarter so that a
 * fleet that failed together does not return together. A wire that says `now` is asked again with the next pass; one
 * that says `never` (403, say) waits the full hour, because only a person can mend it.
 */
export function retryDelayMs(request: {
  readonly retry: 'now' | 'later' | 'never';
  readonly attempt: number;
  readonly operation: OperationId;
}): number {
  if (request.retry === 'now') return 0;
  if (request.retry === 'never') return HOUR_MS;
  return backOffMs(request.operation, request.attempt);
}
