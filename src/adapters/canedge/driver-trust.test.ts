import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { caCertificate, type TestCa } from '#test/support/ca-certificates.ts';
import { CanedgeWorld, declaredTruck, ID, NEW_BUCKET, openOf, type Wanted } from '#test/support/canedge.ts';
import { buildBundle, parseBundle } from './bundle.ts';
import { canedgeFamily } from './family.ts';
import { buildSimFirmware } from './sim-image.ts';
import { buildSimConfig, type SimConfigOptions } from './sim-schema.ts';

const OLD = caCertificate('Old Root');
const NEW = caCertificate('New Root');
const RENEWED = caCertificate('Old Root');
const HOST = 's3.example.org';
const TLS = { endpoint: `https://${HOST}`, port: 443 };
const MOVED = { endpoint: 'https://s3.new.example', port: 443, bucket: NEW_BUCKET };
const EVERY = { everyMs: 5 * MINUTE_MS, forMs: 2 * HOUR_MS };

function config(options: SimConfigOptions = {}, model = 'CANedge2') {
  return buildSimConfig('01.08', model, options);
}

function shown(root: TestCa, host = HOST): readonly Uint8Array[] {
  return [caCertificate(host, { issuer: root }).der];
}

function bundle(...roots: readonly TestCa[]): Uint8Array {
  const parsed = roots.flatMap(({ der }) => {
    const one = parseBundle(der);
    return one.ok ? one.value : [];
  });
  const built = buildBundle(parsed, { distinctSubjects: true });
  if (!built.ok) throw new Error(built.error.message);
  return built.value;
}

function truck(wanted: Wanted, change: Partial<DeclaredDevice> = {}): DeclaredDevice {
  return declaredTruck(wanted, { ...change, options: { series: '01.08', ...change.options } });
}

function trusting(roots: readonly TestCa[], more: Wanted = {}, change: Partial<DeclaredDevice> = {}): DeclaredDevice {
  return truck({ trust: roots.map(({ der }) => der), ...more }, change);
}

/** A device whose server shows a certificate of the old root. */
async function started(options: Parameters<CanedgeWorld['add']>[0] = {}) {
  const world = new CanedgeWorld();
  world.addresses.serve({ connection: 'logs', bucket: 'vehicle-logs', endpoint: `http://${HOST}`, port: null, chain: null });
  world.addresses.serve({ connection: 'logs', bucket: 'vehicle-logs', endpoint: `https://${HOST}`, port: null, chain: shown(OLD) });
  world.addresses.serve({
    connection: 'moved',
    bucket: NEW_BUCKET,
    endpoint: MOVED.endpoint,
    port: null,
    chain: shown(NEW, 's3.new.example'),
  });
  const sim = world.add({ config: config(TLS, options.model), certificates: bundle(OLD), ...options });
  await sim.powerOn();
  await world.clock.advance(MINUTE_MS);
  return { world, sim };
}

async function planned(world: CanedgeWorld, device: DeclaredDevice) {
  await world.observe(device);
  return world.plan(device);
}

async function prechecked(world: CanedgeWorld, device: DeclaredDevice) {
  const [draft] = (await planned(world, device)).drafts;
  if (draft === undefined) throw new Error('nothing is planned');
  return world.precheck(device, world.operation(device, draft));
}

describe('what no report could tell, or nobody could undo, is refused in the plan', () => {
  it.each<[string, readonly TestCa[], Parameters<CanedgeWorld['add']>[0], object]>([
    ['a renewed certificate of the same subject (§7.4)', [RENEWED], {}, { reason: 'LOCKOUT_GUARD' }],
    ['a root in the place of the only one', [NEW], {}, { reason: 'LOCKOUT_GUARD', evidence: expect.stringContaining('add') as string }],
    ['one of two that is replaced', [OLD, NEW], { certificates: bundle(OLD, caCertificate('Third Root')) }, { reason: 'LOCKOUT_GUARD' }],
  ])('%s', async (_name, roots, options, why) => {
    const { world } = await started(options);
    expect(await planned(world, trusting(roots))).toMatchObject({ drafts: [], impossible: [{ item: 'trust', ...why }] });
  });

  it('nor is anything known of firmware that does not say what it has loaded (§3.2)', async () => {
    const { world } = await started({ quirks: { certField: 'absent' } });
    const device = trusting([OLD]);
    expect(await planned(world, device)).toEqual({ drafts: [], impossible: [] });
    expect(world.report?.items.trust).toMatchObject({ kind: 'unknown', why: 'REPORT_UNREADABLE' });
    expect(world.converged(device)).toBe(false);
  });

  it('an empty bundle is no declaration (F7)', () => {
    expect(() => trusting([])).toThrow('TRUST_EMPTY');
  });

  it('TLS without certificates, on a device that has none from the factory', async () => {
    const { world } = await started({ config: config({ endpoint: `http://${HOST}` }) });
    expect(await planned(world, truck({ config: config(TLS) }))).toMatchObject({
      drafts: [],
      impossible: [{ item: 'config', reason: 'LOCKOUT_GUARD', evidence: expect.stringContaining('must be pinned') as string }],
    });
  });

  it('of a cellular device nobody knows what it has from the factory: a person must say so', async () => {
    const model = 'CANedge3 GNSS';
    const { world, sim } = await started({ model, config: config({ endpoint: `http://${HOST}` }, model), preinstalled: bundle(OLD) });
    const wanted = { config: config(TLS, model) };
    expect(await planned(world, truck(wanted, { model }))).toMatchObject({ impossible: [{ reason: 'LOCKOUT_GUARD' }] });
    const allowed = truck(wanted, { model, options: { allow: ['endpoint'] } });
    await world.passes(allowed, EVERY);
    expect(world.converged(allowed)).toBe(true);
    expect(sim.outOfReach?.()).toBe(null);
  });
});

describe('certificates are loaded, and proven by a later heartbeat', () => {
  const both = [OLD, NEW];

  it.each<[string, Parameters<CanedgeWorld['add']>[0], Partial<DeclaredDevice>]>([
    ['by SHA-1 of the certificate', { quirks: { certHashInput: 'der' } }, {}],
    ['by SHA-1 of its subject', { quirks: { certHashInput: 'subject' } }, {}],
    ['in DER where it takes nothing else', { quirks: { certBundleEncodings: 'der' } }, {}],
    ['in PEM where it takes nothing else', { quirks: { certBundleEncodings: 'pem' } }, { options: { bundle: 'pem' } }],
    ['whichever it looks at first', { quirks: { otaOrder: ['config', 'firmware', 'certs'] } }, {}],
  ])('%s', async (_name, options, change) => {
    const { world, sim } = await started(options);
    const device = trusting(both, {}, change);
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['trust confirmed']);
    expect(world.converged(device)).toBe(true);
    expect(sim.effects.map(({ kind }) => kind)).toEqual(['certs', 'reboot']);
    const less = trusting([OLD], {}, change);
    await world.passes(less, EVERY);
    expect(world.ended).toEqual(['trust confirmed', 'trust-remove confirmed']);
    expect(world.converged(less)).toBe(true);
  });

  it('by MD5 on a cellular device', async () => {
    const model = 'CANedge3 GNSS';
    const { world } = await started({ model });
    const device = trusting(both, {}, { model });
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
  });

  it('or called refused after the deadline online: in an encoding that is not taken, or for any other cause', async () => {
    const wrong = await started({ quirks: { certBundleEncodings: 'pem' } });
    await wrong.world.passes(trusting(both), EVERY);
    expect(wrong.world.ended).toEqual(['trust failed TRUST_REFUSED']);
    const { world, sim } = await started();
    sim.fault('refuseCerts', true);
    await world.passes(trusting(both), EVERY);
    expect(world.ended).toEqual(['trust failed TRUST_REFUSED']);
  });

  it('a bundle that somebody emptied is put right before the device looks (F7)', async () => {
    const { world, sim } = await started();
    const device = trusting(both);
    await world.passes(device, EVERY);
    await sim.powerOff();
    world.write(`${ID}/certs_server.p7b`, '');
    await world.clock.advance(20 * MINUTE_MS);
    await world.pass(device);
    await sim.powerOn();
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
    expect(sim.outOfReach?.()).toBe(null);
  });
});

describe('what the server shows outweighs what is declared (F8)', () => {
  it('before its root is withdrawn', async () => {
    const { world, sim } = await started({ certificates: bundle(OLD, NEW) });
    expect(await prechecked(world, trusting([NEW]))).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
    world.addresses.serve({ connection: 'logs', bucket: 'vehicle-logs', endpoint: `https://${HOST}`, port: null, chain: shown(NEW) });
    const device = trusting([NEW]);
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
    expect(sim.outOfReach?.()).toBe(null);
  });

  it('before a device is told to use it: another root, or another name', async () => {
    const plain = { config: config({ endpoint: `http://${HOST}` }) };
    for (const chain of [shown(NEW), shown(OLD, 'another.example.org')]) {
      const { world } = await started({ ...plain, certificates: bundle(OLD) });
      world.addresses.serve({ connection: 'logs', bucket: 'vehicle-logs', endpoint: `https://${HOST}`, port: null, chain });
      world.write(`${ID}/certs_server.p7b`, bundle(OLD));
      expect(await prechecked(world, trusting([OLD], { config: config(TLS) }))).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
    }
  });

  it('before an offer is taken back: the device may have loaded it since it last reported', async () => {
    const { world, sim } = await started();
    world.write(`${ID}/certs_server.p7b`, bundle(OLD));
    await world.clock.advance(15 * MINUTE_MS);
    await sim.powerOff();
    const device = trusting([OLD, NEW]);
    await world.pass(device);
    world.addresses.serve({ connection: 'logs', bucket: 'vehicle-logs', endpoint: `https://${HOST}`, port: null, chain: shown(NEW) });
    if (world.open === null) throw new Error('nothing is offered');
    const [back] = canedgeFamily.withdrawal(world.open);
    if (back === undefined) throw new Error('no way back');
    expect(await world.execute(device, back)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
    expect(openOf(world.operation(device, back), { intendedAt: 0, outcome: null }).operation.step).toBe('withdraw-trust');
  });

  it('a cellular device may trust it without any of the bundle', async () => {
    const model = 'CANedge3 GNSS';
    const { world } = await started({ model, preinstalled: bundle(OLD), certificates: bundle(NEW) });
    const device = trusting([NEW, RENEWED], {}, { model });
    await world.passes(device, EVERY);
    expect(world.converged(device)).toBe(true);
  });
});

describe('a device on its way to another server', () => {
  const via = { connection: 'logs', to: 'moved' };
  const moving = (more: Wanted = {}): DeclaredDevice => trusting([OLD, NEW], { config: config(MOVED), ...more }, { via });

  it('finds its certificates there, goes once it trusts the server, and is believed there alone', async () => {
    const { world, sim } = await started();
    const device = moving();
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['trust-there confirmed', 'trust confirmed', 'config confirmed']);
    expect(world.converged(device)).toBe(true);
    expect(world.store.get(NEW_BUCKET, `${ID}/device.json`)).toBeDefined();
    expect(sim.outOfReach?.()).toBe(null);
  });

  it('finds no other config there: it is replaced before the device goes', async () => {
    const { world } = await started();
    world.store.put(NEW_BUCKET, `${ID}/config-01.08.json`, { bytes: new TextEncoder().encode(JSON.stringify(config({ ota: 60 }))) });
    const device = moving();
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['trust-there confirmed', 'trust confirmed', 'config-there confirmed', 'config confirmed']);
    expect(world.converged(device)).toBe(true);
  });

  it.each([
    ['firmware that it would flash there', 'firmware.bin', buildSimFirmware({ model: 'CANedge2', version: '01.08.09' })],
    ['what is no firmware', 'firmware.bin', new Uint8Array(100)],
  ])('is not sent to %s', async (_name, name, bytes) => {
    const { world } = await started();
    world.store.put(NEW_BUCKET, `${ID}/${name}`, { bytes });
    const device = moving();
    await world.passes(device, EVERY);
    expect(world.open?.operation.step).toBe('config');
    expect(world.open?.reference).toBe(null);
    expect(world.text(`${ID}/config-01.08.json`)).toContain(HOST);
  });

  it('is not sent to another bucket than the one it is to move to', async () => {
    const { world } = await started();
    const device = moving({ config: config({ ...MOVED, bucket: 'somewhere-else' }) });
    await world.passes(device, EVERY);
    expect(world.ended).toEqual(['trust-there confirmed', 'trust confirmed']);
    expect(await prechecked(world, device)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
  });

  it('is found where it was last heard, when the move is no longer declared', async () => {
    const { world, sim } = await started();
    await world.passes(moving(), EVERY);
    const back = trusting([OLD], { config: config(TLS) });
    await world.passes(back, EVERY);
    expect(world.ended.slice(3)).toEqual(['config-there confirmed', 'config confirmed', 'trust-remove confirmed']);
    expect(world.converged(back)).toBe(true);
    expect(sim.outOfReach?.()).toBe(null);
  });

  it('is not taken for a device of the old bucket when the new connection is gone', async () => {
    const { world } = await started();
    await world.passes(moving(), EVERY);
    const real = world.newDriver({ connection: (name) => (name === 'moved' ? undefined : world.connection(name)) });
    world.driver = real;
    await world.observe(trusting([OLD], { config: config(TLS) }));
    expect(world.report?.problem).toMatchObject({ reason: 'REPORT_UNREADABLE', detail: expect.stringContaining('moved') as string });
  });
});
