import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { SECOND_MS } from '#kit/duration.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import { networkError } from './network-error.ts';

const MAX_REDIRECTS = 5;
/** Ends downloads that trickle: firmware of 30 MB over a slow line still fits. */
const TIME_LIMIT_MS = 300 * SECOND_MS;

export interface HttpGetOptions {
  readonly maxBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole exchange; five minutes when left out. */
  readonly timeLimitMs?: number;
  /** PEM of the CAs to trust in the place of the system's. */
  readonly ca?: string;
}

/**
 * One GET. Any status is an answer, but 3xx: up to five redirects are followed from https to https. Throws WireError
 * (TIMEOUT, TOO_LARGE, BAD_URL, BAD_REDIRECT, TLS_…, ECONN…), or the signal's reason.
 */
export async function httpGet(url: string, options: HttpGetOptions, signal?: AbortSignal): Promise<HttpAnswer> {
  const limit = AbortSignal.timeout(options.timeLimitMs ?? TIME_LIMIT_MS);
  const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  let at = parsed(url);
  let headers = options.headers ?? {};
  for (let hops = 0; ; hops++) {
    const doing = `GET ${at.host}`;
    try {
      const answer = await getOnce(at, { ...options, headers, signal: either });
      if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      const next = redirected(at, answer.headers['location'], hops);
      // What was meant for one server, a token perhaps, is not told to another.
      if (next.origin !== at.origin) headers = {};
      at = next;
    } catch (error) {
      signal?.throwIfAborted();
      if (limit.aborted) throw new WireError('TIMEOUT', 'later', `${doing}: no complete answer in time`);
      if (error instanceof WireError) throw error;
      throw networkError(error, doing) ?? new WireError('HTTP_FAILED', 'later', `${doing}: the exchange failed`);
    }
  }
}

interface GetOnce extends HttpGetOptions {
  readonly signal: AbortSignal;
}

function getOnce(url: URL, options: GetOnce): Promise<HttpAnswer> {
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const headers = { 'accept-encoding': 'identity', ...options.headers };
    const request = open(url, {
      method: 'GET',
      headers,
      signal: options.signal,
      agent: false,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    request.once('error', reject);
    request.once('response', (response) => {
      bodyOf(response, url.host, options.maxBytes).then(
        (bytes) => resolve({ status: response.statusCode ?? 0, headers: headersOf(response), bytes }),
        (error: unknown) => {
          request.destroy();
          reject(error);
        },
      );
    });
    request.end();
  });
}

async function bodyOf(response: IncomingMessage, host: string, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = (): WireError => new WireError('TOO_LARGE', 'never', `GET ${host}: the answer is larger than ${maxBytes} bytes`);
  if (Number(response.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function headersOf(response: IncomingMessage): Readonly<Record<string, string>> {
  const entries = Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]);
  return Object.fromEntries(entries) as Record<string, string>;
}

function parsed(url: string): URL {
  const at = URL.parse(url);
  if (at === null || (at.protocol !== 'http:' && at.protocol !== 'https:')) {
    throw new WireError('BAD_URL', 'never', 'GET: not an http or https URL');
  }
  return at;
}

function redirected(from: URL, location: string | undefined, hops: number): URL {
  const next = location === undefined ? null : URL.parse(location, from.href);
  const refused = (why: string): WireError => new WireError('BAD_REDIRECT', 'never', `GET ${from.host}: ${why}`);
  if (next === null) throw refused('a redirect without a readable Location');
  if (from.protocol !== 'https:' || next.protocol !== 'https:') throw refused('a redirect that is not from https to https');
  if (hops >= MAX_REDIRECTS) throw refused(`more than ${MAX_REDIRECTS} redirects`);
  return next;
}
