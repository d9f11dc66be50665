import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR_MS } from '#kit/duration.ts';
import {
  judgeVector,
  SHADOW_ERRORS,
  SHADOW_VECTORS,
  sizedUpdate,
  VECTORS_START,
  type ShadowSubject,
} from '#test/support/shadow-vectors.ts';
import { ShadowStore, type ShadowAddress } from './shadow-store.ts';
import type { ShadowSwitches } from './switches.ts';

const CLASSIC: ShadowAddress = { thing: 'logger-7', shadow: null };
const FW: ShadowAddress = { thing: 'logger-7', shadow: 'fw' };

function stage(switches: Partial<ShadowSwitches> = {}) {
  const clock = { at: VECTORS_START, now: () => clock.at };
  const store = new ShadowStore({ clock, switches });
  const update = (state: unknown, more: object = {}, address = CLASSIC) =>
    store.update(address, Buffer.from(JSON.stringify({ state, ...more })));
  const read = (address = CLASSIC): unknown => JSON.parse(store.get(address).document);
  const subject: ShadowSubject = {
    update: async (bytes) => {
      const answer = store.update(CLASSIC, bytes);
      if (!answer.ok) return { rejected: JSON.parse(answer.document) };
      const delta = answer.delta === null ? {} : { delta: JSON.parse(answer.delta) };
      return { accepted: JSON.parse(answer.document), documents: JSON.parse(answer.documents), ...delta };
    },
    get: async () => read(),
    minute: async () => void (clock.at += 60_000),
  };
  return { clock, store, update, read, subject };
}

describe('the vectors of the page', () => {
  it.each(SHADOW_VECTORS)('$id $note', async (vector) => {
    expect(await judgeVector(vector, stage().subject)).toBe(vector.get.version);
  });

  it.each(SHADOW_ERRORS)('refuses $row, on a shadow that is there or not', ({ bytes, code, message }) => {
    for (const there of [false, true]) {
      const { store, update, read } = stage();
      if (there) update({ desired: { a: 1 } });
      const before = read();
      expect(store.update(CLASSIC, bytes)).toMatchObject({ ok: false, code, message });
      expect(read()).toEqual(before);
    }
  });

  it('are those of the page, all of them', () => {
    const [, section = ''] = /\n## 6\. [^\n]*\n([^]*?)\n## 7\. /.exec(readFileSync('docs/protocols/aws-iot.md', 'utf8')) ?? [];
    const lines = section.split('\n').filter((line) => line.startsWith('{"id"'));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(SHADOW_VECTORS);
    const rows = [...section.matchAll(/^\| `?(.+?)`? \| (4\d\d) \| `(.+?)`/gm)].map(([, row, code, text]) => [row, Number(code), text]);
    const updates = rows.filter(([, code]) => code !== 404);
    expect(SHADOW_ERRORS.map(({ row, code, message }) => [row, code, message.replace('maximum is 6', 'maximum is <limit>')])).toEqual(
      updates,
    );
    const bytes = [...section.matchAll(/^P\/update\/(?:accepted|delta|documents) +(.+)$/gm)].map(([, text]) => text);
    const { clock, update } = stage();
    update({ reported: { os: 'CR300.Std.10.06', prog: { name: 'met.cr3', sig: '1f0a' } } });
    clock.at += 60_000;
    const sent = update({ desired: { os: 'CR300.Std.11.00', prog: { name: 'met.cr3', sig: '1f0a' } } }, { clientToken: 'rec-1' });
    expect(sent.ok && [sent.document, sent.delta, sent.documents]).toEqual(bytes);
  });
});

describe('sizes', () => {
  it.each([
    ['x', 8184, true],
    ['x', 8185, false],
    ['é', 4092, true],
    ['é', 4093, false],
  ] as const)('counts bytes: %s %i times', (letter, count, fits) => {
    expect(stage().store.update(CLASSIC, sizedUpdate(letter, count)).ok).toBe(fits);
  });

  it('adds up both sections, and takes what the switch allows', () => {
    const { store, update } = stage();
    expect(update({ reported: { d: 'x'.repeat(4088) } }).ok).toBe(true);
    expect(update({ desired: { d: 'x'.repeat(4088) } }).ok).toBe(true);
    expect(update({ desired: { d: 'x'.repeat(4089) } })).toMatchObject({ code: 413 });
    store.switches = { ...store.switches, documentBytes: 30_720 };
    expect(update({ desired: { d: 'x'.repeat(20_000) } }).ok).toBe(true);
  });

  it('refuses what is larger than a message', () => {
    const { store } = stage();
    expect(store.update(CLASSIC, Buffer.from(`{"state":{"desired":{"d":"${'x'.repeat(140_000)}"}}}`))).toMatchObject({ code: 413 });
  });
});

describe('what is there and what is not', () => {
  it('names a missing shadow as AWS does, named ones by the switch', () => {
    const { store } = stage();
    for (const ask of [store.get, store.delete]) {
      expect(ask.call(store, CLASSIC)).toMatchObject({ code: 404, message: "No shadow exists with name: 'logger-7'" });
      expect(ask.call(store, FW)).toMatchObject({ code: 404, message: "No shadow exists with name: 'logger-7~fw'" });
    }
    store.switches = { ...store.switches, namedNotFoundText: 'shadow', timestampInNotFound: false };
    const token = Buffer.from('{"clientToken":"t","version":3}');
    expect(JSON.parse(store.get(FW, token).document)).toEqual({ code: 404, message: "No shadow exists with name: 'fw'", clientToken: 't' });
  });

  it('keeps the shadows of a thing apart, and lists named ones by pages', () => {
    const { store, update, read } = stage();
    for (const shadow of ['b', 'a', 'c', null]) update({ desired: { of: shadow ?? 'classic' } }, {}, { thing: 'logger-7', shadow });
    update({ desired: { of: 'other' } }, {}, { thing: 'logger-8', shadow: 'z' });
    expect(read({ thing: 'logger-7', shadow: 'a' })).toMatchObject({ state: { desired: { of: 'a' } }, version: 1 });
    expect(read(CLASSIC)).toMatchObject({ state: { desired: { of: 'classic' } }, version: 1 });
    const timestamp = VECTORS_START / 1000;
    expect(JSON.parse(store.listNamed('logger-7'))).toEqual({ results: ['a', 'b', 'c'], timestamp });
    expect(JSON.parse(store.listNamed('logger-7', { size: 2 }))).toEqual({ results: ['a', 'b'], nextToken: 'b', timestamp });
    expect(JSON.parse(store.listNamed('logger-7', { size: 2, after: 'b' }))).toEqual({ results: ['c'], timestamp });
    expect(JSON.parse(store.listNamed('nobody'))).toEqual({ results: [], timestamp });
    expect(store.delete({ thing: 'logger-7', shadow: 'b' }).ok).toBe(true);
    expect(store.shadowsOf('logger-7')).toEqual([null, 'a', 'c']);
    expect(store.things).toEqual(['logger-7', 'logger-8']);
  });

  it.each([
    [1, 0, 9],
    [2, 0, 10],
    [2, 48 * HOUR_MS, 10],
    [2, 48 * HOUR_MS + 1, 1],
  ] as const)('counts on after a delete: +%i after %i ms is %i', (recreateVersion, later, version) => {
    const { clock, store, update } = stage({ recreateVersion });
    for (let count = 0; count < 8; count += 1) update({ reported: { count } });
    expect(JSON.parse(store.delete(CLASSIC, Buffer.from('{"clientToken":"d"}')).document)).toEqual({
      version: 8,
      timestamp: VECTORS_START / 1000,
      clientToken: 'd',
    });
    expect(store.delete(CLASSIC)).toMatchObject({ code: 404 });
    clock.at += later;
    expect(update({ reported: { count: 0 } })).toMatchObject({ ok: true, version });
    expect(store.contentOf(CLASSIC)?.state).toEqual({ reported: { count: 0 } });
  });
});

describe('each unknown has its switch', () => {
  it.each([
    ['ignore', 1, true],
    ['ignore', 7, true],
    ['mustBe1', 1, true],
    ['mustBe1', 7, 400],
    ['conflict', 1, 409],
  ] as const)('version on a missing shadow: %s, %i', (versionOnMissingShadow, version, result) => {
    const answer = stage({ versionOnMissingShadow }).update({ desired: { a: 1 } }, { version });
    expect(answer.ok || answer.code).toBe(result);
  });

  it('previous of the first documents message', () => {
    const previous = (documentsPreviousOnCreate: ShadowSwitches['documentsPreviousOnCreate']): unknown => {
      const answer = stage({ documentsPreviousOnCreate }).update({ reported: { a: 1 } });
      return answer.ok && JSON.parse(answer.documents);
    };
    expect(previous('empty')).toMatchObject({ previous: { state: {}, metadata: {}, version: 0 } });
    expect(previous('null')).toMatchObject({ previous: null });
    expect(previous('omit')).not.toHaveProperty('previous');
  });

  it('depth, null-only subtrees, delta in a request', () => {
    const deep = { desired: { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } } };
    expect(stage().update(deep)).toMatchObject({ code: 400, message: 'JSON contains too many levels of nesting; maximum is 6' });
    expect(stage({ depthLimit: 8 }).update(deep).ok).toBe(true);
    const kept = stage({ nullOnlySubtree: 'keepEmpty' });
    kept.update({ desired: { x: { y: { z: null } } } });
    expect(kept.store.contentOf(CLASSIC)?.state).toEqual({ desired: { x: { y: {} } } });
    const withDelta = { reported: { a: 1 }, delta: { a: 2 } };
    const ignored = stage();
    expect(ignored.update(withDelta).ok).toBe(true);
    expect(ignored.store.contentOf(CLASSIC)?.state).toEqual({ reported: { a: 1 } });
    expect(stage({ deltaKeyInRequest: 'reject' }).update(withDelta)).toMatchObject({ message: "State contains an invalid node: 'delta'" });
  });

  it('delta after a pure report, metadata of the delta, time of what did not change', () => {
    const report = (deltaOnReportedOnly: boolean): unknown => {
      const { update } = stage({ deltaOnReportedOnly });
      expect(update({ desired: { a: 1 } })).toMatchObject({ delta: expect.any(String) });
      const answer = update({ reported: { b: 1 } });
      return answer.ok && answer.delta !== null;
    };
    expect([report(true), report(false)]).toEqual([true, false]);
    const { clock, store, update, read } = stage({ metadataDeltaInGet: true, timestampOfUnchanged: 'stays' });
    update({ desired: { a: [1, { b: 2 }], c: 3 } });
    clock.at += 60_000;
    update({ desired: { a: [1, { b: 2 }], c: 4 } });
    const [first, second] = [{ timestamp: 1_767_225_600 }, { timestamp: 1_767_225_660 }];
    expect(read()).toMatchObject({
      metadata: { desired: { a: [first, { b: first }], c: second }, delta: { a: [first, { b: first }], c: second } },
    });
    store.switches = { ...store.switches, timestampOfUnchanged: 'moves' };
    clock.at += 60_000;
    update({ desired: { c: 4 } });
    expect(read()).toMatchObject({ metadata: { desired: { c: { timestamp: 1_767_225_720 } } } });
  });
});

it('echoes what was asked in accepted, removed keys and sections with their time', () => {
  const { update } = stage();
  update({ desired: { a: 1, b: 2 }, reported: { a: 1 } });
  const at = { timestamp: 1_767_225_600 };
  const removed = update({ desired: { a: null, c: [1, 2], d: {} }, reported: null });
  expect(JSON.parse(removed.document)).toEqual({
    state: { desired: { a: null, c: [1, 2], d: {} }, reported: null },
    metadata: { desired: { a: at, c: [at, at], d: {} }, reported: at },
    version: 2,
    ...at,
  });
  // The bytes of aws-iot.md §5.2.
  expect(update(null).document).toBe('{"state":null,"metadata":{"timestamp":1767225600},"version":3,"timestamp":1767225600}');
});

it('takes keys that JavaScript gives a meaning as keys', () => {
  const { store, update, read } = stage();
  store.update(CLASSIC, Buffer.from('{"state":{"desired":{"__proto__":{"x":1},"constructor":"a","timestamp":1}}}'));
  expect(JSON.stringify(read())).toContain('"desired":{"__proto__":{"x":1},"constructor":"a","timestamp":1}');
  expect(update({ reported: { constructor: 'a' } })).toMatchObject({ delta: expect.stringContaining('"__proto__":{"x":1}') });
  expect(({} as Record<string, unknown>)['x']).toBeUndefined();
});

it('answers whatever it is sent, and stores nothing of what it refuses', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.json({ maxDepth: 12 }).map((text) => Buffer.from(text)),
    fc.json({ maxDepth: 12 }).map((text) => Buffer.from(`{"state":{"desired":${text}},"version":${text}}`)),
    fc.jsonValue({ maxDepth: 9 }).map((value) => Buffer.from(JSON.stringify({ state: { desired: { value } }, clientToken: value }))),
    fc.jsonValue({ maxDepth: 9 }).map((value) => Buffer.from(JSON.stringify({ state: value }))),
  );
  fc.assert(
    fc.property(bytes, (request) => {
      const { store } = stage();
      for (const verb of ['update', 'get', 'delete'] as const) {
        const there = store.contentOf(CLASSIC);
        const answer = store[verb](CLASSIC, request);
        expect(() => JSON.parse(answer.document) as unknown).not.toThrow();
        if (!answer.ok) expect(store.contentOf(CLASSIC)).toEqual(there);
      }
    }),
    { numRuns: 1000 },
  );
});

it('takes arrays in arrays up to 500 levels, and refuses more', () => {
  const { store, read } = stage();
  const nested = (depth: number): string => `${'['.repeat(depth)}1${']'.repeat(depth)}`;
  const request = (section: string, depth: number): Uint8Array => Buffer.from(`{"state":{"${section}":{"d":${nested(depth)}}}}`);
  expect(store.update(CLASSIC, request('desired', 499))).toMatchObject({
    ok: true,
    version: 1,
    delta: expect.stringContaining(nested(499)),
  });
  expect(store.update(CLASSIC, request('reported', 499))).toMatchObject({ ok: true, version: 2, delta: null });
  expect(JSON.stringify(read())).toContain(nested(499));
  for (const depth of [500, 4000, 60_000]) expect(store.update(CLASSIC, request('desired', depth))).toMatchObject({ ok: false, code: 400 });
});
