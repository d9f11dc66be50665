import { describe, it } from 'vitest';
import { assertTrusted, SEQUENCE_NAMES } from '#test/support/certificate-stories.ts';

const RUNS = 8;

/** test/long/certificates.test.ts tells many more of these stories. */
describe.each(SEQUENCE_NAMES)('the certificates of the sequence "%s"', (sequence) => {
  it('are trusted by each device that is told to use their server, in every state it can reach', () =>
    assertTrusted(sequence, { runs: RUNS, seed: 7 }));
});
