import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { SECOND_MS } from '#kit/duration.ts';
import type { HttpExchange } from '#ports/clients.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';

/** A page of a hundred twins of at most 72 KB each. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_SOCKETS = 32;
const CONNECT_LIMIT_MS = 10 * SECOND_MS;

/** An exchange with one HTTPS server over connections that are kept. `close` ends those. */
export interface HttpsExchange {
  readonly exchange: HttpExchange;
  close(): void;
}

/** `host` is a name, with a port where it is not 443. Sends once; throws what sockets throw, or WireError TOO_LARGE. */
export function openHttpsExchange(host: string): HttpsExchange {
  const [hostname = host, port = '443'] = host.split(':');
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, timeout: CONNECT_LIMIT_MS });
  return {
    exchange: ({ method, target, headers, body, signal }) =>
      send(
        {
          hostname,
          port,
          agent,
          method,
          path: target,
          headers: { ...headers, 'content-length': String(body.length) },
          ...(signal === undefined ? {} : { signal }),
        },
        body,
      ),
    close: () => agent.destroy(),
  };
}

function send(options: RequestOptions, body: Uint8Array): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(options);
    request.once('error', reject);
    request.once('response', (response) => {
      answerOf(response).then(resolve, (error: unknown) => {
        request.destroy();
        reject(error instanceof Error ? error : new Error('the answer broke off'));
      });
    });
    request.end(body);
  });
}

async function answerOf(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new WireError('TOO_LARGE', 'never', `the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  const headers = Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers) as Record<string, string>, bytes: Buffer.concat(chunks) };
}
