import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import { limitProblems, MAX_CONFIG_BYTES, renderConfig } from './config.ts';

function sample(meta = 'Truck1'): Json {
  return { general: { device: { meta }, security: {}, debug: { syslog: 1, restart_timer: 120 } } };
}

const text = new TextEncoder();

function rendered(document: Json): Uint8Array {
  const answer = renderConfig(document);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

describe('CRC over bytes, §14.2', () => {
  const pretty = new TextDecoder().decode(rendered(sample()));
  it.each([
    ['the check value', text.encode('123456789'), 9, 'CBF43926'],
    ['no bytes', new Uint8Array(), 0, '00000000'],
    ['compact', text.encode(JSON.stringify(sample())), 95, '457CF0A3'],
    ['as it is rendered', rendered(sample()), 155, '07EAAE90'],
    ['with a newline at the end', text.encode(`${pretty}\n`), 156, 'C2DF7F79'],
    ['with CRLF', text.encode(pretty.replaceAll('\n', '\r\n')), 166, 'C457529F'],
    ['with four spaces', text.encode(JSON.stringify(sample(), null, 4)), 197, '18515238'],
    ['with a byte-order mark', Uint8Array.from([0xef, 0xbb, 0xbf, ...text.encode(pretty)]), 158, 'B79D8BA6'],
    ['with another meta', rendered(sample('Truck7384')), 158, '0005C3DB'],
  ])('%s', (_name, bytes, length, crc) => {
    expect(bytes.length).toBe(length);
    expect(crc32Hex(bytes)).toBe(crc);
  });
});

describe('rendering', () => {
  it('keeps the order of the keys and the types of the values', () => {
    expect(new TextDecoder().decode(rendered({ b: [1, 'x', true, null], a: {} }))).toBe(
      '{\n  "b": [\n    1,\n    "x",\n    true,\n    null\n  ],\n  "a": {}\n}',
    );
  });

  it.each([
    ['a list', [] as Json, 'CONFIG_NOT_AN_OBJECT'],
    ['no document', null, 'CONFIG_NOT_AN_OBJECT'],
    ['an umlaut', { general: { device: { meta: 'Hägglund' } } }, 'CONFIG_NOT_ASCII'],
    ['an umlaut in a name', { gerät: 1 }, 'CONFIG_NOT_ASCII'],
    ['half a surrogate pair', { a: '\ud800' }, 'CONFIG_NOT_ASCII'],
    ['a number beyond exactness', { a: 2 ** 60 }, 'CONFIG_NUMBER'],
    ['a very long text', { a: 'x'.repeat(5000) }, 'CONFIG_TOO_LARGE'],
    ['too much', { a: Array.from({ length: 200 }, () => 'x'.repeat(4000)) }, 'CONFIG_TOO_LARGE'],
  ])('refuses %s', (_name, document, code) => {
    const answer = renderConfig(document);
    expect(answer.ok ? null : answer.error.code).toBe(code);
  });

  it('refuses a document that is nested without end, without overflowing', () => {
    let deep: Json = {};
    for (let level = 0; level < 5000; level += 1) deep = { a: deep };
    const answer = renderConfig(deep);
    expect(answer.ok ? null : answer.error.code).toBe('CONFIG_TOO_DEEP');
  });

  it('names the place and the character, never the text', () => {
    const answer = renderConfig({ connect: { wifi: { accesspoint: [{ pwd: 'geheim-ü' }] } } });
    expect(answer.ok ? '' : answer.error.message).toBe('/connect/wifi/accesspoint/0/pwd holds U+00FC; a config is plain ASCII');
  });

  it('has a limit above the largest published config', () => {
    expect(MAX_CONFIG_BYTES).toBeGreaterThan(100_000);
  });
});

describe('limits that no schema says, §4.2', () => {
  const transmit = (count: number, entry: Json = { period: 100, delay: 0, data: '00' }): Json => Array.from({ length: count }, () => entry);
  const filters = (count: number, format: number): Json => Array.from({ length: count }, () => ({ id_format: format }));
  it.each([
    ['a period not above its delay', { can_1: { transmit: [{ period: 100, delay: 100 }] } }, 1],
    ['a period of 0 with a delay', { can_1: { transmit: [{ period: 0, delay: 100 }] } }, 0],
    ['224 messages on both channels', { can_1: { transmit: transmit(112) }, can_2: { transmit: transmit(112) } }, 0],
    ['225 messages on both channels', { can_1: { transmit: transmit(112) }, can_2: { transmit: transmit(113) } }, 1],
    ['4096 bytes', { can_1: { transmit: transmit(64, { period: 1, delay: 0, data: '00'.repeat(64) }) } }, 0],
    ['more than 4096 bytes', { can_1: { transmit: transmit(65, { period: 1, delay: 0, data: '00'.repeat(64) }) } }, 1],
    ['128 short filters', { can_2: { filter: { id: filters(128, 0) } } }, 0],
    ['129 short filters', { can_2: { filter: { id: filters(129, 0) } } }, 1],
    ['64 long filters', { can_2: { filter: { id: filters(64, 1) } } }, 0],
    ['65 long filters', { can_2: { filter: { id: filters(65, 1) } } }, 1],
    ['an offset as long as the period', { log: { file: { split_time_period: 60, split_time_offset: 60 } } }, 0],
    ['an offset longer than the period', { log: { file: { split_time_period: 60, split_time_offset: 70 } } }, 1],
    ['a name that an unanchored pattern lets through', { connect: { xs3y: {} } }, 1],
    ['the names that there are', { connect: { wifi: {}, cellular: {}, protocol: 0, s3: {}, webserver: {} } }, 0],
    ['anything else', 'text', 0],
  ])('%s', (_name, document, count) => {
    expect(limitProblems(document)).toHaveLength(count);
  });
});

describe('each limit in its own words, with its place', () => {
  const entry = (count: number, data = '00'): Json => Array.from({ length: count }, () => ({ period: 100, delay: 0, data }));
  const filters = (count: number, format: number): Json => ({ id: Array.from({ length: count }, () => ({ id_format: format })) });
  it.each<[string, Json]>([
    ['/can_2/transmit/1: period 100 must be greater than delay 100', { can_2: { transmit: [{ period: 1 }, { period: 100, delay: 100 }] } }],
    ['/can_1, /can_2: 225 transmit messages, at most 224', { can_1: { transmit: entry(200) }, can_2: { transmit: entry(25) } }],
    ['/can_1, /can_2: 4128 bytes in transmit messages, at most 4096', { can_1: { transmit: entry(129, '00'.repeat(32)) } }],
    ['/can_1/filter/id: 129 filters of 11 bits, at most 128', { can_1: { filter: filters(129, 0) } }],
    ['/can_2/filter/id: 65 filters of 29 bits, at most 64', { can_2: { filter: filters(65, 1) } }],
    [
      '/log/file/split_time_offset: 70 is larger than split_time_period 60',
      { log: { file: { split_time_period: 60, split_time_offset: 70 } } },
    ],
    ['/connect/xs3y: the device knows no such section', { connect: { s3: {}, xs3y: {} } }],
  ])('%s', (line, document) => {
    expect(limitProblems(document)).toEqual([line]);
  });
});
