import { describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import type { ShadowSwitches } from '#sim/aws/switches.ts';
import { DEVICE, filesOf } from '#test/conformance/family.ts';
import { SHADOW_TRIALS } from '#test/conformance/shadow.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';

/** What nobody outside AWS knows for sure (docs/protocols/aws-iot.md §18.4): the other value of each. */
const OTHERS: readonly Partial<ShadowSwitches>[] = [
  { depthLimit: 5 },
  { nullOnlySubtree: 'keepEmpty' },
  { deltaKeyInRequest: 'reject' },
  { versionOnMissingShadow: 'mustBe1' },
  { versionOnMissingShadow: 'conflict' },
  { documentsPreviousOnCreate: 'null' },
  { documentsPreviousOnCreate: 'omit' },
  { recreateVersion: 1 },
  { namedNotFoundText: 'shadow', timestampInNotFound: false },
  { metadataDeltaInGet: true },
  { deltaOnReportedOnly: false },
  { timestampOfUnchanged: 'stays' },
];

const [FIRMWARE, CONFIG] = SHADOW_TRIALS;

async function converges(fleet: MemoryFleet): Promise<boolean> {
  for (let pass = 0; pass < 12; pass += 1) {
    await fleet.clock.advance(5 * MINUTE_MS);
    const { result } = await fleet.pass();
    if (result?.plan.groups[0]?.converged === 1 && result.view.open.size === 0) return true;
  }
  return false;
}

describe.each(OTHERS)('where shadows are so: %o', (switches) => {
  it.each([FIRMWARE, CONFIG])('a change is told, proven and taken back', async (trial) => {
    if (trial === undefined) throw new Error('no trial');
    const fleet = await MemoryFleet.start({ files: filesOf(trial.files) });
    const { shadows } = fleet.sim.aws(trial.item === 'firmware' ? 'field' : 'cloud');
    shadows.switches = { ...shadows.switches, ...switches };
    await fleet.add(DEVICE);
    await fleet.clock.advance(MINUTE_MS);
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
