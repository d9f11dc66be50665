import fc from 'fast-check';
import { describe, it } from 'vitest';
import { story, tell } from '#test/support/rotation-story.ts';

/** More of them in test/long. */
const STORIES = 4;

describe('any history of a rotation of certificates', () => {
  it(
    'leaves each logger a certificate that its broker accepts, and withdraws none while another logger needs proof',
    { timeout: 60_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(story, async (one) => void (await tell(one))),
        { numRuns: STORIES },
      );
    },
  );
});
