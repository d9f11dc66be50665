import { it } from 'vitest';
import { assertHistories, assertOrderOfStrangers } from '#test/support/shadow-histories.ts';

/** test/long/shadow-histories.test.ts tells twenty thousand. */
it('the delta is always the difference, versions grow by one, and readers of the documents reach the same state', () => {
  assertHistories({ runs: 1000, seed: 7 });
});

it('updates of different keys come to the same in either order', () => {
  assertOrderOfStrangers({ runs: 300, seed: 7 });
});
