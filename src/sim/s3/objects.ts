import { presignUrl, uriEncode, type SigningCredentials } from '#kit/sigv4.ts';
import type { ListPage, ListRequest, ObjectFacts, ObjectStore, PutOptions } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { writeCondition } from './conditions.ts';
import type { S3Fault, S3Faults, S3Operation } from './faults.ts';
import { continuationToken, parseContinuationToken } from './list.ts';
import { SIM_CREDENTIALS, type S3Object, type S3Store, type S3View } from './store.ts';

/** Where a presigned URL of a world without sockets points; `inProcessGet` finds the endpoint by it. */
export const SIM_S3_URL = 'http://s3.sim';

const MAX_PAGE = 1000;

export interface MemoryObjectsOptions {
  readonly prefix?: string;
  readonly faults?: S3Faults;
  /** For presigned URLs: SIM_S3_URL when left out. */
  readonly url?: string;
  readonly credentials?: SigningCredentials;
}

/**
 * The ObjectStore port straight over the store, without HTTP: for scenarios, where each run must be the same. Faults
 * strike as they do at the server, as the WireError that its client would throw.
 */
export function makeMemoryObjects(store: S3Store, bucket: string, options: string | MemoryObjectsOptions = ''): ObjectStore {
  const settings = typeof options === 'string' ? { prefix: options } : options;
  const world: MemoryWorld = { store, bucket, prefix: settings.prefix ?? '', faults: settings.faults ?? null };
  return {
    list: (request, signal) =>
      asked(world, { operation: 'ListObjectsV2', key: request.prefix, signal }, (view) => listOf(world, view, request)),
    async get(key, { unless, since, maxBytes } = {}, signal) {
      const object = await asked(world, { operation: 'GetObject', key, signal }, () => store.get(bucket, world.prefix + key));
      if (object === undefined) return 'missing';
      if (unless === object.etag || (since !== undefined && object.lastModified <= since)) return 'unchanged';
      if (maxBytes !== undefined && object.bytes.length > maxBytes) {
        throw new WireError('TOO_LARGE', 'never', `get ${key}: the object is larger than ${maxBytes} bytes`);
      }
      return { ...factsOf(object, key), bytes: Uint8Array.from(object.bytes) };
    },
    async head(key, signal) {
      const object = await asked(world, { operation: 'HeadObject', key, signal }, () => store.get(bucket, world.prefix + key));
      return object === undefined ? 'missing' : factsOf(object, key);
    },
    put: (...[key, bytes, putOptions = {}, signal]) =>
      asked(world, { operation: 'PutObject', key, signal }, () => putTo(world, key, { bytes, options: putOptions })),
    delete: (key, signal) => asked(world, { operation: 'DeleteObject', key, signal }, () => void store.delete(bucket, world.prefix + key)),
    presign(key, expiresSeconds) {
      const path = `${bucket}/${world.prefix}${key}`.split('/').map(uriEncode).join('/');
      const signing = { credentials: settings.credentials ?? SIM_CREDENTIALS, region: 'us-east-1', service: 's3', at: store.clock.now() };
      return Promise.resolve(presignUrl({ method: 'GET', url: `${settings.url ?? SIM_S3_URL}/${path}`, expiresSeconds }, signing));
    },
    close: () => Promise.resolve(),
  };
}

interface MemoryWorld {
  readonly store: S3Store;
  readonly bucket: string;
  readonly prefix: string;
  readonly faults: S3Faults | null;
}

interface Asking {
  readonly operation: S3Operation;
  readonly key: string;
  readonly signal: AbortSignal | undefined;
}

async function asked<T>(world: MemoryWorld, asking: Asking, act: (listed: S3View) => T): Promise<T> {
  const { store, bucket } = world;
  const { operation, signal } = asking;
  signal?.throwIfAborted();
  const key = world.prefix + asking.key;
  store.count(operation);
  const faults = world.faults?.strike(operation, key) ?? [];
  for (const fault of faults) {
    if (fault.kind === 'delay') await store.clock.sleep(fault.ms, signal);
  }
  const kinds = new Set(faults.map((fault) => fault.kind));
  const doing = `${operation} ${bucket}/${key}`;
  if (kinds.has('reset-before')) throw new WireError('ECONNRESET', 'later', `${doing}: the connection was cut`);
  if (kinds.has('slow-down')) throw new WireError('S3_503', 'later', `${doing}: SlowDown`);
  if (kinds.has('internal-error')) throw new WireError('S3_500', 'later', `${doing}: InternalError`);
  if (kinds.has('deny')) throw new WireError('S3_403', 'never', `${doing}: AccessDenied`);
  if (!store.hasBucket(bucket)) throw new WireError('S3_404', 'never', `${doing}: NoSuchBucket`);
  if (Buffer.byteLength(key) > 1024) throw new WireError('S3_400', 'never', `${operation} ${bucket}: KeyTooLongError`);
  const answer = act(staleView(faults) ?? store);
  if (kinds.has('reset-after')) throw new WireError('ECONNRESET', 'later', `${doing}: the connection was cut`);
  if (kinds.has('lost-response')) throw new WireError('TIMEOUT', 'later', `${doing}: no answer`);
  return answer;
}

function staleView(faults: readonly S3Fault[]): S3View | null {
  return faults.find((fault) => fault.kind === 'stale-list')?.view ?? null;
}

function listOf(world: MemoryWorld, view: S3View, request: ListRequest): ListPage {
  const { bucket, prefix } = world;
  const from = request.next === undefined ? undefined : parseContinuationToken(request.next);
  if (request.next !== undefined && from === undefined) {
    throw new WireError('S3_400', 'never', `ListObjectsV2 ${bucket}: the continuation token is not one of this store`);
  }
  const after = request.startAfter === undefined ? '' : prefix + request.startAfter;
  const listing = view.list(bucket, {
    prefix: prefix + request.prefix,
    delimiter: request.delimiter ?? '',
    ...(from ?? { after, skip: '' }),
    maxKeys: MAX_PAGE,
  });
  const objects = listing.keys.map((key) => view.get(bucket, key)).filter((object) => object !== undefined);
  return {
    objects: objects.map((object) => factsOf(object, object.key.slice(prefix.length))),
    prefixes: listing.prefixes.map((common) => common.slice(prefix.length)),
    next: listing.next === null ? null : continuationToken(listing.next),
  };
}

function putTo(
  world: MemoryWorld,
  key: string,
  { bytes, options }: { readonly bytes: Uint8Array; readonly options: PutOptions },
): { readonly etag: string } | 'conflict' {
  const { store, bucket, prefix } = world;
  const headers = {
    ...(options.ifMatch === undefined ? {} : { 'if-match': options.ifMatch }),
    ...(options.ifAbsent === true ? { 'if-none-match': '*' } : {}),
  };
  const obeys = world.faults?.ignoreConditions !== true;
  if (obeys && writeCondition(headers, store.get(bucket, prefix + key)) !== 'ok') return 'conflict';
  const { contentType, meta } = options;
  const input = {
    bytes,
    ...(contentType === undefined ? {} : { contentType }),
    ...(meta === undefined ? {} : { headers: metaHeaders(meta) }),
  };
  return { etag: store.put(bucket, prefix + key, input).etag };
}

function metaHeaders(meta: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(meta).map(([name, value]) => [`x-amz-meta-${name.toLowerCase()}`, value]));
}

function factsOf(object: S3Object, key: string): ObjectFacts {
  return { key, size: object.bytes.length, etag: object.etag, lastModified: object.lastModified };
}
