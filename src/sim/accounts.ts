import type { HttpExchange, NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { Shadows } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { Wires } from '#ports/wires.ts';
import { makeAwsIot, type AwsIot } from './aws/aws-iot.ts';
import type { AzureHub } from './azure/hub.ts';
import { VirtualClock } from './clock.ts';
import { hubMethods, hubShadows } from './hubs.ts';
import type { Rival } from './rival.ts';
import type { SimWorldOptions } from './plant.ts';

/** AWS IoT in this process for each connection that has one, and for each broker that keeps shadows. */
export function makeAccounts(connections: SimWorldOptions['connections'], clock: Clock): ReadonlyMap<string, AwsIot> {
  const keeping = connections.filter(({ type, shadows }) => type === 'aws-iot' || (type === 'mqtt' && shadows === true));
  return new Map(
    keeping.map(({ name, indexed }) => {
      const account = makeAwsIot({ clock });
      if (indexed !== undefined)
        account.index.configuration = { things: 'REGISTRY_AND_SHADOW', connectivity: 'STATUS', namedShadows: indexed };
      return [name, account];
    }),
  );
}

/** Things of the account, as an index looks at them; one that is there already is let be. */
export function registerThing(account: AwsIot | undefined, thing: string): void {
  if (account !== undefined && !account.registry.hasThing(thing)) account.registry.createThing(thing);
}

/** What keeps shadows, by name of the connection. */
export interface ShadowServices {
  readonly accounts: ReadonlyMap<string, AwsIot>;
  readonly hubs: ReadonlyMap<string, AzureHub>;
}

/** How the engine reaches them: the real clients of AWS, whose requests are answered in this process. */
export function accountWires(
  { accounts, hubs }: ShadowServices,
  {
    clients,
    clock,
  }: { readonly clients: Pick<NetworkClients, 'openShadows' | 'openTwins' | 'openMethods' | 'shadowsOverBus'>; readonly clock: Clock },
): Required<Pick<Wires, 'shadows' | 'methods'>> {
  return {
    shadows: async (connection): Promise<Shadows> => {
      if (connection.type === 'mqtt') return clients.shadowsOverBus(connection.bus, { clock });
      if (connection.type === 'azure-iot') return hubShadows(hubs, connection, { clients, clock });
      const account = accounts.get(connection.name);
      if (account === undefined)
        throw new WireError('UNKNOWN_CONNECTION', 'never', `the simulated world has no account ${connection.name}`);
      return await clients.openShadows(connection, { clock, exchange: exchangeWith(account) });
    },
    methods: async (connection) => hubMethods(hubs, connection, { clients, clock }),
  };
}

const rivalsOf = new WeakMap<AwsIot, Rival[]>();

export function addRival(account: AwsIot, rival: Rival): void {
  rivalsOf.set(account, [...(rivalsOf.get(account) ?? []), rival]);
}

/** Writes as any client of AWS would, so that devices hear of it. */
async function letRivalsWrite(account: AwsIot, read: { readonly method: string; readonly target: string }): Promise<void> {
  for (const rival of rivalsOf.get(account) ?? []) {
    const target = `/things/${rival.thing}/shadow?name=${rival.shadow}`;
    if (rival.left === 0 || read.method !== 'GET' || read.target !== target) continue;
    rival.left -= 1;
    const body = new TextEncoder().encode(JSON.stringify({ state: { desired: rival.desired } }));
    await account.endpoint.handle({ method: 'POST', target, headers: {}, body, certificate: null });
  }
}

/** Answers in this process, as the network would. */
export function exchangeWith(account: AwsIot): HttpExchange {
  return async (request) => {
    const answer = await account.endpoint.handle({ ...request, certificate: null });
    await letRivalsWrite(account, request);
    if (answer === 'close') throw new WireError('ECONNRESET', 'later', 'AWS IoT: the connection was cut');
    if (answer === 'hang') throw new WireError('TIMEOUT', 'later', 'AWS IoT: no answer');
    return answer;
  };
}

/** Calls once, outside of virtual time: the clients' code is read from the disk when first used. */
export async function loadShadows(clients: Pick<NetworkClients, 'openShadows'>, clock: Clock): Promise<void> {
  const load = async (): Promise<void> => {
    const account = makeAwsIot({ clock });
    const connection = {
      name: 'load',
      place: { file: '', line: 1, column: 1 },
      type: 'aws-iot',
      region: 'eu-central-1',
      endpoint: 'https://aws.sim',
      index: 'off',
      indexQuery: null,
    } as const;
    const shadows = await clients.openShadows(connection, { clock, exchange: exchangeWith(account) });
    await shadows.get({ thing: 'load', shadow: null });
    await shadows.close();
    await account.close();
  };
  await (clock instanceof VirtualClock ? clock.track(load()) : load());
}
