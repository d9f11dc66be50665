import { describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import type { AzureSwitches } from '#sim/azure/switches.ts';
import { DEVICE, filesOf, type FamilyTrial } from '#test/conformance/family.ts';
import { TWIN_TRIALS } from '#test/conformance/twin.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';

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

async function converges(fleet: MemoryFleet): Promise<boolean> {
  for (let pass = 0; pass < 12; pass += 1) {
    await fleet.clock.advance(5 * MINUTE_MS);
    const { result } = await fleet.pass();
    if (result?.plan.groups[0]?.converged === 1 && result.view.open.size === 0) return true;
  }
  return false;
}

describe.each(OTHERS)('where twins are so: %o', (switches, trial) => {
  it('a change is told, proven and taken back', async () => {
    if (trial === undefined) throw new Error('no trial');
    const fleet = await MemoryFleet.start({ files: filesOf(trial.files) });
    for (const connection of ['hub', 'paged', 'asked']) Object.assign(fleet.sim.azure(connection).switches, switches);
    await fleet.add(DEVICE);
    await fleet.clock.advance(5 * MINUTE_MS);
    expect((await fleet.pass({ newLedger: true })).result?.plan.groups[0]?.converged).toBe(1);
    const before = trial.offers?.(fleet);
    fleet.repo.commit(trial.next, 'The change');
    await fleet.pass();
    expect(trial.offers?.(fleet)).not.toEqual(before);
    expect(await converges(fleet)).toBe(true);
    fleet.repo.commit(trial.files, 'Back');
    expect(await converges(fleet)).toBe(true);
    expect(fleet.device(DEVICE).effects.filter(({ kind }) => kind === trial.effect)).toHaveLength(2);
    await fleet.close();
  });
});
