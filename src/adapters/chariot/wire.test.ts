import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { changes, documentValue, holds, without } from './wire.ts';

describe('what is written into the mailbox', () => {
  it.each<[string, Json, Json | undefined, Json | undefined]>([
    ['nothing where all is reported', { a: 1, b: { c: 'x' } }, { b: { c: 'x' }, a: 1 }, undefined],
    ['the leaves that differ alone', { a: 1, b: { c: 'x', d: 2 } }, { a: 1, b: { c: 'y', d: 2 } }, { b: { c: 'x' } }],
    ['DELETE for what is to go, never null', { a: 1 }, { a: 1, old: true, deep: { x: 1 } }, { old: 'DELETE', deep: 'DELETE' }],
    ['arrays whole', { a: [1, 2] }, { a: [1] }, { a: [1, 2] }],
    ['all of it to a service that reports nothing', { a: 1 }, undefined, { a: 1 }],
    ['all of it over a text', { a: 1 }, 'text', { a: 1 }],
  ])('is %s', (_what, want, have, patch) => {
    expect(changes(want, have)).toEqual(patch);
  });

  it('is held where each leaf is reported, whatever else the device says', () => {
    expect(holds({ want: '2.0.1', running: '2.0.0' }, { want: '2.0.1' })).toBe(true);
    expect(holds({ want: '2.0.0' }, { want: '2.0.1' })).toBe(false);
    expect(holds(undefined, { want: '2.0.1' })).toBe(false);
  });

  it('has one value whatever the order of keys, and none for a service without a file', () => {
    expect(documentValue({ a: 1, b: 2 })).toBe(documentValue({ b: 2, a: 1 }));
    expect(documentValue({})).toBe(documentValue(undefined));
    expect(documentValue(without({ a: 1, running: 'x' }, ['running']))).toBe(documentValue({ a: 1 }));
  });
});
