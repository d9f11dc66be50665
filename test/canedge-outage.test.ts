import { expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { CANEDGE_TRIALS } from '#test/conformance/canedge.ts';
import { DEVICE, filesOf } from '#test/conformance/family.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';

/** Why its one device is held, in each of so many passes. */
async function heldIn(fleet: MemoryFleet, passes: number): Promise<ReadonlySet<string>> {
  const held = new Set<string>();
  for (let pass = 0; pass < passes; pass += 1) {
    await fleet.clock.advance(10 * MINUTE_MS);
    const { result } = await fleet.pass();
    for (const { reason } of result?.decision.held ?? []) held.add(reason);
  }
  return held;
}

/** It has fetched its new firmware and deleted it from the bucket, as some firmware does, and never comes back. */
async function updating(): Promise<MemoryFleet> {
  const trial = CANEDGE_TRIALS.find(({ item }) => item === 'firmware');
  if (trial === undefined) throw new Error('no trial of firmware');
  const fleet = await MemoryFleet.start({ files: filesOf(trial.files) });
  await fleet.add(DEVICE);
  await fleet.clock.advance(HOUR_MS);
  expect((await fleet.pass({ newLedger: true })).result?.plan.groups[0]?.converged).toBe(1);
  fleet.device(DEVICE).fault('brickOnFirmware', true);
  fleet.repo.commit(trial.next, 'The change');
  await heldIn(fleet, 2);
  await fleet.clock.run(fleet.sim.bucket('logs').delete(`${fleet.declared.deviceAt(0).serial}/firmware.bin`));
  expect(await heldIn(fleet, 1)).toContain('VERIFYING');
  return fleet;
}

it('a vehicle that fell silent in its update is lost', async () => {
  const fleet = await updating();
  expect(await heldIn(fleet, 24)).toContain('LOST');
  await fleet.close();
});

it('a bucket that cannot be read makes no vehicle lost: silence is what was looked at', async () => {
  const fleet = await updating();
  const mend = fleet.sim.s3Faults.add({ kind: 'internal-error' });
  expect([...(await heldIn(fleet, 24))]).toEqual(['VERIFYING']);
  mend();
  expect(await heldIn(fleet, 24)).toContain('LOST');
  await fleet.close();
});
