import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';

export interface OpenedStore {
  /** An empty bucket, or an empty prefix of one. */
  readonly store: ObjectStore;
  /** The same bucket with this prefix put in front of every key. */
  prefixed(prefix: string): Promise<ObjectStore>;
  /** A bucket that does not exist. */
  missing(): Promise<ObjectStore>;
  /** GETs a presigned URL. */
  fetch(url: string): Promise<{ readonly status: number; readonly bytes: Uint8Array }>;
  /** Milliseconds of the server's clock. */
  now(): number;
  close(): Promise<void>;
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
function troubleCode(error: unknown): string {
  return error instanceof WireError ? `${error.code} ${error.retry}` : String(error);
}

const etagOf = (text: string): string => createHash('md5').update(text).digest('hex');

/** What every ObjectStore must do, whatever is behind it. */
export function objectStoreContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(`object store contract: ${name}`, () => {
    let opened: OpenedStore;
    let store: ObjectStore;
    let counter = 0;
    const fresh = (): string => `t${++counter}`;

    beforeAll(async () => {
      opened = await open();
      store = opened.store;
    }, 120_000);

    afterAll(async () => {
      await opened?.close();
    }, 60_000);

    readContract(() => ({ store, opened, fresh }));
    writeContract(() => ({ store, fresh }));
    listContract(() => ({ store, opened, fresh }));
    failureContract(() => ({ store, opened, fresh }));
  });
}

interface Ground {
  readonly store: ObjectStore;
  readonly opened: OpenedStore;
  /** A key that no other test uses. */
  readonly fresh: () => string;
}

function readContract(ground: () => Ground): void {
  test('what was put is got, byte for byte, with its facts', async () => {
    const { store, opened, fresh } = ground();
    const key = `${fresh()}/ä b+c.bin`;
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index % 251);
    const written = await store.put(key, bytes, { contentType: 'application/octet-stream' });
    const etag = createHash('md5').update(bytes).digest('hex');
    expect(written).toEqual({ etag });
    const got = await store.get(key);
    if (typeof got === 'string') throw new Error(got);
    expect(Buffer.from(got.bytes).equals(bytes)).toBe(true);
    expect({ key: got.key, size: got.size, etag: got.etag }).toEqual({ key, size: 70_000, etag });
    expect(got.lastModified % 1000).toBe(0);
    expect(Math.abs(got.lastModified - opened.now())).toBeLessThan(60_000);
    expect(await store.head(key)).toEqual({ key, size: 70_000, etag, lastModified: got.lastModified });
  });

  test('what is not there is missing', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    expect(await store.get(key)).toBe('missing');
    expect(await store.head(key)).toBe('missing');
    await expect(store.delete(key)).resolves.toBeUndefined();
  });

  test('get since: unchanged only while it was not written after that second', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    await store.put(key, bytesOf('one'), { meta: { Fw: '01.09.03' } });
    const written = await store.head(key);
    const at = written === 'missing' ? 0 : Math.floor(written.lastModified / 1000) * 1000;
    expect(await store.get(key, { since: at })).toBe('unchanged');
    expect(await store.get(key, { since: at - 1000 })).toMatchObject({ etag: etagOf('one'), size: 3 });
    expect(await store.get(`${key}-none`, { since: at })).toBe('missing');
  });

  test('get unless: unchanged only while the ETag is the same', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    await store.put(key, bytesOf('one'));
    expect(await store.get(key, { unless: etagOf('one') })).toBe('unchanged');
    expect(await store.get(key, { unless: etagOf('two') })).toMatchObject({ etag: etagOf('one'), size: 3 });
    expect(await store.get(`${key}-none`, { unless: etagOf('one') })).toBe('missing');
  });

  test('get maxBytes: the limit itself is allowed, one more is not', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    await store.put(key, bytesOf('12345'));
    expect(await store.get(key, { maxBytes: 5 })).toMatchObject({ size: 5 });
    await expect(store.get(key, { maxBytes: 4 })).rejects.toMatchObject({ code: 'TOO_LARGE', retry: 'never' });
  });

  test('a presigned URL gives the bytes to who has no key', async () => {
    const { store, opened, fresh } = ground();
    const key = `${fresh()}/CR1000X (8.2).obj`;
    await store.put(key, bytesOf('firmware'));
    const url = await store.presign(key, 300);
    const answer = await opened.fetch(url);
    expect([answer.status, Buffer.from(answer.bytes).toString()]).toEqual([200, 'firmware']);
    expect((await opened.fetch(url.replace('CR1000X', 'CR1000Y'))).status).toBe(403);
  });
}

function writeContract(ground: () => Omit<Ground, 'opened'>): void {
  test('put ifAbsent: the first writes, the second conflicts', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    expect(await store.put(key, bytesOf('one'), { ifAbsent: true })).toEqual({ etag: etagOf('one') });
    expect(await store.put(key, bytesOf('two'), { ifAbsent: true })).toBe('conflict');
    expect(await store.head(key)).toMatchObject({ etag: etagOf('one') });
  });

  test('put ifMatch: over the named ETag only', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    expect(await store.put(key, bytesOf('none'), { ifMatch: etagOf('one') })).toBe('conflict');
    await store.put(key, bytesOf('one'));
    expect(await store.put(key, bytesOf('two'), { ifMatch: etagOf('other') })).toBe('conflict');
    expect(await store.put(key, bytesOf('two'), { ifMatch: etagOf('one') })).toEqual({ etag: etagOf('two') });
    expect(await store.put(key, bytesOf('three'), { ifMatch: etagOf('one') })).toBe('conflict');
    expect(await store.put(key, bytesOf('three'), { ifMatch: etagOf('two') })).toEqual({ etag: etagOf('three') });
    expect(await store.head(key)).toMatchObject({ etag: etagOf('three') });
  });

  test('of many who write over the same ETag one wins', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    await store.put(key, bytesOf('start'));
    const writers = ['a', 'b', 'c', 'd'].map((text) => store.put(key, bytesOf(text), { ifMatch: etagOf('start') }).catch(troubleCode));
    const answers = await Promise.all(writers);
    const winners = answers.filter((answer) => typeof answer !== 'string');
    expect(winners).toHaveLength(1);
    expect(await store.head(key)).toMatchObject(winners[0] ?? {});
    // radosgw 16 tells most of the losers of a race 500, which is trouble: perhaps done, to be looked at again.
    for (const answer of answers.filter((one) => typeof one === 'string')) expect(['conflict', 'S3_500 later']).toContain(answer);
  });

  test('a plain put overwrites, a delete deletes', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    await store.put(key, bytesOf('one'));
    await store.put(key, new Uint8Array());
    expect(await store.get(key)).toMatchObject({ size: 0, etag: etagOf('') });
    await store.delete(key);
    expect(await store.head(key)).toBe('missing');
  });
}

function listContract(ground: () => Ground): void {
  test('list: a prefix, its folders, and from where on', async () => {
    const { store, fresh } = ground();
    const base = `${fresh()}/`;
    const keys = ['A/config.json', 'A/device.json', 'B/device.json', 'c&d <é>+ e.txt'].map((key) => base + key);
    for (const key of keys) await store.put(key, bytesOf(key));
    const all = await store.list({ prefix: base });
    expect(all).toMatchObject({ prefixes: [], next: null });
    expect(all.objects.map((object) => object.key)).toEqual(keys);
    expect(all.objects[0]).toMatchObject({ size: keys[0]?.length, etag: etagOf(keys[0] ?? '') });
    const folders = await store.list({ prefix: base, delimiter: '/' });
    expect(folders.prefixes).toEqual([`${base}A/`, `${base}B/`]);
    expect(folders.objects.map((object) => object.key)).toEqual([keys[3]]);
    const rest = await store.list({ prefix: base, startAfter: keys[1] ?? '' });
    expect(rest.objects.map((object) => object.key)).toEqual(keys.slice(2));
    expect(await store.list({ prefix: `${base}zzz` })).toEqual({ objects: [], prefixes: [], next: null });
  });

  test('list: more than a page, each key once and in order', { timeout: 60_000 }, async () => {
    const { store, fresh } = ground();
    const base = `${fresh()}/`;
    const keys = Array.from({ length: 1001 }, (_, index) => `${base}${String(index).padStart(4, '0')}`);
    for (let at = 0; at < keys.length; at += 50) {
      await Promise.all(keys.slice(at, at + 50).map((key) => store.put(key, bytesOf('x'))));
    }
    const first = await store.list({ prefix: base });
    expect(first.objects).toHaveLength(1000);
    if (first.next === null) throw new Error('the first page says that it is the last');
    const second = await store.list({ prefix: base, next: first.next });
    expect(second.next).toBeNull();
    expect([...first.objects, ...second.objects].map((object) => object.key)).toEqual(keys);
  });

  test('the prefix of a connection goes in front of every key, and is seen by nobody', async () => {
    const { store, opened, fresh } = ground();
    const base = `${fresh()}/north/`;
    const north = await opened.prefixed(base);
    await north.put('A/device.json', bytesOf('{}'));
    expect(await north.get('A/device.json')).toMatchObject({ key: 'A/device.json' });
    expect(await store.head(`${base}A/device.json`)).toMatchObject({ size: 2 });
    const page = await north.list({ prefix: '', delimiter: '/' });
    expect(page.prefixes).toEqual(['A/']);
    const inside = await north.list({ prefix: 'A/', startAfter: 'A/a' });
    expect(inside.objects.map((object) => object.key)).toEqual(['A/device.json']);
    expect((await opened.fetch(await north.presign('A/device.json', 60))).status).toBe(200);
    await north.delete('A/device.json');
    expect(await store.head(`${base}A/device.json`)).toBe('missing');
    await north.close();
  });
}

function failureContract(ground: () => Ground): void {
  test('a bucket that does not exist is an error, not an empty one', async () => {
    const none = await ground().opened.missing();
    const calls: readonly (() => Promise<unknown>)[] = [
      () => none.list({ prefix: '' }),
      () => none.get('k'),
      () => none.head('k'),
      () => none.put('k', bytesOf('x')),
      () => none.put('k', bytesOf('x'), { ifMatch: etagOf('x') }),
      () => none.delete('k'),
    ];
    for (const call of calls) {
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(WireError);
      expect(error).toMatchObject({ code: 'S3_404', retry: 'never' });
    }
    await none.close();
  });

  test('a key that is too long is an error', async () => {
    const { store } = ground();
    await expect(store.put('k'.repeat(1025), bytesOf('x'))).rejects.toMatchObject({ code: 'S3_400', retry: 'never' });
  });

  test('an aborted call rejects with the reason and does nothing', async () => {
    const { store, fresh } = ground();
    const key = fresh();
    const reason = new Error('the pass is over');
    await expect(store.put(key, bytesOf('x'), {}, AbortSignal.abort(reason))).rejects.toBe(reason);
    await expect(store.list({ prefix: '' }, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await store.head(key)).toBe('missing');
  });
}
