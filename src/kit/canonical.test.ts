import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalJson } from './canonical.ts';

it('writes one text per value: keys in code unit order, no white space, nothing undefined', () => {
  const value = {
    b: [1, undefined, { z: null, a: undefined }],
    'a"': 'é\u2028',
    10: true,
    9: -0,
    Z: new Map([['y', 1]]),
    s: new Set(['b', 'a']),
  };
  expect(canonicalJson(value)).toBe('{"10":true,"9":0,"Z":{"y":1},"a\\"":"é\u2028","b":[1,null,{"z":null}],"s":["a","b"]}');
  expect(canonicalJson([])).toBe('[]');
  expect(canonicalJson({})).toBe('{}');
  expect(() => canonicalJson({ a: Number.NaN })).toThrow(RangeError);
});

it('is JSON of the same value, whatever the order in which members were written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(canonicalJson(reversed(value))).toBe(text);
    }),
    { numRuns: 1000 },
  );
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== 'object') return value;
  const turned: Record<string, unknown> = Object.create(null);
  for (const [key, member] of Object.entries(value).toReversed()) turned[key] = reversed(member);
  return turned;
}
