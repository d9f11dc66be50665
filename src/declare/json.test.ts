import { isDeepStrictEqual } from 'node:util';
import { fc } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { readJson } from './json.ts';

function parsed(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return null;
  }
}

describe('readJson', () => {
  it('reads what JSON.stringify writes', () => {
    const values = fc.property(fc.jsonValue({ maxDepth: 6 }), fc.boolean(), (value, indented) => {
      const text = JSON.stringify(value, null, indented ? 2 : 0);
      return isDeepStrictEqual(readJson(text), { ok: true, value: JSON.parse(text) as unknown });
    });
    expect(() => fc.assert(values, { numRuns: 1000 })).not.toThrow();
  });

  it('accepts nothing that JSON.parse refuses, and refuses nothing that it takes but keys written twice', () => {
    const unit = fc.constantFrom(...'{}[]",:0123456789.eE+-truefalsn \n\\u'.split(''));
    const texts = fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
      const mine = readJson(text);
      const theirs = parsed(text);
      if (mine.ok) return theirs !== null && isDeepStrictEqual(mine.value, theirs.value);
      return theirs === null || mine.summary.includes('twice');
    });
    expect(() => fc.assert(texts, { numRuns: 5000 })).not.toThrow();
  });

  it.each([
    ['{ "a": 1, }', 8],
    ['[1, 2', 5],
    ['{ "a" 1 }', 6],
    ["{ 'a': 1 }", 2],
    ['{ "a": 01 }', 8],
    ['{ "a": 1 } x', 11],
    ['', 0],
    ['{ "a": 1, "a": 2 }', 10],
    ['{ "a": NaN }', 7],
    ['["\n"]', 1],
    ['["\\x"]', 1],
    ['{} // remark', 3],
  ])('tells where %j is wrong', (text, offset) => {
    expect(readJson(text)).toMatchObject({ ok: false, offset });
  });

  it('refuses nesting that would end the stack', () => {
    expect(readJson('['.repeat(100_000))).toMatchObject({ ok: false, offset: 65 });
  });
});
