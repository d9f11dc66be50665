import { SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { ListPage, ObjectFacts, ObjectStore, PutOptions } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';

/** For one request: well below the lease, so that a server which never answers does not outlast it unnoticed. */
const CALL_LIMIT_MS = 20 * SECOND_MS;
/** Objects asked for at once: enough to hide a round trip, few enough for a small runner. */
const PARALLEL = 16;
/** Above any object that the ledger writes. */
const MAX_OBJECT_BYTES = 256 * 1024 * 1024;

type FoundObject = ObjectFacts & { readonly bytes: Uint8Array };

/** Where a ledger lies in a bucket. All calls end within a limit, and throw WireError. */
export interface LedgerPlace {
  readonly clock: Clock;
  /** The key of an object of the ledger in the bucket, for messages. */
  name(key: string): string;
  get(key: string): Promise<FoundObject | 'missing'>;
  put(key: string, text: Uint8Array | string, options?: PutOptions): Promise<{ readonly etag: string } | 'conflict'>;
  delete(key: string): Promise<void>;
  /** Keys, below the prefix of the ledger, of all objects that begin so and come after `startAfter`, with their sizes. */
  list(prefix: string, startAfter?: string): Promise<readonly { readonly key: string; readonly size: number }[]>;
  close(): Promise<void>;
}

export interface PlaceOptions {
  /** Asked at the first use, and again after a failure. */
  readonly objects: () => Promise<ObjectStore>;
  readonly prefix: string;
  readonly clock: Clock;
}

export function ledgerPlace({ objects, prefix, clock }: PlaceOptions): LedgerPlace {
  const base = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  let opened: Promise<ObjectStore> | null = null;
  const call = <T>(doing: string, work: (store: ObjectStore, signal: AbortSignal) => Promise<T>): Promise<T> =>
    withinLimit(clock, doing, async (signal) => {
      opened ??= objects();
      const opening = opened;
      const store = await opening.catch((error: unknown) => {
        if (opened === opening) opened = null;
        throw error;
      });
      return work(store, signal);
    });
  return {
    clock,
    name: (key) => base + key,
    get: async (key) => {
      const found = await call(`get ${base}${key}`, (store, signal) => store.get(base + key, { maxBytes: MAX_OBJECT_BYTES }, signal));
      return found === 'unchanged' ? 'missing' : found;
    },
    put: (key, content, options = {}) => {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      return call(`put ${base}${key}`, (store, signal) => store.put(base + key, bytes, options, signal));
    },
    delete: (key) => call(`delete ${base}${key}`, (store, signal) => store.delete(base + key, signal)),
    list: async (folder, startAfter) => {
      const objectsFound: { readonly key: string; readonly size: number }[] = [];
      const begin = startAfter === undefined ? {} : { startAfter: base + startAfter };
      let next: string | null = null;
      do {
        const from: string | null = next;
        const page: ListPage = await call(`list ${base}${folder}`, (store, signal) =>
          store.list({ prefix: base + folder, ...begin, ...(from === null ? {} : { next: from }) }, signal),
        );
        for (const { key, size } of page.objects) objectsFound.push({ key: key.slice(base.length), size });
        next = page.next;
      } while (next !== null);
      return objectsFound;
    },
    close: async () => {
      const closing = opened;
      opened = null;
      const store = await closing?.catch(() => null);
      await store?.close();
    },
  };
}

/** Runs one call; a TIMEOUT leaves it open whether the server did what was asked. */
async function withinLimit<T>(clock: Clock, doing: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const finished = new AbortController();
  const expired = clock.sleep(CALL_LIMIT_MS, finished.signal).then(
    () => {
      const error = new WireError('TIMEOUT', 'later', `${doing}: no answer in time`);
      late.abort(error);
      throw error;
    },
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([work(late.signal), expired]);
  } finally {
    finished.abort();
  }
}

/** Whether a write that ended so may have been done all the same, or may be done if it is asked for again. */
export function isPassing(error: unknown): error is WireError {
  return error instanceof WireError && error.retry !== 'never';
}

/** Asks for what can be asked for twice without harm, up to three times. */
export async function persistently<T>(clock: Clock, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || attempt === 3) throw error;
      await backOff(clock, attempt);
    }
  }
}

export function backOff(clock: Clock, attempt: number): Promise<void> {
  return clock.sleep(100 * 2 ** attempt);
}

/** The same work for each, so many at once; answers in the order of what was given. */
export async function inParallel<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<readonly R[]> {
  const answers: R[] = [];
  for (let from = 0; from < all.length; from += PARALLEL) {
    for (const answer of await Promise.all(all.slice(from, from + PARALLEL).map(work))) answers.push(answer);
  }
  return answers;
}
