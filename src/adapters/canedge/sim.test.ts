import { describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { crc32Hex } from '#kit/digest.ts';
import { CanedgeWorld, ID } from '#test/support/canedge.ts';
import { parseDeviceFile } from './device-file.ts';
import { isKey } from './guards.ts';
import { CANEDGE_FAULTS } from './sim-faults.ts';
import { buildSimFirmware } from './sim-image.ts';
import { buildSimConfig } from './sim-schema.ts';

const KEYS = [`${ID}/config-01.08.json`, `${ID}/device.json`, `${ID}/schema-01.08.json`];

async function started(
  options: Parameters<CanedgeWorld['add']>[0] = {},
): Promise<{ world: CanedgeWorld; sim: ReturnType<CanedgeWorld['add']> }> {
  const world = new CanedgeWorld();
  const sim = world.add(options);
  await sim.powerOn();
  await world.clock.advance(MINUTE_MS);
  return { world, sim };
}

async function keys(world: CanedgeWorld): Promise<readonly string[]> {
  return (await world.bucket.list({ prefix: '' })).objects.map((object) => object.key);
}

async function lastModified(world: CanedgeWorld, name: string): Promise<number> {
  const facts = await world.bucket.head(`${ID}/${name}`);
  return facts === 'missing' ? 0 : facts.lastModified;
}

function reported(world: CanedgeWorld): Record<string, string> {
  return JSON.parse(world.text(`${ID}/device.json`) ?? '{}') as Record<string, string>;
}

function config(sync: Parameters<typeof buildSimConfig>[2] = {}): string {
  return JSON.stringify(buildSimConfig('01.08', 'CANedge2', sync), null, 2);
}

function kinds(sim: { readonly effects: readonly { readonly kind: string }[] }): readonly string[] {
  return sim.effects.map((effect) => effect.kind);
}

describe('at first contact', () => {
  it('writes schema, its own config and device.json', async () => {
    const { world } = await started();
    expect(await keys(world)).toEqual(KEYS);
    expect(reported(world)).toMatchObject({
      id: ID,
      type: '0000001F',
      fw_ver: '01.08.05',
      cfg_name: 'config-01.08.json',
      cfg_crc32: crc32Hex(new TextEncoder().encode(world.text(`${ID}/config-01.08.json`) ?? '')),
    });
    expect(isKey(reported(world)['kpub'] ?? '')).toBe(true);
  });

  it('has a key of its own', async () => {
    const { world } = await started();
    await world.add({ id: '2B6F11C7' }).powerOn();
    await world.clock.advance(MINUTE_MS);
    expect(world.text('2B6F11C7/device.json')).not.toContain(reported(world)['kpub'] ?? '');
  });

  it('takes a config that lies there over its own', async () => {
    const world = new CanedgeWorld();
    world.write(`${ID}/config-01.08.json`, config({ meta: 'Truck2' }));
    const sim = world.add({});
    await sim.powerOn();
    await world.clock.advance(15 * MINUTE_MS);
    expect(kinds(sim)).toEqual(['config', 'reboot']);
    expect(reported(world)['log_meta']).toBe('Truck2');
  });

  it('uploads the schema once per power cycle', async () => {
    const { world, sim } = await started();
    const first = await lastModified(world, 'schema-01.08.json');
    await world.clock.advance(HOUR_MS);
    expect(await lastModified(world, 'schema-01.08.json')).toBe(first);
    await sim.powerOff();
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    expect(await lastModified(world, 'schema-01.08.json')).toBeGreaterThan(first);
  });

  it('says nothing until a full period has passed, where the quirk says so', async () => {
    const { world } = await started({ quirks: { heartbeatOnConnect: false } });
    expect(world.text(`${ID}/device.json`)).toBe(null);
    await world.clock.advance(5 * MINUTE_MS);
    expect(world.text(`${ID}/device.json`)).not.toBe(null);
  });
});

describe('periods', () => {
  it.each([
    ['those of its config', {}, 300],
    ['stretched when it is busy', { quirks: { busyFactor: 3 } }, 900],
    ['faster ones', { sync: { heartbeat: 30 } }, 30],
  ])('%s', async (_name, options, seconds) => {
    const { world } = await started(options);
    const seen = new Set<number>();
    for (let step = 0; step < 200; step += 1) {
      await world.clock.advance(10_000);
      seen.add(await lastModified(world, 'device.json'));
    }
    const times = [...seen].slice(1);
    expect(times.slice(1).map((time, index) => (time - (times[index] ?? 0)) / 1000)).toEqual(times.slice(1).map(() => seconds));
  });

  it('restarts by its timer', async () => {
    const { world, sim } = await started({ sync: { restartHours: 24 } });
    await world.clock.advance(49 * HOUR_MS);
    expect(kinds(sim)).toEqual(['reboot', 'reboot']);
    expect(sim.effects.map((effect) => effect.detail)).toEqual(['session 1', 'session 2']);
  });

  it('is powered by a duty cycle', async () => {
    const { world } = await started({ schedule: { onMs: HOUR_MS, offMs: 23 * HOUR_MS } });
    await world.clock.advance(12 * HOUR_MS);
    expect(world.clock.now() - (await lastModified(world, 'device.json'))).toBeGreaterThan(10 * HOUR_MS);
    await world.clock.advance(12 * HOUR_MS + 5 * MINUTE_MS);
    expect(world.clock.now() - (await lastModified(world, 'device.json'))).toBeLessThan(10 * MINUTE_MS);
  });

  it('never reports with a schedule of never', async () => {
    const { world } = await started({ schedule: 'never' });
    await world.clock.advance(DAY_MS);
    expect(await keys(world)).toEqual([]);
  });
});

describe('config', () => {
  it.each(['bytes', 'etag', 'modified'] as const)('is noticed by %s', async (configChangeDetect) => {
    const { world, sim } = await started({ quirks: { configChangeDetect } });
    await world.clock.advance(30 * MINUTE_MS);
    const before = sim.effects.length;
    world.write(`${ID}/config-01.08.json`, config({ meta: 'Truck2' }));
    await world.clock.advance(30 * MINUTE_MS);
    expect(kinds(sim).slice(before)).toEqual(['config', 'reboot']);
    expect(reported(world)['log_meta']).toBe('Truck2');
  });

  it('applies equal bytes again only where the quirk says so', async () => {
    for (const [configChangeDetect, effects] of [
      ['bytes', 0],
      ['modified', 2],
    ] as const) {
      const { world, sim } = await started({ quirks: { configChangeDetect } });
      await world.clock.advance(30 * MINUTE_MS);
      const before = sim.effects.length;
      world.write(`${ID}/config-01.08.json`, world.text(`${ID}/config-01.08.json`) ?? '');
      await world.clock.advance(30 * MINUTE_MS);
      expect(sim.effects.length - before).toBe(effects);
    }
  });

  it.each([
    ['no JSON', '{'],
    ['a period that is no multiple of 5', config().replace('"ota": 600', '"ota": 607')],
    ['an unknown section', '{"other":{}}'],
    ['what only the limits refuse', config().replace('"connect"', '"can_1": {"transmit": [{"period": 1, "delay": 2}]}, "connect"')],
  ])('that is %s is refused, and the old one goes on', async (_name, text) => {
    const { world, sim } = await started();
    const before = reported(world)['cfg_crc32'];
    world.write(`${ID}/config-01.08.json`, text);
    await world.clock.advance(HOUR_MS);
    expect(kinds(sim)).toEqual(['refuse-config']);
    expect(reported(world)['cfg_crc32']).toBe(before);
    expect(world.text(`${ID}/config-01.08.json`)).toBe(text);
  });

  it('that is refused may leave an empty CRC, defaults, or restarts behind', async () => {
    for (const [quirks, empty, effects] of [
      [{ onInvalidConfig: 'empty' }, true, ['refuse-config']],
      [{ onInvalidConfig: 'keep', invalidConfigReboots: true }, false, ['refuse-config', 'reboot', 'reboot']],
    ] as const) {
      const { world, sim } = await started({ quirks });
      world.write(`${ID}/config-01.08.json`, '{');
      await world.clock.advance(25 * MINUTE_MS);
      expect(kinds(sim)).toEqual(effects);
      expect(reported(world)['cfg_crc32'] === '').toBe(empty);
    }
  });

  it('of another series is ignored', async () => {
    const { world, sim } = await started();
    world.write(`${ID}/config-01.09.json`, config({ meta: 'next' }));
    await world.clock.advance(HOUR_MS);
    expect(sim.effects).toEqual([]);
  });

  it.each([
    ['another network', config().replace('"ssid": "depot"', '"ssid": "elsewhere"')],
    ['another password', config().replace('"pwd": "not-a-secret"', '"pwd": "wrong"')],
    ['another server', config().replace('s3.example.org', 's4.example.org')],
    ['another key', config().replace('EXAMPLEKEY', 'OTHERKEY')],
    ['a wrong secret', config().replace('"secretkey": "not-a-secret"', '"secretkey": "wrong"')],
    [
      'its own web server',
      config()
        .replace('"protocol": 0', '"protocol": 1')
        .replace(/,\s*"s3"[^]*$/, '}}'),
    ],
    [
      'a password marked as encrypted',
      config().replace('"pwd": "not-a-secret"', '"pwd": "bm90LWEtc2VjcmV0bm90LWEtc2Vj"').replace('"keyformat": 0', '"keyformat": 1'),
    ],
  ])('with %s takes it offline for good', async (_name, text) => {
    const { world, sim } = await started();
    world.write(`${ID}/config-01.08.json`, text);
    await world.clock.advance(15 * MINUTE_MS);
    expect(kinds(sim)).toEqual(['config', 'reboot']);
    const last = await lastModified(world, 'device.json');
    await world.clock.advance(DAY_MS);
    expect(await lastModified(world, 'device.json')).toBe(last);
  });

  it('that tells it to be silent is obeyed', async () => {
    const { world } = await started();
    world.write(`${ID}/config-01.08.json`, config({ heartbeat: 0 }));
    await world.clock.advance(HOUR_MS);
    const last = await lastModified(world, 'device.json');
    await world.clock.advance(DAY_MS);
    expect(await lastModified(world, 'device.json')).toBe(last);
  });
});

describe('firmware', () => {
  function image(version: string, model = 'CANedge2'): Uint8Array {
    return buildSimFirmware({ model, version });
  }

  it('is taken once, and not again', async () => {
    const { world, sim } = await started();
    world.write(`${ID}/firmware.bin`, image('01.08.06'));
    await world.clock.advance(DAY_MS);
    expect(kinds(sim)).toEqual(['download', 'reboot', 'flash']);
    expect(reported(world)['fw_ver']).toBe('01.08.06');
  });

  it('of another series waits for its config, however long', async () => {
    const { world, sim } = await started();
    world.write(`${ID}/firmware.bin`, image('01.09.03'));
    await world.clock.advance(3 * HOUR_MS);
    expect(sim.effects).toEqual([]);
    world.write(`${ID}/config-01.09.json`, JSON.stringify(buildSimConfig('01.09', 'CANedge2')));
    await world.clock.advance(15 * MINUTE_MS);
    expect(reported(world)).toMatchObject({ fw_ver: '01.09.03', cfg_ver: '01.09', sch_name: 'schema-01.09.json' });
    expect(await keys(world)).toContain(`${ID}/schema-01.09.json`);
    expect(await keys(world)).toContain(`${ID}/config-01.08.json`);
  });

  it.each([
    ['another model', image('01.08.06', 'CANedge3 GNSS'), ['download', 'reboot', 'drop-firmware']],
    ['a corrupt file', new Uint8Array(200), ['download', 'reboot', 'drop-firmware']],
    ['the version that runs', image('01.08.05'), []],
    ['a lower series', image('01.07.09'), []],
  ])('%s is not flashed', async (_name, bytes, effects) => {
    const { world, sim } = await started();
    world.write(`${ID}/firmware.bin`, bytes);
    await world.clock.advance(2 * HOUR_MS);
    expect(kinds(sim)).toEqual(effects);
    expect(reported(world)['fw_ver']).toBe('01.08.05');
  });

  it.each([
    ['a lower patch', '01.08.01', { allowPatchDowngrade: true }, '01.08.01'],
    ['a lower patch, not allowed', '01.08.01', { allowPatchDowngrade: false }, '01.08.05'],
    ['a lower series with its config', '01.07.09', { allowRevisionDowngrade: true }, '01.07.09'],
  ])('%s', async (_name, version, quirks, runs) => {
    const { world } = await started({ quirks });
    world.write(`${ID}/config-01.07.json`, JSON.stringify(buildSimConfig('01.07', 'CANedge2')));
    world.write(`${ID}/firmware.bin`, image(version));
    await world.clock.advance(2 * HOUR_MS);
    expect(reported(world)['fw_ver']).toBe(runs);
  });

  it.each([
    [['firmware', 'config'] as const, ['download', 'reboot', 'flash', 'config', 'reboot']],
    [['config', 'firmware'] as const, ['config', 'reboot', 'download', 'reboot', 'flash']],
  ])('and config in the order %s', async (otaOrder, effects) => {
    const { world, sim } = await started({ quirks: { otaOrder } });
    world.write(`${ID}/firmware.bin`, image('01.08.06'));
    world.write(`${ID}/config-01.08.json`, config({ meta: 'Truck2' }));
    await world.clock.advance(2 * HOUR_MS);
    expect(kinds(sim)).toEqual(effects);
  });

  it('survives a power cut before the flash', async () => {
    const { world, sim } = await started();
    world.write(`${ID}/firmware.bin`, image('01.08.06'));
    while (!kinds(sim).includes('download')) await world.clock.advance(1000);
    await sim.powerOff();
    await sim.powerOn();
    await world.clock.advance(MINUTE_MS);
    expect(sim.truth()['firmware']).toBe('01.08.06');
    expect(kinds(sim).filter((kind) => kind === 'flash')).toHaveLength(1);
  });
});

describe('how device.json looks', () => {
  it.each(['pretty', 'compact', 'crlf', 'reordered', 'extra'] as const)('%s', async (deviceJsonStyle) => {
    const { world } = await started({ quirks: { deviceJsonStyle } });
    const parsed = parseDeviceFile(new TextEncoder().encode(world.text(`${ID}/device.json`) ?? ''));
    expect(parsed.ok && parsed.value).toMatchObject({ id: ID, firmware: '01.08.05' });
  });

  it('may be torn now and then', async () => {
    const { world } = await started({ quirks: { tornHeartbeatRate: 0.5 } });
    const good = new Set<boolean>();
    for (let beat = 0; beat < 20; beat += 1) {
      await world.clock.advance(5 * MINUTE_MS);
      good.add(parseDeviceFile(new TextEncoder().encode(world.text(`${ID}/device.json`) ?? '')).ok);
    }
    expect(good).toEqual(new Set([true, false]));
  });
});

describe('switches', () => {
  it('knows its faults and no others', () => {
    const sim = new CanedgeWorld().add({});
    expect(sim.faults).toEqual(CANEDGE_FAULTS);
    expect(() => sim.fault('dance', true)).toThrow(RangeError);
    for (const fault of CANEDGE_FAULTS) expect(() => sim.fault(fault, false)).not.toThrow();
  });

  it.each([
    ['an id', { id: 'XYZ' }],
    ['a model', { model: 'CANedge1' }],
    ['a version', { firmware: 'new', config: {} }],
  ])('needs %s', (_name, options) => {
    expect(() => new CanedgeWorld().add(options)).toThrow(RangeError);
  });

  it('ends at once when the power goes, and says what is true', async () => {
    const { world, sim } = await started();
    expect(sim.powered).toBe(true);
    await sim.powerOff();
    expect(sim.powered).toBe(false);
    const last = await lastModified(world, 'device.json');
    await world.clock.advance(DAY_MS);
    expect(await lastModified(world, 'device.json')).toBe(last);
    expect(sim.truth()).toEqual({ firmware: '01.08.05', config: `01.08 ${reported(world)['cfg_crc32']}` });
  });
});
