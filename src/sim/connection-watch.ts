import type { LiveBus } from '#ports/clients.ts';
import type { ConnectionWatch } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';

/** Opens a connection of a device and tells its watch of it; a connection that the device ends itself is no news. */
export async function watched(
  { id, watch }: { readonly id: string; readonly watch?: ConnectionWatch },
  open: () => Promise<LiveBus>,
): Promise<LiveBus> {
  if (watch === undefined) return await open();
  try {
    const bus = await open();
    watch.connected(id);
    bus.onLost(() => {
      const error = bus.trouble ?? null;
      if (error !== null) watch.failed(id, { error, isCut: true });
    });
    return hearing(bus, (error) => watch.failed(id, { error, isCut: false }));
  } catch (error) {
    if (error instanceof WireError) watch.failed(id, { error, isCut: false });
    throw error;
  }
}

/** The same connection; a subscription that the broker refuses is told, as devices try it again in silence. */
function hearing(bus: LiveBus, refused: (error: WireError) => void): LiveBus {
  const subscribe: LiveBus['subscribe'] = async (filters, qos) => {
    try {
      await bus.subscribe(filters, qos);
    } catch (error) {
      if (error instanceof WireError && bus.connected) refused(error);
      throw error;
    }
  };
  return new Proxy(bus, {
    get(target, name) {
      if (name === 'subscribe') return subscribe;
      const member: unknown = Reflect.get(target, name, target);
      // Called on the connection itself: private fields do not go through a proxy.
      return typeof member === 'function' ? (...args: readonly unknown[]): unknown => Reflect.apply(member, target, args) : member;
    },
  });
}
