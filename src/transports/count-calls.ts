import { compareText } from '#kit/diagnostics.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { ObjectCalls } from '#ports/world.ts';

/** How often buckets were asked, by connection: a call is one question to the store, whatever its client repeats. */
export class CallCounter {
  readonly #calls = new Map<string, { list: number; head: number; get: number; put: number; delete: number }>();

  /** The same store, whose calls are counted. */
  counted(connection: string, store: ObjectStore): ObjectStore {
    const calls = this.#calls.get(connection) ?? { list: 0, head: 0, get: 0, put: 0, delete: 0 };
    this.#calls.set(connection, calls);
    return {
      list(...request) {
        calls.list += 1;
        return store.list(...request);
      },
      head(...request) {
        calls.head += 1;
        return store.head(...request);
      },
      get(...request) {
        calls.get += 1;
        return store.get(...request);
      },
      put(...request) {
        calls.put += 1;
        return store.put(...request);
      },
      delete(...request) {
        calls.delete += 1;
        return store.delete(...request);
      },
      presign: (...request) => store.presign(...request),
      close: () => store.close(),
    };
  }

  /** Sums since the first call, sorted by connection. */
  sums(): readonly ObjectCalls[] {
    return [...this.#calls]
      .map(([connection, calls]) => ({ connection, ...calls }))
      .toSorted((a, b) => compareText(a.connection, b.connection));
  }
}
