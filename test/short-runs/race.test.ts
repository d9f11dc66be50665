import { describe, expect, it } from 'vitest';
import { race } from './race.ts';
import { expectFair } from './raced.ts';

/** test/long has a hundred rounds of each, test/servers a hundred with radosgw. */
describe('two runners that are started together', () => {
  it.each([
    { store: 'git', rounds: 6 },
    { store: 's3', rounds: 5 },
  ] as const)('with the ledger in $store double nothing and lose nothing', { timeout: 120_000 }, async ({ store, rounds }) => {
    const raced = await race({ store, rounds });
    expect(raced.rounds).toHaveLength(rounds);
    expectFair(raced);
  });
});
