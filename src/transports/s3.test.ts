import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WireError } from '#ports/wire-error.ts';
import type { S3Connection } from '#ports/wires.ts';
import { VirtualClock } from '#sim/clock.ts';
import { startS3Server, type S3Server } from '#sim/s3/server.ts';
import { SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { objectStoreContract } from '#test/contract/object-store.ts';
import { openS3Store } from './s3.ts';

function connection(endpoint: string | null, more: Partial<S3Connection> = {}): S3Connection {
  const place = { file: 'fleet.yaml', line: 1, column: 1 };
  const fixed = { type: 's3', name: 'logs', place, bucket: 'b', region: 'us-east-1', prefix: '' } as const;
  return { ...fixed, endpoint, accessKeyId: null, secretAccessKey: null, ...more };
}

objectStoreContract('the AWS SDK over our server', async () => {
  const server = await startS3Server({ buckets: ['b'] });
  const open = (more: Partial<S3Connection>) => openS3Store(connection(server.url, more), SIM_CREDENTIALS);
  const store = await open({});
  return {
    store,
    prefixed: (prefix) => open({ prefix }),
    missing: () => open({ bucket: 'none' }),
    fetch: async (url) => {
      const answer = await fetch(url);
      return { status: answer.status, bytes: await answer.bytes() };
    },
    now: () => Date.now(),
    close: async () => {
      await store.close();
      await server.close();
    },
  };
});

describe('openS3Store', () => {
  let server: S3Server;

  beforeAll(async () => {
    server = await startS3Server({ buckets: ['b'] });
  });

  afterAll(async () => {
    await server.close();
  });

  const caught = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'no error',
      (error: unknown) => error,
    );

  test.for([
    ['slow-down', 'S3_503', 'later'],
    ['internal-error', 'S3_500', 'later'],
    ['deny', 'S3_403', 'never'],
    ['reset-before', 'ECONNRESET', 'later'],
  ] as const)('%s becomes %s, %s', async ([kind, code, retry]) => {
    const store = await openS3Store(connection(server.url), SIM_CREDENTIALS);
    const takeBack = server.faults.add({ kind }, { prefix: 'k' });
    const error = await caught(store.put('k', Buffer.from('x')));
    takeBack();
    expect(error).toBeInstanceOf(WireError);
    expect(error).toMatchObject({ code, retry });
    await store.close();
  });

  test('a write whose answer is lost is not repeated: the next look shows that it was done', async () => {
    const store = await openS3Store(connection(server.url), SIM_CREDENTIALS);
    const before = server.store.requests.get('PutObject') ?? 0;
    server.faults.add({ kind: 'reset-after' }, { times: 1 });
    await expect(store.put('once', Buffer.from('x'), { ifAbsent: true })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(server.store.requests.get('PutObject')).toBe(before + 1);
    expect(await store.head('once')).toMatchObject({ size: 1 });
    await store.close();
  });

  test('a read is tried again', async () => {
    const store = await openS3Store(connection(server.url), SIM_CREDENTIALS);
    await store.put('r', Buffer.from('x'));
    server.faults.add({ kind: 'internal-error' }, { times: 1, prefix: 'r' });
    expect(await store.get('r')).toMatchObject({ size: 1 });
    await store.close();
  });

  test('a server that never answers is a TIMEOUT', async () => {
    const store = await openS3Store(connection(server.url), SIM_CREDENTIALS, { callLimitMs: 200 });
    const takeBack = server.faults.add({ kind: 'lost-response' }, { prefix: 'slow' });
    await expect(store.put('slow', Buffer.from('x'))).rejects.toMatchObject({ code: 'TIMEOUT', retry: 'later' });
    takeBack();
    await store.close();
  });

  test('an abort on the way rejects with its reason', async () => {
    const store = await openS3Store(connection(server.url), SIM_CREDENTIALS);
    const takeBack = server.faults.add({ kind: 'lost-response' }, { prefix: 'aborted' });
    const control = new AbortController();
    const work = caught(store.get('aborted', {}, control.signal));
    await expect.poll(() => server.faults.struck).toBeGreaterThan(0);
    const reason = new Error('enough');
    control.abort(reason);
    expect(await work).toBe(reason);
    takeBack();
    await store.close();
  });

  test('nobody listens: ECONNREFUSED; no such name: ENOTFOUND', async () => {
    const gone = await startS3Server();
    await gone.close();
    const store = await openS3Store(connection(gone.url), SIM_CREDENTIALS);
    await expect(store.head('k')).rejects.toMatchObject({ code: 'ECONNREFUSED', retry: 'later' });
    await store.close();
  });

  test('a connection cut in the body is an error, not a short object', async () => {
    const cutting = await rawServer('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "a"\r\n\r\nshort');
    const store = await openS3Store(connection(cutting.url), SIM_CREDENTIALS);
    const error = await caught(store.get('k'));
    expect(error).toBeInstanceOf(WireError);
    expect(error).toMatchObject({ retry: 'later' });
    await store.close();
    cutting.server.close();
  });

  test('an answer that lies about its length is cut off at the limit', async () => {
    const endless = await rawServer(`HTTP/1.1 200 OK\r\nETag: "a"\r\nConnection: close\r\n\r\n${'x'.repeat(100_000)}`);
    const store = await openS3Store(connection(endless.url), SIM_CREDENTIALS);
    await expect(store.get('k', { maxBytes: 5000 })).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await store.close();
    endless.server.close();
  });

  test('errors hold neither the secret nor a signature', async () => {
    const secretAccessKey = 'very-secret-very-secret';
    const store = await openS3Store(connection(server.url), { ...SIM_CREDENTIALS, secretAccessKey });
    const error = await caught(store.put('k', Buffer.from('x')));
    expect(error).toMatchObject({ code: 'S3_403' });
    const text = error instanceof WireError ? `${error.message} ${String(error.cause)}` : '';
    expect(text).toContain('SignatureDoesNotMatch');
    expect(text).not.toMatch(/very-secret|AWS4-HMAC|[0-9a-f]{64}/);
    await store.close();
  });

  test('signs by the clock it is given', async () => {
    const clock = new VirtualClock(Date.parse('2031-05-01T12:00:00Z'));
    const later = await startS3Server({ clock, buckets: ['b'] });
    const store = await openS3Store(connection(later.url), SIM_CREDENTIALS, { clock });
    expect(await store.put('k', Buffer.from('x'))).toHaveProperty('etag');
    expect(await store.head('k')).toMatchObject({ lastModified: clock.now() });
    expect((await fetch(await store.presign('k', 60))).status).toBe(200);
    await store.close();
    await later.close();
  });

  test('a clock that is wrong costs one attempt', async () => {
    const clock = new VirtualClock(Date.now() + 3_600_000);
    const ahead = await startS3Server({ clock, buckets: ['b'] });
    const store = await openS3Store(connection(ahead.url), SIM_CREDENTIALS);
    await expect(store.put('k', Buffer.from('x'))).rejects.toMatchObject({ code: 'S3_403', retry: 'later' });
    expect(await store.put('k', Buffer.from('x'))).toHaveProperty('etag');
    await store.close();
    await ahead.close();
  });

  test('AWS itself is addressed by the name of the bucket, and by path where that has dots', async () => {
    const at = new VirtualClock(Date.parse('2026-01-01T00:00:00Z'));
    for (const [more, beginning] of [
      [{ region: 'eu-central-1' }, 'https://b.s3.eu-central-1.amazonaws.com/pre/k%201?'],
      [{ bucket: 'files.example.org' }, 'https://s3.us-east-1.amazonaws.com/files.example.org/pre/k%201?'],
      [{ region: 'cn-north-1' }, 'https://b.s3.cn-north-1.amazonaws.com.cn/pre/k%201?'],
    ] as const) {
      const store = await openS3Store(connection(null, { prefix: 'pre/', ...more }), SIM_CREDENTIALS, { clock: at });
      const url = await store.presign('k 1', 999_999_999);
      expect(url.startsWith(beginning)).toBe(true);
      expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('604800');
      await store.close();
    }
  });
});

/** Answers the first bytes of any request with this text, then hangs up. */
async function rawServer(text: string): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
