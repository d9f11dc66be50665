import { describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { caCertificate, type TestCa } from '#test/support/ca-certificates.ts';
import { CanedgeWorld, ID } from '#test/support/canedge.ts';
import { buildBundle, bundleText, parseBundle } from './bundle.ts';
import { buildSimConfig } from './sim-schema.ts';

const ONE = caCertificate('Fleet Root 1');
const TWO = caCertificate('Fleet Root 2');
const TWIN = caCertificate('Fleet Root 1');
const SHORT = caCertificate('Short Root', { notAfter: '261124000000Z' });
const SERVER = { connection: 'logs', bucket: 'vehicle-logs', endpoint: 'https://s3.example.org', port: null } as const;
const TLS_HOST = 's3.example.org';
const TLS = buildSimConfig('01.08', 'CANedge2', { endpoint: 'https://s3.example.org', port: 443 });

function bundle(...roots: readonly { readonly der: Uint8Array }[]): Uint8Array {
  const parsed = roots.flatMap(({ der }) => {
    const one = parseBundle(der);
    return one.ok ? one.value : [];
  });
  const built = buildBundle(parsed, { distinctSubjects: false });
  if (!built.ok) throw new Error(built.error.message);
  return built.value;
}

/** What a server of that name shows: its own certificate, made out by the root, which it leaves out as servers do. */
function shown(root: TestCa, host = TLS_HOST): readonly Uint8Array[] {
  return [caCertificate(host, { issuer: root }).der];
}

function hashes(kind: 'sha1' | 'md5' | 'subjectSha1', ...roots: readonly { readonly der: Uint8Array }[]): readonly string[] {
  return roots.flatMap(({ der }) => {
    const one = parseBundle(der);
    return one.ok ? one.value.map((certificate) => certificate.hashes[kind]) : [];
  });
}

async function started(options: Parameters<CanedgeWorld['add']>[0] = {}) {
  const world = new CanedgeWorld();
  const sim = world.add(options);
  await sim.powerOn();
  await world.clock.advance(MINUTE_MS);
  return { world, sim };
}

function reported(world: CanedgeWorld): Readonly<Record<string, unknown>> {
  return JSON.parse(world.text(`${ID}/device.json`) ?? '{}') as Record<string, unknown>;
}

function heardAt(world: CanedgeWorld): number {
  return world.store.get('vehicle-logs', `${ID}/device.json`)?.lastModified ?? 0;
}

async function offered(world: CanedgeWorld, file: Uint8Array): Promise<void> {
  world.write(`${ID}/certs_server.p7b`, file);
  await world.clock.advance(12 * MINUTE_MS);
}

describe('a bundle in the folder', () => {
  it.each([
    ['CANedge2', 'certs_server_sha1', 'sha1', {}],
    ['CANedge2', 'certs_server_sha1', 'subjectSha1', { certHashInput: 'subject' }],
    ['CANedge3 GNSS', 'certs_server_md5', 'md5', {}],
  ] as const)('is stored, restarts a %s and shows under %s as %s', async (model, field, kind, quirks) => {
    const { world, sim } = await started({ model, quirks });
    expect(reported(world)[field]).toEqual([]);
    await offered(world, bundle(ONE, TWO));
    expect(sim.effects.map((effect) => `${effect.kind} ${effect.detail}`)).toEqual([
      'certs Fleet Root 1, Fleet Root 2',
      'reboot session 1',
    ]);
    expect([...(reported(world)[field] as string[])].toSorted()).toEqual(hashes(kind, ONE, TWO).toSorted());
    await world.clock.advance(HOUR_MS);
    expect(sim.effects).toHaveLength(2);
  });

  it('is not told of by firmware that does not say', async () => {
    const { world } = await started({ quirks: { certField: 'absent' } });
    await offered(world, bundle(ONE));
    expect(Object.keys(reported(world)).filter((name) => name.startsWith('certs'))).toEqual([]);
  });

  it('that is empty removes all trust, as documented (F7)', async () => {
    const { world, sim } = await started({ certificates: bundle(ONE, TWO) });
    expect(sim.truth()['trust']).toMatch(/^2 certificates/);
    await offered(world, new Uint8Array());
    expect(reported(world)['certs_server_sha1']).toEqual([]);
  });

  it.each([
    ['both', 2, 2],
    ['der', 2, 1],
    ['pem', 1, 2],
  ] as const)('is taken in the encodings that the quirk %s says', async (certBundleEncodings, der, pem) => {
    const text = new TextEncoder().encode(bundleText(bundle(ONE, TWO), 2));
    for (const [file, count] of [
      [bundle(ONE, TWO), der],
      [text, pem],
    ] as const) {
      const { world } = await started({ quirks: { certBundleEncodings }, certificates: ONE.der });
      await offered(world, file);
      expect(reported(world)['certs_server_sha1']).toHaveLength(count);
    }
  });

  it('of one certificate is taken in either encoding whatever the quirk', async () => {
    const { world } = await started({ quirks: { certBundleEncodings: 'der' } });
    await offered(world, new TextEncoder().encode(ONE.pem));
    expect(reported(world)['certs_server_sha1']).toHaveLength(1);
  });

  it('of two certificates of one subject is one entry to a device that tells them by it', async () => {
    const { world } = await started({ quirks: { certHashInput: 'subject' } });
    await offered(world, bundle(ONE, TWIN));
    expect(reported(world)['certs_server_sha1']).toHaveLength(1);
  });
});

describe('a server with a certificate', () => {
  it('is reached by a device that has loaded it, and by no other', async () => {
    for (const [certificates, reached] of [
      [undefined, false],
      [bundle(TWO), false],
      [bundle(ONE, TWO), true],
    ] as const) {
      const world = new CanedgeWorld();
      world.addresses.serve({ ...SERVER, chain: shown(ONE) });
      await world.add({ config: TLS, ...(certificates === undefined ? {} : { certificates }) }).powerOn();
      await world.clock.advance(MINUTE_MS);
      expect(world.text(`${ID}/device.json`) !== null).toBe(reached);
    }
  });

  it('is reached by a cellular device that trusts it from the factory (§7.1)', async () => {
    const world = new CanedgeWorld();
    world.addresses.serve({ ...SERVER, chain: shown(ONE) });
    const config = buildSimConfig('01.08', 'CANedge3 GNSS', { endpoint: 'https://s3.example.org', port: 443 });
    await world.add({ model: 'CANedge3 GNSS', config, preinstalled: bundle(ONE) }).powerOn();
    await world.clock.advance(MINUTE_MS);
    expect(reported(world)).toMatchObject({ certs_server_md5: [] });
  });

  it('is lost to a device when it shows another one, or when the loaded one ends', async () => {
    for (const ending of ['swapped', 'ended'] as const) {
      const root = ending === 'ended' ? SHORT : ONE;
      const world = new CanedgeWorld();
      world.addresses.serve({ ...SERVER, chain: shown(root) });
      await world.add({ config: TLS, certificates: bundle(root) }).powerOn();
      await world.clock.advance(10 * MINUTE_MS);
      const last = heardAt(world);
      expect(last).toBeGreaterThan(0);
      if (ending === 'swapped') world.addresses.serve({ ...SERVER, chain: shown(TWO) });
      await world.clock.advance(DAY_MS);
      expect(heardAt(world)).toBeLessThanOrEqual(ending === 'swapped' ? last : Date.parse('2026-11-24T00:00:00Z'));
      if (ending === 'swapped') world.addresses.serve({ ...SERVER, chain: shown(ONE) });
      await world.clock.advance(HOUR_MS);
      expect(heardAt(world) > world.clock.now() - HOUR_MS).toBe(ending === 'swapped');
    }
  });

  it('must be made out to the name by which the device knows it (§7.1)', async () => {
    const world = new CanedgeWorld();
    world.addresses.serve({ ...SERVER, chain: shown(ONE, 'another.example.org') });
    await world.add({ config: TLS, certificates: bundle(ONE) }).powerOn();
    await world.clock.advance(HOUR_MS);
    expect(world.text(`${ID}/device.json`)).toBe(null);
  });

  it('is another one where a config says so: its folder there begins empty, and is filled (§7.3 C)', async () => {
    const { world } = await started({ config: TLS, certificates: bundle(ONE) });
    world.addresses.serve({ ...SERVER, chain: shown(ONE) });
    world.addresses.serve({
      connection: 'moved',
      bucket: 'fleet-logs',
      endpoint: 'https://new.example.org',
      port: null,
      chain: shown(ONE, 'new.example.org'),
    });
    const moved = buildSimConfig('01.08', 'CANedge2', { endpoint: 'https://new.example.org', port: 443, bucket: 'fleet-logs' });
    world.write(`${ID}/config-01.08.json`, JSON.stringify(moved));
    await world.clock.advance(15 * MINUTE_MS);
    const there = world.store.list('fleet-logs', { prefix: '', delimiter: '', after: '', skip: '', maxKeys: 10 });
    expect(there.keys).toEqual([`${ID}/config-01.08.json`, `${ID}/device.json`, `${ID}/schema-01.08.json`]);
  });
});

describe('what it uploads besides', () => {
  it.each([
    ['current', { 'x-amz-meta-net': 'depot', 'x-amz-meta-timestamp': '20261123T080020Z', 'x-amz-meta-put-index': '3' }],
    ['01.04', { 'x-amz-meta-ssid': 'depot', 'x-amz-meta-timestamp': '20261123T080020', 'x-amz-meta-put-index': '3' }],
    ['none', {}],
  ] as const)('has the headers of %s firmware', async (metaHeaders, headers) => {
    const { world } = await started({ quirks: { metaHeaders } });
    const common = metaHeaders === 'none' ? {} : { 'x-amz-meta-hw': '00.03/00.00', 'x-amz-meta-fw': '01.08.05' };
    expect(world.store.get('vehicle-logs', `${ID}/device.json`)?.headers).toEqual({ ...common, ...headers });
  });

  it('are logs, a folder per session, while its config says so', async () => {
    const logs = { everyMs: 5 * MINUTE_MS, bytes: 10 };
    for (const [logfiles, count] of [
      [1, 6],
      [0, 0],
    ] as const) {
      const { world } = await started({ config: buildSimConfig('01.08', 'CANedge2', { logfiles }), logs });
      await world.clock.advance(30 * MINUTE_MS);
      const found = world.store.list('vehicle-logs', { prefix: `${ID}/0`, delimiter: '', after: '', skip: '', maxKeys: 100 }).keys;
      expect(found).toHaveLength(count);
      expect(found.filter((key) => !/^2B6F11C0\/0000000\d\/\d{8}-[0-9A-F]{8}\.MF4$/.test(key))).toEqual([]);
    }
  });

  it('is its schema, once per power cycle, whatever breaks while it greets', async () => {
    const { world, sim } = await started();
    expect(world.store.requests.get('PutObject')).toBe(3);
    await sim.powerOff();
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    expect(world.store.requests.get('PutObject')).toBe(5);
  });
});
