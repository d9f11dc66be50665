import { describe, expect, it } from 'vitest';
import { killPoints, runWithKill } from '#test/crash/crash.ts';
import { doneTo } from '#test/crash/end-state.ts';
import { makeStoryRepo } from '#test/crash/repo.ts';
import { homeward, upgrade } from '#test/crash/stories.ts';
import { shareOf } from '#test/support/long-share.ts';

const STORIES = [
  { story: upgrade, performs: 14 },
  { story: homeward, performs: 10 },
];

/** HEADGATE_LONG and HEADGATE_SEED choose a part of the kill points: test/support/long-share.ts. */
describe('an engine that is killed (SIGKILL) after a ledger append or a perform', () => {
  it.each(STORIES)('in the middle of $story.name doubles nothing and loses nothing', async ({ story, performs }) => {
    const repo = await makeStoryRepo(story);
    try {
      const undisturbed = await killPoints(story, repo);
      expect(doneTo(undisturbed.end)).toEqual(story.done);
      const points = undisturbed.checkpoints;
      const appends = points.filter((name) => name.startsWith('append'));
      expect(points.length - appends.length).toBe(performs);
      // Waves, proofs and outcomes come one after the other: fewer appends would mean that something was not written down.
      expect(appends.length).toBeGreaterThan(performs / 2);
      const chosen = shareOf(points, story.name);
      let late = 0;
      for (const killAt of chosen) {
        const { end, killed } = await runWithKill(story, repo, killAt);
        expect(end, `killed after the ${killAt}`).toEqual(undisturbed.end);
        // Named by what came before: another telling may have nothing more to append by then.
        if (!killed) expect(killAt).toMatch(/^append \d+ after /);
        if (!killed) late += 1;
      }
      process.stdout.write(
        `${story.name}: ${points.length} kill points (${appends.length} appends, ${performs} performs), ` +
          `${chosen.length - late} killed here${late === 0 ? '' : `, ${late} not reached`}\n`,
      );
    } finally {
      await repo.close();
    }
  });
});
