import { compareText } from '#kit/diagnostics.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Shadows } from '#ports/shadows.ts';
import type { ObjectCalls, ShadowCalls } from '#ports/world.ts';

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

/** How often shadow services were asked, by connection. */
export class ShadowCallCounter {
  readonly #calls = new Map<string, { get: number; update: number; search: number }>();

  /** The same service, whose calls are counted. */
  counted(connection: string, shadows: Shadows): Shadows {
    const calls = this.#calls.get(connection) ?? { get: 0, update: 0, search: 0 };
    this.#calls.set(connection, calls);
    const { search, watch } = shadows;
    return {
      get(...request) {
        calls.get += 1;
        return shadows.get(...request);
      },
      update(...request) {
        calls.update += 1;
        return shadows.update(...request);
      },
      ...(search === undefined
        ? {}
        : {
            search(...request) {
              calls.search += 1;
              return search.apply(shadows, request);
            },
          }),
      ...(watch === undefined ? {} : { watch: (...request) => watch.apply(shadows, request) }),
      close: () => shadows.close(),
    };
  }

  /** Sums since the first call, sorted by connection. */
  sums(): readonly ShadowCalls[] {
    return [...this.#calls]
      .map(([connection, calls]) => ({ connection, ...calls }))
      .toSorted((a, b) => compareText(a.connection, b.connection));
  }
}
