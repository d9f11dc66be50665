import { describe, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import type { AzureSwitches } from '#sim/azure/switches.ts';
import type { FamilyTrial } from '#test/conformance/family.ts';
import { TWIN_TRIALS } from '#test/conformance/twin.ts';
import { assertThereAndBack } from '#test/support/there-and-back.ts';

const [FIRMWARE, CONFIG, SETTINGS] = TWIN_TRIALS;

/** What nobody outside Azure knows for sure (docs/protocols/shadow-devices.md §8.7): the other value of each, where it could matter. */
const OTHERS: readonly (readonly [Partial<AzureSwitches>, FamilyTrial | undefined])[] = [
  [{ etagCoversReported: true }, FIRMWARE],
  [{ lastUpdatedOfUnchanged: 'stays' }, FIRMWARE],
  [{ lastUpdatedOfUnchanged: 'stays' }, SETTINGS],
  [{ patchOfNothing: 'silent' }, FIRMWARE],
  [{ emptyObject: 'drop' }, CONFIG],
  [{ queryUndefined: 'false' }, SETTINGS],
  [{ queryLagMs: 3 * MINUTE_MS }, CONFIG],
  [{ queryLagMs: 3 * MINUTE_MS }, SETTINGS],
];

describe.each(OTHERS)('where twins are so: %o', (switches, trial) => {
  it('a change is told, proven and taken back', () =>
    assertThereAndBack(trial, (fleet) => {
      for (const connection of ['hub', 'paged', 'asked']) Object.assign(fleet.sim.azure(connection).switches, switches);
    }));
});
