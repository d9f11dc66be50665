import { readFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { VirtualClock } from '#sim/clock.ts';
import { startArtifactServer } from '#sim/artifact-server.ts';
import { httpGet } from './http.ts';

const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(server);
  return (server.address() as AddressInfo).port;
}

async function serving(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createHttp(listener))}`;
}

const FILE = Buffer.alloc(200_000, 'CR1000X');

test('a file comes whole, with its status and headers', async () => {
  const server = await startArtifactServer({ files: { 'os/CR1000X.obj': FILE }, clock: new VirtualClock(0) });
  opened.push(server);
  const answer = await httpGet(`${server.url}/os/CR1000X.obj`, { maxBytes: FILE.length });
  expect(answer.status).toBe(200);
  expect(answer.headers['content-length']).toBe('200000');
  expect(Buffer.from(answer.bytes).equals(FILE)).toBe(true);
});

test('an error page is an answer with its status, not a throw', async () => {
  const server = await startArtifactServer({ errorPages: true, clock: new VirtualClock(0) });
  opened.push(server);
  const answer = await httpGet(`${server.url}/none`, { maxBytes: 10_000 });
  expect([answer.status, answer.headers['content-type']]).toEqual([404, 'text/html; charset=utf-8']);
});

test.for([
  ['close', 'ECONNRESET'],
  ['truncated', 'ECONNRESET'],
] as const)('a server that does %s is %s', async ([kind, code]) => {
  const server = await startArtifactServer({ files: { f: FILE }, clock: new VirtualClock(0) });
  opened.push(server);
  server.misbehave('f', { kind });
  await expect(httpGet(`${server.url}/f`, { maxBytes: 1_000_000 })).rejects.toMatchObject({ name: 'WireError', code, retry: 'later' });
});

test('a server that says nothing is a TIMEOUT', async () => {
  const server = await startArtifactServer({ files: { f: FILE }, clock: new VirtualClock(0) });
  opened.push(server);
  server.misbehave('*', { kind: 'hang' });
  await expect(httpGet(`${server.url}/f`, { maxBytes: 10, timeLimitMs: 100 })).rejects.toMatchObject({ code: 'TIMEOUT' });
});

test('more than the limit is refused, whether or not the server says how much', async () => {
  const said = await serving((_, answer) => answer.end(FILE));
  await expect(httpGet(said, { maxBytes: 199_999 })).rejects.toMatchObject({ code: 'TOO_LARGE', retry: 'never' });
  const unsaid = await serving((_, answer) => {
    answer.write(FILE.subarray(0, 1000));
    answer.end(FILE.subarray(1000));
  });
  await expect(httpGet(unsaid, { maxBytes: 199_999 })).rejects.toMatchObject({ code: 'TOO_LARGE', retry: 'never' });
  expect((await httpGet(unsaid, { maxBytes: 200_000 })).bytes.length).toBe(200_000);
});

test('nobody listens', async () => {
  const url = await serving((_, answer) => answer.end());
  for (const server of opened.splice(0)) await new Promise((resolve) => (server as Server).close(resolve));
  await expect(httpGet(url, { maxBytes: 10 })).rejects.toMatchObject({ code: 'ECONNREFUSED', retry: 'later' });
});

test.for(['', 'nonsense', 'ftp://example.org/f', 'file:///etc/hostname'])('not an http URL: %s', async (url) => {
  await expect(httpGet(url, { maxBytes: 10 })).rejects.toMatchObject({ code: 'BAD_URL', retry: 'never' });
});

test('an abort rejects with its reason', async () => {
  const url = await serving(() => undefined);
  const control = new AbortController();
  const reason = new Error('enough');
  const work = httpGet(url, { maxBytes: 10 }, control.signal);
  control.abort(reason);
  await expect(work).rejects.toBe(reason);
});

test('errors hold no path and no query', async () => {
  const url = await serving((incoming: IncomingMessage) => incoming.socket.destroy());
  const error: unknown = await httpGet(`${url}/secret-path?X-Amz-Signature=abc`, { maxBytes: 10 }).catch((thrown: unknown) => thrown);
  expect(String(error)).not.toMatch(/secret-path|Signature/);
});

test('a redirect from http is refused', async () => {
  const url = await serving((_, answer: ServerResponse) => answer.writeHead(302, { location: 'https://example.org/' }).end());
  await expect(httpGet(url, { maxBytes: 10 })).rejects.toMatchObject({ code: 'BAD_REDIRECT', retry: 'never' });
});

const fixture = (name: string): Buffer => readFileSync(new URL(`fixtures/localhost-${name}.pem`, import.meta.url));

async function servingTls(listener: RequestListener): Promise<string> {
  return `https://127.0.0.1:${await listen(createHttps({ key: fixture('key'), cert: fixture('cert') }, listener))}`;
}

const ca = fixture('cert').toString();

test('a certificate that nobody we trust signed is refused for good', async () => {
  const url = await servingTls((_, answer) => answer.end('x'));
  await expect(httpGet(url, { maxBytes: 10 })).rejects.toMatchObject({ code: 'TLS_SERVER_UNTRUSTED', retry: 'never' });
  expect((await httpGet(url, { maxBytes: 10, ca })).status).toBe(200);
});

test('five redirects from https to https are followed, six are not', async () => {
  const url = await servingTls((incoming, answer) => {
    const left = Number(incoming.url?.slice(1));
    if (left === 0) answer.end('here');
    else answer.writeHead(302, { location: `/${left - 1}` }).end();
  });
  const answer = await httpGet(`${url}/5`, { maxBytes: 10, ca });
  expect(Buffer.from(answer.bytes).toString()).toBe('here');
  await expect(httpGet(`${url}/6`, { maxBytes: 10, ca })).rejects.toMatchObject({ code: 'BAD_REDIRECT', retry: 'never' });
});

test('a redirect from https to http is refused', async () => {
  const url = await servingTls((_, answer) => answer.writeHead(307, { location: 'http://127.0.0.1/' }).end());
  await expect(httpGet(url, { maxBytes: 10, ca })).rejects.toMatchObject({ code: 'BAD_REDIRECT' });
});

test('a token meant for one server is not told to the next', async () => {
  const told: (string | undefined)[] = [];
  const second = await servingTls((incoming, answer) => {
    told.push(incoming.headers.authorization);
    answer.end();
  });
  const first = await servingTls((incoming, answer) => {
    told.push(incoming.headers.authorization);
    answer.writeHead(302, { location: incoming.url === '/own' ? '/away' : second }).end();
  });
  await httpGet(`${first}/own`, { maxBytes: 10, ca, headers: { authorization: 'Bearer t' } });
  expect(told).toEqual(['Bearer t', 'Bearer t', undefined]);
});
