import { expect } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { DEVICE, filesOf, type FamilyTrial } from '#test/conformance/family.ts';
import { MemoryFleet } from './memory-fleet.ts';

/** Tells the device of a trial its change and takes it back, in a world that `prepare` makes other than usual: both are done once. */
export async function assertThereAndBack(trial: FamilyTrial | undefined, prepare: (fleet: MemoryFleet) => void): Promise<void> {
  if (trial === undefined) throw new Error('no trial');
  const fleet = await MemoryFleet.start({ files: filesOf(trial.files) });
  prepare(fleet);
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
}

async function converges(fleet: MemoryFleet): Promise<boolean> {
  for (let pass = 0; pass < 12; pass += 1) {
    await fleet.clock.advance(5 * MINUTE_MS);
    const { result } = await fleet.pass();
    if (result?.plan.groups[0]?.converged === 1 && result.view.open.size === 0) return true;
  }
  return false;
}
