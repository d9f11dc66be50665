import type { NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer, Wires } from '#ports/wires.ts';
import { accountWires } from './accounts.ts';
import type { AwsIot } from './aws/aws-iot.ts';
import type { AzureHub } from './azure/hub.ts';
import type { Broker } from './broker.ts';
import type { SimMdash } from './mdash/mdash.ts';
import { mdashWires } from './mdash/worlds.ts';
import { watchBrokers, watchedWires } from './presence.ts';

export interface MemoryWiresOptions {
  readonly clock: Clock;
  readonly clients: Pick<
    NetworkClients,
    'openBus' | 'openMdash' | 'openShadows' | 'openTwins' | 'openMethods' | 'shadowsOverBus' | 'presenceOverBus' | 'openAwsRevocation'
  >;
  /** By name of the connection: what keeps shadows. */
  readonly accounts: ReadonlyMap<string, AwsIot>;
  /** The same for twins. */
  readonly hubs: ReadonlyMap<string, AzureHub>;
  readonly mdash: ReadonlyMap<string, SimMdash>;
  /** By name of the connection. */
  readonly brokers: ReadonlyMap<string, Broker>;
  /** By name of the connection: its bucket below a prefix. */
  readonly buckets: ReadonlyMap<string, (prefix: string) => ObjectStore>;
  http(url: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer>;
}

/**
 * Connections within the process, the same each time on a virtual clock. What a connection declares (URL, secrets) is
 * not looked at, only its name: one that the world does not have throws WireError UNKNOWN_CONNECTION.
 */
export function makeMemoryWires({ clock, clients, accounts, hubs, mdash, brokers, buckets, http }: MemoryWiresOptions): Wires {
  let readers = 0;
  return {
    ...watchedWires(watchBrokers(brokers, accounts, clock), { accounts, clients, clock }),
    ...accountWires({ accounts, hubs }, { clients, clock }),
    ...mdashWires(mdash, { clients, clock }),
    bus: async (connection, session, signal) => {
      const broker = known(brokers, connection.name);
      const holder = session.role === 'holder';
      if (!holder) readers += 1;
      const options = {
        url: `memory:${connection.name}`,
        clientId: holder ? (connection.clientId ?? `headgate-${connection.name}`) : `headgate-reader-${readers}`,
        clean: !holder,
        clock,
        limitClock: clock,
        streamBuilder: () => broker.stream(),
        // The embedded broker speaks 3.1.1 only, and pings would be measured in real time.
        protocol: 4 as const,
        keepAliveSeconds: 0,
      };
      return clients.openBus(options, signal);
    },
    objects: async (connection) => known(buckets, connection.name)(connection.prefix),
    get: async (url, { maxBytes, headers = {} }, signal) => {
      signal?.throwIfAborted();
      const answer = await http(url, headers);
      if (answer.bytes.length > maxBytes) throw new WireError('TOO_LARGE', 'never', `GET: the answer is larger than ${maxBytes} bytes`);
      return answer;
    },
  };
}

function known<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new WireError('UNKNOWN_CONNECTION', 'never', `the simulated world has no connection ${name}`);
  return value;
}
