import { describe, expect, it } from 'vitest';
import { makeDeclareCache } from './cache.ts';
import { mapStrings, mergeLayers, readLayer } from './layers.ts';

function layer(text: string) {
  return readLayer({ path: 'files/x.json', oid: text, bytes: new TextEncoder().encode(text) }, makeDeclareCache());
}

describe('mergeLayers', () => {
  it.each([
    [[{ a: 1 }, { b: 2 }], { a: 1, b: 2 }],
    [[{ a: { x: 1, y: 2 } }, { a: { y: 3 } }], { a: { x: 1, y: 3 } }],
    [[{ a: [1, 2, 3] }, { a: [4] }], { a: [4] }],
    [[{ a: 1, b: 2 }, { a: null }], { b: 2 }],
    [[{ a: { b: 1 } }, { a: 5 }], { a: 5 }],
    [[{ a: 5 }, { a: { b: null, c: 1 } }], { a: { c: 1 } }],
    [[{ a: 1 }, { a: 2 }, { a: 3 }], { a: 3 }],
    [[{ a: null }], {}],
  ])('%j is %j', (layers, merged) => {
    expect(mergeLayers(layers)).toEqual(merged);
  });

  it('does not pollute', () => {
    mergeLayers([{}, JSON.parse('{ "__proto__": { "polluted": 1 } }')]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('readLayer', () => {
  it('knows the references that stand in it, with their places', () => {
    expect(
      layer('{\n  "a": "x ${label:depot}",\n  "b": ["${id}"]\n}').layer?.references.map(({ reference, place }) => [
        reference.source,
        place.line,
        place.column,
      ]),
    ).toEqual([
      ['${label:depot}', 2, 11],
      ['${id}', 3, 10],
    ]);
  });

  it.each([
    ['{ "a": "${env:HOME}" }', 'ENV_MISPLACED', 9],
    ['{ "a": "${nothing}" }', 'BAD_REFERENCE', 9],
    ['{ "a": }', 'BAD_JSON', 8],
  ])('refuses %j', (text, code, column) => {
    expect(layer(text).problems).toMatchObject([{ code, place: { line: 1, column } }]);
  });

  it('finds secrets in the clear, but not those that the device decrypts', () => {
    expect(layer('{ "wifi": { "keyformat": 0, "accesspoint": [{ "ssid": "x", "pwd": "hunter2" }] } }').layer?.clear).toMatchObject([
      { name: 'pwd', place: { column: 67 } },
    ]);
    expect(layer('{ "wifi": { "keyformat": 1, "accesspoint": [{ "ssid": "x", "pwd": "c2VhbGVk" }] } }').layer?.clear).toEqual([]);
    expect(layer('{ "s3": { "secretkey": "", "password": "${age:x.age}" } }').layer?.clear).toEqual([]);
  });
});

describe('mapStrings', () => {
  it('changes only texts with references', () => {
    expect(mapStrings({ a: ['${x}', 'y', 1, null], b: { c: '${z}' } }, (text) => text.toUpperCase())).toEqual({
      a: ['${X}', 'y', 1, null],
      b: { c: '${Z}' },
    });
  });
});
