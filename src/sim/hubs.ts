import type { HttpExchange, NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { DeviceMethods } from '#ports/device-methods.ts';
import type { Shadows } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection } from '#ports/wires.ts';
import { makeAzureHub, type AzureHub } from './azure/hub.ts';
import type { SimWorldOptions } from './plant.ts';
import type { Rival } from './rival.ts';

/** An Azure IoT hub in this process for each connection that has one. */
export function makeHubs(connections: SimWorldOptions['connections'], clock: Clock): ReadonlyMap<string, AzureHub> {
  return new Map(connections.flatMap(({ name, type }) => (type === 'azure-iot' ? [[name, makeAzureHub({ clock })] as const] : [])));
}

/** A device of the hub; one that is there already is let be. */
export function registerDevice(hub: AzureHub | undefined, device: string): void {
  if (hub !== undefined && !hub.twins.has(device)) hub.twins.addDevice(device);
}

/** How the engine reaches one: by the client for real hubs, whose requests are answered in this process. */
export function hubShadows(
  hubs: ReadonlyMap<string, AzureHub>,
  connection: AzureIotConnection,
  { clients, clock }: { readonly clients: Pick<NetworkClients, 'openTwins'>; readonly clock: Clock },
): Shadows {
  return clients.openTwins(connection, { clock, exchange: exchangeWith(hubs, connection) });
}

/** The same for calls of its devices. */
export function hubMethods(
  hubs: ReadonlyMap<string, AzureHub>,
  connection: AzureIotConnection,
  { clients, clock }: { readonly clients: Pick<NetworkClients, 'openMethods'>; readonly clock: Clock },
): DeviceMethods {
  return clients.openMethods(connection, { clock, exchange: exchangeWith(hubs, connection) });
}

function exchangeWith(hubs: ReadonlyMap<string, AzureHub>, { name }: AzureIotConnection): HttpExchange {
  const hub = hubs.get(name);
  if (hub === undefined) throw new WireError('UNKNOWN_CONNECTION', 'never', `the simulated world has no hub ${name}`);
  return async ({ method, target, headers, body }) => {
    const answer = await hub.endpoint.handle({ method, target, headers, body, certificate: null });
    if (method === 'GET') letRivalsWrite(hub, target);
    if (answer === 'close') throw new WireError('ECONNRESET', 'later', 'the hub: the connection was cut');
    if (answer === 'hang') throw new WireError('TIMEOUT', 'later', 'the hub: no answer');
    return answer;
  };
}

const rivalsOf = new WeakMap<AzureHub, Rival[]>();

/** Somebody else with a policy of the hub. The name of a shadow is not looked at: a twin has none. */
export function addHubRival(hub: AzureHub, rival: Rival): void {
  rivalsOf.set(hub, [...(rivalsOf.get(hub) ?? []), rival]);
}

function letRivalsWrite(hub: AzureHub, target: string): void {
  for (const rival of rivalsOf.get(hub) ?? []) {
    if (rival.left === 0 || !target.startsWith(`/twins/${encodeURIComponent(rival.thing)}?`)) continue;
    rival.left -= 1;
    hub.twins.write(rival.thing, { desired: rival.desired, replace: false, ifMatch: null });
  }
}
