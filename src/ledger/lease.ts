import type { Clock } from '#ports/clock.ts';
import type { Lease, LeaseAnswer } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';

export const LEASE_TTL_MS = 90_000;
/** Often enough to see a renewal soon, seldom enough to cost a remote store nothing. */
const LEASE_POLL_MS = 1000;

/** What a store keeps of the lease. `beat` changes with every write; `fencing` with every holder, and never falls. */
export interface LeaseRow {
  readonly fencing: number;
  readonly beat: number;
  readonly holder: string;
  readonly held: boolean;
}

export const NO_LEASE: LeaseRow = { fencing: 0, beat: 0, holder: '', held: false };

/** One cell with compare-and-swap: all that a store must offer for a lease. */
export interface LeaseCell {
  read(): Promise<LeaseRow>;
  /** Writes `next` if fencing and beat are still those of `seen`; false when they are not. Durable when it resolves. */
  swap(seen: LeaseRow, next: LeaseRow): Promise<boolean>;
}

export interface LeaseRequest {
  readonly holder: string;
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes the lease when it is free, released, or unchanged for one TTL on our own monotonic clock; `busy` as soon as the
 * holder is seen to renew it or another contender was faster. No clock of another machine is ever compared (DESIGN.md §4).
 */
export async function acquireLease(cell: LeaseCell, request: LeaseRequest): Promise<LeaseAnswer> {
  const { clock, ttlMs, holder, signal } = request;
  const first = await cell.read();
  const deadline = clock.monotonicMs() + ttlMs;
  let seen = first;
  while (seen.held) {
    const left = deadline - clock.monotonicMs();
    if (left <= 0) break;
    await clock.sleep(Math.min(left, LEASE_POLL_MS, Math.max(1, ttlMs / 10)), signal);
    seen = await cell.read();
    if (seen.held && !sameBeat(seen, first)) return { kind: 'busy', holder: seen.holder };
  }
  const takenAt = clock.monotonicMs();
  const mine: LeaseRow = { fencing: seen.fencing + 1, beat: seen.beat + 1, holder, held: true };
  if (await cell.swap(seen, mine)) return { kind: 'held', lease: leaseOf(cell, mine, { ...request, takenAt }) };
  const winner = await cell.read();
  return { kind: 'busy', holder: winner.holder };
}

/**
 * A lease in hand. The time left counts from before the write that renewed it, so it is never more than others grant. A
 * broken wire takes no lease away: it is not renewed then, its time runs on, and the next renewal looks for what the
 * broken one may have done.
 */
function leaseOf(cell: LeaseCell, taken: LeaseRow, request: LeaseRequest & { readonly takenAt: number }): Lease {
  const { clock, ttlMs } = request;
  let row: LeaseRow | null = taken;
  let renewedAt = request.takenAt;
  let inDoubt = false;
  const leftMs = (): number => (row === null ? 0 : Math.max(0, renewedAt + ttlMs - clock.monotonicMs()));
  return {
    fencing: taken.fencing,
    leftMs,
    renew: async () => {
      if (row === null) return false;
      const startedAt = clock.monotonicMs();
      const next: LeaseRow = { ...row, beat: row.beat + 1 };
      try {
        // Only the holder writes under its fencing number: the next beat, found there, is its own.
        const renewed = (await cell.swap(row, next)) || (inDoubt && sameBeat(await cell.read(), next));
        inDoubt = false;
        row = renewed ? next : null;
        if (renewed) renewedAt = startedAt;
        return renewed;
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        inDoubt = true;
        return leftMs() > 0;
      }
    },
    release: async () => {
      if (row === null) return;
      const last = row;
      row = null;
      try {
        const next = { ...last, beat: last.beat + 1, held: false };
        if ((await cell.swap(last, next)) || !inDoubt) return;
        const seen = await cell.read();
        if (sameBeat(seen, next)) await cell.swap(seen, { ...next, beat: next.beat + 1 });
      } catch (error) {
        // What was done under the lease is done; the next runner waits for one TTL.
        if (!(error instanceof WireError)) throw error;
      }
    },
  };
}

function sameBeat(a: LeaseRow, b: LeaseRow): boolean {
  return a.fencing === b.fencing && a.beat === b.beat;
}
