import { describe, expect, it } from 'vitest';
import { readShadowDocument } from '#model/shadow.ts';
import { documentDigest, hardwareOf, keptOf, measuresOf, objectIn, pointerOf, quoted, textAt } from './values.ts';

const document = readShadowDocument({
  state: { reported: { serial: 'A1', model: 'GW', rssi: -7, long: 'x'.repeat(101), list: [1], ok: true } },
  metadata: { reported: { rssi: { timestamp: 100 } } },
});
if (document === null) throw new Error('no document');

describe('values of a shadow', () => {
  it.each([
    [undefined, { ok: true, value: null }],
    [null, { ok: true, value: null }],
    ['1.10', { ok: true, value: '1.10' }],
    [1.1, { ok: false, error: 'is the number 1.1: numbers lose their zeros, versions must be texts' }],
    [['1'], { ok: false, error: 'is no text' }],
    ['a\nb', { ok: false, error: 'has control characters' }],
    ['x'.repeat(257), { ok: false, error: 'has 257 characters' }],
  ])('reads %j as a text', (value, read) => {
    expect(textAt(value)).toEqual(read);
  });

  it('keeps no URL of a file, and nothing long', () => {
    expect(keptOf({ v: '1', n: 2, b: false, url: 'https://x?sig=1', long: 'x'.repeat(201), o: {} })).toEqual({ v: '1', n: 2, b: false });
  });

  it('reads numbers and words as measures, with their age', () => {
    const pointers = new Map([
      ['rssi', '/rssi'],
      ['long', '/long'],
      ['list', '/list'],
      ['ok', '/ok'],
      ['gone', '/gone'],
    ]);
    expect(measuresOf(pointers, document, 100_000)).toEqual({
      rssi: { value: '-7', madeNotBefore: 100_000 },
      ok: { value: 'true', madeNotBefore: null },
    });
  });

  it('tells another device by its serial, and another model whatever its case', () => {
    const pointers = { serial: '/serial', model: '/model' };
    expect(hardwareOf({ serial: 'A1', model: 'gw' }, document, pointers)).toEqual({ serial: 'A1', model: 'GW', problem: null });
    expect(hardwareOf({ serial: 'A2', model: 'gw' }, document, pointers).problem?.detail).toBe('reports serial A1, A2 is declared');
    expect(hardwareOf({ serial: null, model: 'other' }, document, pointers).problem?.detail).toBe('reports model GW, other is declared');
    expect(hardwareOf({ serial: 'A2', model: 'x' }, document, { serial: null, model: null }).problem).toBeNull();
  });

  it('spells pointers, terms of a query and digests', () => {
    expect([pointerOf('a/b', 'c~d'), quoted('say "a\\b"'), documentDigest({ b: 1, a: 2 }) === documentDigest({ a: 2, b: 1 })]).toEqual([
      '/a~1b/c~0d',
      String.raw`"say \"a\\b\""`,
      true,
    ]);
  });

  it.each(['[1]', 'null', '{', ''])('finds no object in %j', (text) => {
    expect(objectIn(new TextEncoder().encode(text))).toBeNull();
  });
});
