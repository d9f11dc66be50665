import { describe, expect, it } from 'vitest';
import { err, ok } from '#kit/result.ts';
import { EMPTY_SHADOW, readShadowDocument, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import type { DriverPorts } from '#ports/driver.ts';
import type { ShadowUpdate, ShadowWritten } from '#ports/shadows.ts';
import {
  contentDocument,
  contentUrl,
  performWrite,
  precheckWrite,
  type ShadowWriting,
  type WriteAct,
  type WriteTarget,
} from './driver-write.ts';

const SECOND = 1_767_225_600;

/** A service in which somebody else writes before each of our first `conflicts` updates. */
function serviceWith(
  conflicts: number,
  documents: readonly (ShadowDocument | 'missing')[],
): {
  readonly ports: DriverPorts;
  readonly updates: ShadowUpdate[];
} {
  const updates: ShadowUpdate[] = [];
  let got = 0;
  const shadows = {
    get: () => Promise.resolve(documents[Math.min(got++, documents.length - 1)] ?? EMPTY_SHADOW),
    update: (update: ShadowUpdate): Promise<ShadowWritten | 'conflict'> => {
      updates.push(update);
      return Promise.resolve(updates.length <= conflicts ? 'conflict' : { version: 20, at: SECOND * 1000 });
    },
  };
  const ports = {
    clock: { now: () => 1000 },
    connection: (name: string) => (name === 'iot' ? {} : undefined),
    shadows: () => Promise.resolve(shadows),
  } as unknown as DriverPorts;
  return { ports, updates };
}

function documentOf(version: number, reportedAt: number): ShadowDocument {
  const metadata = { reported: { fw: { timestamp: reportedAt } } };
  const document = readShadowDocument({ state: { reported: { fw: '1' } }, metadata, version });
  if (document === null) throw new Error('no document');
  return document;
}

function target(change: JsonObject = {}, via = 'iot'): WriteTarget {
  const operation = { kind: 'change', hardware: 'h', connection: 'iot', device: 'd', facts: { v: '2' }, ...change };
  const context = { device: { id: 'd', hardware: 'h', via: { connection: via } }, signal: new AbortController().signal };
  return { operation, open: null, context } as unknown as WriteTarget;
}

const writing: ShadowWriting<{ readonly wanted: string }> = {
  place: ({ id }) => ({ thing: id, shadow: 'fleet' }),
  begin: ({ operation }) => (operation.facts === null ? null : { wanted: '2' }),
  prepare: ({ wanted }, document, { send }) =>
    document === 'missing'
      ? { kind: 'refused', reason: 'NEVER_REPORTED', evidence: 'gone' }
      : {
          kind: 'ready',
          patch: { v: wanted, url: send ? 'made' : 'none' },
          inverse: { v: null },
          expires: 7,
          kept: { tries: 2, version: 1 },
        },
};

describe('a write under the version lock', () => {
  it('reads again after a conflict, and writes to what it read', async () => {
    const { ports, updates } = serviceWith(2, [documentOf(5, SECOND - 9), documentOf(6, SECOND - 9), documentOf(7, SECOND - 9)]);
    expect(await performWrite(ports, target(), writing)).toEqual({
      kind: 'performed',
      reference: SECOND * 1000 - 1,
      undo: { tries: 2, version: 20, at: SECOND * 1000, inverse: { v: null }, expires: 7 },
    });
    expect(updates.map(({ version }) => version)).toEqual([5, 6, 7]);
    expect(updates[0]).toMatchObject({ thing: 'd', shadow: 'fleet', desired: { v: '2', url: 'made' } });
  });

  it('gives up after four of them until later', async () => {
    const { ports, updates } = serviceWith(9, [documentOf(5, SECOND - 9)]);
    expect(await performWrite(ports, target(), writing)).toMatchObject({ kind: 'trouble', code: 'VERSION_CONFLICT', retry: 'later' });
    expect(updates).toHaveLength(4);
  });

  it('counts reports of the second of the write only where none had come in it before', async () => {
    const { ports } = serviceWith(0, [documentOf(5, SECOND)]);
    expect(await performWrite(ports, target(), writing)).toMatchObject({ reference: SECOND * 1000 });
  });

  it('looks without sending, and leaves trouble to the act', async () => {
    const { ports, updates } = serviceWith(0, [documentOf(5, SECOND)]);
    expect(await precheckWrite(ports, target(), writing)).toEqual({ kind: 'clear' });
    const troubled = { ...writing, prepare: () => ({ kind: 'trouble', code: 'X', evidence: '', retry: 'later' }) as const };
    expect(await precheckWrite(ports, target(), troubled)).toEqual({ kind: 'clear' });
    const gone = serviceWith(0, ['missing']);
    expect(await precheckWrite(gone.ports, target(), writing)).toMatchObject({ kind: 'refused', reason: 'NEVER_REPORTED' });
    expect(updates).toEqual([]);
  });

  it.each([
    ['IDENTITY_MISMATCH', target({ hardware: 'other' })],
    ['PRECONDITION_MOVED', target({}, 'other')],
    ['PRECONDITION_MOVED', target({ connection: 'other', kind: 'withdraw' })],
    ['UNSUPPORTED', target({ facts: null })],
  ])('refuses with %s before it reads anything', async (reason, at) => {
    const { ports, updates } = serviceWith(0, [documentOf(5, SECOND)]);
    expect(await performWrite(ports, at, writing)).toMatchObject({ kind: 'refused', reason });
    expect(updates).toEqual([]);
  });
});

describe('the content of a write', () => {
  const artifacts = {
    bytes: ({ name }: { readonly name: string }) =>
      Promise.resolve(
        name === 'far' ? err({ code: 'UNREACHABLE', message: 'm' }) : ok(new TextEncoder().encode(name === 'good' ? '{"a":1}' : '{')),
      ),
    urlFor: ({ name }: { readonly name: string }) =>
      Promise.resolve(name === 'good' ? ok('https://x/1') : err({ code: 'DIGEST', message: 'm' })),
  };
  const act = (name: string | null): WriteAct =>
    ({
      ports: { artifacts, clock: { now: () => 1000 } },
      operation: { device: 'd' },
      context: { content: name === null ? null : { name } },
    }) as unknown as WriteAct;

  it('is its JSON, or why there is none', async () => {
    expect(await contentDocument(act('good'))).toEqual(ok({ a: 1 }));
    expect(await contentDocument(act('far'))).toMatchObject({ error: { kind: 'trouble', code: 'ARTIFACT_UNREACHABLE', retry: 'later' } });
    for (const name of ['bad', null])
      expect(await contentDocument(act(name))).toMatchObject({ error: { kind: 'refused', reason: 'ARTIFACT_UNVERIFIED' } });
  });

  it('is a URL that is made only to be sent', async () => {
    expect(await contentUrl(act('good'), { lifeMs: 500, send: true })).toEqual(ok({ url: 'https://x/1', expires: 1500 }));
    expect(await contentUrl(act('bad'), { lifeMs: 500, send: false })).toEqual(ok({ url: '', expires: 1500 }));
    for (const name of ['bad', null])
      expect(await contentUrl(act(name), { lifeMs: 500, send: true })).toMatchObject({
        error: { kind: 'refused', reason: 'ARTIFACT_UNVERIFIED' },
      });
  });
});
