import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import { CanedgeWorld, declaredTruck, ID, openOf } from '#test/support/canedge.ts';
import { caCertificate } from '#test/support/ca-certificates.ts';
import { canedgeFamily } from './family.ts';
import { CANEDGE_FAULTS } from './sim-faults.ts';
import { buildSimConfig } from './sim-schema.ts';

const OLD = buildSimConfig('01.08', 'CANedge2', { meta: 'Truck1' });
const NEW = buildSimConfig('01.08', 'CANedge2', { meta: 'Truck2' });
const PASSES = { everyMs: 5 * MINUTE_MS, forMs: 4 * HOUR_MS };

interface Lie {
  readonly name: string;
  readonly fault: string;
  readonly value?: Json;
  readonly wanted: 'config' | 'firmware' | 'trust';
  /** Whether the device converges all the same, in truth. */
  readonly honest?: boolean;
}

const LIES: readonly Lie[] = [
  { name: 'an old heartbeat with a new Last-Modified', fault: 'oldHeartbeat', wanted: 'config' },
  { name: 'an old heartbeat after a flash', fault: 'oldHeartbeat', wanted: 'firmware' },
  { name: 'torn heartbeats', fault: 'tornHeartbeat', wanted: 'config' },
  { name: 'the id of another device', fault: 'wrongId', wanted: 'config' },
  { name: 'two devices in one folder', fault: 'alternateId', wanted: 'firmware' },
  { name: 'the type of another model', fault: 'wrongModelVersion', wanted: 'firmware' },
  { name: 'a type that nobody knows', fault: 'wrongModelVersion', value: '000000FF', wanted: 'firmware' },
  { name: 'a version that was never offered', fault: 'wrongVersion', wanted: 'firmware' },
  { name: 'no CRC', fault: 'emptyCrc', wanted: 'config' },
  { name: 'a config that is refused and kept', fault: 'refuseConfig', value: 'keep', wanted: 'config' },
  { name: 'a config that is refused, and no CRC', fault: 'refuseConfig', value: 'empty', wanted: 'config' },
  { name: 'a config that is refused, and defaults', fault: 'refuseConfig', value: 'defaults', wanted: 'config' },
  { name: 'certificates that are stored and never loaded', fault: 'refuseCerts', wanted: 'trust' },
  { name: 'a flash that boots back', fault: 'bootBack', wanted: 'firmware' },
  { name: 'an image that the boot loader drops', fault: 'refuseFirmware', wanted: 'firmware' },
  { name: 'a device that does not come back from a flash', fault: 'brickOnFirmware', wanted: 'firmware' },
  { name: 'a device that does not come back from a config', fault: 'lostAfterConfig', wanted: 'config' },
  { name: 'a device that never polls', fault: 'ignoreOta', wanted: 'config' },
  { name: 'a device that sleeps', fault: 'asleep', wanted: 'config' },
  { name: 'another public key', fault: 'kpubChanged', wanted: 'config' },
  { name: 'an edit on the card', fault: 'sdEdit', wanted: 'config', honest: true },
  { name: 'every heartbeat twice', fault: 'duplicateHeartbeat', wanted: 'config', honest: true },
  { name: 'an hour of module updates', fault: 'moduleUpdate', value: 50, wanted: 'firmware', honest: true },
];

describe('a device that lies or fails', () => {
  it.each(LIES)('$name: no false converged', async ({ fault, value, wanted, honest }) => {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD });
    const neighbour = world.add({ id: '2B6F11C7', config: OLD });
    await sim.powerOn();
    await neighbour.powerOn();
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({
      config: wanted === 'config' ? NEW : OLD,
      firmware: wanted === 'firmware' ? '01.08.06' : '01.08.05',
      ...(wanted === 'trust' ? { trust: [caCertificate('Fleet Root').der] } : {}),
    });
    await world.observe(device);
    sim.fault(fault, value ?? true);
    const end = world.clock.now() + PASSES.forMs;
    while (world.clock.now() < end) {
      const before = world.ended.length;
      await world.pass(device);
      const truth = sim.truth();
      const really = device.items.every((item) => truth[item.item] === item.value);
      // A heartbeat that has just been read may be younger than a change, never older than one that it claims.
      const believed = world.converged(device) || world.ended.slice(before).some((ending) => ending.endsWith('confirmed'));
      expect(believed && !really).toBe(false);
      await world.clock.advance(PASSES.everyMs);
    }
    expect(world.converged(device)).toBe(honest === true);
  });

  it('is the only one that suffers: an honest device beside it converges', async () => {
    const world = new CanedgeWorld();
    const liar = world.add({ id: '2B6F11C7', config: OLD });
    const sim = world.add({ config: OLD });
    await liar.powerOn();
    await sim.powerOn();
    for (const fault of ['wrongId', 'tornHeartbeat', 'refuseConfig']) liar.fault(fault, true);
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({ config: NEW, firmware: '01.08.06' });
    await world.passes(device, PASSES);
    expect(world.converged(device)).toBe(true);
  });

  it('covers every fault that the simulator knows', () => {
    expect(CANEDGE_FAULTS.filter((fault) => !LIES.some((lie) => lie.fault === fault))).toEqual([]);
  });
});

describe('hardware that is not the declared one', () => {
  it.each([
    ['an id of another folder', 'wrongId', 'DEADBEEF'],
    ['another model', 'wrongModelVersion', true],
    ['another key', 'kpubChanged', true],
  ])('%s: nothing is written, and what it reported is unknown', async (_name, fault, value) => {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD });
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    sim.fault(fault, value);
    await world.clock.advance(5 * MINUTE_MS);
    if (draft === undefined) throw new Error('no draft');
    expect(await world.precheck(device, world.operation(device, draft))).toMatchObject({ kind: 'refused', reason: 'IDENTITY_MISMATCH' });
    await world.observe(device);
    expect(world.report?.problem?.reason).toBe('IDENTITY_MISMATCH');
    expect(world.report?.items.config?.kind).toBe('unknown');
    sim.fault(fault, false);
    await world.clock.advance(5 * MINUTE_MS);
    await world.observe(device);
    expect(world.report?.problem).toBe(null);
    expect(world.report?.items.config?.kind).toBe('value');
  });

  it('pins the key that is declared rather than the first one seen', async () => {
    const world = new CanedgeWorld();
    await world.add({ config: OLD }).powerOn();
    await world.clock.advance(MINUTE_MS);
    const kpub = Buffer.alloc(64, 9).toString('base64');
    await world.observe(declaredTruck({}, { options: { kpub } }));
    expect(world.report?.problem?.reason).toBe('IDENTITY_MISMATCH');
  });

  it('keeps the last good values beside a heartbeat that cannot be read, and writes nothing (F13)', async () => {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD });
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({ config: OLD, firmware: '01.08.05' });
    await world.observe(device);
    const good = world.report?.items;
    sim.fault('tornHeartbeat', true);
    await world.clock.advance(5 * MINUTE_MS);
    await world.observe(device);
    expect(world.report?.items).toMatchObject({ config: { value: device.items[0]?.value } });
    expect(world.report?.items.firmware).toMatchObject({
      madeNotBefore: good?.firmware?.kind === 'value' ? good.firmware.madeNotBefore : 0,
    });
    expect(world.report?.problem).toMatchObject({ reason: 'REPORT_UNREADABLE' });
    expect(world.converged(device)).toBe(false);
  });
});

describe('a heartbeat that cannot be read', () => {
  it('is no look at the rest of the folder: an offer that lies there is not said to be replaced', async () => {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD });
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.pass(device);
    const { open } = world;
    sim.fault('tornHeartbeat', true);
    await world.clock.advance(5 * MINUTE_MS);
    await world.observe(device);
    const { report } = world;
    if (open === null || open === undefined || report === undefined) throw new Error('nothing was offered');
    expect(report.problem?.reason).toBe('REPORT_UNREADABLE');
    expect(canedgeFamily.confirm(open, report)).toMatchObject({ kind: 'open', phase: 'OFFERED' });
  });
});

describe('a device that does not come back', () => {
  async function afterFlash(options: { readonly steadyMs: number; readonly fault: string }): Promise<CanedgeWorld> {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD });
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    const watched = declaredTruck({ config: OLD, firmware: '01.08.05' });
    await world.passes(watched, { everyMs: 10 * MINUTE_MS, forMs: options.steadyMs });
    sim.fault(options.fault, true);
    await world.passes(declaredTruck({ config: OLD, firmware: '01.08.06' }), { everyMs: 10 * MINUTE_MS, forMs: 3 * HOUR_MS });
    return world;
  }

  it('took the offer, if it was always on before', async () => {
    const world = await afterFlash({ steadyMs: 25 * HOUR_MS, fault: 'brickOnFirmware' });
    expect(world.open?.takenAt).not.toBe(null);
  });

  it('is not said to have taken anything when it is not known for a day', async () => {
    const world = await afterFlash({ steadyMs: 2 * HOUR_MS, fault: 'brickOnFirmware' });
    expect(world.open).toMatchObject({ takenAt: null });
  });

  it('learns how long a vehicle usually sleeps', async () => {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD, schedule: { onMs: 2 * HOUR_MS, offMs: 10 * HOUR_MS } });
    await sim.powerOn();
    const device = declaredTruck({ config: OLD, firmware: '01.08.05' });
    await world.passes(device, { everyMs: 10 * MINUTE_MS, forMs: 72 * HOUR_MS });
    expect(world.report?.gapMs).toBeGreaterThan(9 * HOUR_MS);
    expect(world.report?.gapMs).toBeLessThan(11 * HOUR_MS);
  });

  it('is a suspected lock-out after a change of its link', async () => {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD });
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    const slower = JSON.parse(JSON.stringify(NEW).replace('"ota":600', '"ota":900')) as Json;
    const device = declaredTruck({ config: slower, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    expect(draft?.effects).toContain('changes how it reaches its server: a mistake there is mended only by hand');
    expect(draft?.facts).toMatchObject({ link: true });
  });
});

describe('what is written', () => {
  it('never lies outside of the three shapes of key, whatever a report says (F18)', async () => {
    const world = new CanedgeWorld();
    const sim = world.add({ config: OLD });
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({ config: NEW, firmware: '01.08.05' });
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('no draft');
    const hostile = world.operation(device, {
      ...draft,
      facts: { ...(draft.facts as Record<string, Json>), series: '../../x', object: null },
    });
    await expect(world.perform(device, hostile, openOf(hostile, { intendedAt: 0, outcome: null }))).resolves.toMatchObject({
      kind: 'refused',
    });
    expect(world.text(`${ID}/config-../../x.json`)).toBe(null);
  });
});
