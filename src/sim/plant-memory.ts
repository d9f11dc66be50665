import type { BusOptions, LiveBus, NetworkClients } from '#ports/clients.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimEndpoint } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { makeArtifactFiles } from './artifact-server.ts';
import { memoryBroker, type Broker } from './broker.ts';
import { ScaledClock, VirtualClock } from './clock.ts';
import { answeringS3, inProcessGet } from './in-process-get.ts';
import { makeS3Endpoint } from './s3/endpoint.ts';
import { makeS3Faults } from './s3/faults.ts';
import { makeMemoryObjects, SIM_S3_URL } from './s3/objects.ts';
import { makeS3Store } from './s3/store.ts';
import { shownCertificate, type PeerCertificate } from './peer-certificate.ts';
import { credentialOptions } from './ports.ts';
import { makeMemoryWires } from './wires.ts';
import { makeAccounts, loadShadows } from './accounts.ts';
import { makeHubs } from './hubs.ts';
import { makeMdashes } from './mdash/worlds.ts';
import type { Plant, SimWorldOptions } from './plant.ts';

const FILES_URL = 'http://files.sim';

/** Brokers, buckets and files without sockets: on a virtual clock the same script gives the same events each time. */
export async function openMemoryPlant({ clock, connections, clients, hosts = [] }: SimWorldOptions): Promise<Plant> {
  const { store, s3Faults, accounts, hubs, mdash, brokers, views, buckets, own } = makeServers(connections, clock);
  const artifacts = makeArtifactFiles({ url: FILES_URL, clock });
  const http = inProcessGet([artifacts, ...hosts, answeringS3(SIM_S3_URL, makeS3Endpoint({ clock, store, faults: s3Faults }))]);
  await loadClient(clients, clock);
  if (accounts.size > 0) await loadShadows(clients, clock);
  const open = new OpenBuses(clients);
  const reach = (
    name: string,
    certificate: PeerCertificate | null,
  ): Pick<BusOptions, 'url' | 'streamBuilder' | 'clock' | 'limitClock'> => ({
    url: `memory:${name}`,
    streamBuilder: () => brokerOf(brokers, name).stream(certificate),
    clock,
    limitClock: clock,
  });
  return {
    brokers,
    buckets,
    aws: accounts,
    azure: hubs,
    mdash,
    s3Faults,
    artifacts,
    urls: new Map(),
    wires: makeMemoryWires({
      clock,
      accounts,
      hubs,
      mdash,
      clients: { ...clients, openBus: open.openBus },
      brokers,
      buckets: views,
      http: (url, headers) => http(url, headers),
    }),
    // Pings would be in real time.
    connect: async (name, { endpoint, credentials, ...session }) => {
      const there = endpoint === undefined ? name : brokerAt(connections, endpoint);
      const { username, password } = credentialOptions(credentials);
      const login = { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
      return await open.openBus({ ...session, ...login, ...reach(there, shownCertificate(credentials)), keepAliveSeconds: 0 });
    },
    objects: async (name) => own.get(name) ?? Promise.reject(new RangeError(`${name} is no bucket`)),
    get: (url, headers) => http(url, headers),
    close: async () => {
      await open.drop();
      const keepers = [...accounts.values(), ...hubs.values(), ...mdash.values()];
      for (const one of keepers) await one.close();
      for (const broker of brokers.values()) if (!keepers.some((one) => one.broker === broker)) await broker.close();
    },
  };
}

/** The servers behind the connections. `own` is what devices see of a bucket, `views` what engines see of it. */
function makeServers(connections: SimWorldOptions['connections'], clock: SimWorldOptions['clock']) {
  const store = makeS3Store({ clock });
  const s3Faults = makeS3Faults();
  const brokers = new Map<string, Broker>();
  const views = new Map<string, (prefix: string) => ObjectStore>();
  const buckets = new Map<string, ObjectStore>();
  const own = new Map<string, ObjectStore>();
  const accounts = makeAccounts(connections, clock);
  const hubs = makeHubs(connections, clock);
  const mdash = makeMdashes(connections, clock);
  for (const [name, { broker }] of [...accounts, ...hubs, ...mdash]) brokers.set(name, broker);
  for (const { name, type, bucket = name, prefix = '' } of connections) {
    if (brokers.has(name)) continue;
    if (type === 'mqtt') brokers.set(name, memoryBroker({ clock }));
    else {
      store.createBucket(bucket);
      views.set(name, (below) => makeMemoryObjects(store, bucket, { prefix: below, faults: s3Faults }));
      buckets.set(name, makeMemoryObjects(store, bucket));
      own.set(name, makeMemoryObjects(store, bucket, { prefix, faults: s3Faults }));
    }
  }
  return { store, s3Faults, accounts, hubs, mdash, brokers, views, buckets, own };
}

/** Remembers the connections that were made, so that none outlives its world. */
export class OpenBuses {
  readonly #clients: Pick<NetworkClients, 'openBus'>;
  readonly #buses = new Set<LiveBus>();

  constructor(clients: Pick<NetworkClients, 'openBus'>) {
    this.#clients = clients;
  }

  readonly openBus: NetworkClients['openBus'] = async (options, signal) => {
    const bus = await this.#clients.openBus(options, signal);
    this.#buses.add(bus);
    // One that does not come back by itself is over.
    if (options.reconnect === false) bus.onLost(() => this.#buses.delete(bus));
    return bus;
  };

  async drop(): Promise<void> {
    const buses = [...this.#buses];
    for (const bus of buses) await bus.drop();
  }
}

export function brokerOf(brokers: ReadonlyMap<string, Broker>, name: string): Broker {
  const broker = brokers.get(name);
  if (broker === undefined) throw new RangeError(`${name} is no broker`);
  return broker;
}

/** The connection whose broker a device finds under that host name. Throws WireError with code ENOTFOUND for none. */
export function brokerAt(connections: SimWorldOptions['connections'], { host }: SimEndpoint): string {
  const found = connections.find((one) => one.type === 'mqtt' && (one.host ?? one.name) === host);
  if (found === undefined) throw new WireError('ENOTFOUND', 'later', `no broker of this world is called ${host}`);
  return found.name;
}

/**
 * Connects once, outside of virtual time: the client's code is read from the disk when first used, and time must not
 * run on meanwhile.
 */
async function loadClient(clients: NetworkClients, clock: SimWorldOptions['clock']): Promise<void> {
  const load = async (): Promise<void> => {
    const broker = memoryBroker();
    const real = new ScaledClock(0, 1);
    const streamBuilder = (): ReturnType<Broker['stream']> => broker.stream();
    const bus = await clients.openBus({ url: 'memory', clientId: 'load', clean: true, clock: real, protocol: 4, streamBuilder });
    await bus.close();
    await broker.close();
  };
  await (clock instanceof VirtualClock ? clock.track(load()) : load());
}
