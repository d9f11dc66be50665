import { describe, expect, it } from 'vitest';
import { compareVersions, parseSeries, parseVersion, seriesOf, versionText } from './versions.ts';
import { configKey, configValue, firmwareKey, mayWrite, readConfigValue, readCrc, seriesInName } from './wire.ts';

describe('keys that may be written (§2)', () => {
  it.each([configKey('0A1B2C3D', '01.09'), configKey('0a1b2c3d', '01.09'), firmwareKey('0A1B2C3D')])('%s', (key) => {
    expect(mayWrite(key)).toBe(true);
  });

  it.each([
    '../config-01.09.json',
    '0A1B2C3D/../0A1B2C3E/config-01.09.json',
    '0A1B2C3D/device.json',
    '0A1B2C3D/schema-01.09.json',
    '0A1B2C3D/config-XX.XX.json',
    '0A1B2C3D/config-01.09.json\n',
    '0A1B2C3D/config-01.09.json/x',
    '/0A1B2C3D/firmware.bin',
    '0A1B2C3/firmware.bin',
    'x0A1B2C3D/firmware.bin',
    '0A1B2C3D/certs_server.p7c',
    '0A1B2C3D/00000001/00000001-60000000.MF4',
    '',
  ])('and none but those: %j', (key) => {
    expect(mayWrite(key)).toBe(false);
  });
});

describe('values', () => {
  it.each([
    ['5c3db', '0005C3DB'],
    ['DEADBEEF', 'DEADBEEF'],
    ['', null],
    ['0x12', null],
    ['123456789', null],
  ])('a CRC is a number: %j', (text, crc) => {
    expect(readCrc(text)).toBe(crc);
  });

  it.each([
    [configValue('01.09', '0005C3DB', '0005C3DB'), '01.09 0005C3DB'],
    [configValue('01.09', '0005C3DB', '9ECC0C10'), '01.09 0005C3DB, object 9ECC0C10'],
    [configValue('01.09', '0005C3DB', null), '01.09 0005C3DB, no object'],
    [configValue('01.09', null, '9ECC0C10'), '01.09 none, object 9ECC0C10'],
  ])('%s', (text, spelled) => {
    expect(text).toBe(spelled);
    expect(readConfigValue(text)).toEqual({ series: '01.09', crc: text.includes('none') ? null : '0005C3DB' });
  });

  it('anything else is no config value', () => {
    for (const text of ['', '01.09', 'x 0005C3DB', '01.09 0005C3DBx']) expect(readConfigValue(text)).toBeUndefined();
  });
});

describe('versions', () => {
  it.each([
    ['01.09.03', '01.09.03', '01.09'],
    ['1.9.3', '01.09.03', '01.09'],
    ['10.0.12', '10.00.12', '10.00'],
  ])('%s', (text, canonical, series) => {
    const version = parseVersion(text);
    expect(version && versionText(version)).toBe(canonical);
    expect(seriesOf(text)).toBe(series);
  });

  it.each(['', '1.9', '01.09.003', 'v01.09.03', '01.09.03 '])('%j is none', (text) => {
    expect(parseVersion(text)).toBeUndefined();
    expect(seriesOf(text)).toBe(null);
    expect(compareVersions(text, '01.09.03')).toBe(null);
  });

  it('compares numerically, part by part', () => {
    const sorted = ['01.10.00', '01.09.10', '01.09.9', '00.99.99', '02.00.00'].toSorted((a, b) => compareVersions(a, b) ?? 0);
    expect(sorted).toEqual(['00.99.99', '01.09.9', '01.09.10', '01.10.00', '02.00.00']);
  });

  it.each([
    ['base-01.09.json', '01.09'],
    ['files/can/config-01.06.json', '01.06'],
    ['config-XX.XX.json', undefined],
    ['base.json', undefined],
  ])('the series in %s', (name, series) => {
    expect(seriesInName(name)).toBe(series);
    expect(parseSeries(series ?? '')).toBe(series);
  });
});
