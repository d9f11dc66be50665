import { describe, expect, it } from 'vitest';
import { doneTo } from './end-state.ts';
import { playInProcess } from './in-process.ts';
import { makeStoryRepo } from './repo.ts';
import { homeward, upgrade } from './stories.ts';

/** How many of the kill points are tried here; test/long tries all of them, on real processes. */
const STORIES = [
  { story: upgrade, every: 2, atLeast: 30 },
  { story: homeward, every: 1, atLeast: 20 },
];

/** The power goes right after a ledger append or a perform; what happens at the devices is the same as without. */
describe('an engine that loses its power', () => {
  it.each(STORIES)('in the middle of $story.name ends where it would have', { timeout: 180_000 }, async ({ story, every, atLeast }) => {
    const repo = await makeStoryRepo(story);
    try {
      const undisturbed = await playInProcess(story, repo, null);
      expect(doneTo(undisturbed.end)).toEqual(story.done);
      expect(undisturbed.checkpoints.length).toBeGreaterThan(atLeast);
      expect(undisturbed.checkpoints.filter((what) => what.startsWith('perform')).length).toBeGreaterThanOrEqual(10);
      for (let cutAt = 1; cutAt <= undisturbed.checkpoints.length; cutAt += every) {
        const { end, checkpoints } = await playInProcess(story, repo, cutAt);
        expect(checkpoints).toHaveLength(cutAt);
        expect(end, `cut at ${cutAt}: ${checkpoints.at(-1)}`).toEqual(undisturbed.end);
      }
    } finally {
      await repo.close();
    }
  });
});
