import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TLSSocket, type Server as TlsServer } from 'node:tls';
import { peerCertificate, type PeerCertificate } from './peer-certificate.ts';

/** One call over HTTPS, free of any socket. Header names in lower case, repeated ones joined with a comma. */
export interface WireRequest {
  readonly method: string;
  /** The request target as sent: percent-encoded path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** What TLS showed, where the server trusts it. */
  readonly certificate: PeerCertificate | null;
}

export interface WireResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

/** `close` cuts the connection; `hang` never says anything. */
export type WireAnswer = WireResponse | 'close' | 'hang';

/** Far above what any call may have: those are refused with a proper answer. */
const MAX_BODY_BYTES = 1024 * 1024;

/** Lets an endpoint without sockets answer one request. */
export async function converse(
  answered: (request: WireRequest) => Promise<WireAnswer>,
  { incoming, outgoing }: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse },
): Promise<void> {
  try {
    const answer = await answered(await requestOf(incoming));
    if (answer === 'hang') return;
    if (answer === 'close') {
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': String(answer.bytes.length) });
    outgoing.end(answer.bytes);
  } catch {
    incoming.socket.destroy();
  }
}

async function requestOf(incoming: IncomingMessage): Promise<WireRequest> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new RangeError('too large');
    chunks.push(chunk);
  }
  const headers: Record<string, string> = {};
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    const name = (incoming.rawHeaders[index] ?? '').toLowerCase();
    const value = Buffer.from(incoming.rawHeaders[index + 1] ?? '', 'latin1').toString();
    headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  const { method = '', url = '/', socket } = incoming;
  return { method, target: url, headers, body: Buffer.concat(chunks), certificate: trustedCertificate(socket) };
}

/** The certificate that a client showed and that the server's CA signed. */
export function trustedCertificate(socket: unknown): PeerCertificate | null {
  return socket instanceof TLSSocket && socket.authorized ? shownCertificateOf(socket) : null;
}

/** The certificate that a client showed, whoever signed it. */
export function shownCertificateOf(socket: TLSSocket): PeerCertificate | null {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? null : peerCertificate(certificate);
}

/** Resolves with the ports that they got, 0 being any; rejects when one is taken, and the other may listen then. */
export async function listeningBoth(
  host: string,
  first: readonly [TlsServer, number],
  second: readonly [TlsServer, number],
): Promise<readonly [number, number]> {
  return [await listening(...first, host), await listening(...second, host)];
}

function listening(server: TlsServer, port: number, host: string): Promise<number> {
  // A client that fails its handshake is no trouble of the server's.
  server.on('tlsClientError', () => undefined);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

export function closed(server: TlsServer | HttpServer): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
