import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import type { DeviceFacts, PinnedItem } from '#ports/family.ts';
import { CanedgeWorld, contentOf, declaredTruck, ID } from '#test/support/canedge.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { canedgeFamily } from './family.ts';
import { buildSimFirmware } from './sim-image.ts';
import { buildSimConfig } from './sim-schema.ts';

const TRUCK: DeviceFacts = { id: 'van-01', model: 'CANedge2', serial: ID, address: null, labels: {}, values: {}, options: {} };
const IMAGE = buildSimFirmware({ model: 'CANedge2', version: '01.09.03' });

function firmwarePin(change: Partial<PinnedItem> = {}): PinnedItem {
  const artifact = { name: 'canedge2', version: '01.09.03', reportsAs: null };
  return {
    item: 'firmware',
    artifact,
    content: contentOf('f.bin', IMAGE),
    document: null,
    firmware: '01.09.03',
    certificates: [],
    ...change,
  };
}

function configPin(document: Json, change: Partial<PinnedItem> = {}): PinnedItem {
  return { item: 'config', artifact: null, content: null, document, firmware: '01.09.03', certificates: [], ...change };
}

function codeOf(device: DeviceFacts, pin: PinnedItem): string {
  const answer = canedgeFamily.expectation(device, pin);
  return answer.ok ? answer.value.value : answer.error.code;
}

describe('lint', () => {
  it.each([
    ['an id as serial', {}, []],
    ['an id as address', { serial: null, address: ID }, []],
    ['an id as the id itself', { id: '0a1b2c3d', serial: null }, []],
    ['a place without hardware', { serial: null }, ['CANEDGE_ADDRESS']],
    ['a serial that is none', { serial: '12345' }, ['CANEDGE_ADDRESS']],
    ['serial and address in two cases', { address: ID.toLowerCase() }, []],
    ['serial and address of two devices', { address: '0A1B2C3D' }, ['CANEDGE_ADDRESS']],
    ['a model without a network', { model: 'CANedge1 GNSS' }, ['CANEDGE_OFFLINE_MODEL']],
  ])('%s', (_name, change, codes) => {
    expect(canedgeFamily.lint({ ...TRUCK, ...change }).map((problem) => problem.code)).toEqual(codes);
  });
});

describe('options', () => {
  const validate = new Ajv2020({ strict: true }).compile(canedgeFamily.optionsSchema as object);
  it.each([
    [{}, true],
    [{ allow: ['ota-off', 'apn'], deadlineFactor: 3, cleanup: 'delete', series: '01.09' }, true],
    [{ allow: ['everything'] }, false],
    [{ deadlineFactor: 0 }, false],
    [{ cleanup: 'sometimes' }, false],
    [{ series: '1.9' }, false],
    [{ kpub: 'x' }, false],
    [{ unknown: 1 }, false],
  ])('%j', (options, good) => {
    expect(validate(options)).toBe(good);
  });
});

describe('what a firmware pin expects', () => {
  it.each([
    ['the version of the artifact', firmwarePin(), '01.09.03'],
    ['the version as people write it', firmwarePin({ artifact: { name: 'f', version: '1.9.3', reportsAs: null } }), '01.09.03'],
    ['reportsAs over the version', firmwarePin({ artifact: { name: 'f', version: 'spring', reportsAs: '01.09.03' } }), '01.09.03'],
    ['the version in a file without an artifact', firmwarePin({ artifact: null }), '01.09.03'],
    ['no version', firmwarePin({ artifact: { name: 'f', version: 'spring', reportsAs: null } }), 'FIRMWARE_VERSION'],
    ['no image', firmwarePin({ content: null }), 'FIRMWARE_MISSING'],
    [
      'an image of another version',
      firmwarePin({ artifact: { name: 'f', version: '01.09.04', reportsAs: null } }),
      'FIRMWARE_VERSION_MISMATCH',
    ],
    ['an image that is none', firmwarePin({ content: contentOf('f.zip', new Uint8Array(100)) }), 'FIRMWARE_IMAGE'],
  ])('%s', (_name, pin, expected) => {
    expect(codeOf(TRUCK, pin)).toBe(expected);
  });

  it('an image of another model is refused in validate', () => {
    expect(codeOf({ ...TRUCK, model: 'CANedge3 GNSS' }, firmwarePin())).toBe('FIRMWARE_WRONG_MODEL');
  });

  it('an image elsewhere is judged by its version until it is fetched', () => {
    const { bytes: _bytes, kind: _kind, ...rest } = contentOf('f.bin', IMAGE) as Extract<ReturnType<typeof contentOf>, { kind: 'bytes' }>;
    expect(codeOf(TRUCK, firmwarePin({ content: { ...rest, kind: 'url', url: 'https://files.example.org/f.bin' } }))).toBe('01.09.03');
  });
});

describe('what a config pin expects', () => {
  const config = buildSimConfig('01.09', 'CANedge2');
  const crc = crc32Hex(new TextEncoder().encode(JSON.stringify(config, null, 2)));
  it.each([
    ['the series of the firmware', TRUCK, configPin(config), `01.09 ${crc}`],
    ['the series of the options', { ...TRUCK, options: { series: '01.08' } }, configPin(config, { firmware: null }), `01.08 ${crc}`],
    ['the series in the name', TRUCK, configPin(config, { firmware: null, content: contentOf('base-01.07.json', IMAGE) }), `01.07 ${crc}`],
    ['no series', TRUCK, configPin(config, { firmware: null }), 'CONFIG_SERIES_UNKNOWN'],
    ['an umlaut', TRUCK, configPin({ general: { device: { meta: 'Hägglund' } } }), 'CONFIG_NOT_ASCII'],
    ['no object', TRUCK, configPin([]), 'CONFIG_NOT_AN_OBJECT'],
    ['what every firmware refuses', TRUCK, configPin({ can_1: { transmit: [{ period: 1, delay: 1 }] } }), 'CONFIG_REFUSED_BY_DEVICE'],
    ['another item', TRUCK, { ...configPin(config), item: 'program' as const }, 'UNSUPPORTED_ITEM'],
  ])('%s', (_name, device, pin, expected) => {
    expect(codeOf(device, pin)).toBe(expected);
  });

  it('carries the exact bytes, and no secret in its facts', () => {
    const answer = canedgeFamily.expectation(TRUCK, configPin(config));
    if (!answer.ok || answer.value.content?.kind !== 'bytes') throw new Error('no content');
    expect(new TextDecoder().decode(answer.value.content.bytes)).toBe(JSON.stringify(config, null, 2));
    expect(answer.value.content.name).toBe('config-01.09.json');
    expect(JSON.stringify(answer.value.facts)).not.toContain('not-a-secret');
  });
});

describe('guards in the plan', () => {
  async function planned(document: Json, options: Record<string, Json> = {}): Promise<ReturnType<CanedgeWorld['plan']>> {
    const world = new CanedgeWorld();
    await world.add({ firmware: '01.08.05' }).powerOn();
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({ config: document, firmware: '01.08.05' }, { options });
    await world.observe(device);
    return world.plan(device);
  }

  const base = JSON.stringify(buildSimConfig('01.08', 'CANedge2'));
  it.each([
    ['ota-off', base.replace('"ota":600', '"ota":0')],
    ['heartbeat-off', base.replace('"heartbeat":300', '"heartbeat":0')],
    ['web-server', base.replace('"protocol":0,', '"protocol":1,').replace(/,"s3":.*$/, '}}')],
    ['endpoint', base.replace('s3.example.org', 's4.example.org')],
    ['access-points', base.replace('"ssid":"depot"', '"ssid":"elsewhere"')],
  ])('%s is refused with its reason, and can be let through', async (code, text) => {
    const document = JSON.parse(text) as Json;
    const refused = await planned(document);
    expect(refused.drafts).toEqual([]);
    expect(refused.impossible).toMatchObject([{ item: 'config', reason: 'LOCKOUT_GUARD' }]);
    const others = code === 'web-server' ? ['endpoint'] : [];
    expect((await planned(document, { allow: [code, ...others] })).impossible).toEqual([]);
  });

  it('a device that never polls cannot be changed from here', async () => {
    const world = new CanedgeWorld();
    await world.add({ firmware: '01.08.05', sync: { ota: 0 } }).powerOn();
    await world.clock.advance(MINUTE_MS);
    const device = declaredTruck({ config: buildSimConfig('01.08', 'CANedge2', { meta: 'x' }), firmware: '01.08.06' });
    await world.observe(device);
    expect(world.plan(device)).toMatchObject({ drafts: [], impossible: [{ item: null, reason: 'UNSUPPORTED' }] });
  });

  it('plans without a good report plan nothing', () => {
    const device = declaredTruck({ firmware: '01.08.06' });
    const reported = {
      device: device.id,
      serial: null,
      model: null,
      heardAt: null,
      online: null,
      gapMs: null,
      problem: null,
      items: {},
      measures: {},
      signs: [],
      memo: {},
    };
    expect(canedgeFamily.operations({ device, items: device.items, reported, drifted: ['firmware'] })).toEqual({
      drafts: [],
      impossible: [],
    });
  });
});

describe('the rest of the face', () => {
  it('orders versions its own way, whatever a report adds to them', () => {
    expect(canedgeFamily.compareVersions('01.09.03, firmware.bin left', '01.09.03')).toBe(0);
    expect(canedgeFamily.compareVersions('01.10.00', '01.09.99')).toBeGreaterThan(0);
    expect(canedgeFamily.compareVersions('new', '01.09.99')).toBe(null);
  });

  it('has words for each of its codes', () => {
    for (const [code, reason] of Object.entries(canedgeFamily.reasons)) {
      expect(code).toMatch(/^[A-Z_]+$/);
      expect(reason.text.length).toBeGreaterThan(10);
    }
  });
});
