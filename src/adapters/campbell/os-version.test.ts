import { describe, expect, it } from 'vitest';
import { compareOsVersions, osFamily, osVersionText, parseOsVersion, sameOsVersion } from './os-version.ts';

/** docs/protocols/campbell-mqtt.md §8.1: input, model, version, build. */
const VECTORS = [
  ['CR1000X.Std.08.01', 'CR1000X', '8.1.0', null],
  ['CR1000X.8.2.1', 'CR1000X', '8.2.1', null],
  ['CR6.10.02.2020.12.14.0955', 'CR6', '10.2.0', '2020.12.14.0955'],
  ['CR1000X.02.00.2019.02.27.1326', 'CR1000X', '2.0.0', '2019.02.27.1326'],
  ['CR310-CELL200.Std.08.01', 'CR310-CELL200', '8.1.0', null],
  ['CR300.Std.11.00', 'CR300', '11.0.0', null],
  ['11.03.00', null, '11.3.0', null],
  ['CR1000X.Std.08', 'CR1000X', '8.0.0', null],
  ['CR300.Std.10.04', 'CR300', '10.4.0', null],
  ['CR350.Std.01.00', 'CR350', '1.0.0', null],
] as const;

describe('parseOsVersion', () => {
  it.each(VECTORS)('%s', (...row) => {
    const [text, ...parts] = row;
    const parsed = parseOsVersion(text);
    const padded = [...(parsed?.parts ?? []), 0, 0].slice(0, 3).join('.');
    expect([parsed?.model, padded, parsed?.build]).toEqual(parts);
  });

  it.each([
    '',
    '.',
    'CR1000X',
    'CR1000X.',
    'CR1000X.Std',
    'CR1000X.beta',
    'CR1000X.8.x',
    '8..1',
    '8.1 beta',
    '-8.1',
    'x'.repeat(200),
    'CR1000X.1234567',
  ])('refuses %j', (text) => expect(parseOsVersion(text)).toBeNull());
});

describe('the order of OS versions', () => {
  it.each([
    ['CR300.Std.11.00', '11.03.00', -1],
    ['08.01', '8.1', 0],
    ['8.1', '8.1.0', 0],
    ['8.9', '8.10', -1],
    ['14.2.0', '8.5.1', 1],
    ['8.2.1', '8.2.1.5', -1],
    ['CR6.10.02.2020.12.14.0955', 'CR6.Std.10.02', 0],
  ])('%s against %s', (a, b, order) => {
    const [left, right] = [parseOsVersion(a), parseOsVersion(b)];
    expect(left !== null && right !== null && Math.sign(compareOsVersions(left, right))).toBe(order);
  });
});

describe('osVersionText', () => {
  it.each([
    ['CR1000X.Std.08.01', 'CR1000X.8.1.0'],
    ['CR1000X.Std.08', 'CR1000X.8.0.0'],
    ['11.03.00', '11.3.0'],
    ['CR6.10.02.2020.12.14.0955', 'CR6.10.2.2020.12.14.0955'],
    ['CR1000X.8.2.1.5', 'CR1000X.8.2.1.5'],
  ])('%s is written %s, and reads back as the same', (text, canonical) => {
    const parsed = parseOsVersion(text);
    if (parsed === null) throw new Error('unreadable');
    expect(osVersionText(parsed)).toBe(canonical);
    const again = parseOsVersion(canonical);
    expect(again === null ? null : osVersionText(again)).toBe(canonical);
    expect(sameOsVersion(text, canonical)).toBe(true);
  });
});

describe('sameOsVersion', () => {
  it.each([
    ['CR1000X.Std.08.01', 'CR1000X.8.1.0', true],
    ['CR1000Xe.8.2.1', 'CR1000X.8.2.1', true],
    ['CR1000X.8.1.0', '8.1', true],
    ['CR1000X.8.1.0', 'CR6.8.1.0', false],
    ['CR300.11.0.0', 'CR310.11.0.0', false],
    ['CR1000X.8.1.0', 'CR1000X.8.10', false],
    ['CR6.10.02.2020.12.14.0955', 'CR6.Std.10.02', true],
    ['CR6.10.02.2020.12.14.0955', 'CR6.10.02.2021.01.02.0955', false],
    ['CR1000X.beta', 'CR1000X.8.1.0', false],
  ])('%s and %s', (a, b, same) => expect([sameOsVersion(a, b), sameOsVersion(b, a)]).toEqual([same, same]));
});

it('names the models that share OS files', () => {
  expect(['CR1000Xe', 'cr1000x', 'CR310-CELL200', 'GRANITE 6', 'CR6-WIFI'].map(osFamily)).toEqual([
    'CR1000X',
    'CR1000X',
    'CR310',
    'GRANITE6',
    'CR6',
  ]);
});
