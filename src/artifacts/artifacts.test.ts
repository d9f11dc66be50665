import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '#kit/digest.ts';
import type { Content, FleetDeclaration } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import { WireError } from '#ports/wire-error.ts';
import type { S3Connection, Wires } from '#ports/wires.ts';
import { makeArtifactFiles, type ArtifactFiles } from '#sim/artifact-server.ts';
import { VirtualClock } from '#sim/clock.ts';
import { answeringS3, inProcessGet } from '#sim/in-process-get.ts';
import { makeS3Endpoint } from '#sim/s3/endpoint.ts';
import { makeS3Faults, type S3Faults } from '#sim/s3/faults.ts';
import { makeMemoryObjects, SIM_S3_URL } from '#sim/s3/objects.ts';
import { makeS3Store, type S3Store } from '#sim/s3/store.ts';
import { makeArtifacts, type ArtifactsOptions } from './artifacts.ts';
import { startArtifactHost } from './serve.ts';

const BYTES = Buffer.alloc(5000, 'CR1000X');
const DIGEST = digest(sha256(BYTES));
const FILES_URL = 'https://files.example.org';
const PRESIGNED: FleetDeclaration['artifacts'] = { via: 'depot', urls: 'presigned', publicUrl: null };
const REQUEST = { device: 'moor-house', expiresMs: 600_000 };

let clock: VirtualClock;
let store: S3Store;
let faults: S3Faults;
let files: ArtifactFiles;
let dir: string;

beforeEach(async () => {
  clock = new VirtualClock(Date.parse('2026-11-24T08:00:00Z'));
  store = makeS3Store({ clock, buckets: ['depot'] });
  faults = makeS3Faults();
  files = makeArtifactFiles({ url: FILES_URL, clock, errorPages: true });
  dir = await mkdtemp(join(tmpdir(), 'headgate-artifacts-'));
});

afterEach(() => rm(dir, { recursive: true }));

function depot(): S3Connection {
  const place = { file: 'fleet.yaml', line: 1, column: 1 };
  return {
    type: 's3',
    name: 'depot',
    place,
    bucket: 'depot',
    region: 'us-east-1',
    endpoint: null,
    prefix: '',
    accessKeyId: null,
    secretAccessKey: null,
  };
}

function wires(): Wires & { readonly opened: () => number; readonly closed: () => number } {
  const get = inProcessGet([files, answeringS3(SIM_S3_URL, makeS3Endpoint({ clock, store, faults }))]);
  let opened = 0;
  let closed = 0;
  return {
    opened: () => opened,
    closed: () => closed,
    bus: () => Promise.reject(new WireError('NO_BUS', 'never', 'there is no broker in this test')),
    objects: (connection) => {
      opened += 1;
      return Promise.resolve({
        ...makeMemoryObjects(store, connection.bucket, { faults }),
        close: () => Promise.resolve(void (closed += 1)),
      });
    },
    async get(url, { maxBytes }) {
      const answer = await get(url);
      if (answer.bytes.length > maxBytes) throw new WireError('TOO_LARGE', 'never', 'larger than the limit');
      return answer;
    },
  };
}

function artifacts(options: Partial<ArtifactsOptions> = {}) {
  const connection: ArtifactsOptions['connection'] = (name) => (name === 'depot' ? depot() : undefined);
  return makeArtifacts({ wires: wires(), connection, mode: PRESIGNED, cacheDir: null, clock, ...options });
}

function content(more: Partial<Content> = {}): Content {
  return { kind: 'url', url: `${FILES_URL}/os.obj`, name: 'os.obj', digest: DIGEST, size: BYTES.length, ...more } as Content;
}

describe('bytes', () => {
  test('come from the revision, a URL or a bucket, verified', async () => {
    files.put('os.obj', BYTES);
    store.put('depot', 'os/os.obj', { bytes: BYTES });
    for (const from of [
      { kind: 'bytes', bytes: BYTES },
      { kind: 'url' },
      { kind: 'object', connection: 'depot', key: 'os/os.obj' },
    ] as const) {
      const got = await artifacts().bytes(content(from));
      expect(got.ok && Buffer.from(got.value).equals(BYTES)).toBe(true);
    }
  });

  const wrong = digest('0'.repeat(64));
  const cases: readonly (readonly [string, Partial<Content>, string, (() => void)?])[] = [
    ['bytes of another digest', { kind: 'bytes', bytes: BYTES, digest: wrong }, 'UNVERIFIED'],
    ['a URL of another digest', { digest: wrong }, 'UNVERIFIED'],
    ['an object of another digest', { kind: 'object', connection: 'depot', key: 'k', digest: wrong }, 'UNVERIFIED'],
    ['fewer bytes than declared', { size: BYTES.length + 1 }, 'UNVERIFIED'],
    ['more bytes than declared', { size: BYTES.length - 1 }, 'UNVERIFIED'],
    ['a login page with status 200', {}, 'UNVERIFIED', () => files.misbehave('os.obj', { kind: 'login-page' })],
    ['bytes that were flipped', {}, 'UNVERIFIED', () => files.misbehave('os.obj', { kind: 'wrong-bytes' })],
    ['half a body', {}, 'UNREACHABLE', () => files.misbehave('os.obj', { kind: 'truncated' })],
    ['a 404 page', { url: `${FILES_URL}/none` }, 'MISSING'],
    ['a server error', {}, 'UNREACHABLE', () => files.misbehave('os.obj', { kind: 'server-error' })],
    ['a cut connection', {}, 'UNREACHABLE', () => files.misbehave('os.obj', { kind: 'close' })],
    ['a redirect that was not followed', {}, 'UNREACHABLE', () => files.misbehave('os.obj', { kind: 'redirect', location: '/' })],
    ['nobody there', { url: 'https://nobody.example.org/os.obj' }, 'UNREACHABLE'],
    ['a key that is not there', { kind: 'object', connection: 'depot', key: 'none' }, 'MISSING'],
    ['a connection that is not declared', { kind: 'object', connection: 'attic', key: 'k' }, 'UNREACHABLE'],
    [
      'a bucket that is throttled',
      { kind: 'object', connection: 'depot', key: 'k' },
      'UNREACHABLE',
      () => faults.add({ kind: 'slow-down' }),
    ],
    ['a size beyond reason', { size: 300 * 1024 * 1024 }, 'TOO_LARGE'],
  ];

  test.for(cases)('%s', async ([, more, code, spoil]) => {
    files.put('os.obj', BYTES);
    store.put('depot', 'k', { bytes: BYTES });
    spoil?.();
    const got = await artifacts({ cacheDir: dir }).bytes(content(more));
    expect(got).toMatchObject({ ok: false, error: { code } });
    expect(await readdir(dir, { recursive: true })).toEqual([]);
  });

  test('a wrong size in one declaration is not answered from the cache of another', async () => {
    files.put('os.obj', BYTES);
    const stage = artifacts();
    expect(await stage.bytes(content())).toMatchObject({ ok: true });
    expect(await stage.bytes(content({ size: 7 }))).toMatchObject({ ok: false, error: { code: 'UNVERIFIED' } });
  });

  test('problems name neither the path nor the query of a URL', async () => {
    const url = `${FILES_URL}/private/os.obj?token=abc`;
    const got = await artifacts().bytes(content({ url }));
    expect(JSON.stringify(got)).not.toMatch(/token|private/);
  });
});

describe('the cache', () => {
  test('a digest is fetched once, for all who ask at once and after', async () => {
    files.put('os.obj', BYTES);
    const stage = artifacts();
    await Promise.all(Array.from({ length: 20 }, () => stage.bytes(content())));
    await stage.bytes(content());
    expect(files.requests).toHaveLength(1);
  });

  test('a failure is not kept', async () => {
    const stage = artifacts();
    expect(await stage.bytes(content())).toMatchObject({ ok: false });
    files.put('os.obj', BYTES);
    expect(await stage.bytes(content())).toMatchObject({ ok: true });
  });

  test('what is on disk serves the next process', async () => {
    files.put('os.obj', BYTES);
    await artifacts({ cacheDir: dir }).bytes(content());
    expect(await readdir(join(dir, 'sha256'))).toEqual([DIGEST]);
    files.misbehave('*', { kind: 'close' });
    expect(await artifacts({ cacheDir: dir }).bytes(content())).toMatchObject({ ok: true });
  });

  test('what has rotted on disk is fetched again and healed', async () => {
    files.put('os.obj', BYTES);
    await artifacts({ cacheDir: dir }).bytes(content());
    await writeFile(join(dir, 'sha256', DIGEST), 'rotten');
    const got = await artifacts({ cacheDir: dir }).bytes(content());
    expect(got.ok && sha256(got.value)).toBe(DIGEST);
    expect(sha256(await readFile(join(dir, 'sha256', DIGEST)))).toBe(DIGEST);
  });

  test('a disk that cannot be written costs nothing but the fetch', async () => {
    files.put('os.obj', BYTES);
    await writeFile(join(dir, 'sha256'), 'a file where the folder should be');
    expect(await artifacts({ cacheDir: dir }).bytes(content())).toMatchObject({ ok: true });
  });
});

describe('aborts', () => {
  test('who aborts leaves alone; the others get the bytes', async () => {
    files.put('os.obj', BYTES);
    files.misbehave('os.obj', { kind: 'slow', ms: 1000 });
    const stage = artifacts();
    const control = new AbortController();
    const leaving = stage.bytes(content(), control.signal).catch((error: unknown) => error);
    const staying = stage.bytes(content());
    const reason = new Error('enough');
    control.abort(reason);
    expect(await leaving).toBe(reason);
    expect(await clock.run(staying)).toMatchObject({ ok: true });
    expect(files.requests).toHaveLength(1);
  });

  test('when all have left the fetch is aborted, and the next who asks begins anew', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const slow: Wires = {
      ...wires(),
      get: (_, __, signal) => {
        signals.push(signal);
        return new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)));
      },
    };
    const stage = artifacts({ wires: slow });
    const control = new AbortController();
    const work = stage.bytes(content(), control.signal).catch(() => 'left');
    await expect.poll(() => signals.length).toBe(1);
    control.abort();
    expect(await work).toBe('left');
    expect(signals[0]?.aborted).toBe(true);
    void stage.bytes(content(), AbortSignal.timeout(1)).catch(() => undefined);
    await expect.poll(() => signals.length).toBe(2);
  });
});

describe('URLs', () => {
  test('presigned: the verified bytes are uploaded once, under their digest', async () => {
    files.put('os.obj', BYTES);
    const all = wires();
    const stage = artifacts({ wires: all });
    const urls = await Promise.all(Array.from({ length: 8 }, () => stage.urlFor(content(), REQUEST)));
    const key = `artifacts/${DIGEST}/os.obj`;
    expect(Buffer.from(store.get('depot', key)?.bytes ?? []).equals(BYTES)).toBe(true);
    expect(store.requests.get('PutObject')).toBe(1);
    const url = urls[0]?.ok === true ? urls[0].value : '';
    expect(new URL(url).pathname).toBe(`/depot/${key}`);
    expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('600');
    const fetched = await all.get(url, { maxBytes: 1e6 });
    expect(sha256(fetched.bytes)).toBe(DIGEST);
    await stage.urlFor(content(), REQUEST);
    expect(store.requests.get('PutObject')).toBe(1);
    await stage.close();
    expect([all.opened(), all.closed()]).toEqual([1, 1]);
  });

  test('presigned: what somebody else put under the key is overwritten', async () => {
    const key = `artifacts/${DIGEST}/os.obj`;
    store.put('depot', key, { bytes: Buffer.alloc(BYTES.length, 'evil') });
    expect(await artifacts().urlFor(content({ kind: 'bytes', bytes: BYTES }), REQUEST)).toMatchObject({ ok: true });
    expect(sha256(store.get('depot', key)?.bytes ?? '')).toBe(DIGEST);
  });

  test('presigned: nothing is uploaded that was not verified, and a broken bucket can be tried again', async () => {
    const stage = artifacts();
    expect(await stage.urlFor(content(), REQUEST)).toMatchObject({ ok: false, error: { code: 'MISSING' } });
    expect(store.requests.size).toBe(0);
    const takeBack = faults.add({ kind: 'slow-down' });
    const held = content({ kind: 'bytes', bytes: BYTES });
    expect(await stage.urlFor(held, REQUEST)).toMatchObject({ ok: false, error: { code: 'UNREACHABLE' } });
    takeBack();
    expect(await stage.urlFor(held, REQUEST)).toMatchObject({ ok: true });
  });

  test('presigned: the last segment is the file name', async () => {
    const url = await artifacts().urlFor(content({ kind: 'bytes', bytes: BYTES, name: 'files/programs/MOOR v14.CR1X' }), REQUEST);
    expect(url.ok && new URL(url.value).pathname.split('/').at(-1)).toBe('MOOR%20v14.CR1X');
  });

  test('direct: the declared URL, after what is behind it was verified', async () => {
    const stage = artifacts({ mode: { via: null, urls: 'direct', publicUrl: null } });
    expect(await stage.urlFor(content(), REQUEST)).toMatchObject({ ok: false, error: { code: 'MISSING' } });
    files.put('os.obj', BYTES);
    expect(await stage.urlFor(content(), REQUEST)).toEqual({ ok: true, value: `${FILES_URL}/os.obj` });
    expect(await stage.urlFor(content({ kind: 'bytes', bytes: BYTES }), REQUEST)).toMatchObject({ error: { code: 'NO_URL' } });
  });

  test('serve: our own host, for that device', async () => {
    const host = await startArtifactHost({ publicUrl: null, clock });
    const stage = artifacts({ mode: { via: null, urls: 'serve', publicUrl: null }, serve: host });
    const url = await stage.urlFor(content({ kind: 'bytes', bytes: BYTES, name: 'programs/M.CR1X' }), REQUEST);
    const got = await inProcessGet([host])(url.ok ? url.value : '');
    expect(sha256(got.bytes)).toBe(DIGEST);
    expect(url.ok && url.value.endsWith('/M.CR1X')).toBe(true);
    expect(host.fetches.get('moor-house')).toBe(1);
    await host.close();
  });

  test.for([
    ['serve without a host', { via: null, urls: 'serve', publicUrl: null }],
    ['presigned without a connection', { via: null, urls: 'presigned', publicUrl: null }],
  ] as const)('%s is NO_URL', async ([, mode]) => {
    const got = await artifacts({ mode }).urlFor(content({ kind: 'bytes', bytes: BYTES }), REQUEST);
    expect(got).toMatchObject({ ok: false, error: { code: 'NO_URL' } });
  });
});
