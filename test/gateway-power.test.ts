import { expect, it } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { CHARIOT_TRIALS } from '#test/conformance/chariot.ts';
import { DEVICE, filesOf, type FamilyTrial } from '#test/conformance/family.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';

/** When it has flashed, and has not yet said so. */
const FLASHED_MS = 25 * SECOND_MS;

const trial = CHARIOT_TRIALS.find(({ item }) => item === 'firmware');

async function cutOff(one: FamilyTrial): Promise<MemoryFleet> {
  const fleet = await MemoryFleet.start({ files: filesOf(one.files) });
  await fleet.add(DEVICE);
  await fleet.clock.advance(MINUTE_MS);
  await fleet.pass({ newLedger: true });
  fleet.repo.commit(one.next, 'The change');
  await fleet.pass();
  await fleet.clock.advance(FLASHED_MS);
  await fleet.clock.run(fleet.device(DEVICE).powerOff());
  expect(fleet.device(DEVICE).truth()['firmware']).toBe('1.1.0');
  await fleet.clock.advance(30 * MINUTE_MS);
  return fleet;
}

/** What its releases ended with. */
async function endOf(fleet: MemoryFleet): Promise<readonly string[]> {
  await fleet.clock.run(fleet.device(DEVICE).powerOn());
  const ended: string[] = [];
  for (let pass = 0; pass < 20; pass += 1) {
    await fleet.clock.advance(5 * MINUTE_MS);
    const { result } = await fleet.pass();
    for (const { closing, code } of result?.decision.closed ?? []) ended.push(code ?? closing);
    if (result?.plan.groups[0]?.converged === 1 && result.view.open.size === 0) return [...ended, 'home'];
  }
  return ended;
}

it('a gateway that lost its power before it could say what it runs is asked, and has not failed', async () => {
  if (trial === undefined) throw new Error('no trial of firmware');
  const fleet = await cutOff(trial);
  expect(await endOf(fleet)).toEqual(['succeeded', 'home']);
  expect(fleet.device(DEVICE).truth()['firmware']).toBe('1.1.0');
  await fleet.close();
});

it('and is not at home, when the change was taken back, before it runs the old again', async () => {
  if (trial === undefined) throw new Error('no trial of firmware');
  const fleet = await cutOff(trial);
  fleet.repo.commit(trial.files, 'Take it back');
  expect((await endOf(fleet)).at(-1)).toBe('home');
  expect(fleet.device(DEVICE).truth()['firmware']).toBe('1.0.0');
  await fleet.close();
});
