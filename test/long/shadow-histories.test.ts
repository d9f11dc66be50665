import { it } from 'vitest';
import { stableFraction } from '#kit/digest.ts';
import { countOf } from '#test/support/long-share.ts';
import { assertHistories, SHADOW_HISTORY_RUNS } from '#test/support/shadow-histories.ts';

const BATCH = 500;
const seed = Math.floor(stableFraction(`shadows ${process.env['HEADGATE_SEED'] ?? ''}`) * 1_000_000);
const batches = Array.from({ length: countOf(SHADOW_HISTORY_RUNS / BATCH) }, (_, index) => index);

it.each(batches)('any history of a shadow keeps to its rules: batch %i', (batch) => {
  assertHistories({ runs: BATCH, seed: seed + batch });
});
