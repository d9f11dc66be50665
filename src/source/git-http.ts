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
 * daemon would lose a socket with every one. An answer is handed on when it is complete: isomorphic-git takes a stream
 * that breaks for one that ends, and a list of refs that was cut short for a remote without branches.
 */
export function gitHttp(guard: FetchGuard): HttpClient {
  return { request: (request) => send(request, guard) };
}

async function send(request: GitHttpRequest, guard: FetchGuard): Promise<GitHttpResponse> {
  const silence = new AbortController();
  const signal = guard.signal === null ? silence.signal : AbortSignal.any([guard.signal, silence.signal]);
  const giveUp = (): void => {
    silence.abort(new SourceTrouble('FETCH_FAILED', `the server said nothing for ${guard.silenceMs / 1000} seconds`));
  };
  let timer = setTimeout(giveUp, guard.silenceMs);
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, guard.silenceMs);
  };
  try {
    const method = request.method ?? 'GET';
    const body = request.body === undefined ? null : await collect(request.body, () => undefined);
    const response = await fetch(request.url, { method, headers: request.headers ?? {}, body, signal });
    let total = 0;
    const answer = await collect(response.body ?? [], (chunk) => {
      heard();
      total += chunk.length;
      if (total > guard.maxBytes)
        throw new SourceTrouble('TOO_LARGE', `an answer of the server is over the limit of ${guard.maxBytes} bytes`);
    });
    return {
      url: response.url,
      method,
      statusCode: response.status,
      statusMessage: response.statusText,
      headers: Object.fromEntries(response.headers),
      body: once(answer),
    };
  } finally {
    clearTimeout(timer);
  }
}

async function collect(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  check: (chunk: Uint8Array) => void,
): Promise<Buffer<ArrayBuffer>> {
  const kept: Uint8Array[] = [];
  for await (const chunk of chunks) {
    check(chunk);
    kept.push(chunk);
  }
  return Buffer.concat(kept);
}

async function* once(bytes: Uint8Array): AsyncIterableIterator<Uint8Array> {
  yield bytes;
}
