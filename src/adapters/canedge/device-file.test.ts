import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MAX_DEVICE_FILE_BYTES, parseDeviceFile, type DeviceFile } from './device-file.ts';
import { isKey } from './guards.ts';

function fixture(name: string): Uint8Array {
  return readFileSync(`${import.meta.dirname}/fixtures/${name}.json`);
}

function variant(change: Readonly<Record<string, unknown>>): Uint8Array {
  const base = JSON.parse(fixture('device-c-01.08.05').toString()) as Record<string, unknown>;
  return new TextEncoder().encode(JSON.stringify({ ...base, ...change }));
}

function read(bytes: Uint8Array): DeviceFile {
  const parsed = parseDeviceFile(bytes);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

function codeOf(bytes: Uint8Array): string | null {
  const parsed = parseDeviceFile(bytes);
  return parsed.ok ? null : parsed.error.code;
}

describe('the samples of §14.1', () => {
  it.each([
    [
      'device-a-01.02.01',
      { id: '0A1B2C3D', firmware: '01.02.01', series: '01.02', crc: '07EAAE90', space: null, lifespan: null },
      'CANedge2',
    ],
    [
      'device-b-01.06.03',
      { id: '2B6F11C0', firmware: '01.06.03', crc: '457CF0A3', space: { used: 36, total: 7572 }, lifespan: null },
      'CANedge2',
    ],
    ['device-c-01.08.05', { id: '5FEE0001', firmware: '01.08.05', crc: '0005C3DB', meta: 'Truck7384', lifespan: 1 }, 'CANedge2 GNSS'],
    ['device-d-01.09.03', { id: '7D00C0DE', firmware: '01.09.03', crc: '457CF0A3', meta: '', lifespan: 0 }, 'CANedge3 GNSS'],
  ])('%s', (name, shown, model) => {
    const file = read(fixture(name));
    expect(file).toMatchObject(shown);
    expect(file.model?.name).toBe(model);
    expect(isKey(file.kpub ?? '')).toBe(true);
  });
});

describe('what differs from them and can be read', () => {
  it.each([
    ['a CRC in lower case without zeros', { cfg_crc32: '5c3db' }, { crc: '0005C3DB' }],
    ['another CRC', { cfg_crc32: 'DEADBEEF' }, { crc: 'DEADBEEF' }],
    ['an empty CRC', { cfg_crc32: '' }, { crc: null }],
    ['a CRC that is a number', { cfg_crc32: 12 }, { crc: null }],
    ['an unknown type: unmanaged, not torn', { type: '000000FF' }, { type: '000000FF', model: null }],
    ['no kpub', { kpub: '' }, { kpub: null }],
    ['unknown fields', { __proto__: null, uptime: '4', nested: { a: [1] } }, { id: '5FEE0001' }],
    ['a card that does not say', { sd_used_lifespan: '?' }, { lifespan: null }],
    ['lower-case ids', { id: '5fee0001', type: '0000005f' }, { id: '5fee0001', type: '0000005F' }],
  ])('%s', (_name, change, shown) => {
    expect(read(variant(change))).toMatchObject(shown);
  });

  it.each([
    ['88 × A', 'A'.repeat(88)],
    ['87 characters', 'A'.repeat(87)],
    ['64 zero bytes', Buffer.alloc(64).toString('base64')],
  ])('a public key that is none: %s', (_name, kpub) => {
    expect(isKey(read(variant({ kpub })).kpub ?? '')).toBe(false);
  });

  it('a byte-order mark', () => {
    const bytes = fixture('device-c-01.08.05');
    expect(read(Uint8Array.from([0xef, 0xbb, 0xbf, ...bytes])).crc).toBe('0005C3DB');
  });
});

describe('what cannot be read', () => {
  it.each([
    ['cut off after 200 bytes', fixture('device-c-01.08.05').subarray(0, 200), 'TORN'],
    ['nothing', new Uint8Array(), 'TORN'],
    ['no UTF-8', Uint8Array.from([0x7b, 0xff, 0x7d]), 'TORN'],
    ['an empty object', new TextEncoder().encode('{}'), 'BAD_FIELD'],
    ['an array', new TextEncoder().encode('[]'), 'NOT_AN_OBJECT'],
    ['null', new TextEncoder().encode('null'), 'NOT_AN_OBJECT'],
    ['a hostile id', variant({ id: '../../etc' }), 'BAD_FIELD'],
    ['a hostile config name', variant({ cfg_name: '../config-01.08.json' }), 'BAD_FIELD'],
    ['a config name with the scratch letters', variant({ cfg_name: 'config-XX.XX.json' }), 'BAD_FIELD'],
    ['a schema one series behind', variant({ sch_name: 'schema-01.07.json' }), 'MID_UPDATE'],
    ['a config version one series behind', variant({ cfg_ver: '01.07' }), 'MID_UPDATE'],
    ['new firmware with the old config', variant({ fw_ver: '01.09.03' }), 'MID_UPDATE'],
    ['a version that is none', variant({ fw_ver: 'latest' }), 'BAD_FIELD'],
    ['a field of another type', variant({ fw_ver: ['01.08.05'] }), 'BAD_FIELD'],
    ['more than any device writes', variant({ filler: 'x'.repeat(MAX_DEVICE_FILE_BYTES) }), 'TOO_LARGE'],
  ])('%s', (_name, bytes, code) => {
    expect(codeOf(bytes)).toBe(code);
  });

  it('is every prefix of a good file, and none of them throws', () => {
    const bytes = fixture('device-d-01.09.03');
    for (let length = 0; length < bytes.length; length += 1) expect(codeOf(bytes.subarray(0, length))).toBe('TORN');
  });
});
