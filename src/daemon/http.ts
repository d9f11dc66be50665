import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WireError } from '#ports/wire-error.ts';
import { isPushTo, isSigned, MOST_PUSH_BYTES, type Headers } from './webhook.ts';

/** What the server asks of the daemon that it belongs to. */
export interface HttpFace {
  /** Null when all is well, else why not. */
  unhealthy(): string | null;
  unready(): string | null;
  metrics(): string;
  /** Null: webhooks are off. */
  webhookSecret(): string | null;
  /** The declared branch; null while no revision was read. */
  branch(): string | null;
  onPush(): void;
  onWebhook(result: WebhookResult): void;
}

export type WebhookResult = 'accepted' | 'ignored' | 'refused' | 'too-large';

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
  readonly allow?: string;
}

const REQUEST_MS = 10_000;
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Listens there; 0 takes a free port. Throws WireError EADDRINUSE and the like. */
export async function startHttp(
  at: { readonly host: string; readonly port: number },
  face: HttpFace,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    void converse(face, request, response);
  });
  await listening(server, at);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function converse(face: HttpFace, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const answer = await answerTo(face, request);
    response.writeHead(answer.status, {
      'content-type': answer.type ?? 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(answer.text),
      'cache-control': 'no-store',
      ...(answer.allow === undefined ? {} : { allow: answer.allow }),
      // A body that was not read to its end must not be taken for the next request.
      ...(request.complete ? {} : { connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? '' : answer.text);
  } catch {
    // The other side went away in the middle of its request.
    response.destroy();
  }
}

async function answerTo(face: HttpFace, request: IncomingMessage): Promise<Answer> {
  const path = (request.url ?? '').split('?')[0];
  if (path === '/hooks/push') return request.method === 'POST' ? push(face, request) : notAllowed('POST');
  const look = looks(face)[path ?? ''];
  if (look === undefined) return { status: 404, text: 'not found\n' };
  return request.method === 'GET' || request.method === 'HEAD' ? look() : notAllowed('GET, HEAD');
}

function looks(face: HttpFace): Readonly<Record<string, (() => Answer) | undefined>> {
  return {
    '/healthz': () => verdict(face.unhealthy()),
    '/readyz': () => verdict(face.unready()),
    '/metrics': () => ({ status: 200, text: face.metrics(), type: METRICS_TYPE }),
  };
}

function verdict(why: string | null): Answer {
  return why === null ? { status: 200, text: 'ok\n' } : { status: 503, text: `${why}\n` };
}

function notAllowed(allow: string): Answer {
  return { status: 405, text: 'method not allowed\n', allow };
}

async function push(face: HttpFace, request: IncomingMessage): Promise<Answer> {
  const secret = face.webhookSecret();
  if (secret === null) return { status: 404, text: 'no webhook secret is set here\n' };
  const body = await bodyOf(request);
  if (body === null) {
    face.onWebhook('too-large');
    return { status: 413, text: 'too large\n' };
  }
  const headers = request.headers as Headers;
  if (!isSigned(secret, headers, body)) {
    face.onWebhook('refused');
    return { status: 401, text: 'the signature is missing or wrong\n' };
  }
  if (!isPushTo(face.branch(), headers, body)) {
    face.onWebhook('ignored');
    return { status: 200, text: 'ignored\n' };
  }
  face.onWebhook('accepted');
  face.onPush();
  return { status: 202, text: 'a pass follows\n' };
}

/** Null when it is longer than anybody needs. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array | null> {
  if (Number(request.headers['content-length'] ?? 0) > MOST_PUSH_BYTES) return null;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MOST_PUSH_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function listening(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new WireError(error.code ?? 'LISTEN', 'never', `cannot listen at ${host}:${port}: ${error.message}`));
    });
    server.listen(port, host, () => resolve());
  });
}
