import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SigningCredentials } from '#kit/sigv4.ts';
import type { Clock } from '#ports/clock.ts';
import type { HttpServer } from '#ports/http-server.ts';
import { ScaledClock } from '#sim/clock.ts';
import { makeS3Endpoint, MAX_BODY_BYTES, type S3Endpoint, type SeenRequest } from './endpoint.ts';
import { makeS3Faults, type S3Faults } from './faults.ts';
import { S3Error, type S3Request } from './message.ts';
import { makeS3Store, type S3Store } from './store.ts';

export interface S3ServerOptions {
  readonly clock?: Clock;
  readonly host?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** SIM_CREDENTIALS when left out; an empty list lets everybody in, unsigned. */
  readonly credentials?: readonly SigningCredentials[];
  readonly buckets?: readonly string[];
  /** Signatures must name it. Left out, any region will do. */
  readonly region?: string;
  readonly faults?: S3Faults;
  readonly store?: S3Store;
  /** 15 minutes; infinite for a world whose clock runs faster than its clients'. */
  readonly maxSkewMs?: number;
  readonly maxBodyBytes?: number;
  onRequest?(seen: SeenRequest): void;
}

export interface S3Server extends HttpServer, S3Endpoint {
  readonly store: S3Store;
  readonly faults: S3Faults;
}

/**
 * Our own S3 over HTTP/1.1 on 127.0.0.1. Signatures, conditions, checksums and aws-chunked bodies are verified as S3
 * does; objects live in memory. Rejects when the port is taken.
 */
export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const clock = options.clock ?? new ScaledClock(Date.now(), 1);
  const store = options.store ?? makeS3Store({ clock });
  for (const bucket of options.buckets ?? []) store.createBucket(bucket);
  const faults = options.faults ?? makeS3Faults();
  const maxBodyBytes = options.maxBodyBytes ?? MAX_BODY_BYTES;
  const endpoint = makeS3Endpoint({ ...options, clock, store, faults, maxBodyBytes });
  const server = createServer((incoming, outgoing) => void converse(endpoint, maxBodyBytes, { incoming, outgoing }));
  server.keepAliveTimeout = 60_000;
  const host = options.host ?? '127.0.0.1';
  await listening(server, options.port ?? 0, host);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}`,
    store,
    faults,
    handle: (request) => endpoint.handle(request),
    close: () => closed(server),
  };
}

async function converse(
  endpoint: S3Endpoint,
  maxBodyBytes: number,
  wire: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse },
): Promise<void> {
  const { incoming, outgoing } = wire;
  try {
    const body = await bodyOf(incoming, maxBodyBytes);
    const answer = await endpoint.handle(requestOf(incoming, body));
    if (answer === 'hang') return;
    if (answer === 'close') {
      incoming.socket.destroy();
      return;
    }
    outgoing.sendDate = false;
    outgoing.writeHead(answer.status, answer.headers);
    outgoing.end(answer.bytes);
  } catch (error) {
    if (error instanceof S3Error) {
      const refusal = error.response(incoming.url ?? '/', '0');
      outgoing.writeHead(refusal.status, { ...refusal.headers, connection: 'close' });
      outgoing.end(refusal.bytes);
    } else incoming.socket.destroy();
  }
}

async function bodyOf(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Read on without keeping anything, so that the client can hear the refusal.
    if (size <= maxBytes) chunks.push(chunk);
  }
  if (size > maxBytes) throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size');
  return Buffer.concat(chunks);
}

function requestOf(incoming: IncomingMessage, body: Uint8Array): S3Request {
  const headers: Record<string, string> = {};
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    const name = (incoming.rawHeaders[index] ?? '').toLowerCase();
    const value = Buffer.from(incoming.rawHeaders[index + 1] ?? '', 'latin1').toString();
    headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  return { method: incoming.method ?? '', target: incoming.url ?? '/', headers, body };
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
