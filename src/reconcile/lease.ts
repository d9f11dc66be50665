import { SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { Lease } from '#ports/ledger.ts';

const RENEW_EVERY_MS = 20 * SECOND_MS;

/** Renews the lease in the background until stopped; a renewal that fails is noticed by `leftMs` running out. */
export function startRenewal(lease: Lease, clock: Clock): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const running = renewUntil(lease, clock, stopped.signal);
  // A ledger that broke meanwhile is told by stop(); nobody else listens here.
  running.catch(() => undefined);
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

async function renewUntil(lease: Lease, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await clock.sleep(RENEW_EVERY_MS, signal);
    } catch {
      return;
    }
    if (!(await lease.renew())) return;
  }
}
