import { expect } from 'vitest';
import { applyRolloutEvent } from '#rollout/state.ts';
import { verifyChain } from '#ledger/chain.ts';
import { foldRecords } from '#ledger/fold.ts';
import type { Raced } from './race.ts';

/** Exit codes of `apply`: nothing open, under way, another runner holds the lease. */
const EXITS: ReadonlySet<number> = new Set([0, 2, 75]);

/** Nothing was done twice, nothing that was done is missing from the ledger, and nobody failed. */
export function expectFair({ rounds, records }: Raced): void {
  const intended = new Map<string, number>();
  const performed = new Map<string, number>();
  const succeeded = new Map<string, number>();
  for (const { body } of records) {
    if (body.type === 'intent') count(intended, body.operation.id);
    if (body.type === 'outcome' && body.result.kind === 'performed') count(performed, body.operation);
    if (body.type === 'closed' && body.closing === 'succeeded') count(succeeded, body.operation);
  }
  for (const [index, { exits, refusals, said, flashes }] of rounds.entries()) {
    const round = `round ${index + 1}: ${JSON.stringify({ exits, refusals })}`;
    expect(exits.every((exit) => EXITS.has(exit)) && exits.includes(2), round).toBe(true);
    expect(
      refusals.every((refusal) => refusal.startsWith('BUSY')),
      round,
    ).toBe(true);
    expect(new Set(said).size, round).toBe(said.length);
    expect(said, round).toHaveLength(Object.keys(flashes).length);
    for (const [device, effects] of Object.entries(flashes)) expect(effects, `${device}, ${round}`).toHaveLength(1);
    for (const operation of said) {
      const found = [intended, performed, succeeded].map((counts) => counts.get(operation));
      expect(found, `${operation}, ${round}`).toEqual([1, 1, 1]);
    }
  }
  expect(intended.size).toBe(rounds.flatMap(({ said }) => said).length);
  expect(verifyChain(records).ok).toBe(true);
  expect(foldRecords(records, { event: applyRolloutEvent }).open.size).toBe(0);
}

/** `7 turns, 3 busy`: how the rounds went. */
export function tallyOf({ rounds }: Raced): string {
  const busy = rounds.filter(({ exits }) => exits.includes(75)).length;
  return `${rounds.length} rounds: ${rounds.length - busy} took turns, ${busy} found the other at work`;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
