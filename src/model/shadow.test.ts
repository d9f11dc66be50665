import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { ShadowStore } from '#sim/aws/shadow-store.ts';
import {
  inversePatch,
  isJsonObject,
  namedAt,
  patchAt,
  patchBetween,
  pointerKeys,
  readShadowDocument,
  sameJson,
  valueAt,
  type JsonObject,
} from './shadow.ts';

const address = { thing: 't', shadow: null };

/** What a section is after a patch, by the shadow service itself. */
function applied(store: ShadowStore, patch: JsonObject): JsonObject {
  const answer = store.update(address, Buffer.from(JSON.stringify({ state: { desired: patch } })));
  if (!answer.ok) throw new Error(answer.message);
  const { desired } = store.contentOf(address)?.state ?? {};
  return isJsonObject(desired) ? desired : {};
}

const scalar = fc.constantFrom<Json>(1, 2, 'a', 'b', true, [1, 'x'], []);
const member: fc.Arbitrary<Json> = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof({ maxDepth: 3 }, scalar, fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('tree'), { maxKeys: 3 })),
})).tree;
const section = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), member, { maxKeys: 4 });

describe('patches', () => {
  it('bring a section to exactly what is wanted, and say nothing where nothing differs', () => {
    fc.assert(
      fc.property(section, section, (from, to) => {
        const store = new ShadowStore({ clock: { now: () => 0 } });
        const before = applied(store, from);
        const patch = patchBetween(before, to);
        if (patch === undefined) expect(sameJson(before, to)).toBe(true);
        else expect(sameJson(applied(store, patch as JsonObject), to)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it('are taken back to what was there before', () => {
    fc.assert(
      fc.property(section, section, (from, to) => {
        const store = new ShadowStore({ clock: { now: () => 0 } });
        const before = applied(store, from);
        const patch = patchBetween(before, to);
        if (!isJsonObject(patch)) return;
        applied(store, patch);
        expect(sameJson(applied(store, inversePatch(patch, before)), before)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it('name one value under a pointer', () => {
    expect(patchAt('/a/b~1c', 1)).toEqual({ a: { 'b/c': 1 } });
    expect(() => patchAt('', 1)).toThrow(RangeError);
    expect(pointerKeys('a')).toBe(null);
    expect(pointerKeys('/a~2')).toBe(null);
    expect(pointerKeys('/~0~1')).toEqual(['~/']);
  });
});

describe('documents', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a list', []],
    ['a text for a state', { state: 'x' }],
    ['a list for a section', { state: { reported: [] } }],
    ['what is nested without end', JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`)],
  ])('are none: %s', (_what, value) => {
    expect(readShadowDocument(value)).toBe(null);
  });

  it('tell when something was named: of objects and arrays the newest leaf, of nothing nothing', () => {
    const read = readShadowDocument({
      state: { reported: { a: { timestamp: 5, b: [1, 2] }, c: {} } },
      metadata: { reported: { a: { timestamp: { timestamp: 10 }, b: [{ timestamp: 11 }, { timestamp: 12 }] }, c: {} } },
      version: 3,
    });
    if (read === null) throw new Error('none');
    expect(namedAt(read.reported, '')).toBe(12_000);
    expect(namedAt(read.reported, '/a/timestamp')).toBe(10_000);
    expect(namedAt(read.reported, '/a/b')).toBe(12_000);
    expect(namedAt(read.reported, '/c')).toBe(null);
    expect(namedAt(read.reported, '/d')).toBe(null);
    expect(valueAt(read.reported, '/a/b/0')).toBe(undefined);
    expect(valueAt(read.reported, '/constructor')).toBe(undefined);
  });

  it('have no age where the metadata lies: not a time, or of another shape', () => {
    for (const times of [{ fw: 7 }, { fw: { timestamp: 'x' } }, { fw: { timestamp: -1 } }, { fw: { timestamp: 1e300 } }, [], null]) {
      const read = readShadowDocument({ state: { reported: { fw: '1' } }, metadata: { reported: times }, version: 1 });
      expect(read === null ? 'none' : namedAt(read.reported, '/fw')).toBe(null);
    }
    expect(readShadowDocument({ state: {}, version: 1.5 })?.version).toBe(null);
  });
});
