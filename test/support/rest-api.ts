import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RestComment {
  readonly id: number;
  body: string;
  readonly user: { readonly login: string; readonly id: number; readonly type?: string };
}

export interface RestCall {
  readonly method: string;
  readonly path: string;
  readonly authorization: string;
  readonly body: string;
}

/** An answer in the place of the real one: a limit, a refusal, a fault. */
export interface RestFault {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The request is done all the same, and only its answer is lost. */
  readonly done?: boolean;
}

/** The part of a forge's REST API that comments need, on 127.0.0.1, with a record of each call. */
export interface RestApi {
  readonly url: string;
  readonly calls: RestCall[];
  /** By number of the pull request. */
  readonly comments: Map<number, RestComment[]>;
  readonly pulls: Map<number, { readonly head: { readonly sha: string; readonly repo: { readonly full_name: string } | null } }>;
  /** Answered to the next calls that match, once each. */
  readonly faults: { readonly match: RegExp; readonly fault: RestFault }[];
  /** `METHOD path` of the calls since this was last asked. */
  taken(): readonly string[];
  close(): Promise<void>;
}

export interface RestApiOptions {
  /** As GitHub does it: pages of that many, with a Link header. Gitea lists all at once. */
  readonly pageSize?: number;
  /** Who writes with the token; a token of a job is told nothing about itself. */
  readonly self?: RestComment['user'];
  /** Below which the API lies: `/api/v1` for Gitea. */
  readonly prefix?: string;
  /** Whether `/user` answers. */
  readonly knowsSelf?: boolean;
}

const BOT = { login: 'github-actions[bot]', id: 41_898_282, type: 'Bot' };

export async function startRestApi(options: RestApiOptions = {}): Promise<RestApi> {
  const calls: RestCall[] = [];
  const comments: RestApi['comments'] = new Map();
  const pulls: RestApi['pulls'] = new Map();
  const faults: RestApi['faults'] = [];
  let seen = 0;
  let nextId = 1;
  const answer = (call: RestCall, url: URL, response: ServerResponse): void => {
    const path = url.pathname.slice((options.prefix ?? '').length);
    const at = faults.findIndex(({ match }) => match.test(`${call.method} ${path}`));
    const [found] = at < 0 ? [] : faults.splice(at, 1);
    const done = (status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): void => {
      if (found !== undefined) return;
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(body === undefined ? '' : JSON.stringify(body));
    };
    if (found === undefined || found.fault.done === true) route({ call, path, url, done });
    if (found === undefined) return;
    response.writeHead(found.fault.status, { 'Content-Type': 'application/json', ...found.fault.headers }).end('{"message":"no"}');
  };
  const route = ({ call, path, url, done }: Routed): void => {
    if (path === '/user') {
      if (options.knowsSelf === true) done(200, options.self ?? BOT);
      else done(403, { message: 'Resource not accessible by integration' });
      return;
    }
    const [, pull] = /^\/repos\/[^/]+\/[^/]+\/pulls\/(\d+)$/.exec(path) ?? [];
    if (pull !== undefined) {
      const known = pulls.get(Number(pull));
      done(known === undefined ? 404 : 200, known ?? { message: 'Not Found' });
      return;
    }
    const [, issue] = /^\/repos\/[^/]+\/[^/]+\/issues\/(\d+)\/comments$/.exec(path) ?? [];
    if (issue !== undefined) {
      ofIssue({ call, path, url, done }, Number(issue));
      return;
    }
    const [, id] = /^\/repos\/[^/]+\/[^/]+\/issues\/comments\/(\d+)$/.exec(path) ?? [];
    ofComment({ call, path, url, done }, Number(id ?? 0));
  };
  const ofIssue = ({ call, url, done }: Routed, issue: number): void => {
    const list = comments.get(issue) ?? [];
    if (call.method === 'POST') {
      const created = { id: nextId++, body: bodyOf(call), user: options.self ?? BOT };
      comments.set(issue, [...list, created]);
      done(201, created);
      return;
    }
    const size = options.pageSize;
    const page = Number(url.searchParams.get('page') ?? '1');
    if (size === undefined) {
      done(200, list);
      return;
    }
    const more = list.length > page * size;
    done(
      200,
      list.slice((page - 1) * size, page * size),
      more ? { Link: `<${url.origin}${url.pathname}?page=${page + 1}>; rel="next"` } : {},
    );
  };
  const ofComment = ({ call, done }: Routed, id: number): void => {
    for (const [issue, list] of comments) {
      const found = list.find((one) => one.id === id);
      if (found === undefined) continue;
      if (call.method === 'DELETE') {
        comments.set(
          issue,
          list.filter((one) => one !== found),
        );
        done(204);
        return;
      }
      if (call.method === 'PATCH') found.body = bodyOf(call);
      done(200, found);
      return;
    }
    done(404, { message: 'Not Found' });
  };
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const { authorization = '' } = request.headers;
      const call = { method: request.method ?? '', path: `${url.pathname}${url.search}`, authorization, body };
      calls.push(call);
      answer(call, url, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${options.prefix ?? ''}`,
    calls,
    comments,
    pulls,
    faults,
    taken: () => {
      const since = calls
        .slice(seen)
        .map(({ method, path }) => `${method} ${path.replace(/\?.*/, '').slice((options.prefix ?? '').length)}`);
      seen = calls.length;
      return since;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Routed {
  readonly call: RestCall;
  readonly path: string;
  readonly url: URL;
  done(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): void;
}

function bodyOf(call: RestCall): string {
  const { body } = JSON.parse(call.body) as { readonly body: string };
  return body;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
