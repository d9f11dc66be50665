import fc from 'fast-check';
import { describe, it } from 'vitest';
import { story, tell, type Act, type Story } from '#test/support/board-stories.ts';
import type { Board, Version } from '#test/support/board-files.ts';

/** More of them in test/long. */
const STORIES = 5;
const commit = (firmware: Version): Act => ({ kind: 'commit', firmware });
const wait = (seconds: number): Act => ({ kind: 'pass', seconds });
/** Nothing happens, and a pass follows. */
const look = wait(0);
const shadows: Board = { kind: 'shadows', slow: false };
const calls: Board = { kind: 'calls', slow: false };
const flats: Board = { kind: 'flats', slow: false };

/** Stories that broke a rule once. */
const KNOWN: readonly (readonly [Story])[] = [
  // One tries the present release on its way back, is told to go back from that too, and is held to have failed it.
  [
    {
      boards: [calls, shadows],
      slots: 1,
      before: [],
      after: [wait(60), { kind: 'power', board: 0, on: false }, commit('1.0.0'), commit('3.0.0'), wait(60), wait(5), wait(5), wait(120)],
    },
  ],
  // The engine ends after a URL was written: nobody knew of it, and another board of the group was told to begin.
  [
    {
      boards: [shadows, { kind: 'calls', slow: true }, shadows, shadows],
      slots: 1,
      before: [wait(60), commit('2.0.0')],
      after: [
        wait(5),
        look,
        wait(120),
        look,
        commit('1.0.0'),
        commit('2.0.0'),
        wait(60),
        look,
        wait(240),
        look,
        look,
        wait(5),
        look,
        { kind: 'crash', at: 'performed' },
        wait(60),
        commit('1.0.0'),
        commit('3.0.0'),
        wait(29),
      ],
    },
  ],
  // The same, and the board is back from its trial before anybody looks again.
  [
    {
      boards: [shadows, shadows],
      slots: 1,
      before: [{ kind: 'crash', at: 'performed' }],
      after: [
        look,
        commit('3.0.0'),
        { kind: 'approve' },
        look,
        wait(660),
        look,
        look,
        wait(60),
        wait(60),
        commit('1.0.0'),
        commit('2.0.0'),
      ],
    },
  ],
  // What no shadow tells was last heard before the trial that the board is in when it is offered the next release.
  [
    {
      boards: [{ ...flats, slow: true }, flats, calls, flats],
      slots: 1,
      before: [{ kind: 'fault', board: 0, fault: 'bootsBack', on: true }],
      after: [commit('3.0.0'), wait(240), { kind: 'sick', board: 3, on: true }, { kind: 'power', board: 2, on: false }, commit('2.0.0')],
    },
  ],
  // The engine ends after a URL was written, and the board that took it never answers again.
  [
    {
      boards: [flats, { ...flats, slow: true }, { ...calls, slow: true }, flats],
      slots: 1,
      before: [{ kind: 'crash', at: 'appended' }, commit('3.0.0')],
      after: [wait(660), { kind: 'fault', board: 4, fault: 'brick', on: true }, wait(60), { kind: 'crash', at: 'performed' }, wait(120)],
    },
  ],
];

describe('any history of boards with trials', () => {
  it(
    'tells no board what it must not hear, has none fail what it was not let finish, and brings all of them home',
    { timeout: 60_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(story, async (one) => void (await tell(one))),
        { numRuns: KNOWN.length + STORIES, endOnFailure: true, examples: KNOWN.map(([one]) => [one]) },
      );
    },
  );
});
