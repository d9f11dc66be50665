import type { HttpExchange } from '#ports/clients.ts';

/** A request as the SDK hands it to whatever sends it. */
interface SdkRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface SdkResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

/** Lets the SDK talk to a service of this process: all that it does besides sending is as over the network. */
export function exchangeRequests(exchange: HttpExchange): {
  handle(request: SdkRequest, options?: { readonly abortSignal?: unknown }): Promise<{ response: SdkResponse }>;
  updateHttpClientConfig(): void;
  httpHandlerConfigs(): Record<string, never>;
} {
  return {
    async handle({ method, path, query = {}, headers, body }, { abortSignal } = {}) {
      if (abortSignal instanceof AbortSignal) abortSignal.throwIfAborted();
      const answer = await exchange({ method, target: `${path}${queryText(query)}`, headers: lowered(headers), body: bytesOf(body) });
      return { response: { statusCode: answer.status, headers: { ...answer.headers }, body: answer.bytes } };
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  };
}

function queryText(query: NonNullable<SdkRequest['query']>): string {
  const pairs = Object.entries(query)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${encoded(name)}=${encoded(String(one ?? ''))}`));
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function lowered(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function bytesOf(body: unknown): Uint8Array {
  // A copy: the SDK warns whoever asks its own array for anything that texts have too.
  if (body instanceof Uint8Array) return new Uint8Array(body);
  return typeof body === 'string' ? new TextEncoder().encode(body) : new Uint8Array();
}
