import type { BusOptions, NetworkClients } from '#ports/clients.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { S3Connection, Wires } from '#ports/wires.ts';
import { WireError } from '#ports/wire-error.ts';
import { accountWires, makeAccounts, type ShadowServices } from './accounts.ts';
import { startArtifactServer } from './artifact-server.ts';
import { startBroker, type Broker } from './broker.ts';
import { VirtualClock } from './clock.ts';
import { makeHubs } from './hubs.ts';
import { makeMdashes, mdashWires } from './mdash/worlds.ts';
import { brokerAt, brokerOf, OpenBuses } from './plant-memory.ts';
import { shownCertificate, type PeerCertificate } from './peer-certificate.ts';
import { credentialOptions } from './ports.ts';
import { watchBrokers, watchedWires } from './presence.ts';
import { makeS3Faults } from './s3/faults.ts';
import { makeMemoryObjects } from './s3/objects.ts';
import { startS3Server, type S3Server } from './s3/server.ts';
import { makeS3Store, SIM_CREDENTIALS } from './s3/store.ts';
import type { Plant, SimWorldConnection, SimWorldOptions } from './plant.ts';

const MAX_DOWNLOAD_BYTES = 64 * 1024 * 1024;
const REGION = 'us-east-1';

/**
 * The same on free ports of 127.0.0.1, for the demo and for engines in other processes. Objects carry the time of the
 * world; signatures and the expiry of URLs go by real time, as clients have it.
 */
export async function openTcpPlant({ clock, connections, clients }: SimWorldOptions): Promise<Plant> {
  const store = makeS3Store({ clock });
  const s3Faults = makeS3Faults();
  const s3 = await startS3Server({ store, faults: s3Faults });
  const artifacts = await startArtifactServer({ clock });
  const brokers = new Map<string, Broker>();
  const buckets = new Map<string, ObjectStore>();
  const urls = new Map<string, string>();
  const accounts = makeAccounts(connections, clock);
  const hubs = makeHubs(connections, clock);
  const mdash = makeMdashes(connections, clock);
  for (const [name, { broker }] of [...accounts, ...hubs, ...mdash]) brokers.set(name, broker);
  for (const { name, type, bucket = name, tls } of connections) {
    if (brokers.has(name)) continue;
    if (type === 'mqtt') {
      const broker = await startBroker({ clock, ...(tls === undefined ? {} : { tls }) });
      brokers.set(name, broker);
      urls.set(name, broker.url ?? '');
    } else {
      store.createBucket(bucket);
      buckets.set(name, makeMemoryObjects(store, bucket));
      urls.set(name, s3.url);
    }
  }
  const open = new OpenBuses(clients);
  const still = stillness(clock);
  return {
    brokers,
    buckets,
    aws: accounts,
    azure: hubs,
    mdash,
    s3Faults,
    artifacts,
    urls,
    wires: {
      ...tcpWires({ clock, brokers, services: { accounts, hubs }, connections, clients: { ...clients, openBus: open.openBus }, s3 }),
      ...mdashWires(mdash, { clients, clock }),
    },
    connect: async (name, { endpoint, credentials, ...session }) => {
      const broker = brokerOf(brokers, endpoint === undefined ? name : brokerAt(connections, endpoint));
      const where = reach(broker, broker.url === null ? shownCertificate(credentials) : null);
      return still.port(await still.work(open.openBus({ ...session, ...credentialOptions(credentials), ...where, clock })));
    },
    objects: async (name) => {
      const connection = connectionTo(connections, name, s3.url);
      return still.port(await still.work(clients.openObjects(connection, SIM_CREDENTIALS)));
    },
    get: (url, headers) => still.work(clients.get(url, { maxBytes: MAX_DOWNLOAD_BYTES, headers })),
    close: async () => {
      await open.drop();
      const keepers = [...accounts.values(), ...hubs.values(), ...mdash.values()];
      for (const one of keepers) await one.close();
      for (const broker of brokers.values()) if (!keepers.some((one) => one.broker === broker)) await broker.close();
      await s3.close();
      await artifacts.close();
    },
  };
}

interface TcpWires {
  readonly clock: SimWorldOptions['clock'];
  readonly brokers: ReadonlyMap<string, Broker>;
  readonly services: ShadowServices;
  readonly connections: readonly SimWorldConnection[];
  readonly clients: NetworkClients;
  readonly s3: S3Server;
}

function tcpWires({ clock, brokers, services, connections, clients, s3 }: TcpWires): Wires {
  const still = stillness(clock);
  let readers = 0;
  return {
    ...watchedWires(watchBrokers(brokers, services.accounts, clock), { accounts: services.accounts, clients, clock }),
    ...accountWires(services, { clients, clock }),
    bus: async (connection, { role }) => {
      const broker = brokers.get(connection.name);
      if (broker === undefined) throw new WireError('UNKNOWN_CONNECTION', 'never', `the simulated world has no broker ${connection.name}`);
      if (role === 'reader') readers += 1;
      const clientId = role === 'holder' ? (connection.clientId ?? `headgate-${connection.name}`) : `headgate-reader-${readers}`;
      return still.port(await still.work(clients.openBus({ ...reach(broker), clientId, clean: role === 'reader', clock })));
    },
    objects: async (connection) => {
      const { prefix } = connection;
      const there = { ...connectionTo(connections, connection.name, s3.url), prefix };
      return still.port(await still.work(clients.openObjects(there, SIM_CREDENTIALS)));
    },
    get: (url, options, signal) => still.work(clients.get(url, options, signal)),
  };
}

/** A broker without a port (AWS IoT of this process) is reached by streams, also in a world on TCP. */
function reach(broker: Broker, certificate: PeerCertificate | null = null): Pick<BusOptions, 'url' | 'streamBuilder'> {
  return broker.url === null ? { url: 'memory:aws', streamBuilder: () => broker.stream(certificate) } : { url: broker.url };
}

function connectionTo(connections: readonly SimWorldConnection[], name: string, endpoint: string): S3Connection {
  const connection = connections.find((one) => one.name === name && one.type === 's3');
  if (connection === undefined) throw new WireError('UNKNOWN_CONNECTION', 'never', `the simulated world has no bucket ${name}`);
  const { bucket = name, prefix = '' } = connection;
  const place = { file: '', line: 1, column: 1 };
  return { name, place, type: 's3', bucket, region: REGION, endpoint, prefix, accessKeyId: null, secretAccessKey: null };
}

/** On a virtual clock time stands still while a socket is waited for. */
function stillness(clock: SimWorldOptions['clock']): { port<P extends object>(port: P): P; work<T>(work: Promise<T>): Promise<T> } {
  if (!(clock instanceof VirtualClock)) return { port: (port) => port, work: (work) => work };
  return { port: (port) => clock.tracked(port), work: (work) => clock.track(work) };
}
