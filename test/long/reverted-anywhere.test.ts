import { describe, expect, it } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { PassResult } from '#reconcile/report.ts';
import { CHARIOT_TRIALS } from '#test/conformance/chariot.ts';
import { DEVICE, filesOf, type FamilyTrial } from '#test/conformance/family.ts';
import { MONGOOSE_TRIALS } from '#test/conformance/mongoose.ts';
import { SHADOW_TRIALS } from '#test/conformance/shadow.ts';
import { TWIN_TRIALS } from '#test/conformance/twin.ts';
import { shareOf } from '#test/support/long-share.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';

const TRIALS = [...CHARIOT_TRIALS, ...MONGOOSE_TRIALS, ...SHADOW_TRIALS, ...TWIN_TRIALS];
/** How long after the merge it is taken back, a pass being made every STEP_MS: before the first pass, and until long after the last. */
const STEP_MS = 5 * SECOND_MS;
const POINTS = [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 30];
const HOME_PASSES = 60;
/** A device that comes back posts how it is every ten minutes; what was there before it left is believed until then. */
const POSTED_MS = 11 * MINUTE_MS;

async function begun(trial: FamilyTrial): Promise<MemoryFleet> {
  const fleet = await MemoryFleet.start({ files: filesOf(trial.files) });
  await fleet.add(DEVICE);
  await fleet.clock.advance(MINUTE_MS);
  expect(convergedIn((await fleet.pass({ newLedger: true, listenMs: 35 * MINUTE_MS })).result)).toBe(1);
  return fleet;
}

function convergedIn(result: PassResult | null): number {
  return result?.plan.groups.reduce((sum, group) => sum + group.converged, 0) ?? -1;
}

/** What the hardware has of the item, in the words of what is declared. */
function trulyHas(fleet: MemoryFleet, trial: FamilyTrial, result: PassResult): boolean {
  const hardware: SimDevice = fleet.device(DEVICE);
  const declared = result.declared.deviceAt(0).items.find(({ item }) => item === trial.item);
  return (hardware.truthOf?.(trial.item, declared?.facts ?? null) ?? hardware.truth()[trial.item]) === declared?.value;
}

/** Passes until it has come home, each judged: a device that is called converged has what is declared. Gives how many it took. */
async function comesHome(fleet: MemoryFleet, trial: FamilyTrial): Promise<number> {
  for (let count = 1; count <= HOME_PASSES; count += 1) {
    const { result } = await fleet.pass();
    if (result === null) throw new Error('the pass was refused');
    if (convergedIn(result) === 1 && result.view.open.size === 0) {
      expect(trulyHas(fleet, trial, result)).toBe(true);
      return count;
    }
    await fleet.clock.advance(2 * MINUTE_MS);
  }
  throw new Error('it did not come home');
}

interface Case {
  readonly trial: FamilyTrial;
  readonly point: number;
  readonly leaves: boolean;
}

const CASES: readonly Case[] = TRIALS.flatMap((trial) =>
  POINTS.flatMap((point) => [false, true].map((leaves) => ({ trial, point, leaves }))),
);

/** Gives how often the change, or its way back, was made at the device. */
async function takenBack({ trial, point, leaves }: Case): Promise<number> {
  const fleet = await begun(trial);
  fleet.repo.commit(trial.next, 'The change');
  for (let step = 0; step < point; step += 1) {
    await fleet.pass();
    await fleet.clock.advance(STEP_MS);
  }
  const device = fleet.device(DEVICE);
  const effects = (): number => device.effects.filter(({ kind }) => kind === trial.effect).length;
  if (leaves) await fleet.clock.run(device.powerOff());
  fleet.repo.commit(trial.files, 'Take it back');
  if (leaves) {
    await fleet.pass();
    await fleet.clock.advance(30 * MINUTE_MS);
    await fleet.clock.run(device.powerOn());
    await fleet.clock.advance(POSTED_MS);
  }
  await comesHome(fleet, trial);
  const made = effects();
  // Nothing more comes of it later.
  await fleet.clock.advance(45 * MINUTE_MS);
  const { result } = await fleet.pass();
  expect(convergedIn(result)).toBe(1);
  if (result !== null) expect(trulyHas(fleet, trial, result)).toBe(true);
  expect(effects()).toBe(made);
  await fleet.close();
  return made;
}

describe('a change is taken back', { timeout: 60_000 }, () => {
  it.each(shareOf(CASES, 'reverted-anywhere').map((one) => [name(one), one] as const))('%s', async (_, one) => {
    const made = await takenBack(one);
    // There and back again, or never there.
    expect(made).toBeLessThanOrEqual(2);
    if (one.point === 0) expect(made).toBe(0);
    if (one.point === POINTS.at(-1)) expect(made).toBeGreaterThan(0);
  });
});

function name({ trial, point, leaves }: Case): string {
  return `${trial.item} of ${trial.family}, ${(point * STEP_MS) / SECOND_MS} s after the merge, the device ${leaves ? 'away for half an hour then' : 'there'}`;
}
