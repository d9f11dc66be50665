import type { HttpAnswer } from '#ports/wires.ts';
import { WireError } from '#ports/wire-error.ts';
import type { S3Endpoint } from './s3/endpoint.ts';

export interface GetRequest {
  readonly method: string;
  /** Path and query as they stand in the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type Answer = HttpAnswer | 'close' | 'hang';

/** A server that can be asked without a socket. */
export interface Answering {
  readonly url: string;
  answer(request: GetRequest): Answer | Promise<Answer>;
}

/** A GET with limits, as a device or the artifacts stage makes it. */
export type InProcessGet = (url: string, headers?: Readonly<Record<string, string>>) => Promise<HttpAnswer>;

/**
 * HTTP GET among servers of the same process: the one whose URL begins like the one asked for answers. Throws WireError
 * as a socket would: ECONNREFUSED where nobody listens, ECONNRESET for a cut or a body shorter than it said.
 */
export function inProcessGet(servers: readonly Answering[]): InProcessGet {
  return async (url, headers = {}) => {
    const parsed = URL.parse(url);
    const server = servers.find((known) => url === known.url || url.startsWith(`${known.url}/`));
    if (parsed === null || server === undefined) {
      throw new WireError('ECONNREFUSED', 'later', `GET ${parsed?.host ?? 'from a malformed URL'}: nobody listens there`);
    }
    const answer = await server.answer({
      method: 'GET',
      target: parsed.pathname + parsed.search,
      headers: { ...headers, host: parsed.host },
    });
    if (answer === 'close') throw new WireError('ECONNRESET', 'later', `GET ${parsed.host}: the connection was cut`);
    if (answer === 'hang') throw new WireError('TIMEOUT', 'later', `GET ${parsed.host}: no answer`);
    const promised = Number(answer.headers['content-length'] ?? answer.bytes.length);
    if (answer.bytes.length < promised) throw new WireError('ECONNRESET', 'later', `GET ${parsed.host}: the body ended early`);
    return answer;
  };
}

/** Presigned URLs, answered by an S3 endpoint of this process. */
export function answeringS3(url: string, endpoint: S3Endpoint): Answering {
  return { url, answer: (request) => endpoint.handle({ ...request, body: new Uint8Array() }) };
}
