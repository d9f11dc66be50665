import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { compareText } from './diagnostics.ts';

/** AWS Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html */
const ALGORITHM = 'AWS4-HMAC-SHA256';
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** Seven days: the longest that a presigned URL may live. */
export const MAX_PRESIGN_SECONDS = 604_800;

export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface SigningScope {
  /** YYYYMMDD. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

export interface SignableRequest {
  readonly method: string;
  /** As it stands in the request line, percent-encoded, without the query. */
  readonly path: string;
  /** Decoded names and values, in any order. */
  readonly query: readonly (readonly [string, string])[];
  /** Names in lower case; repeated headers joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hex, or one of the words that stand for it. */
  readonly payloadHash: string;
}

export interface Signing {
  readonly credentials: SigningCredentials;
  readonly region: string;
  readonly service: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** `20130524T000000Z`. */
export function amzDate(at: number): string {
  return new Date(at).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
}

/** Milliseconds of `20130524T000000Z`; undefined when it is not such a text. */
export function parseAmzDate(text: string): number | undefined {
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at) ? undefined : at;
}

function scopeText(scope: SigningScope): string {
  return `${scope.date}/${scope.region}/${scope.service}/aws4_request`;
}

/** Percent-encoding as AWS wants it: everything but the unreserved characters of RFC 3986, upper-case hex. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Like decodeURIComponent, but undefined instead of a throw on a broken escape. */
export function uriDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Reads a raw query string as decoded pairs; `+` is a plus, as AWS reads it. Undefined on a broken escape. */
export function parseQuery(raw: string): readonly (readonly [string, string])[] | undefined {
  const pairs: (readonly [string, string])[] = [];
  for (const part of raw.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = uriDecode(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? '' : uriDecode(part.slice(equals + 1));
    if (name === undefined || value === undefined) return undefined;
    pairs.push([name, value]);
  }
  return pairs;
}

/**
 * The canonical request over the named headers (lower case, any order). S3 takes the path as it is; every other
 * service wants it normalised and encoded once more.
 */
export function canonicalRequest(request: SignableRequest, signedHeaders: readonly string[], service: string): string {
  const names = signedHeaders.toSorted(compareText);
  return [
    request.method,
    canonicalPath(request.path, service),
    canonicalQuery(request.query),
    names.map((name) => `${name}:${canonicalHeaderValue(request.headers[name] ?? '')}\n`).join(''),
    names.join(';'),
    request.payloadHash,
  ].join('\n');
}

export function stringToSign(date: string, scope: SigningScope, canonical: string): string {
  return [ALGORITHM, date, scopeText(scope), hex(canonical)].join('\n');
}

export function signingKey(secretAccessKey: string, scope: SigningScope): Uint8Array {
  const parts = [scope.date, scope.region, scope.service, 'aws4_request'];
  return parts.reduce<Uint8Array>((key, part) => hmac(key, part), Buffer.from(`AWS4${secretAccessKey}`));
}

/** The signature in hex of a string to sign. */
function signatureOf(key: Uint8Array, text: string): string {
  return Buffer.from(hmac(key, text)).toString('hex');
}

/**
 * The headers to add: `x-amz-date`, `authorization`, with S3 also `x-amz-content-sha256`, and the session token. The
 * request must carry its `host` header; all its headers are signed.
 */
export function signHeaders(request: SignableRequest, signing: Signing): Readonly<Record<string, string>> {
  const date = amzDate(signing.at);
  const scope = { date: date.slice(0, 8), region: signing.region, service: signing.service };
  const { accessKeyId, secretAccessKey, sessionToken } = signing.credentials;
  const added: Record<string, string> = { 'x-amz-date': date };
  if (signing.service === 's3') added['x-amz-content-sha256'] = request.payloadHash;
  if (sessionToken !== undefined) added['x-amz-security-token'] = sessionToken;
  const headers = { ...request.headers, ...added };
  const names = Object.keys(headers).toSorted(compareText);
  const canonical = canonicalRequest({ ...request, headers }, names, signing.service);
  const signature = signatureOf(signingKey(secretAccessKey, scope), stringToSign(date, scope, canonical));
  added['authorization'] =
    `${ALGORITHM} Credential=${accessKeyId}/${scopeText(scope)}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return added;
}

/**
 * A URL that whoever has it may use for `expiresSeconds` (at most 604,800): the query form of the signature, over the
 * host header alone. Query parameters of the URL are kept and signed.
 */
export function presignUrl(
  request: { readonly method: string; readonly url: string; readonly expiresSeconds: number },
  signing: Signing,
): string {
  const url = new URL(request.url);
  const date = amzDate(signing.at);
  const scope = { date: date.slice(0, 8), region: signing.region, service: signing.service };
  const { accessKeyId, secretAccessKey, sessionToken } = signing.credentials;
  const query: (readonly [string, string])[] = [
    ...(parseQuery(url.search.slice(1)) ?? []),
    ['X-Amz-Algorithm', ALGORITHM],
    ['X-Amz-Credential', `${accessKeyId}/${scopeText(scope)}`],
    ['X-Amz-Date', date],
    ['X-Amz-Expires', String(request.expiresSeconds)],
    ...(sessionToken === undefined ? [] : [['X-Amz-Security-Token', sessionToken] as const]),
    ['X-Amz-SignedHeaders', 'host'],
  ];
  const signable = { method: request.method, path: url.pathname, query, headers: { host: url.host }, payloadHash: UNSIGNED_PAYLOAD };
  const canonical = canonicalRequest(signable, ['host'], signing.service);
  const signature = signatureOf(signingKey(secretAccessKey, scope), stringToSign(date, scope, canonical));
  return `${url.origin}${url.pathname}?${canonicalQuery(query)}&X-Amz-Signature=${signature}`;
}

/** What a request says of its own signature. */
export interface ClaimedSignature {
  readonly form: 'header' | 'query';
  readonly accessKeyId: string;
  readonly scope: SigningScope;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `X-Amz-Date` as it was sent, empty when there is none. */
  readonly date: string;
  readonly sessionToken: string | null;
  /** Seconds, for the query form. */
  readonly expires: number | null;
}

/** Reads an `Authorization` header; undefined when it is not of the form. The date comes from the other headers. */
export function parseAuthorization(headers: Readonly<Record<string, string>>): ClaimedSignature | undefined {
  const match = /^AWS4-HMAC-SHA256\s+(.*)$/s.exec(headers['authorization'] ?? '');
  if (match === null) return undefined;
  const fields = new Map<string, string>();
  for (const part of (match[1] ?? '').split(',')) {
    const equals = part.indexOf('=');
    if (equals > 0) fields.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  const credential = parseCredential(fields.get('Credential') ?? '');
  const signedHeaders = fields.get('SignedHeaders');
  const signature = fields.get('Signature');
  if (credential === undefined || !signedHeaders || !signature) return undefined;
  const date = headers['x-amz-date'] ?? httpDateAsAmz(headers['date']);
  const sessionToken = headers['x-amz-security-token'] ?? null;
  return { form: 'header', ...credential, signedHeaders: signedHeaders.split(';'), signature, date, sessionToken, expires: null };
}

/** Reads the query form; undefined when a part is missing or malformed. */
export function parsePresigned(query: readonly (readonly [string, string])[]): ClaimedSignature | undefined {
  const values = new Map(query);
  const credential = parseCredential(values.get('X-Amz-Credential') ?? '');
  const signedHeaders = values.get('X-Amz-SignedHeaders');
  const signature = values.get('X-Amz-Signature');
  const date = values.get('X-Amz-Date');
  const expires = values.get('X-Amz-Expires') ?? '';
  if (values.get('X-Amz-Algorithm') !== ALGORITHM || credential === undefined) return undefined;
  if (!signedHeaders || !signature || date === undefined || !/^\d{1,9}$/.test(expires)) return undefined;
  const sessionToken = values.get('X-Amz-Security-Token') ?? null;
  return {
    form: 'query',
    ...credential,
    signedHeaders: signedHeaders.split(';'),
    signature,
    date,
    sessionToken,
    expires: Number(expires),
  };
}

/** Whether the claimed signature is that of the request under the secret. Constant in time over the signature. */
export function verifySignature(request: SignableRequest, claimed: ClaimedSignature, secretAccessKey: string): boolean {
  return sameSignature(claimed.signature, expectedSignature(request, claimed, secretAccessKey).signature);
}

/** The signature that the request ought to have, with the texts it was made from: what S3 says in its error. */
export function expectedSignature(
  request: SignableRequest,
  claimed: ClaimedSignature,
  secretAccessKey: string,
): { readonly signature: string; readonly canonicalRequest: string; readonly stringToSign: string } {
  const query = claimed.form === 'query' ? request.query.filter(([name]) => name !== 'X-Amz-Signature') : request.query;
  const canonical = canonicalRequest({ ...request, query }, claimed.signedHeaders, claimed.scope.service);
  const text = stringToSign(claimed.date, claimed.scope, canonical);
  return { signature: signatureOf(signingKey(secretAccessKey, claimed.scope), text), canonicalRequest: canonical, stringToSign: text };
}

export function sameSignature(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Where a chain of signed chunks stands: each signature covers the one before, the first that of the request. */
export interface ChunkSigning {
  readonly key: Uint8Array;
  readonly date: string;
  readonly scope: SigningScope;
}

/** Signature of one chunk of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD body. */
export function chunkSignature(signing: ChunkSigning, previous: string, chunk: Uint8Array): string {
  const text = ['AWS4-HMAC-SHA256-PAYLOAD', signing.date, scopeText(signing.scope), previous, EMPTY_SHA256, hex(chunk)].join('\n');
  return signatureOf(signing.key, text);
}

/** Signature of the trailing headers of such a body, each as `name:value\n`. */
export function trailerSignature(signing: ChunkSigning, previous: string, trailers: string): string {
  const text = ['AWS4-HMAC-SHA256-TRAILER', signing.date, scopeText(signing.scope), previous, hex(trailers)].join('\n');
  return signatureOf(signing.key, text);
}

function parseCredential(text: string): { readonly accessKeyId: string; readonly scope: SigningScope } | undefined {
  const match = /^(.+)\/(\d{8})\/([^/]*)\/([^/]+)\/aws4_request$/.exec(text);
  if (match === null) return undefined;
  const [, accessKeyId = '', date = '', region = '', service = ''] = match;
  return { accessKeyId, scope: { date, region, service } };
}

function httpDateAsAmz(text: string | undefined): string {
  const at = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? '' : amzDate(at);
}

function canonicalPath(path: string, service: string): string {
  if (service === 's3') return encodePath(path);
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const slash = kept.length > 0 && path.endsWith('/') ? '/' : '';
  const normalised = `/${kept.join('/')}${slash}`;
  return encodePath(normalised).split('/').map(uriEncode).join('/');
}

/** Decodes and encodes again, so that `%7e` and `~`, or a bare `(`, sign alike. */
function encodePath(path: string): string {
  const segments = (path === '' ? '/' : path).split('/');
  return segments.map((segment) => uriEncode(uriDecode(segment) ?? segment)).join('/');
}

function canonicalQuery(query: readonly (readonly [string, string])[]): string {
  return query
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .toSorted(([nameA, valueA], [nameB, valueB]) => compareText(nameA, nameB) || compareText(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function canonicalHeaderValue(value: string): string {
  return value.trim().replaceAll(/\s+/g, ' ');
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}

function hex(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
