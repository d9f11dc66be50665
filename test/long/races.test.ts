import { describe, expect, it } from 'vitest';
import { race } from '#test/short-runs/race.ts';
import { expectFair, tallyOf } from '#test/short-runs/raced.ts';
import { shareOf } from '#test/support/long-share.ts';

const ROUNDS = Array.from({ length: 100 }, (_, index) => index);

describe('two runners that are started together', () => {
  it.each([{ store: 'git' }, { store: 's3' }] as const)('with the ledger in $store double nothing and lose nothing', async ({ store }) => {
    const rounds = shareOf(ROUNDS, `races ${store}`).length;
    const raced = await race({ store, rounds });
    process.stdout.write(`${store}: ${tallyOf(raced)}, ${raced.records.length} records\n`);
    expect(raced.rounds).toHaveLength(rounds);
    expectFair(raced);
  });
});
