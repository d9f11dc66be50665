import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '#ports/clock.ts';
import type { HttpServer } from '#ports/http-server.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import type { Answer, Answering, GetRequest } from './in-process-get.ts';

/**
 * How a web server can spoil an upgrade. `not-found` is the 404 page that a logger stores as its program
 * (docs/protocols/campbell-mqtt.md §5.2 trap 1); `login-page` the same with status 200.
 */
export type ArtifactMisbehaviour =
  | { readonly kind: 'not-found' | 'login-page' | 'server-error' | 'truncated' | 'wrong-bytes' | 'close' | 'hang' }
  | { readonly kind: 'slow'; readonly ms: number }
  | { readonly kind: 'redirect'; readonly location: string };

export interface ArtifactServerOptions {
  /** By path without the leading slash. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** True: an unknown path gets a 404 HTML page. Otherwise the connection is closed, as our own host does. */
  readonly errorPages?: boolean;
  readonly clock: Clock;
}

export interface ArtifactFiles extends Answering {
  /** Gives the URL. */
  put(path: string, bytes: Uint8Array): string;
  /** For one path, or for all with `*`; null ends it. */
  misbehave(path: string, how: ArtifactMisbehaviour | null): void;
  /** Paths asked for, in order, with the Campbell-Product-UID that a logger sends (§9.6). */
  readonly requests: readonly { readonly path: string; readonly uid: string | null }[];
}

export interface ArtifactServer extends HttpServer, ArtifactFiles {}

/** The files without a socket, for scenarios; `url` is what their URLs begin with. */
export function makeArtifactFiles(options: ArtifactServerOptions & { readonly url: string }): ArtifactFiles {
  const files = new Map(Object.entries(options.files ?? {}));
  const faults = new Map<string, ArtifactMisbehaviour>();
  const requests: { readonly path: string; readonly uid: string | null }[] = [];
  return {
    url: options.url,
    requests,
    put(path, bytes) {
      files.set(path, bytes);
      return `${options.url}/${path.split('/').map(encodeURIComponent).join('/')}`;
    },
    misbehave(path, how) {
      if (how === null) faults.delete(path);
      else faults.set(path, how);
    },
    async answer(request) {
      const path = pathOf(request);
      requests.push({ path, uid: request.headers['campbell-product-uid'] ?? null });
      const fault = faults.get(path) ?? faults.get('*');
      if (fault?.kind === 'slow') await options.clock.sleep(fault.ms);
      const bytes = files.get(path);
      if (bytes === undefined && fault === undefined) return options.errorPages === true ? page(404, 'Not Found') : 'close';
      return spoiled(bytes ?? new Uint8Array(), fault);
    },
  };
}

/** The same over HTTP on 127.0.0.1 and a free port. */
export async function startArtifactServer(options: ArtifactServerOptions): Promise<ArtifactServer> {
  let files: ArtifactFiles | null = null;
  const server = createServer((incoming, outgoing) => {
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const asked = files?.answer({ method: incoming.method ?? '', target: incoming.url ?? '', headers }) ?? 'close';
    void Promise.resolve(asked).then((answer) => {
      if (answer === 'hang') return;
      if (answer === 'close') {
        incoming.socket.destroy();
        return;
      }
      outgoing.writeHead(answer.status, answer.headers);
      if (answer.bytes.length < Number(answer.headers['content-length'])) outgoing.write(answer.bytes, () => incoming.socket.destroy());
      else outgoing.end(answer.bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  files = makeArtifactFiles({ ...options, url: `http://127.0.0.1:${port}` });
  return {
    ...files,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function pathOf(request: GetRequest): string {
  const path = request.target.replace(/\?.*$/, '').replace(/^\/+/, '');
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function spoiled(bytes: Uint8Array, fault: ArtifactMisbehaviour | undefined): Answer {
  switch (fault?.kind) {
    case undefined:
    case 'slow':
      return file(bytes);
    case 'not-found':
      return page(404, 'Not Found');
    case 'login-page':
      return page(200, 'Please sign in');
    case 'server-error':
      return page(500, 'Internal Server Error');
    case 'truncated':
      return { ...file(bytes), bytes: bytes.subarray(0, Math.floor(bytes.length / 2)) };
    case 'wrong-bytes':
      return file(bytes.map((byte) => byte ^ 0xff));
    case 'redirect':
      return { status: 302, headers: { location: fault.location, 'content-length': '0' }, bytes: new Uint8Array() };
    case 'close':
    case 'hang':
      return fault.kind;
    default:
      return fault satisfies never;
  }
}

function file(bytes: Uint8Array): HttpAnswer {
  return { status: 200, headers: { 'content-type': 'application/octet-stream', 'content-length': String(bytes.length) }, bytes };
}

function page(status: number, text: string): HttpAnswer {
  const bytes = Buffer.from(`<!DOCTYPE html><html><head><title>${text}</title></head><body><h1>${text}</h1></body></html>\n`);
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', 'content-length': String(bytes.length) }, bytes };
}
