import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { digest } from '#model/ids.ts';
import type { DeviceFacts, PinnedItem } from '#ports/family.ts';
import { expectationOf } from './expectation.ts';

function facts(options: Readonly<Record<string, Json>>): DeviceFacts {
  return { id: 'gw-1', address: null, options } as unknown as DeviceFacts;
}

function firmware(name = 'gw.bin'): PinnedItem {
  const content = { kind: 'remote', name, digest: digest('a'.repeat(64)), size: 15 };
  return { item: 'firmware', artifact: { name: 'gw', version: 'v2', reportsAs: 'v2' }, content } as unknown as PinnedItem;
}

function config(document: Json | string): PinnedItem {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  const bytes = new TextEncoder().encode(text);
  return {
    item: 'config',
    artifact: null,
    content: { kind: 'bytes', name: 'c', digest: digest('b'.repeat(64)), size: bytes.length, bytes },
  } as unknown as PinnedItem;
}

function codeOf(options: Readonly<Record<string, Json>>, pin: PinnedItem): string | null {
  const expected = expectationOf(facts(options), pin);
  return expected.ok ? null : expected.error.code;
}

describe('what a SHELL service would change', () => {
  it.each<[string, Json, string | null]>([
    ['the usual names', { want: '{version}', url: '{url}' }, null],
    ['a name of a URL that would be split', { want: '{version}', fetch_url: '{url}' }, 'SHELL_NAME'],
    ['a quote beside a URL', { want: '{version}', fetch: "curl '{url}'" }, 'SHELL_UNSAFE'],
  ])('is told of firmware: %s', (_what, write, code) => {
    expect(codeOf({ firmware: { format: 'SHELL', write } }, firmware())).toBe(code);
    expect(codeOf({ firmware: { format: 'JSON', write } }, firmware())).toBe(null);
  });

  it('is told of a file whose name would end the quotes of its URL', () => {
    const write = { want: '{version}', url: '{url}' };
    expect(codeOf({ firmware: { format: 'SHELL', write } }, firmware("gw' ; reboot #.bin"))).toBe('SHELL_UNSAFE');
  });

  it.each<[Json, string | null]>([
    [{ format: 'SHELL', running: 'running' }, null],
    [{ format: 'SHELL', running: 'config_running' }, 'SHELL_NAME'],
    [{ format: 'SHELL', running: 'running', want: 'config_want' }, 'SHELL_NAME'],
    [{ format: 'JSON', running: 'config_running', want: 'config_want' }, null],
  ])('is told of the keys beside a config: %j', (service, code) => {
    expect(codeOf({ config: service }, config({ level: 3 }))).toBe(code);
  });
});

it('has no place for the digest that a device repeats in a text', () => {
  expect(codeOf({ config: { format: 'PLAINTEXT' } }, config('any text'))).toBe(null);
  expect(codeOf({ config: { format: 'PLAINTEXT', running: 'running' } }, config('any text'))).toBe('PLAINTEXT_VALUE');
});

it.each<[Json, string | null]>([
  [{ a: { b: { c: { d: 1 } } } }, null],
  [{ a: { b: { c: { d: { e: 1 } } } } }, 'UNFIT_DOCUMENT'],
])('keeps a config within the five levels that every service allows: %j', (document, code) => {
  expect(codeOf({}, config(document))).toBe(code);
});
