import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { filesOf, DEVICE, type FamilyTrial } from '#test/conformance/family.ts';
import { TWIN_TRIALS } from '#test/conformance/twin.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';

const [FIRMWARE, CONFIG, SETTINGS] = TWIN_TRIALS;

/** The id of the device at the hub. */
const ID = 'gw-1';

async function started(trial: FamilyTrial | undefined, change: (files: Files) => Files = (files) => files): Promise<MemoryFleet> {
  if (trial === undefined) throw new Error('no trial');
  const fleet = await MemoryFleet.start({ files: change(filesOf(trial.files)) });
  await fleet.add(DEVICE);
  await fleet.clock.advance(5 * MINUTE_MS);
  expect((await fleet.pass({ newLedger: true })).result?.plan.groups[0]?.converged).toBe(1);
  return fleet;
}

/** Somebody deletes the device at the hub and registers it again: its twin begins anew (docs/protocols/shadow-devices.md §8.3). */
async function madeAgain(fleet: MemoryFleet, connection: string): Promise<void> {
  const { twins } = fleet.sim.azure(connection);
  twins.removeDevice(ID);
  await fleet.clock.advance(MINUTE_MS);
  twins.addDevice(ID);
}

describe('a twin that was deleted and made again', () => {
  it.each([
    ['paged', CONFIG],
    ['asked', SETTINGS],
  ] as const)('is read anew though its versions are lower, with an index: %s', async (connection, trial) => {
    const fleet = await started(trial);
    // Long enough that the new twin has not caught up.
    await fleet.clock.advance(3 * HOUR_MS);
    await fleet.pass();
    await fleet.clock.run(fleet.device(DEVICE).powerOff());
    await madeAgain(fleet, connection);
    fleet.sim.azure(connection).twins.report(ID, { serial: '4711', settings: { interval: 5, site: 'moor' }, config: { log: 'debug' } });
    await fleet.clock.advance(5 * MINUTE_MS);
    const { result } = await fleet.pass();
    expect(result?.plan.groups[0]?.converged).toBe(0);
    await fleet.close();
  });

  it.each(['away', 'there'])('is told again what it was being told, and has not failed, when the device was %s', async (where) => {
    const fleet = await started(FIRMWARE);
    await fleet.clock.advance(3 * HOUR_MS);
    const device = fleet.device(DEVICE);
    if (where === 'away') await fleet.clock.run(device.powerOff());
    else device.fault('slow', 10);
    fleet.repo.commit(FIRMWARE?.next ?? {}, 'The change');
    await fleet.pass();
    await madeAgain(fleet, 'hub');
    await fleet.clock.run(device.powerOn());
    const held = new Set<string>();
    for (let pass = 0; pass < 12; pass += 1) for (const reason of await heldAfter(fleet, 10 * MINUTE_MS)) held.add(reason);
    expect([...held].filter((reason) => !['OFFERED', 'VERIFYING', 'RETRY_LATER'].includes(reason))).toEqual([]);
    expect(device.truth()['firmware']).toBe('1.1.0');
    expect((await fleet.pass()).result?.plan.groups[0]?.converged).toBe(1);
    await fleet.close();
  });
});

describe('a hub that cannot be read', () => {
  it('makes no device lost that had begun: silence is what was looked at', async () => {
    const fleet = await started(FIRMWARE, (files) => ({
      ...files,
      'groups/all.yaml': groupOf(files).replace('    failed:', '    taken: { at: /fw/state, when: [installing] }\n    failed:'),
    }));
    fleet.device(DEVICE).fault('slow', 10);
    fleet.repo.commit({ 'groups/all.yaml': groupOf(fleet.repo.files).replace('gw@1.0.0', 'gw@1.1.0') }, 'The change');
    await fleet.pass();
    expect(await heldAfter(fleet, 2 * MINUTE_MS)).toEqual(['VERIFYING']);
    const mend = fleet.sim.azure('hub').faults.addToCalls({ kind: 'unavailable' });
    const held = new Set<string>();
    for (let pass = 0; pass < 18; pass += 1) for (const reason of await heldAfter(fleet, 10 * MINUTE_MS)) held.add(reason);
    expect([...held]).toEqual(['VERIFYING']);
    mend();
    expect(await heldAfter(fleet, 10 * MINUTE_MS)).toEqual([]);
    expect(fleet.device(DEVICE).truth()['firmware']).toBe('1.1.0');
    await fleet.close();
  });

  it('leaves lost what it shows to be silent', async () => {
    const fleet = await started(FIRMWARE, (files) => ({
      ...files,
      'groups/all.yaml': groupOf(files).replace('    failed:', '    taken: { at: /fw/state, when: [installing] }\n    failed:'),
    }));
    fleet.device(DEVICE).fault('brick', true);
    fleet.repo.commit({ 'groups/all.yaml': groupOf(fleet.repo.files).replace('gw@1.0.0', 'gw@1.1.0') }, 'The change');
    await fleet.pass();
    await fleet.clock.advance(30 * MINUTE_MS);
    await fleet.pass();
    expect(await heldAfter(fleet, 2 * HOUR_MS)).toContain('LOST');
    await fleet.close();
  });
});

function groupOf(files: Files): string {
  return String(files['groups/all.yaml']);
}

/** Why its one device is held, in a pass so long after. */
async function heldAfter(fleet: MemoryFleet, ms: number): Promise<readonly string[]> {
  await fleet.clock.advance(ms);
  const { result } = await fleet.pass();
  return (result?.decision.held ?? []).map(({ reason }) => reason);
}
