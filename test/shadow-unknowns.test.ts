import { describe, it } from 'vitest';
import type { ShadowSwitches } from '#sim/aws/switches.ts';
import { SHADOW_TRIALS } from '#test/conformance/shadow.ts';
import { assertThereAndBack } from '#test/support/there-and-back.ts';

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

describe.each(OTHERS)('where shadows are so: %o', (switches) => {
  it.each([FIRMWARE, CONFIG])('a change is told, proven and taken back', (trial) =>
    assertThereAndBack(trial, (fleet) => {
      const { shadows } = fleet.sim.aws(trial?.item === 'firmware' ? 'field' : 'cloud');
      shadows.switches = { ...shadows.switches, ...switches };
    }),
  );
});
