import type * as Sdk from '@aws-sdk/client-s3';
import { SECOND_MS } from '#kit/duration.ts';
import { MAX_PRESIGN_SECONDS, presignUrl, uriDecode, uriEncode, type SigningCredentials } from '#kit/sigv4.ts';
import type { Clock } from '#ports/clock.ts';
import type { GetOptions, ListPage, ListRequest, ObjectFacts, ObjectStore, PutOptions } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import type { S3Connection } from '#ports/wires.ts';
import { statusOf, s3Error } from './s3-errors.ts';
import { systemClock } from './clock.ts';

const CONNECT_LIMIT_MS = 10 * SECOND_MS;
/** For one call with its body: ends a transfer that trickles. */
const CALL_LIMIT_MS = 180 * SECOND_MS;
/** Attempts of a read. Writes have one: a lost answer is for the engine to find out about, not to be papered over. */
const READ_ATTEMPTS = 3;

export interface S3StoreOptions {
  /** For signatures; the system's when left out. */
  readonly clock?: Clock;
  readonly callLimitMs?: number;
}

interface Bucket {
  readonly sdk: typeof Sdk;
  readonly reads: Sdk.S3Client;
  readonly writes: Sdk.S3Client;
  readonly connection: S3Connection;
  readonly clock: Clock;
  readonly callLimitMs: number;
  /** Learned on the way: AWS compares a quoted If-Match, radosgw a bare one. */
  bareEtags: boolean;
}

/**
 * A bucket of S3 or of a server that speaks like it. Without credentials the SDK looks for them where it always does
 * (environment, profile, role). The SDK is loaded here, on the first use. Nothing is sent yet.
 */
export async function openS3Store(
  connection: S3Connection,
  credentials: SigningCredentials | null,
  options: S3StoreOptions = {},
): Promise<ObjectStore> {
  const sdk = await import('@aws-sdk/client-s3');
  const clock = options.clock ?? systemClock;
  const callLimitMs = options.callLimitMs ?? CALL_LIMIT_MS;
  const open = (maxAttempts: number): Sdk.S3Client =>
    new sdk.S3Client({
      region: connection.region,
      maxAttempts,
      // S3-compatible servers choke on the checksum trailers that are the default since 2025.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      systemClockOffset: clock.now() - Date.now(),
      requestHandler: { connectionTimeout: CONNECT_LIMIT_MS, requestTimeout: callLimitMs, throwOnRequestTimeout: true },
      ...(connection.endpoint === null ? {} : { endpoint: connection.endpoint, forcePathStyle: true }),
      ...(credentials === null ? {} : { credentials }),
    });
  const bucket: Bucket = { sdk, reads: open(READ_ATTEMPTS), writes: open(1), connection, clock, callLimitMs, bareEtags: false };
  return {
    list: (request, signal) => limited(bucket, { doing: 'list', key: request.prefix, signal }, (abort) => list(bucket, request, abort)),
    get: (key, how = {}, signal) => limited(bucket, { doing: 'get', key, signal }, (abort) => get(bucket, { key, ...how }, abort)),
    head: (key, signal) => limited(bucket, { doing: 'head', key, signal }, (abort) => head(bucket, key, abort)),
    put: (...[key, bytes, how = {}, signal]) =>
      limited(bucket, { doing: 'put', key, signal }, (abort) => put(bucket, { key, bytes, ...how }, abort)),
    delete: (key, signal) => limited(bucket, { doing: 'delete', key, signal }, (abort) => remove(bucket, key, abort)),
    presign: (key, expiresSeconds) =>
      limited(bucket, { doing: 'presign', key, signal: undefined }, () => presign(bucket, key, expiresSeconds)),
    close() {
      bucket.reads.destroy();
      bucket.writes.destroy();
      return Promise.resolve();
    },
  };
}

/** Runs one call under the limit; whatever it throws leaves as WireError, or as the signal's reason. */
async function limited<T>(
  bucket: Bucket,
  call: { readonly doing: string; readonly key: string; readonly signal: AbortSignal | undefined },
  run: (abort: AbortSignal) => Promise<T>,
): Promise<T> {
  call.signal?.throwIfAborted();
  const limit = AbortSignal.timeout(bucket.callLimitMs);
  const doing = `${call.doing} ${bucket.connection.bucket}/${bucket.connection.prefix}${call.key}`;
  try {
    return await run(call.signal === undefined ? limit : AbortSignal.any([call.signal, limit]));
  } catch (error) {
    call.signal?.throwIfAborted();
    if (limit.aborted) throw new WireError('TIMEOUT', 'later', `${doing}: no complete answer in time`);
    throw s3Error(error, doing);
  }
}

function target(bucket: Bucket, key: string): { readonly Bucket: string; readonly Key: string } {
  return { Bucket: bucket.connection.bucket, Key: bucket.connection.prefix + key };
}

async function list(bucket: Bucket, request: ListRequest, abortSignal: AbortSignal): Promise<ListPage> {
  const { prefix, bucket: name } = bucket.connection;
  const { delimiter, startAfter, next } = request;
  const command = new bucket.sdk.ListObjectsV2Command({
    Bucket: name,
    Prefix: prefix + request.prefix,
    // Keys may hold characters that XML cannot.
    EncodingType: 'url',
    ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
    ...(startAfter === undefined || next !== undefined ? {} : { StartAfter: prefix + startAfter }),
    ...(next === undefined ? {} : { ContinuationToken: next }),
  });
  const answer = await bucket.reads.send(command, { abortSignal });
  const plain = (text: string): string => (answer.EncodingType === 'url' ? (uriDecode(text.replaceAll('+', ' ')) ?? text) : text);
  const objects = (answer.Contents ?? []).map((entry) => ({
    key: plain(entry.Key ?? '').slice(prefix.length),
    size: entry.Size ?? 0,
    etag: bareEtag(entry.ETag),
    lastModified: entry.LastModified?.getTime() ?? 0,
  }));
  const prefixes = (answer.CommonPrefixes ?? []).map((entry) => plain(entry.Prefix ?? '').slice(prefix.length));
  return { objects, prefixes, next: answer.IsTruncated === true ? (answer.NextContinuationToken ?? null) : null };
}

async function get(
  bucket: Bucket,
  request: GetOptions & { readonly key: string },
  abortSignal: AbortSignal,
): Promise<(ObjectFacts & { readonly bytes: Uint8Array }) | 'missing' | 'unchanged'> {
  const { key, unless, since, maxBytes } = request;
  const condition = {
    ...(unless === undefined ? {} : { IfNoneMatch: `"${unless}"` }),
    ...(since === undefined ? {} : { IfModifiedSince: new Date(since) }),
  };
  const command = new bucket.sdk.GetObjectCommand({ ...target(bucket, key), ...condition });
  try {
    const answer = await bucket.reads.send(command, { abortSignal });
    const body = answer.Body as AsyncIterable<Uint8Array> & { destroy(): void };
    const etag = bareEtag(answer.ETag);
    const lastModified = answer.LastModified?.getTime() ?? 0;
    // A server that knows no such condition answers with all of it.
    if (etag === unless || (since !== undefined && lastModified <= since)) {
      body.destroy();
      return 'unchanged';
    }
    const limit = maxBytes ?? Number.POSITIVE_INFINITY;
    if ((answer.ContentLength ?? 0) > limit) {
      body.destroy();
      throw tooLarge(key, limit);
    }
    const bytes = await readBody(body, () => tooLarge(key, limit), limit);
    return { key, size: bytes.length, etag, lastModified, bytes };
  } catch (error) {
    if (isMissing(error)) return 'missing';
    if (statusOf(error) === 304) return 'unchanged';
    throw error;
  }
}

async function readBody(body: AsyncIterable<Uint8Array>, tooMuch: () => WireError, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw tooMuch();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function head(bucket: Bucket, key: string, abortSignal: AbortSignal): Promise<ObjectFacts | 'missing'> {
  try {
    const answer = await bucket.reads.send(new bucket.sdk.HeadObjectCommand(target(bucket, key)), { abortSignal });
    const lastModified = answer.LastModified?.getTime() ?? 0;
    return { key, size: answer.ContentLength ?? 0, etag: bareEtag(answer.ETag), lastModified };
  } catch (error) {
    if (statusOf(error) === 404) return missingUnlessBucket(bucket, error, abortSignal);
    throw error;
  }
}

/** A HEAD says 404 without a code: whether object or bucket is missing takes a second question. */
async function missingUnlessBucket(bucket: Bucket, error: unknown, abortSignal: AbortSignal): Promise<'missing'> {
  try {
    await bucket.reads.send(new bucket.sdk.HeadBucketCommand({ Bucket: bucket.connection.bucket }), { abortSignal });
  } catch (second) {
    if (statusOf(second) === 404) throw error;
  }
  return 'missing';
}

interface PutRequest extends PutOptions {
  readonly key: string;
  readonly bytes: Uint8Array;
}

async function put(bucket: Bucket, request: PutRequest, abortSignal: AbortSignal): Promise<{ readonly etag: string } | 'conflict'> {
  const { ifMatch } = request;
  const answer = await putOnce(bucket, request, abortSignal);
  if (answer !== 'conflict' || ifMatch === undefined || bucket.bareEtags) return answer;
  // Refused though the ETag is the one we named: this server wants it without quotes.
  const present = await head(bucket, request.key, abortSignal);
  if (present === 'missing' || present.etag !== ifMatch) return 'conflict';
  bucket.bareEtags = true;
  const again = await putOnce(bucket, request, abortSignal);
  if (again === 'conflict') bucket.bareEtags = false;
  return again;
}

async function putOnce(
  bucket: Bucket,
  { key, bytes, contentType, ifMatch, ifAbsent, meta }: PutRequest,
  abortSignal: AbortSignal,
): Promise<{ readonly etag: string } | 'conflict'> {
  const command = new bucket.sdk.PutObjectCommand({
    ...target(bucket, key),
    Body: bytes,
    ContentLength: bytes.length,
    ...(contentType === undefined ? {} : { ContentType: contentType }),
    ...(ifMatch === undefined ? {} : { IfMatch: bucket.bareEtags ? ifMatch : `"${ifMatch}"` }),
    ...(ifAbsent === true ? { IfNoneMatch: '*' } : {}),
    ...(meta === undefined ? {} : { Metadata: meta }),
  });
  try {
    const answer = await bucket.writes.send(command, { abortSignal });
    return { etag: bareEtag(answer.ETag) };
  } catch (error) {
    const status = statusOf(error);
    // 404 is S3's answer to If-Match over nothing, 409 to a write that met another (S3 user guide, conditional writes).
    if (status === 412 || status === 409 || (ifMatch !== undefined && isMissing(error))) return 'conflict';
    throw error;
  }
}

async function remove(bucket: Bucket, key: string, abortSignal: AbortSignal): Promise<void> {
  try {
    await bucket.writes.send(new bucket.sdk.DeleteObjectCommand(target(bucket, key)), { abortSignal });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function presign(bucket: Bucket, key: string, expiresSeconds: number): Promise<string> {
  const { connection, clock } = bucket;
  const found = await bucket.reads.config.credentials();
  const credentials: SigningCredentials = {
    accessKeyId: found.accessKeyId,
    secretAccessKey: found.secretAccessKey,
    ...(found.sessionToken === undefined ? {} : { sessionToken: found.sessionToken }),
  };
  const path = (connection.prefix + key).split('/').map(uriEncode).join('/');
  const seconds = Math.min(MAX_PRESIGN_SECONDS, Math.max(1, Math.ceil(expiresSeconds)));
  return presignUrl(
    { method: 'GET', url: `${bucketUrl(connection)}/${path}`, expiresSeconds: seconds },
    { credentials, region: connection.region, service: 's3', at: clock.now() },
  );
}

/** Virtual-hosted at AWS, but for names with dots, which its wildcard certificate does not cover; path style elsewhere. */
function bucketUrl({ endpoint, bucket, region }: S3Connection): string {
  if (endpoint !== null) return `${endpoint.replace(/\/+$/, '')}/${bucket}`;
  const host = `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  return bucket.includes('.') ? `https://${host}/${bucket}` : `https://${bucket}.${host}`;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error.name === 'NoSuchKey' || error.name === 'NotFound') && statusOf(error) === 404;
}

function bareEtag(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '');
}

function tooLarge(key: string, limit: number): WireError {
  return new WireError('TOO_LARGE', 'never', `get ${key}: the object is larger than ${limit} bytes`);
}
