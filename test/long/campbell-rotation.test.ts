import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shareOf } from '#test/support/long-share.ts';
import { story, tell, type Told } from '#test/support/rotation-story.ts';

const STORIES = 25;
/** Each is a campaign of its own; in CI a tenth of them. */
const SEEDS = Array.from({ length: 10 }, (_, seed) => seed);

it.each(shareOf(SEEDS, 'campbell rotation'))('25 histories of a rotation strand nobody, seed %i', { timeout: 600_000 }, async (seed) => {
  const all: Told[] = [];
  await fc.assert(
    fc.asyncProperty(story, async (one) => void all.push(await tell(one))),
    { numRuns: STORIES, seed },
  );
  const sum = (of: keyof Told): number => all.reduce((total, told) => total + told[of], 0);
  const counts = { loaded: sum('loaded'), moved: sum('moved'), withdrawn: sum('withdrawn'), harmed: sum('harmed') };
  process.stdout.write(`seed ${seed}: ${JSON.stringify(counts)}\n`);
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
});
