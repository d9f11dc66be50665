import { describe, expect, it } from 'vitest';
import { seededRandom } from '#sim/random.ts';
import { OPERATIONS, tellWithKills } from '#test/short-runs/kills.ts';
import type { Kills } from '#test/short-runs/kills.ts';
import { shareOf } from '#test/support/long-share.ts';

const STORES = [{ store: 'git' }, { store: 's3' }] as const;

/** HEADGATE_LONG and HEADGATE_SEED choose a part of the kills: test/support/long-share.ts. */
describe('a short run that is killed (SIGKILL)', () => {
  it.each(STORES)('leaves a ledger in $store with which the next run goes on, and nothing is doubled', async ({ store }) => {
    const undisturbed = await tellWithKills(store, new Map());
    expect(undisturbed.operations).toEqual(OPERATIONS);
    const points = undisturbed.lives.flatMap((life, run) => life.map((_, index): Kills => new Map([[run, index + 1]])));
    const again = Array.from({ length: 10 }, (_, seed) => seededKills(seed));
    const chosen = shareOf([...points, ...again], `kills ${store}`);
    let kills = 0;
    for (const planned of chosen) {
      const { end, operations, killed, lives } = await tellWithKills(store, planned);
      const what = JSON.stringify({ planned: [...planned], lives });
      expect(killed, what).toBeGreaterThan(0);
      expect(operations, what).toEqual(OPERATIONS);
      expect(end, what).toEqual(undisturbed.end);
      kills += killed;
    }
    process.stdout.write(`${store}: ${chosen.length} of ${points.length + again.length} tellings, ${kills} runs killed\n`);
  });
});

/** Four of the first runs, at any of their checkpoints; a run that ends before its own is not killed. */
function seededKills(seed: number): Kills {
  const random = seededRandom(seed, 'short runs');
  const runs = [1, 2, 3, 4].map((run): [number, number] => [run, 1 + Math.floor(random() * (run === 1 ? 2 : 4))]);
  return new Map(runs);
}
