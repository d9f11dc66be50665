import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { sizeProblem, valueProblem } from './values.ts';

const SHELL = { format: 'SHELL', arrays: false, emptyArrayDeletes: false } as const;
const JSON_RULES = { format: 'JSON', arrays: true, emptyArrayDeletes: false } as const;

function codeOf(value: Json, rules: Parameters<typeof valueProblem>[2]): string | null {
  return valueProblem('it', value, rules)?.code ?? null;
}

describe('values of a SHELL file', () => {
  it.each<[Json, string | null]>([
    [{ version: 'v1.10', retries: 3, ratio: 0.5, force: false, empty: '', net: { ntp: { host: '10.0.0.1' } } }, null],
    [{ version: '2.0.1' }, null],
    [{ version: '1.10' }, 'SHELL_CHANGES'],
    [{ version: '007' }, 'SHELL_CHANGES'],
    [{ version: '1e3' }, 'SHELL_CHANGES'],
    [{ version: '0x10' }, 'SHELL_CHANGES'],
    [{ version: 'true' }, 'SHELL_CHANGES'],
    [{ version: 'Infinity' }, 'SHELL_CHANGES'],
    [{ commit_timeout: 60 }, 'SHELL_NAME'],
    [{ 'a-b': 1 }, 'SHELL_NAME'],
    [{ note: 'one\ntwo' }, 'SHELL_UNSAFE'],
    [{ note: "2' ; reboot #" }, 'SHELL_UNSAFE'],
    [{ tags: ['a', 'b'] }, 'SHELL_ARRAY'],
    [{ app: { name: 'DELETE' } }, 'DELETE_LITERAL'],
  ])('%j: %s', (value, code) => {
    expect(codeOf(value, SHELL)).toBe(code);
  });

  it.each<[Json, string | null]>([
    [{ tags: ['a b', 'c'], none: [] }, null],
    [{ tags: ['1.10', 'x y'] }, 'SHELL_CHANGES'],
    [{ tags: [{ a: 1 }] }, 'SHELL_ARRAY'],
  ])('for bash %j: %s', (value, code) => {
    expect(codeOf(value, { ...SHELL, arrays: true })).toBe(code);
  });
});

describe('values of a JSON file', () => {
  it.each<[Json, string | null]>([
    [{ version: '1.10', commit_timeout: 60, tags: [], deep: { a: [{ b: 1 }] } }, null],
    [{ gone: null }, 'UNFIT_DOCUMENT'],
    [{ a: [null] }, 'UNFIT_DOCUMENT'],
    [{ a: {} }, 'UNFIT_DOCUMENT'],
    [{ a: 2 ** 60 }, 'UNFIT_DOCUMENT'],
    [JSON.parse('{"__proto__":1}') as Json, 'UNFIT_DOCUMENT'],
    [{ a: { b: { c: { d: { e: { f: 1 } } } } } }, 'UNFIT_DOCUMENT'],
    [{ a: ['DELETE'] }, 'DELETE_LITERAL'],
    [{}, 'NOT_A_DOCUMENT'],
    [['a'], 'NOT_A_DOCUMENT'],
    ['text', 'NOT_A_DOCUMENT'],
  ])('%j: %s', (value, code) => {
    expect(codeOf(value, JSON_RULES)).toBe(code);
  });

  it('hold no empty array where chariotd takes it for an order to remove', () => {
    expect(codeOf({ tags: [] }, { ...JSON_RULES, emptyArrayDeletes: true })).toBe('DELETE_LITERAL');
  });

  it('fit into desired and reported together', () => {
    const value = { text: 'x'.repeat(4000) };
    expect(sizeProblem('it', value, { documentBytes: 8192 })).toBe(null);
    expect(sizeProblem('it', { text: 'x'.repeat(4100) }, { documentBytes: 8192 })?.code).toBe('DOCUMENT_TOO_LARGE');
  });
});

describe('values of a PLAINTEXT file', () => {
  it.each<[Json, string | null]>([
    ['any text\n', null],
    ['DELETE', 'PLAINTEXT_VALUE'],
    [7, 'PLAINTEXT_VALUE'],
    [{ a: 1 }, 'PLAINTEXT_VALUE'],
  ])('%j: %s', (value, code) => {
    expect(codeOf(value, { ...SHELL, format: 'PLAINTEXT' })).toBe(code);
  });
});
