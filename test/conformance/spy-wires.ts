import type { MessageBus } from '#ports/message-bus.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Shadows } from '#ports/shadows.ts';
import type { Wires } from '#ports/wires.ts';

/** Everything that the engine itself sent or wrote, in order: `publish TOPIC`, `put KEY`, `delete KEY`. */
export interface SpiedWires {
  readonly writes: string[];
  wrap(wires: Wires): Wires;
}

/**
 * Wires that pass everything on and remember what would change something. Markers are the transport's own; `isTalk` says
 * which messages change nothing.
 */
export function spyWires(isTalk: (payload: Uint8Array) => boolean = () => false): SpiedWires {
  const writes: string[] = [];
  return {
    writes,
    wrap: (wires) => ({
      ...wires,
      bus: async (connection, session) => spiedBus(await wires.bus(connection, session), { writes, isTalk }),
      shadows: async (connection) => spiedShadows(connection.name, await openedShadows(wires, connection), writes),
      objects: async (connection) => spiedStore(await wires.objects(connection), { name: connection.name, writes }),
    }),
  };
}

function spiedBus(bus: MessageBus, spy: { readonly writes: string[]; isTalk(payload: Uint8Array): boolean }): MessageBus {
  return {
    clientId: bus.clientId,
    expires: bus.expires,
    subscribe: (filters, qos) => bus.subscribe(filters, qos),
    publish: (topic, payload, options) => {
      // Below it nobody listens but the one who sends: no device, and no other engine.
      const own = topic.startsWith(`headgate/marker/${bus.clientId}/`);
      // Asking for a shadow changes nothing; writing one is told by the shadow service below.
      const asks = topic.startsWith('$aws/things/') && /\/(get|update)$/.test(topic);
      if (!own && !asks && !spy.isTalk(payload)) spy.writes.push(`publish ${topic}`);
      return bus.publish(topic, payload, options);
    },
    listen: (listener) => bus.listen(listener),
    settle: (signal) => bus.settle(signal),
    close: () => bus.close(),
  };
}

async function openedShadows(wires: Wires, connection: Parameters<NonNullable<Wires['shadows']>>[0]): Promise<Shadows> {
  if (wires.shadows === undefined) throw new Error('these wires lead to no shadows');
  return await wires.shadows(connection);
}

function spiedShadows(name: string, shadows: Shadows, writes: string[]): Shadows {
  return {
    ...shadows,
    update: (update, signal) => {
      writes.push(`update ${name}/${update.thing}`);
      return shadows.update(update, signal);
    },
  };
}

function spiedStore(store: ObjectStore, spy: { readonly name: string; readonly writes: string[] }): ObjectStore {
  const note = (what: string): number => spy.writes.push(what.replace(' ', ` ${spy.name}/`));
  return {
    list: (request, signal) => store.list(request, signal),
    get: (key, options, signal) => store.get(key, options, signal),
    head: (key, signal) => store.head(key, signal),
    put: (key, bytes, options, signal) => {
      note(`put ${key}`);
      return store.put(key, bytes, options, signal);
    },
    delete: (key, signal) => {
      note(`delete ${key}`);
      return store.delete(key, signal);
    },
    presign: (key, seconds) => store.presign(key, seconds),
    close: () => store.close(),
  };
}

/** `opening`: no connection ever stands. `answers`: it stands, and nothing that is asked over it is ever answered. */
export type Hang = 'opening' | 'answers';

/** Wires that hang; what is called with a signal ends with it, as a socket does. */
export function hangingWires(how: Hang): Wires {
  return {
    bus: () => (how === 'opening' ? never() : Promise.resolve(HANGING_BUS)),
    objects: () => (how === 'opening' ? never() : Promise.resolve(HANGING_STORE)),
    shadows: () => (how === 'opening' ? never() : Promise.resolve(HANGING_SHADOWS)),
    get: (_url, _options, signal) => never(signal),
  };
}

function never<T>(signal?: AbortSignal): Promise<T> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

const HANGING_BUS: MessageBus = {
  clientId: 'hanging',
  expires: false,
  subscribe: () => never(),
  publish: () => never(),
  listen: () => () => undefined,
  settle: (signal) => never(signal),
  close: () => Promise.resolve(),
};

const HANGING_SHADOWS: Shadows = {
  get: (_place, signal) => never(signal),
  update: (_update, signal) => never(signal),
  search: (_query, signal) => never(signal),
  close: () => Promise.resolve(),
};

const HANGING_STORE: ObjectStore = {
  list: (_request, signal) => never(signal),
  get: (_key, _options, signal) => never(signal),
  head: (_key, signal) => never(signal),
  put: (_key, _bytes, _options, signal) => never(signal),
  delete: (_key, signal) => never(signal),
  presign: () => never(),
  close: () => Promise.resolve(),
};
