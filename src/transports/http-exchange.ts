import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { HttpExchange } from '#ports/clients.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import { networkError } from './network-error.ts';

/** So much is handed to a socket at once: a bundle of megabytes does not lie in its buffers. */
const CHUNK_BYTES = 64 * 1024;

/** Calls to one server, over connections that are kept. Redirects are answers like any other: a key is told to nobody else. */
export interface NetworkExchange {
  readonly exchange: HttpExchange;
  close(): void;
}

/** Each request is sent once. Throws WireError (TOO_LARGE, TLS_…, ECONN…) with the host alone in its text, or the signal's reason. */
export function openHttpExchange(server: URL, { maxBytes }: { readonly maxBytes: number }): NetworkExchange {
  const agent = server.protocol === 'https:' ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  return {
    async exchange(request) {
      const doing = `${request.method} ${server.host}`;
      try {
        return await sendOnce(server, { ...request, agent, maxBytes });
      } catch (error) {
        request.signal?.throwIfAborted();
        if (error instanceof WireError) throw error;
        throw networkError(error, doing) ?? new WireError('HTTP_FAILED', 'later', `${doing}: the exchange failed`);
      }
    },
    close: () => agent.destroy(),
  };
}

type Request = Parameters<HttpExchange>[0];

interface SendOnce extends Request {
  readonly agent: HttpAgent;
  readonly maxBytes: number;
}

function sendOnce(server: URL, { method, target, headers, body, agent, maxBytes, signal }: SendOnce): Promise<HttpAnswer> {
  const open = server.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = open({
      protocol: server.protocol,
      hostname: server.hostname.replaceAll(/[[\]]/g, ''),
      port: server.port,
      path: target,
      method,
      headers: { 'accept-encoding': 'identity', 'content-length': String(body.length), ...headers },
      agent,
      ...(signal === undefined ? {} : { signal }),
    });
    request.once('error', reject);
    request.once('response', (response) => {
      answerOf(response, server.host, maxBytes).then(resolve, (error: unknown) => {
        request.destroy();
        reject(error);
      });
    });
    const write = (from: number): void => {
      for (let at = from; at < body.length; at += CHUNK_BYTES) {
        if (request.write(body.subarray(at, at + CHUNK_BYTES))) continue;
        request.once('drain', () => write(at + CHUNK_BYTES));
        return;
      }
      request.end();
    };
    write(0);
  });
}

async function answerOf(response: IncomingMessage, host: string, maxBytes: number): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new WireError('TOO_LARGE', 'never', `${host}: the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value ?? '')] as const);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), bytes: Buffer.concat(chunks) };
}
