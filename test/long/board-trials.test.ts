import fc from 'fast-check';
import { expect, it } from 'vitest';
import { story, tell, type Outcome } from '#test/support/board-stories.ts';
import { shareOf } from '#test/support/long-share.ts';

const STORIES = 25;
/** Each is a campaign of its own; in CI a tenth of them. */
const SEEDS = Array.from({ length: 10 }, (_, seed) => seed);

it.each(shareOf(SEEDS, 'board trials'))('25 histories of boards with trials, seed %i', { timeout: 600_000 }, async (seed) => {
  const all: Outcome[] = [];
  await fc.assert(
    fc.asyncProperty(story, async (one) => void all.push(await tell(one))),
    { numRuns: STORIES, seed, endOnFailure: true },
  );
  const sum = (of: keyof Outcome): number => all.reduce((total, outcome) => total + outcome[of], 0);
  const counts = {
    updates: sum('updates'),
    commits: sum('commits'),
    reverts: sum('reverts'),
    rollbacks: sum('rollbacks'),
    held: sum('held'),
    halts: sum('halts'),
  };
  process.stdout.write(`seed ${seed}: ${JSON.stringify(counts)}\n`);
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
});
