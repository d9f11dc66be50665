import { describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { makeMemoryObjects } from '#sim/s3/objects.ts';
import { CanedgeWorld, contentOf, declaredTruck, ID, openOf, START, valueOf } from '#test/support/canedge.ts';
import { canedgeFamily } from './family.ts';
import { readConfigFacts, readFirmwareFacts } from './facts.ts';
import { buildSimFirmware } from './sim-image.ts';
import { buildSimConfig } from './sim-schema.ts';

const OLD = buildSimConfig('01.08', 'CANedge2', { meta: 'Truck1' });
const NEW = buildSimConfig('01.08', 'CANedge2', { meta: 'Truck2' });
const NEXT = buildSimConfig('01.09', 'CANedge2', { meta: 'Truck2' });
const EVERY = { everyMs: 5 * MINUTE_MS, forMs: 2 * HOUR_MS };

async function started(
  options: Parameters<CanedgeWorld['add']>[0] = {},
): Promise<{ world: CanedgeWorld; sim: ReturnType<CanedgeWorld['add']> }> {
  const world = new CanedgeWorld();
  const sim = world.add({ config: OLD, ...options });
  await sim.powerOn();
  await world.clock.advance(MINUTE_MS);
  return { world, sim };
}

function kinds(sim: { readonly effects: readonly { readonly kind: string }[] }): readonly string[] {
  return sim.effects.map((effect) => effect.kind);
}

function withSync(document: Json, sync: Readonly<Record<string, Json>>): Json {
  const copy = JSON.parse(JSON.stringify(document)) as { connect: { s3: { sync: Record<string, Json> } } };
  Object.assign(copy.connect.s3.sync, sync);
  return copy;
}

describe('discovery', () => {
  it('says what a bucket without the device shows', async () => {
    const world = new CanedgeWorld();
    await world.observe(declaredTruck());
    expect(world.report?.items.firmware).toMatchObject({
      kind: 'unknown',
      why: 'NEVER_REPORTED',
      detail: `the bucket has no folder ${ID}`,
    });
  });

  it('lists a folder with logs only as unreported (F17)', async () => {
    const world = new CanedgeWorld();
    world.write(`${ID}/00000001/00000001-60000000.MF4`, 'log');
    await world.observe(declaredTruck());
    expect(world.report?.items.config).toMatchObject({ kind: 'unknown', why: 'NEVER_REPORTED' });
    expect(world.plan(declaredTruck({ config: NEW, firmware: '01.08.05' })).drafts).toEqual([]);
  });

  it('finds the folder in either case and writes in the case that was found', async () => {
    const { world, sim } = await started({ id: '2b6f11c0' });
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
    expect(world.report?.serial).toBe(ID);
    expect(sim.truth()['config']).toBe(device.items[0]?.value);
    expect(world.text(`${ID}/config-01.08.json`)).toBe(null);
  });

  it('blocks a device whose folder exists in both cases', async () => {
    const { world } = await started();
    world.write('2b6f11c0/device.json', world.text(`${ID}/device.json`) ?? '');
    await world.observe(declaredTruck());
    expect(world.report?.problem).toMatchObject({ reason: 'IDENTITY_MISMATCH' });
  });

  it('lists the root while a folder is not known, then the folder alone, behind its sessions', async () => {
    const { world } = await started();
    const lists: unknown[] = [];
    const real = makeMemoryObjects(world.store, 'vehicle-logs');
    const spy: ObjectStore = { ...real, list: (request, signal) => (lists.push(request), real.list(request, signal)) };
    world.newDriver({ objects: () => Promise.resolve(spy) });
    await world.observe(declaredTruck());
    await world.observe(declaredTruck());
    const folder = { prefix: `${ID}/`, delimiter: '/', startAfter: `${ID}/:` };
    expect(lists).toEqual([{ prefix: '', delimiter: '/' }, folder]);
  });

  it('reads unchanged objects once, and reports nothing when nothing is new', async () => {
    const { world } = await started();
    const reads: string[] = [];
    const real = makeMemoryObjects(world.store, 'vehicle-logs');
    const get: ObjectStore['get'] = async (key, how, signal) => {
      const found = await real.get(key, how, signal);
      if (found !== 'unchanged') reads.push(key);
      return found;
    };
    const spy: ObjectStore = { ...real, get };
    world.newDriver({ objects: () => Promise.resolve(spy) });
    const device = declaredTruck({ config: OLD, firmware: '01.08.05' });
    expect((await world.observe(device)).reports).toHaveLength(1);
    expect((await world.observe(device)).reports).toEqual([]);
    expect(reads.toSorted()).toEqual([`${ID}/config-01.08.json`, `${ID}/device.json`]);
  });

  it('takes equal bytes with a newer Last-Modified as a new heartbeat', async () => {
    const { world, sim } = await started();
    await world.observe(declaredTruck());
    await sim.powerOff();
    const before = world.report?.heardAt ?? 0;
    await world.clock.advance(MINUTE_MS);
    world.write(`${ID}/device.json`, world.text(`${ID}/device.json`) ?? '');
    await world.observe(declaredTruck());
    expect(world.report?.heardAt).toBeGreaterThan(before);
  });

  it('reports values, measures and the model', async () => {
    const { world } = await started({ model: 'CANedge3 GNSS', config: buildSimConfig('01.08', 'CANedge3 GNSS') });
    await world.observe(declaredTruck({}, { model: 'CANedge3 GNSS' }));
    expect(world.report).toMatchObject({ serial: ID, model: 'CANedge3 GNSS', problem: null, online: null });
    expect(valueOf(world.report?.items.firmware)).toBe('01.08.05');
    expect(valueOf(world.report?.items.config)).toMatch(/^01\.08 [0-9A-F]{8}$/);
    expect(world.report?.measures['spaceTotal']?.value).toBe('30424');
  });

  it('keeps a folder that may not be read to itself', async () => {
    const { world } = await started();
    world.add({ id: '2B6F11C7' });
    const second = declaredTruck({}, { serial: '2B6F11C7', id: declaredTruck().id });
    world.faults.add({ kind: 'deny' }, { prefix: '2B6F11C7' });
    world.write('2B6F11C7/device.json', '{}');
    const answer = await world.run(
      world.driver.observe({
        devices: [declaredTruck(), second],
        last: () => undefined,
        isOpen: () => false,
        listenMs: 0,
        signal: new AbortController().signal,
      }),
    );
    expect(answer.reports).toHaveLength(1);
    expect(answer.troubles).toMatchObject([{ connection: 'logs', code: 'S3_403' }]);
  });

  it('gives up with the deadline, and with a bucket that is not there', async () => {
    const { world } = await started();
    const answer = await world.observe(declaredTruck(), AbortSignal.abort(new WireError('OBSERVE_DEADLINE', 'later', 'too late')));
    expect(answer).toMatchObject({ reports: [], troubles: [{ code: 'OBSERVE_DEADLINE' }] });
    world.newDriver({ objects: () => Promise.reject(new WireError('ECONNREFUSED', 'later', 'nobody there')) });
    expect(await world.observe(declaredTruck())).toMatchObject({ reports: [], troubles: [{ connection: 'logs', code: 'ECONNREFUSED' }] });
  });
});

describe('config within a series', () => {
  it('is offered, taken and proven by a later heartbeat, once', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['config confirmed']);
    expect(world.converged(device)).toBe(true);
    expect(kinds(sim)).toEqual(['config', 'reboot']);
    expect(sim.truth()['config']).toBe(device.items[0]?.value);
    expect(world.plan(device)).toEqual({ drafts: [], impossible: [] });
  });

  it('is not proven by the heartbeat that was there before', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    expect(world.open?.operation.step).toBe('config');
    expect(await world.pass(device)).toMatchObject({ kind: 'open', phase: 'OFFERED', oldValueSeenAt: null });
  });

  it.each(['keep', 'empty', 'defaults'] as const)('is called refused after its deadline online, not before (%s)', async (manner) => {
    const { world, sim } = await started({ quirks: { onInvalidConfig: manner } });
    sim.fault('refuseConfig', true);
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    // ota 600 + heartbeat 300 + 180, twice: 36 minutes.
    await world.passes(device, { everyMs: 5 * MINUTE_MS, forMs: 30 * MINUTE_MS });
    expect(world.ended).toEqual([]);
    await world.passes(device, { everyMs: 5 * MINUTE_MS, forMs: 30 * MINUTE_MS });
    expect(world.ended).toEqual([manner === 'defaults' ? 'config failed WRONG_RESULT' : 'config failed CONFIG_REFUSED']);
    expect(world.converged(device)).toBe(false);
  });

  it('is not called refused when looks are an hour apart and the device slept in between', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    sim.fault('ignoreOta', true);
    for (let trip = 0; trip < 12; trip += 1) {
      await sim.powerOff();
      await world.clock.advance(3 * HOUR_MS);
      await world.pass(device);
      await sim.powerOn();
      await world.clock.advance(2 * MINUTE_MS);
      await world.pass(device);
    }
    expect(world.ended).toEqual([]);
    expect(world.open).not.toBe(null);
  });

  it('is called refused by a device that is always on and looked at every hour', async () => {
    const { world, sim } = await started();
    sim.fault('refuseConfig', true);
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.passes(device, { everyMs: HOUR_MS, forMs: 5 * HOUR_MS });
    expect(world.ended).toEqual(['config failed CONFIG_REFUSED']);
  });

  it('stays an offer while the device is silent, and is taken when it wakes', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    await sim.powerOff();
    await world.clock.advance(HOUR_MS);
    await world.passes(device, { everyMs: HOUR_MS, forMs: 5 * DAY_MS });
    expect(world.open?.operation.step).toBe('config');
    expect(world.ended).toEqual([]);
    expect(world.open?.takenAt).toBe(null);
    await sim.powerOn();
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
  });

  it('is not written when its own Rule Schema refuses it', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: withSync(NEW, { ota: 607 }), firmware: '01.08.05' });
    await world.observe(device);
    const { drafts, impossible } = world.plan(device);
    expect(drafts).toEqual([]);
    expect(impossible).toMatchObject([
      { item: 'config', reason: 'INCOMPATIBLE', evidence: expect.stringContaining('/connect/s3/sync/ota') as string },
    ]);
  });

  it.each([
    ['missing', null],
    ['hostile', '{"$async":true}'],
  ])('is not written when the Rule Schema is %s', async (_name, schema) => {
    const { world } = await started();
    if (schema === null) await world.bucket.delete(`${ID}/schema-01.08.json`);
    else world.write(`${ID}/schema-01.08.json`, schema);
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    expect(world.plan(device)).toMatchObject({ drafts: [], impossible: [{ reason: 'UNSUPPORTED' }] });
  });

  it('looks again right before the write: a schema that came since is asked too', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const draft = world.plan(device).drafts[0];
    if (draft === undefined) throw new Error('no draft');
    world.write(`${ID}/schema-01.08.json`, JSON.stringify({ type: 'object', required: ['lin_1'] }));
    expect(await world.precheck(device, world.operation(device, draft))).toMatchObject({ kind: 'refused', reason: 'INCOMPATIBLE' });
  });

  it('runs a config that tells the device other periods, with the deadline of the old ones', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: withSync(NEW, { ota: 60, heartbeat: 30 }), firmware: '01.08.05' });
    await world.pass(device);
    expect(world.open?.operation.deadlineMs).toBe(2 * 1080 * 1000);
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
    expect(readFirmwareFacts(world.report?.items.firmware)?.link).toMatchObject({ ota: 60, heartbeat: 30 });
  });
});

describe('drift of the object', () => {
  it('sees an object that somebody edited, and which the device took (F12)', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: OLD, firmware: '01.08.05' }, { options: { sweep: '0s' } });
    await world.pass(device);
    expect(world.converged(device)).toBe(true);
    world.write(`${ID}/config-01.08.json`, JSON.stringify(buildSimConfig('01.08', 'CANedge2', { meta: 'Mallory' })));
    await world.observe(device);
    expect(world.converged(device)).toBe(false);
    expect(readConfigFacts(world.report?.items.config)?.drift).toBe('object-edited');
    expect(valueOf(world.report?.items.config)).toMatch(/, object [0-9A-F]{8}$/);
    await world.clock.advance(HOUR_MS);
    await world.observe(device);
    expect(readConfigFacts(world.report?.items.config)?.drift).toBe('object-edited');
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
  });

  it('sees an edit on the card and lets the bucket win, without a write (F10)', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: OLD, firmware: '01.08.05' });
    await world.passes(device, { everyMs: 5 * MINUTE_MS, forMs: 10 * MINUTE_MS });
    sim.fault('sdEdit', 'by hand');
    await world.clock.advance(5 * MINUTE_MS);
    await world.observe(device);
    expect(readConfigFacts(world.report?.items.config)?.drift).toBe('device-edited');
    expect(world.converged(device)).toBe(false);
    const written = (await world.bucket.head(`${ID}/config-01.08.json`)) as { lastModified: number };
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
    expect(world.ended).toEqual(['config confirmed']);
    expect(await world.bucket.head(`${ID}/config-01.08.json`)).toMatchObject(written);
  });

  it('is converged again when the device puts back an object that was deleted (F11)', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: OLD, firmware: '01.08.05' }, { options: { sweep: '0s' } });
    await world.observe(device);
    await world.bucket.delete(`${ID}/config-01.08.json`);
    await world.observe(device);
    expect(valueOf(world.report?.items.config)).toMatch(/, no object$/);
    expect(readConfigFacts(world.report?.items.config)?.drift).toBe('object-missing');
    await world.clock.advance(15 * MINUTE_MS);
    await world.observe(device);
    expect(world.converged(device)).toBe(true);
  });

  it('says trouble when the offer is replaced while it lies there', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    await sim.powerOff();
    await world.clock.advance(MINUTE_MS);
    world.write(`${ID}/config-01.08.json`, '{}');
    expect(await world.pass(device)).toMatchObject({ kind: 'trouble', code: 'OFFER_REPLACED' });
  });
});

describe('firmware within a series', () => {
  it.each([
    ['higher', '01.08.06'],
    ['lower', '01.08.02'],
  ])('goes to a %s patch', async (_name, version) => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: OLD, firmware: version });
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['firmware confirmed']);
    expect(world.converged(device)).toBe(true);
    expect(kinds(sim)).toEqual(['download', 'reboot', 'flash']);
    expect(sim.truth()).toEqual({ firmware: version, config: device.items[0]?.value });
  });

  it('goes with a new config one after the other, the config first', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.06' });
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['config confirmed', 'firmware confirmed']);
    expect(kinds(sim)).toEqual(['config', 'reboot', 'download', 'reboot', 'flash']);
  });

  it.each([
    ['a device that boots back', 'bootBack', 'BOOTED_BACK'],
    ['a device that does not look', 'ignoreOta', 'FIRMWARE_NOT_APPLIED'],
    ['a boot loader that drops it', 'refuseFirmware', 'BOOTED_BACK'],
    ['a device that claims another version', 'wrongVersion', 'WRONG_RESULT'],
  ])('tells %s', async (_name, fault, code) => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: OLD, firmware: '01.08.06' });
    await world.pass(device);
    sim.fault(fault, true);
    await world.passes(device, EVERY);
    expect(world.ended).toEqual([`firmware failed ${code}`]);
    expect(world.converged(device)).toBe(false);
    expect(sim.truth()['firmware']).toBe(fault === 'wrongVersion' ? '01.08.06' : '01.08.05');
  });

  it('is not misled by a device that deletes what it took', async () => {
    const { world } = await started({ quirks: { deleteFirmwareFromBucket: true } });
    const device = declaredTruck({ config: OLD, firmware: '01.08.06' });
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['firmware confirmed']);
    expect(world.text(`${ID}/firmware.bin`)).toBe(null);
  });

  it('waits for an hour of module updates', async () => {
    const { world, sim } = await started();
    sim.fault('moduleUpdate', 55);
    const device = declaredTruck({ config: OLD, firmware: '01.08.06' });
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['firmware confirmed']);
  });

  it('deletes what is left of it where the options say so, and only what is ours', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: OLD, firmware: '01.08.06' }, { options: { cleanup: 'delete', sweep: '0s' } });
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['firmware confirmed', 'cleanup-firmware confirmed']);
    expect(world.text(`${ID}/firmware.bin`)).toBe(null);
    expect(world.converged(device)).toBe(true);
    const image = buildSimFirmware({ model: 'CANedge2', version: '01.08.06' });
    image[image.length - 1] = 0x55;
    world.write(`${ID}/firmware.bin`, image);
    await world.observe(device);
    const draft = world.plan(device).drafts[0];
    if (draft === undefined) throw new Error('no draft');
    expect(await world.execute(device, draft)).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    expect(world.text(`${ID}/firmware.bin`)).not.toBe(null);
    await sim.powerOff();
  });

  it('is not written for another model', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: OLD, firmware: '01.08.06' });
    await world.observe(device);
    const draft = world.plan(device).drafts[0];
    if (draft === undefined) throw new Error('no draft');
    const wrong = contentOf('firmware.bin', buildSimFirmware({ model: 'CANedge3 GNSS', version: '01.08.06' }));
    expect(await world.perform(device, world.operation(device, { ...draft, content: wrong }))).toMatchObject({
      kind: 'refused',
      reason: 'INCOMPATIBLE',
    });
    const older = contentOf('firmware.bin', buildSimFirmware({ model: 'CANedge2', version: '01.08.07' }));
    expect(await world.perform(device, world.operation(device, { ...draft, content: older }))).toMatchObject({
      reason: 'ARTIFACT_UNVERIFIED',
    });
    const torn = contentOf('firmware.bin', new Uint8Array(100));
    expect(await world.perform(device, world.operation(device, { ...draft, content: torn }))).toMatchObject({
      reason: 'ARTIFACT_UNVERIFIED',
    });
    expect(world.text(`${ID}/firmware.bin`)).toBe(null);
  });
});

describe('across a config series', () => {
  it('lays the config ready before the firmware', async () => {
    const { world, sim } = await started();
    const writes: string[] = [];
    const real = makeMemoryObjects(world.store, 'vehicle-logs');
    world.newDriver({
      objects: () => Promise.resolve({ ...real, put: (key, bytes, how, signal) => (writes.push(key), real.put(key, bytes, how, signal)) }),
    });
    const device = declaredTruck({ config: NEXT, firmware: '01.09.03' });
    await world.passes(device, EVERY);
    expect(writes).toEqual([`${ID}/config-01.09.json`, `${ID}/firmware.bin`]);
    expect(world.ended).toEqual(['config-next confirmed', 'firmware confirmed']);
    expect(world.converged(device)).toBe(true);
    expect(kinds(sim)).toEqual(['download', 'reboot', 'flash']);
    expect(world.text(`${ID}/schema-01.09.json`)).not.toBe(null);
    expect(world.text(`${ID}/config-01.08.json`)).not.toBe(null);
  });

  it('does not write the firmware when the config vanished in between (F5)', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: NEXT, firmware: '01.09.03' });
    await world.pass(device);
    await world.pass(device);
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    expect(draft.step).toBe('firmware');
    await world.bucket.delete(`${ID}/config-01.09.json`);
    await world.bucket.delete(`${ID}/firmware.bin`);
    expect(await world.perform(device, world.operation(device, draft))).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    expect(world.text(`${ID}/firmware.bin`)).toBe(null);
  });

  it('refuses a config that the new firmware would refuse, in the plan and before the write', async () => {
    const { world } = await started();
    const bad = { ...(NEXT as Record<string, Json>), gnss: {} };
    const device = declaredTruck({ config: bad, firmware: '01.09.03' });
    await world.observe(device);
    expect(world.plan(device)).toMatchObject({ drafts: [], impossible: [{ item: 'config', reason: 'INCOMPATIBLE' }] });
    const good = declaredTruck({ config: NEXT, firmware: '01.09.03' });
    const [draft] = world.plan(good).drafts;
    if (draft === undefined) throw new Error('no draft');
    const bytes = new TextEncoder().encode(JSON.stringify(bad));
    const content = contentOf('config-01.09.json', bytes);
    const { crc32Hex } = await import('#kit/digest.ts');
    const facts = { ...(draft.facts as Record<string, Json>), crc: crc32Hex(bytes) };
    expect(await world.perform(good, world.operation(good, { ...draft, facts, content }))).toMatchObject({ reason: 'INCOMPATIBLE' });
  });

  it('has no way back', async () => {
    const { world } = await started({ firmware: '01.09.03', config: buildSimConfig('01.09', 'CANedge2') });
    const device = declaredTruck({ config: OLD, firmware: '01.08.05' });
    await world.observe(device);
    const { drafts, impossible } = world.plan(device);
    expect(drafts).toEqual([]);
    expect(impossible.map((one) => [one.item, one.reason])).toEqual([
      ['firmware', 'INCOMPATIBLE'],
      ['config', 'INCOMPATIBLE'],
    ]);
  });

  it('skips a series', async () => {
    const { world } = await started({ firmware: '01.07.04', config: buildSimConfig('01.07', 'CANedge2') });
    const device = declaredTruck({ config: NEXT, firmware: '01.09.03' });
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
  });

  it('needs a config for the new series', async () => {
    const { world } = await started();
    const device = declaredTruck({ firmware: '01.09.03' });
    await world.observe(device);
    expect(world.plan(device)).toMatchObject({ drafts: [], impossible: [{ item: 'firmware', reason: 'NO_UPGRADE_PATH' }] });
  });
});

describe('withdrawal', () => {
  it('puts back the config that was replaced', async () => {
    const { world, sim } = await started();
    const before = world.text(`${ID}/config-01.08.json`);
    await world.observe(declaredTruck());
    await sim.powerOff();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    if (world.open === null) throw new Error('nothing open');
    const [draft] = canedgeFamily.withdrawal(world.open);
    if (draft === undefined) throw new Error('no withdrawal');
    expect(draft).toMatchObject({ step: 'withdraw-config', kind: 'withdraw', delivery: 'push', disturbs: false });
    expect(await world.execute(device, draft)).toMatchObject({ kind: 'performed' });
    expect(world.text(`${ID}/config-01.08.json`)).toBe(before);
    await sim.powerOn();
    await world.clock.advance(HOUR_MS);
    expect(kinds(sim)).toEqual([]);
  });

  it('deletes a config that there was none before, and an image', async () => {
    const { world, sim } = await started();
    await world.observe(declaredTruck());
    await sim.powerOff();
    const device = declaredTruck({ config: NEXT, firmware: '01.09.03' });
    for (const [step, key] of [
      ['config-next', `${ID}/config-01.09.json`],
      ['firmware', `${ID}/firmware.bin`],
    ] as const) {
      await world.pass(device);
      expect(world.open?.operation.step).toBe(step);
      if (world.open === null) throw new Error('nothing open');
      const open = world.open;
      const kept = world.text(key);
      expect(kept).not.toBe(null);
      const [draft] = canedgeFamily.withdrawal(open);
      if (draft === undefined) throw new Error('no withdrawal');
      expect(await world.execute(device, draft)).toMatchObject({ kind: 'performed' });
      expect(world.text(key)).toBe(null);
      world.write(key, Uint8Array.from(Buffer.from(kept ?? '', 'utf8')));
      world.open = open;
      if (step === 'config-next') await world.pass(device);
      expect(world.ended).toEqual(['config-next confirmed']);
    }
    await sim.powerOn();
  });

  it('leaves alone what somebody else wrote since', async () => {
    const { world, sim } = await started();
    await world.observe(declaredTruck());
    await sim.powerOff();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    if (world.open === null) throw new Error('nothing open');
    world.write(`${ID}/config-01.08.json`, '{"of":"somebody else"}');
    const [draft] = canedgeFamily.withdrawal(world.open);
    if (draft === undefined) throw new Error('no withdrawal');
    expect(await world.execute(device, draft)).toMatchObject({ kind: 'already' });
    expect(world.text(`${ID}/config-01.08.json`)).toBe('{"of":"somebody else"}');
  });

  it('is refused when the device took the offer in the meantime', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    if (world.open === null) throw new Error('nothing open');
    const [draft] = canedgeFamily.withdrawal(world.open);
    await world.clock.advance(30 * MINUTE_MS);
    if (draft === undefined) throw new Error('no withdrawal');
    expect(await world.execute(device, draft)).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
  });

  it('works from what was planned when the outcome was never recorded', async () => {
    const { world, sim } = await started();
    const before = world.text(`${ID}/config-01.08.json`);
    await world.observe(declaredTruck());
    await sim.powerOff();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    const operation = world.operation(device, draft);
    await world.perform(device, operation);
    const [back] = canedgeFamily.withdrawal(openOf(operation, { intendedAt: START, outcome: null }));
    if (back === undefined) throw new Error('no withdrawal');
    expect(await world.execute(device, back)).toMatchObject({ kind: 'performed' });
    expect(world.text(`${ID}/config-01.08.json`)).toBe(before);
  });

  it('says so when the bytes to put back are lost', async () => {
    const { world, sim } = await started();
    await world.observe(declaredTruck());
    await sim.powerOff();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    if (world.open === null) throw new Error('nothing open');
    world.blobs.clear();
    const [draft] = canedgeFamily.withdrawal(world.open);
    if (draft === undefined) throw new Error('no withdrawal');
    expect(await world.execute(device, draft)).toMatchObject({ kind: 'trouble', code: 'BLOB_MISSING', retry: 'never' });
  });
});

describe('before and after a crash', () => {
  it('finds the effect of an attempt that was not recorded, and repeats nothing', async () => {
    const { world, sim } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    const operation = world.operation(device, draft);
    const intendedAt = world.clock.now();
    const done = await world.perform(device, operation);
    if (done.kind !== 'performed') throw new Error(done.kind);
    await world.clock.advance(HOUR_MS);
    const open = openOf(operation, { intendedAt, outcome: null });
    const look = await world.precheck(device, operation, open);
    expect(look).toMatchObject({ kind: 'already', reference: done.reference });
    world.open = openOf(operation, { intendedAt, outcome: look });
    expect(await world.pass(device)).toMatchObject({ kind: 'confirmed' });
    expect(kinds(sim)).toEqual(['config', 'reboot']);
  });

  it('performing twice has one effect', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: OLD, firmware: '01.08.06' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    const operation = world.operation(device, draft);
    const first = await world.perform(device, operation);
    await world.clock.advance(10_000);
    const written = await world.bucket.head(`${ID}/firmware.bin`);
    expect(await world.perform(device, operation)).toMatchObject({ kind: 'already' });
    expect(first.kind).toBe('performed');
    expect(await world.bucket.head(`${ID}/firmware.bin`)).toEqual(written);
  });

  it('finds out about a PUT whose answer was lost (F16)', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    const operation = world.operation(device, draft);
    world.faults.add({ kind: 'reset-after' }, { operations: ['PutObject'], times: 1 });
    await expect(world.perform(device, operation)).rejects.toBeInstanceOf(WireError);
    expect(await world.precheck(device, operation, openOf(operation, { intendedAt: world.clock.now(), outcome: null }))).toMatchObject({
      kind: 'already',
    });
  });

  it('writes unconditionally, after one more comparison, where the server knows no conditions', async () => {
    const { world } = await started();
    const real = makeMemoryObjects(world.store, 'vehicle-logs');
    const old: ObjectStore = {
      ...real,
      put: (key, bytes, how, signal) =>
        how?.ifMatch !== undefined || how?.ifAbsent === true
          ? Promise.reject(new WireError('S3_501', 'never', 'NotImplemented'))
          : real.put(key, bytes, how, signal),
    };
    world.newDriver({ objects: () => Promise.resolve(old) });
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
  });

  it('does not write over what came in between', async () => {
    const { world } = await started();
    const real = makeMemoryObjects(world.store, 'vehicle-logs');
    const raced: ObjectStore = {
      ...real,
      put(key, bytes, how, signal) {
        world.write(key, '{"of":"somebody else"}');
        return real.put(key, bytes, how, signal);
      },
    };
    world.newDriver({ objects: () => Promise.resolve(raced) });
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    expect(await world.perform(device, world.operation(device, draft))).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    expect(world.text(`${ID}/config-01.08.json`)).toBe('{"of":"somebody else"}');
  });

  it.each([
    ['the object', { facts: { series: '01.08', crc: 'X', object: { crc: 'DEADBEEF', sha256: '00' }, crosses: false, link: false } }],
    ['the report', { expected: '01.08 DEADBEEF' }],
  ])('refuses a precondition about %s that moved', async (_name, change) => {
    const { world } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    const facts = 'facts' in change ? { ...(draft.facts as Record<string, Json>), object: change.facts.object } : draft.facts;
    const operation = world.operation(device, { ...draft, ...('expected' in change ? change : {}), facts });
    expect(await world.precheck(device, operation)).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    expect(await world.perform(device, operation)).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
  });

  it('refuses hardware that was replaced since the plan', async () => {
    const { world } = await started();
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    const operation = world.operation(declaredTruck({}, { serial: '2B6F11C7' }), draft);
    expect(await world.precheck(device, operation)).toMatchObject({ kind: 'refused', reason: 'IDENTITY_MISMATCH' });
  });
});
