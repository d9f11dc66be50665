import type { ObjectCalls, ShadowCalls } from '#ports/world.ts';

/** The calls of one bucket since an earlier count. */
export function callsSince(now: ObjectCalls, before: ObjectCalls | undefined): ObjectCalls {
  if (before === undefined) return now;
  return {
    connection: now.connection,
    list: now.list - before.list,
    head: now.head - before.head,
    get: now.get - before.get,
    put: now.put - before.put,
    delete: now.delete - before.delete,
  };
}

export function callCount({ list, head, get, put, delete: deleted }: ObjectCalls): number {
  return list + head + get + put + deleted;
}

/** The calls of one shadow service since an earlier count. */
export function shadowCallsSince(now: ShadowCalls, before: ShadowCalls | undefined): ShadowCalls {
  if (before === undefined) return now;
  return {
    connection: now.connection,
    get: now.get - before.get,
    update: now.update - before.update,
    search: now.search - before.search,
  };
}

export function shadowCallCount({ get, update, search }: ShadowCalls): number {
  return get + update + search;
}
