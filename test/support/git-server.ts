import { spawn } from 'node:child_process';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GitServer {
  readonly url: string;
  /** Path and query of each request, in order. */
  readonly requests: string[];
  close(): Promise<void>;
}

export interface GitServerOptions {
  /** Folder with bare repositories or work trees. */
  readonly root: string;
  /** `user:password`: anything else is answered with 401. */
  readonly credentials?: string;
  /** Requests that are done but whose answer never arrives: the connection breaks. */
  lose?(path: string): boolean;
}

/** Serves repositories over smart HTTP on 127.0.0.1 by the real `git http-backend`, as CGI. */
export async function serveGit(options: GitServerOptions): Promise<GitServer> {
  const requests: string[] = [];
  const wanted = options.credentials === undefined ? null : `Basic ${Buffer.from(options.credentials).toString('base64')}`;
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    if (wanted !== null && request.headers.authorization !== wanted) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end();
      return;
    }
    const lost = options.lose?.(request.url ?? '') === true;
    runBackend(options.root, request, { response, lost });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answering {
  readonly response: ServerResponse;
  readonly lost: boolean;
}

function runBackend(root: string, request: IncomingMessage, { response, lost }: Answering): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const env = {
    ...process.env,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: decodeURIComponent(url.pathname),
    QUERY_STRING: url.search.slice(1),
    REQUEST_METHOD: request.method ?? 'GET',
    CONTENT_TYPE: request.headers['content-type'] ?? '',
    CONTENT_LENGTH: request.headers['content-length'] ?? '',
    HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    REMOTE_ADDR: '127.0.0.1',
  };
  const backend = spawn('git', ['http-backend'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  request.pipe(backend.stdin);
  backend.stdin.on('error', () => undefined);
  let head = Buffer.alloc(0);
  let answered = false;
  backend.stdout.on('data', (chunk: Buffer) => {
    if (lost) return;
    if (answered) {
      response.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    answered = true;
    const headers = head
      .subarray(0, end)
      .toString('latin1')
      .split('\r\n')
      .map((line) => line.split(/:\s*/, 2) as [string, string]);
    const status = headers.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200';
    response.writeHead(Number.parseInt(status, 10), headers.filter(([name]) => name.toLowerCase() !== 'status').flat());
    response.write(head.subarray(end + 4));
  });
  backend.on('close', () => (lost ? response.destroy() : response.end()));
}
