import { describe, it } from 'vitest';
import { stableFraction } from '#kit/digest.ts';
import { assertTrusted, SEQUENCE_NAMES } from '#test/support/certificate-stories.ts';
import { countOf } from '#test/support/long-share.ts';

const RUNS = 300;
const BATCH = 10;
const seed = Math.floor(stableFraction(`certificates ${process.env['HEADGATE_SEED'] ?? ''}`) * 1_000_000);
const batches = Array.from({ length: countOf(RUNS / BATCH) }, (_, index) => index);

describe.each(SEQUENCE_NAMES)('the certificates of the sequence "%s"', (sequence) => {
  it.each(batches)('are trusted by each device that is told to use their server: stories %i', (batch) =>
    assertTrusted(sequence, { runs: BATCH, seed: seed + batch }),
  );
});
