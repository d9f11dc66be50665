import type { GitHttpRequest, GitHttpResponse, HttpClient } from 'isomorphic-git';
import { SourceTrouble } from './limits.ts';

export interface FetchGuard {
  readonly signal: AbortSignal | null;
  /** A connection on which nothing comes for so long is given up. */
  readonly silenceMs: number;
  /** Of one answer. */
  readonly maxBytes: number;
}

/**
 * The HTTP client that isomorphic-git is given. Its own for Node can neither be aborted nor notice a silent server, so a
 * daemon would lose a socket with every one. Credentials are not sent on when the server redirects to another origin.
 */
export function gitHttp(guard: FetchGuard): HttpClient {
  return {
    request: async (request: GitHttpRequest): Promise<GitHttpResponse> => {
      const silence = new AbortController();
      const signal = guard.signal === null ? silence.signal : AbortSignal.any([guard.signal, silence.signal]);
      let timer = setTimeout(() => silence.abort(silent(guard)), guard.silenceMs);
      const heard = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(silent(guard)), guard.silenceMs);
      };
      try {
        const body = await collect(request.body);
        const response = await fetch(request.url, { method: request.method ?? 'GET', headers: request.headers ?? {}, body, signal });
        return {
          url: response.url,
          method: request.method ?? 'GET',
          statusCode: response.status,
          statusMessage: response.statusText,
          headers: Object.fromEntries(response.headers),
          body: guarded(response.body, { guard, heard, end: () => clearTimeout(timer) }),
        };
      } catch (error) {
        clearTimeout(timer);
        throw error;
      }
    },
  };
}

function silent(guard: FetchGuard): SourceTrouble {
  return new SourceTrouble('FETCH_FAILED', `the server said nothing for ${guard.silenceMs / 1000} seconds`);
}

async function collect(body: AsyncIterable<Uint8Array> | undefined): Promise<Buffer<ArrayBuffer> | null> {
  if (body === undefined) return null;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* guarded(
  body: ReadableStream<Uint8Array> | null,
  watch: { readonly guard: FetchGuard; readonly heard: () => void; readonly end: () => void },
): AsyncIterableIterator<Uint8Array> {
  let total = 0;
  try {
    for await (const chunk of body ?? []) {
      watch.heard();
      total += chunk.length;
      if (total > watch.guard.maxBytes)
        throw new SourceTrouble('TOO_LARGE', `the answer is over the limit of ${watch.guard.maxBytes} bytes`);
      yield chunk;
    }
  } finally {
    watch.end();
  }
}
