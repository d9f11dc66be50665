import { describe, expect, it } from 'vitest';
import { WireError } from '#ports/wire-error.ts';
import { VirtualClock } from '#sim/clock.ts';
import { type LeaseCell, type LeaseRow, LEASE_TTL_MS, NO_LEASE, acquireLease } from './lease.ts';

type Trouble = 'lost' | 'failed';

/** A cell behind a wire on which the next swaps meet trouble. */
function cellOf() {
  let row: LeaseRow = NO_LEASE;
  const troubles: Trouble[] = [];
  const cell: LeaseCell = {
    read: async () => row,
    swap: async (seen, next) => {
      const trouble = troubles.shift();
      const matches = row.fencing === seen.fencing && row.beat === seen.beat;
      if (matches && trouble !== 'failed') row = next;
      if (trouble !== undefined) throw new WireError('ECONNRESET', 'later', 'swap');
      return matches;
    },
  };
  return { cell, troubles, row: () => row };
}

async function held(cell: LeaseCell, clock: VirtualClock) {
  const answer = await acquireLease(cell, { holder: 'a', clock, ttlMs: LEASE_TTL_MS });
  if (answer.kind !== 'held') throw new Error('busy');
  return answer.lease;
}

describe('a lease over a wire that breaks', () => {
  it.each(['lost', 'failed'] as const)('is kept over a renewal that is %s, but not renewed by it', async (trouble) => {
    const clock = new VirtualClock(0);
    const { cell, troubles, row } = cellOf();
    const lease = await held(cell, clock);
    await clock.advance(20_000);
    troubles.push(trouble);
    expect(await lease.renew()).toBe(true);
    expect(lease.leftMs()).toBe(LEASE_TTL_MS - 20_000);
    expect(await lease.renew()).toBe(true);
    expect(lease.leftMs()).toBe(LEASE_TTL_MS);
    troubles.push(trouble);
    expect(await lease.renew()).toBe(true);
    await lease.release();
    expect(row().held).toBe(false);
  });

  it('is lost when its time has passed, and when another took it meanwhile', async () => {
    const clock = new VirtualClock(0);
    const { cell, troubles, row } = cellOf();
    const lease = await held(cell, clock);
    await clock.advance(LEASE_TTL_MS);
    troubles.push('failed');
    expect(await lease.renew()).toBe(false);
    const other = cell.swap(row(), { ...row(), fencing: 2, beat: 9, holder: 'b' });
    expect(await other).toBe(true);
    expect(await lease.renew()).toBe(false);
    await lease.release();
    expect(row()).toEqual({ fencing: 2, beat: 9, holder: 'b', held: true });
  });

  it('is given back without a word when the wire is broken at the end', async () => {
    const clock = new VirtualClock(0);
    const { cell, troubles, row } = cellOf();
    const lease = await held(cell, clock);
    troubles.push('failed');
    await lease.release();
    expect(row().held).toBe(true);
    expect(lease.leftMs()).toBe(0);
  });
});
