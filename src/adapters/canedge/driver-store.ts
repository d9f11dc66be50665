import type { Instant } from '#model/ids.ts';
import type { ObjectFacts, ObjectStore, PutOptions } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { sha256 } from '#kit/digest.ts';
import { mayWrite } from './wire.ts';

export type FoundObject = ObjectFacts & { readonly bytes: Uint8Array };

/** S3 keeps Last-Modified in seconds; some servers list milliseconds. Comparing whole seconds never counts a report too early. */
export function wholeSeconds(instant: Instant): Instant {
  return Math.floor(instant / 1000) * 1000;
}

export interface WriteRequest {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** ETag of the object to be replaced, null where there must be none. */
  readonly over: string | null;
  readonly signal: AbortSignal;
}

export type WriteAnswer =
  | { readonly kind: 'written'; readonly etag: string; readonly lastModified: Instant }
  /** Something else was there, or came in between. */
  | { readonly kind: 'moved' }
  | { readonly kind: 'not-stored' };

/**
 * One conditional PUT, verified by a HEAD (docs/protocols/canedge-s3.md §12.5). The caller has just read the object. A
 * server without conditional writes is written to after one more comparison.
 */
export async function writeObject(store: ObjectStore, request: WriteRequest): Promise<WriteAnswer> {
  assertWritable(request.key);
  const answer = await conditionalPut(store, request);
  if (answer === 'conflict') return { kind: 'moved' };
  const seen = await store.head(request.key, request.signal);
  if (seen === 'missing' || seen.size !== request.bytes.length) return { kind: 'not-stored' };
  if (seen.etag !== answer.etag) return { kind: 'moved' };
  return { kind: 'written', etag: seen.etag, lastModified: wholeSeconds(seen.lastModified) };
}

async function conditionalPut(store: ObjectStore, request: WriteRequest): Promise<{ readonly etag: string } | 'conflict'> {
  const { key, bytes, contentType, over, signal } = request;
  const condition: PutOptions = over === null ? { ifAbsent: true } : { ifMatch: over };
  try {
    return await store.put(key, bytes, { contentType, ...condition }, signal);
  } catch (error) {
    if (!(error instanceof WireError) || !UNCONDITIONAL_ONLY.has(error.code)) throw error;
    const present = await store.head(key, signal);
    if ((present === 'missing' ? null : present.etag) !== over) return 'conflict';
    return store.put(key, bytes, { contentType }, signal);
  }
}

/** How servers without conditional writes refuse the header. */
const UNCONDITIONAL_ONLY: ReadonlySet<string> = new Set(['S3_400', 'S3_501']);

/** Deletes an object that was just read, if it is still the same; S3 has no conditional delete of its own. */
export async function deleteObject(
  store: ObjectStore,
  key: string,
  expected: { readonly etag: string; readonly signal: AbortSignal },
): Promise<'deleted' | 'moved'> {
  assertWritable(key);
  const present = await store.head(key, expected.signal);
  if (present === 'missing') return 'deleted';
  if (present.etag !== expected.etag) return 'moved';
  await store.delete(key, expected.signal);
  return (await store.head(key, expected.signal)) === 'missing' ? 'deleted' : 'moved';
}

function assertWritable(key: string): void {
  if (!mayWrite(key)) throw new Error(`refused to write to ${JSON.stringify(key)}: not a key of a CANedge`);
}

/** Whether an object holds exactly these bytes. */
export function holds(object: FoundObject | 'missing', digest: string): boolean {
  return object !== 'missing' && sha256(object.bytes) === digest;
}

/** A GET without a condition. */
export async function readObject(
  store: ObjectStore,
  key: string,
  limits: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<FoundObject | 'missing'> {
  const found = await store.get(key, { maxBytes: limits.maxBytes }, limits.signal);
  return found === 'unchanged' ? 'missing' : found;
}
