import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { seededRandom } from '#sim/random.ts';
import { doneTo } from './end-state.ts';
import { playInProcess } from './in-process.ts';
import type { Cut } from './in-process.ts';
import { makeStoryRepo } from './repo.ts';
import { homeward, upgrade } from './stories.ts';

/** Some of the kill points are tried here; test/long tries all, on real processes. */
const STORIES = [
  { story: upgrade, every: 4, atLeast: 30 },
  { story: homeward, every: 3, atLeast: 20 },
];

/** The power goes right after a ledger append or a perform; what happens at the devices is the same as without. */
describe('an engine that loses its power', () => {
  it.each(STORIES)('in the middle of $story.name ends where it would have', { timeout: 180_000 }, async ({ story, every, atLeast }) => {
    const repo = await makeStoryRepo(story);
    try {
      const undisturbed = await playInProcess(story, repo, []);
      const points = undisturbed.lives[0] ?? [];
      expect(doneTo(undisturbed.end)).toEqual(story.done);
      expect(points.length).toBeGreaterThan(atLeast);
      expect(points.filter((what) => what.startsWith('perform')).length).toBeGreaterThanOrEqual(10);
      for (let at = 1; at <= points.length; at += every) {
        // Every other time the next engine comes at once; else after all deadlines.
        const downMs = ((at - 1) / every) % 2 === 0 ? 0 : HOUR_MS;
        const { end, lives } = await playInProcess(story, repo, [{ at, downMs }]);
        expect(lives[0]).toHaveLength(at);
        expect(end, `cut at ${at}: ${lives[0]?.at(-1)}`).toEqual(undisturbed.end);
      }
    } finally {
      await repo.close();
    }
  });

  it('again and again ends where it would have', { timeout: 60_000 }, async () => {
    const repo = await makeStoryRepo(upgrade);
    try {
      const undisturbed = await playInProcess(upgrade, repo, []);
      for (const seed of [1, 2, 3]) {
        const cuts = tenCuts(seed);
        const { end, lives } = await playInProcess(upgrade, repo, cuts);
        expect(lives.length).toBeGreaterThan(5);
        expect(end, JSON.stringify(cuts)).toEqual(undisturbed.end);
      }
    } finally {
      await repo.close();
    }
  });
});

/** Each engine gets as far as its second checkpoint: one that never performs anything would spend all attempts. */
function tenCuts(seed: number): readonly Cut[] {
  const random = seededRandom(seed, 'cuts');
  return Array.from({ length: 10 }, () => ({ at: 2 + Math.floor(random() * 5), downMs: Math.floor(random() * 90) * MINUTE_MS }));
}
