import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SECOND_MS } from '#kit/duration.ts';
import { Secret } from '#kit/secret.ts';
import type { Clock } from '#ports/clock.ts';
import type { HttpServer } from '#ports/http-server.ts';
import type { HttpAnswer } from '#ports/wires.ts';

export interface ArtifactHostOptions {
  /** What devices see in front of us, `https://files.example.org/fw`; null: they reach us directly. */
  readonly publicUrl: string | null;
  readonly clock: Clock;
  readonly host?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
}

export interface ServedContent {
  readonly name: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface HostRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Serves artifacts to devices at URLs of their own. */
export interface ArtifactHost extends HttpServer {
  /** A URL by which this device may fetch these bytes until it expires. Its last segment is the file name. */
  offer(content: ServedContent, device: string, expiresMs: number): string;
  /** The same for one GET only, from memory: the name of the offer says nothing of the bytes. */
  offerOnce(content: { readonly name: string; readonly secret: Secret }, device: string, expiresMs: number): string;
  /** How often each device was sent bytes. */
  readonly fetches: ReadonlyMap<string, number>;
  /** The answer without a socket; `close` means that the connection is cut without a word. */
  answer(request: HostRequest): HttpAnswer | 'close';
}

interface Offer {
  readonly content: { readonly name: string; readonly digest: string; readonly bytes: Uint8Array | Secret };
  readonly device: string;
  readonly expiresSecond: number;
}

/**
 * Starts it on 127.0.0.1 unless told otherwise. HTTP/1.1, Content-Length, no redirect, short URLs
 * (docs/protocols/campbell-mqtt.md §9.6). Whatever is not a valid offer gets no answer at all: a logger would store an
 * error page as its program (§5.2 trap 1).
 */
export async function startArtifactHost(options: ArtifactHostOptions): Promise<ArtifactHost> {
  const host = options.host ?? '127.0.0.1';
  let made: Omit<ArtifactHost, 'close'> | null = null;
  const server = createServer((incoming, outgoing) => converse((request) => made?.answer(request) ?? 'close', incoming, outgoing));
  // Not even Node's own 400 may reach a device.
  server.on('clientError', (_, socket) => socket.destroy());
  await listening(server, options.port ?? 0, host);
  const url = `http://${host}:${(server.address() as AddressInfo).port}`;
  made = makeArtifactHost({ url: options.publicUrl ?? url, clock: options.clock });
  return { ...made, close: () => closed(server) };
}

/** The offers alone, for whoever answers without a socket. `url` is what the URLs begin with. */
export function makeArtifactHost(options: { readonly url: string; readonly clock: Clock }): Omit<ArtifactHost, 'close'> {
  const offers = new Map<number, Offer>();
  const fetches = new Map<string, number>();
  const secret = randomBytes(32);
  const base = options.url.replace(/\/+$/, '');
  let last = 0;
  const offer = (content: Offer['content'], device: string, expiresMs: number): string => {
    const now = options.clock.now();
    for (const [number, old] of offers) if (old.expiresSecond * SECOND_MS < now) offers.delete(number);
    last += 1;
    const made: Offer = { content, device, expiresSecond: Math.ceil((now + expiresMs) / SECOND_MS) };
    offers.set(last, made);
    return `${base}/${last.toString(36)}-${made.expiresSecond.toString(36)}-${signatureOf(secret, last, made)}/${encodeURIComponent(content.name)}`;
  };
  return {
    url: base,
    fetches,
    answer(request) {
      const found = findOffer(request, { offers, secret, now: options.clock.now() });
      if (found === undefined) return 'close';
      const { device, content } = found.offer;
      const once = content.bytes instanceof Secret;
      const bytes = content.bytes instanceof Secret ? content.bytes.reveal() : content.bytes;
      if (request.method === 'GET') fetches.set(device, (fetches.get(device) ?? 0) + 1);
      // Gone before it is sent: whoever comes second finds nothing.
      if (request.method === 'GET' && once) offers.delete(found.number);
      const headers = { 'content-type': 'application/octet-stream', 'content-length': String(bytes.length), 'cache-control': 'no-store' };
      return { status: 200, headers, bytes: request.method === 'HEAD' ? new Uint8Array() : bytes };
    },
    offer,
    offerOnce: ({ name, secret: bytes }, device, expiresMs) => offer({ name, digest: '', bytes }, device, expiresMs),
  };
}

function findOffer(
  request: HostRequest,
  desk: { readonly offers: ReadonlyMap<number, Offer>; readonly secret: Uint8Array; readonly now: number },
): { readonly number: number; readonly offer: Offer } | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
  const match = /\/([0-9a-z]{1,10})-([0-9a-z]{1,10})-([\w-]{22})\/([^/?]+)$/.exec(request.target);
  if (match === null) return undefined;
  const [, numberText = '', expires = '', signature = '', name = ''] = match;
  const number = Number.parseInt(numberText, 36);
  const offer = desk.offers.get(number);
  if (offer === undefined || offer.expiresSecond !== Number.parseInt(expires, 36)) return undefined;
  const expected = Buffer.from(signatureOf(desk.secret, number, offer));
  if (!timingSafeEqual(expected, Buffer.from(signature)) || name !== encodeURIComponent(offer.content.name)) return undefined;
  return offer.expiresSecond * SECOND_MS < desk.now ? undefined : { number, offer };
}

/** 128 bits of HMAC over all that the URL grants: 22 characters. */
function signatureOf(secret: Uint8Array, number: number, offer: Offer): string {
  const { content, device, expiresSecond } = offer;
  const granted = JSON.stringify([number, expiresSecond, device, content.digest, content.name]);
  return createHmac('sha256', secret).update(granted).digest().subarray(0, 16).toString('base64url');
}

function converse(answerTo: ArtifactHost['answer'], incoming: IncomingMessage, outgoing: ServerResponse): void {
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
  const answer = answerTo({ method: incoming.method ?? '', target: incoming.url ?? '', headers });
  if (answer === 'close') {
    incoming.socket.destroy();
    return;
  }
  outgoing.writeHead(answer.status, answer.headers);
  outgoing.end(answer.bytes);
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
