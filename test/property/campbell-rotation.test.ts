import fc from 'fast-check';
import { describe, it } from 'vitest';
import { story, tell, type Act, type Story } from '#test/support/rotation-story.ts';

/** More of them in test/long. */
const STORIES = 3;
const commit = (change: Extract<Act, { kind: 'commit' }>['change']): Act => ({ kind: 'commit', change });
const wait = (minutes: number): Act => ({ kind: 'wait', minutes });
/** Nothing happens, and a pass follows. */
const pass: Act = { kind: 'fault', logger: 'alder', fault: 'downloadFails', on: false };

/** Stories that broke a rule once. */
const KNOWN: readonly (readonly [Story])[] = [
  // One is told to load its old certificate again, at a broker that nobody listens to from then on; its last report is of before.
  [
    {
      spoilt: [],
      purpose: [{ via: 'both', pin: 'both' }, { endpoint: 'next' }, { pin: 'new' }],
      between: [
        [wait(1), pass, wait(0.2), pass, commit({ via: 'both' }), pass],
        [wait(11), commit({ pin: 'old' }), { kind: 'crash', at: 'appended' }, commit({ via: 'field' })],
        [],
      ],
    },
  ],
  // A load of which nobody heard a word, and two more under the next commit.
  [
    {
      spoilt: ['alder', 'birch', 'ash'],
      purpose: [{ via: 'both', pin: 'both' }, { endpoint: 'next' }, { pin: 'new' }],
      between: [[{ kind: 'crash', at: 'between' }, wait(0.2), wait(30)], [wait(3), commit({ endpoint: 'field' })], []],
    },
  ],
];

describe('any history of a rotation of certificates', () => {
  it(
    'leaves each logger a certificate that its broker accepts, and withdraws none while another logger needs proof',
    { timeout: 60_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(story, async (one) => void (await tell(one))),
        { numRuns: KNOWN.length + STORIES, examples: KNOWN.map(([one]) => [one]) },
      );
    },
  );
});
