import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#kit/secret.ts';
import { sha256 } from '#kit/digest.ts';
import { VirtualClock } from '#sim/clock.ts';
import { startArtifactHost, type ArtifactHost } from './serve.ts';

const BYTES = Buffer.alloc(50_000, 'OS');
const OS = { name: 'CR1000X.Std.08.02.01.obj', digest: sha256(BYTES), bytes: BYTES };
const HOUR = 3_600_000;

let clock: VirtualClock;
let host: ArtifactHost;

beforeEach(async () => {
  clock = new VirtualClock(Date.parse('2026-11-24T08:00:00Z'));
  host = await startArtifactHost({ publicUrl: null, clock });
});

afterEach(() => host.close());

/** What a bare client reads until the end of the connection: empty when it is cut without a word. */
function rawGet(url: string, line = `GET ${new URL(url).pathname} HTTP/1.1`): Promise<string> {
  const { hostname, port } = new URL(host.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let heard = '';
    socket.on('data', (chunk) => (heard += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(heard));
    socket.write(`${line}\r\nHost: x\r\nConnection: close\r\n\r\n`);
  });
}

describe('an offer', () => {
  test('is served once and again until it expires, with its length, and counted for its device', async () => {
    const url = host.offer(OS, 'moor-house', HOUR);
    expect(url.length).toBeLessThan(100);
    expect(url.split('/').at(-1)).toBe(OS.name);
    const answer = await fetch(url);
    expect([answer.status, answer.headers.get('content-length'), answer.redirected]).toEqual([200, '50000', false]);
    expect(Buffer.from(await answer.bytes()).equals(BYTES)).toBe(true);
    const again = await fetch(url);
    await again.bytes();
    expect(Object.fromEntries(host.fetches)).toEqual({ 'moor-house': 2 });
    await clock.advance(HOUR);
    expect(host.answer({ method: 'GET', target: new URL(url).pathname, headers: {} })).not.toBe('close');
    await clock.advance(1);
    expect(host.answer({ method: 'GET', target: new URL(url).pathname, headers: {} })).toBe('close');
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    expect(host.fetches.get('moor-house')).toBe(3);
  });

  test('of a secret is gone with its first GET, and is named by nothing that it holds', async () => {
    const url = host.offerOnce({ name: 'mqttCfg.bin', secret: new Secret(BYTES) }, 'moor-house', HOUR);
    const { pathname } = new URL(url);
    // A look is no download: whoever only looks does not take the file away.
    expect(host.answer({ method: 'HEAD', target: pathname, headers: {} })).toMatchObject({ status: 200 });
    const both = await Promise.allSettled([fetch(url), fetch(url)]);
    const [taken] = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(Buffer.from((await taken?.bytes()) ?? []).equals(BYTES)).toBe(true);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    for (const method of ['GET', 'HEAD']) expect(host.answer({ method, target: pathname, headers: {} })).toBe('close');
    expect(host.fetches.get('moor-house')).toBe(1);
    const other = host.offerOnce({ name: 'mqttCfg.bin', secret: new Secret(Buffer.from('other')) }, 'moor-house', HOUR);
    await clock.advance(HOUR + 1);
    expect(host.answer({ method: 'GET', target: new URL(other).pathname, headers: {} })).toBe('close');
  });

  test('each device has a URL of its own, each time another', () => {
    const urls = ['a', 'b', 'a'].map((device) => host.offer(OS, device, HOUR));
    expect(new Set(urls).size).toBe(3);
  });

  test('HEAD gives the length and is no fetch', async () => {
    const answer = await fetch(host.offer(OS, 'd', HOUR), { method: 'HEAD' });
    expect([answer.status, answer.headers.get('content-length')]).toEqual([200, '50000']);
    expect(host.fetches.size).toBe(0);
  });

  test('a name with spaces and slashes in it stays one segment', () => {
    const url = host.offer({ ...OS, name: 'a b/ü.CR1X' }, 'd', HOUR);
    expect(url.split('/').at(-1)).toBe('a%20b%2F%C3%BC.CR1X');
    expect(host.answer({ method: 'GET', target: new URL(url).pathname, headers: {} })).toMatchObject({ status: 200 });
  });

  test('behind a public URL with a path', async () => {
    const behind = await startArtifactHost({ publicUrl: 'https://files.example.org/fw/', clock });
    const url = behind.offer(OS, 'd', HOUR);
    expect(url.startsWith('https://files.example.org/fw/1-')).toBe(true);
    for (const target of [new URL(url).pathname, new URL(url).pathname.replace('/fw', '')]) {
      expect(behind.answer({ method: 'GET', target, headers: {} })).toMatchObject({ status: 200 });
    }
    await behind.close();
  });
});

describe('whatever else is asked, the connection is closed without a byte', () => {
  const spoil: readonly (readonly [string, (path: string) => string])[] = [
    ['the root', () => 'GET / HTTP/1.1'],
    ['a path of nobody', () => 'GET /favicon.ico HTTP/1.1'],
    ['another file name', (path) => `GET ${path}x HTTP/1.1`],
    [
      'a changed signature',
      (path) => `GET ${path.replace(/-(.)([\w-]{21})\//, (_, first, rest) => `-${first === 'A' ? 'B' : 'A'}${rest}/`)} HTTP/1.1`,
    ],
    [
      'a later expiry',
      (path) =>
        `GET ${path.replace(/^\/1-(\w+)-/, (_, expires: string) => `/1-${(Number.parseInt(expires, 36) + 60).toString(36)}-`)} HTTP/1.1`,
    ],
    ['another number', (path) => `GET ${path.replace('/1-', '/2-')} HTTP/1.1`],
    ['a POST', (path) => `POST ${path} HTTP/1.1`],
    ['a query that nobody gave', (path) => `GET ${path}?x=1 HTTP/1.1`],
    ['no HTTP at all', () => 'hello'],
  ];

  test.for(spoil)('%s', async ([, line]) => {
    const url = host.offer(OS, 'd', HOUR);
    host.offer(OS, 'other', HOUR * 2);
    expect(await rawGet(url, line(new URL(url).pathname))).toBe('');
    expect(host.fetches.size).toBe(0);
  });

  test('while the offer itself is answered by the same bare client', async () => {
    expect(await rawGet(host.offer(OS, 'd', HOUR))).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });
});
