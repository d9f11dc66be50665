import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { stableFraction } from '#kit/digest.ts';
import type { OperationId } from '#model/ids.ts';

/**
 * Milliseconds from one attempt to the next: a minute doubled per attempt up to an hour, spread by up to a quarter that
 * depends only on the operation, so that a fleet that failed together does not return together.
 */
export function backOffMs(operation: OperationId, attempt: number): number {
  const base = Math.min(HOUR_MS, MINUTE_MS * 2 ** Math.min(attempt - 1, 10));
  return Math.round(base * (1 + stableFraction(`${operation} ${attempt}`) / 4));
}
