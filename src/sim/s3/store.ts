import { createHash } from 'node:crypto';
import type { SigningCredentials } from '#kit/sigv4.ts';
import type { Instant } from '#model/ids.ts';
import type { Clock } from '#ports/clock.ts';
import type { Checksum } from './checksums.ts';
import { compareUtf8, listPage, type ListQuery, type Listing } from './list.ts';

/** Used where a caller names none: for tests, the demo and `headgate sim s3`, never for data that matters. */
export const SIM_CREDENTIALS: SigningCredentials = { accessKeyId: 'headgate', secretAccessKey: 'headgate-secret' };

export interface S3Object {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** MD5 of the bytes in hex, without quotes. */
  readonly etag: string;
  /** In whole seconds, as S3 keeps it. */
  readonly lastModified: Instant;
  readonly contentType: string;
  /** Other headers given back with the object: `cache-control`, `x-amz-meta-*`, …; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum: Checksum | null;
}

export interface PutInput {
  readonly bytes: Uint8Array;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly checksum?: Checksum | null;
}

/** What may be read of a store: the store itself, or its state at some instant. */
export interface S3View {
  hasBucket(bucket: string): boolean;
  bucketNames(): readonly string[];
  createdAt(bucket: string): Instant;
  get(bucket: string, key: string): S3Object | undefined;
  list(bucket: string, query: ListQuery): Listing;
}

/** Buckets and objects in memory. Nothing waits, so a condition and the write after it are one step. */
export interface S3Store extends S3View {
  readonly clock: Clock;
  /** False when it is there already. */
  createBucket(bucket: string): boolean;
  /** False when it still holds objects. */
  deleteBucket(bucket: string): boolean;
  /** Throws a RangeError when the bucket does not exist. */
  put(bucket: string, key: string, input: PutInput): S3Object;
  /** False when there was nothing. */
  delete(bucket: string, key: string): boolean;
  /** The state now, unmoved by later writes: what an eventually consistent list would still show. */
  snapshot(): S3View;
  /** Requests answered so far, by kind. */
  readonly requests: ReadonlyMap<string, number>;
  count(kind: string): void;
}

interface Bucket {
  readonly createdAt: Instant;
  readonly objects: Map<string, S3Object>;
  sorted: readonly string[] | null;
}

/** S3's content type for an object that was put without one. */
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';

export function makeS3Store(options: { readonly clock: Clock; readonly buckets?: readonly string[] }): S3Store {
  const buckets = new Map<string, Bucket>();
  const requests = new Map<string, number>();
  const now = (): Instant => Math.floor(options.clock.now() / 1000) * 1000;
  const store: S3Store = {
    ...viewOf(buckets),
    clock: options.clock,
    requests,
    count: (kind) => void requests.set(kind, (requests.get(kind) ?? 0) + 1),
    createBucket(bucket) {
      if (buckets.has(bucket)) return false;
      buckets.set(bucket, { createdAt: now(), objects: new Map(), sorted: [] });
      return true;
    },
    deleteBucket(bucket) {
      if ((buckets.get(bucket)?.objects.size ?? 0) > 0) return false;
      buckets.delete(bucket);
      return true;
    },
    put(name, key, input) {
      const bucket = buckets.get(name);
      if (bucket === undefined) throw new RangeError(`no bucket ${name}`);
      const object = makeObject(key, input, now());
      if (!bucket.objects.has(key)) bucket.sorted = null;
      bucket.objects.set(key, object);
      return object;
    },
    delete(name, key) {
      const bucket = buckets.get(name);
      if (bucket === undefined || !bucket.objects.delete(key)) return false;
      bucket.sorted = null;
      return true;
    },
    snapshot() {
      return viewOf(new Map([...buckets].map(([name, bucket]) => [name, { ...bucket, objects: new Map(bucket.objects) }])));
    },
  };
  for (const bucket of options.buckets ?? []) store.createBucket(bucket);
  return store;
}

function makeObject(key: string, input: PutInput, lastModified: Instant): S3Object {
  const bytes = Uint8Array.from(input.bytes);
  return {
    key,
    bytes,
    etag: createHash('md5').update(bytes).digest('hex'),
    lastModified,
    contentType: input.contentType ?? DEFAULT_CONTENT_TYPE,
    headers: input.headers ?? {},
    checksum: input.checksum ?? null,
  };
}

function viewOf(buckets: ReadonlyMap<string, Bucket>): S3View {
  return {
    hasBucket: (bucket) => buckets.has(bucket),
    bucketNames: () => [...buckets.keys()].toSorted(compareUtf8),
    createdAt: (bucket) => buckets.get(bucket)?.createdAt ?? 0,
    get: (bucket, key) => buckets.get(bucket)?.objects.get(key),
    list(name, query) {
      const bucket = buckets.get(name);
      if (bucket === undefined) return { keys: [], prefixes: [], next: null };
      bucket.sorted ??= [...bucket.objects.keys()].toSorted(compareUtf8);
      return listPage(bucket.sorted, query);
    },
  };
}
