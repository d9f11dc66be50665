import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { chunkSignature, parseAuthorization, signHeaders, signingKey, uriEncode, type SigningCredentials } from '#kit/sigv4.ts';

/** What a client can tell of an answer. Two servers behave alike when these are equal. */
export interface Seen {
  readonly status: number;
  /** S3's error code; null for a success, and for a HEAD, which has no body to say it in. */
  readonly code: string | null;
  /** Whatever else the case looks at. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A server to try the shared table on. */
export interface Probe {
  readonly url: string;
  readonly credentials: SigningCredentials;
  /** The real SDK with its default settings, but for endpoint, path style, credentials and attempts. */
  readonly client: S3Client;
  clientWith(config: S3ClientConfig): S3Client;
  /** A request signed by hand, for what the SDK does not let one say. */
  raw(request: RawRequest): Promise<RawAnswer>;
  close(): void;
}

export interface RawRequest {
  readonly method: string;
  /** Decoded, with the leading slash; or `target` as it is to stand in the request line. */
  readonly path?: string;
  readonly target?: string;
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** The SHA-256 of the body when left out. */
  readonly payloadHash?: string;
  /** False sends it unsigned. */
  readonly sign?: boolean;
  readonly credentials?: SigningCredentials;
  readonly at?: number;
}

export interface RawAnswer extends Seen {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export const REGION = 'us-east-1';

export function makeProbe(url: string, credentials: SigningCredentials): Probe {
  const clients: S3Client[] = [];
  const clientWith = (config: S3ClientConfig): S3Client => {
    const client = new S3Client({ endpoint: url, forcePathStyle: true, region: REGION, credentials, maxAttempts: 1, ...config });
    clients.push(client);
    return client;
  };
  return {
    url,
    credentials,
    client: clientWith({}),
    clientWith,
    raw: (request) => sendRaw(url, { credentials, ...request }),
    close: () => clients.forEach((client) => client.destroy()),
  };
}

/** What the SDK gave or threw. */
export async function seen<T>(
  work: Promise<T>,
  look: (output: T) => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>> = () => ({}),
): Promise<Seen> {
  try {
    const output = await work;
    const { httpStatusCode } = (output as { readonly $metadata: { readonly httpStatusCode?: number } }).$metadata;
    return { status: httpStatusCode ?? 0, code: null, facts: await look(output) };
  } catch (error) {
    const { name, $metadata } = error as { readonly name: string; readonly $metadata?: { readonly httpStatusCode?: number } };
    if ($metadata?.httpStatusCode === undefined) throw error;
    // A 304 has no body to name a code in; what the SDK makes of that is its own.
    return { status: $metadata.httpStatusCode, code: $metadata.httpStatusCode === 304 ? null : name, facts: {} };
  }
}

export function seenRaw(answer: RawAnswer, facts: Readonly<Record<string, unknown>> = {}): Seen {
  return { status: answer.status, code: answer.code, facts };
}

/** A body in signed chunks, as STREAMING-AWS4-HMAC-SHA256-PAYLOAD wants it; `spoil` changes a byte after signing. */
function signedChunks(
  bytes: Uint8Array,
  request: {
    readonly headers: Readonly<Record<string, string>>;
    readonly credentials: SigningCredentials;
    readonly size: number;
    readonly spoil: boolean;
  },
): Buffer {
  const claimed = parseAuthorization(request.headers);
  if (claimed === undefined) throw new Error('the request is not signed');
  const key = signingKey(request.credentials.secretAccessKey, claimed.scope);
  const parts: Buffer[] = [];
  let previous = claimed.signature;
  for (let at = 0; at <= bytes.length; at += request.size) {
    const chunk = bytes.subarray(at, at + request.size);
    if (chunk.length === 0 && at < bytes.length) break;
    previous = chunkSignature({ key, date: claimed.date, scope: claimed.scope }, previous, chunk);
    parts.push(frame(chunk, previous));
  }
  if (bytes.length % request.size !== 0)
    parts.push(frame(new Uint8Array(), chunkSignature({ key, date: claimed.date, scope: claimed.scope }, previous, new Uint8Array())));
  const body = Buffer.concat(parts);
  if (request.spoil) body.writeUInt8(body.readUInt8(100) ^ 1, 100);
  return body;
}

function frame(chunk: Uint8Array, signature: string): Buffer {
  return Buffer.concat([Buffer.from(`${chunk.length.toString(16)};chunk-signature=${signature}\r\n`), chunk, Buffer.from('\r\n')]);
}

/** Puts bytes as signed chunks, which the SDK itself never does. */
export async function putSignedChunks(
  probe: Probe,
  path: string,
  how: { readonly bytes: Uint8Array; readonly spoil: boolean },
): Promise<RawAnswer> {
  const size = 65_536;
  const at = Date.now();
  const headers = {
    host: new URL(probe.url).host,
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(how.bytes.length),
  };
  const payloadHash = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
  const signing = { credentials: probe.credentials, region: REGION, service: 's3', at };
  const target = encodePath(path);
  const added = signHeaders({ method: 'PUT', path: target, query: [], headers, payloadHash }, signing);
  const signed = { ...headers, ...added };
  const body = signedChunks(how.bytes, { headers: signed, credentials: probe.credentials, size, spoil: how.spoil });
  return exchange(probe.url, { method: 'PUT', target, headers: signed, body });
}

async function sendRaw(url: string, request: RawRequest & { readonly credentials: SigningCredentials }): Promise<RawAnswer> {
  const body = Buffer.from(request.body ?? '');
  const query = request.query ?? [];
  const path = encodePath(request.path ?? '/');
  const search = query.map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`).join('&');
  const target = request.target ?? (search === '' ? path : `${path}?${search}`);
  const headers = { host: new URL(url).host, ...request.headers };
  if (request.sign === false) return exchange(url, { method: request.method, target, headers, body });
  const payloadHash = request.payloadHash ?? createHash('sha256').update(body).digest('hex');
  const signing = { credentials: request.credentials, region: REGION, service: 's3', at: request.at ?? Date.now() };
  const added = signHeaders({ method: request.method, path, query, headers, payloadHash }, signing);
  return exchange(url, { method: request.method, target, headers: { ...headers, ...added }, body });
}

interface Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

function exchange(url: string, { method, target, headers, body }: Exchange): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const bodiless = method === 'GET' || method === 'HEAD' || method === 'DELETE';
    const length = bodiless && body.length === 0 ? {} : { 'content-length': String(body.length) };
    const request = httpRequest({ host: hostname, port, method, path: target, headers: { ...headers, ...length }, agent: false });
    request.once('error', reject);
    request.once('response', (response) => {
      response.toArray().then((chunks: Buffer[]) => {
        const bytes = Buffer.concat(chunks);
        const status = response.statusCode ?? 0;
        const code = status >= 300 ? (/<Code>([^<]*)<\/Code>/.exec(bytes.toString())?.[1] ?? null) : null;
        resolve({ status, code, facts: {}, headers: response.headers, body: bytes });
      }, reject);
    });
    request.end(body);
  });
}

function encodePath(path: string): string {
  return path.split('/').map(uriEncode).join('/');
}

export function md5(bytes: Uint8Array | string): string {
  return createHash('md5').update(bytes).digest('hex');
}
