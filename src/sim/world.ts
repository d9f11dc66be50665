import type { CampbellSimOptions } from '#adapters/campbell/sim-options.ts';
import { makeCampbellDevice } from '#adapters/campbell/sim.ts';
import type { CanedgeSimOptions } from '#adapters/canedge/sim.ts';
import { makeCanedgeDevice } from '#adapters/canedge/sim.ts';
import type { ChariotSimOptions } from '#adapters/chariot/sim.ts';
import { makeChariotDevice } from '#adapters/chariot/sim.ts';
import type { DrogueSimOptions } from '#adapters/drogue/sim.ts';
import { makeDrogueDevice } from '#adapters/drogue/sim.ts';
import type { MongooseSimOptions } from '#adapters/mongoose/sim.ts';
import { makeMongooseDevice } from '#adapters/mongoose/sim.ts';
import type { ShadowSimOptions } from '#adapters/shadow/sim.ts';
import { makeShadowDevice } from '#adapters/shadow/sim.ts';
import type { TwinSimOptions } from '#adapters/twin/sim.ts';
import { makeTwinDevice } from '#adapters/twin/sim.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimDevice, SimPorts } from '#ports/sim.ts';
import type { Wires } from '#ports/wires.ts';
import { addRival, registerThing } from './accounts.ts';
import { makeAddresses, type ServedBucket } from './addresses.ts';
import type { ArtifactFiles } from './artifact-server.ts';
import type { AwsIot } from './aws/aws-iot.ts';
import type { AzureHub } from './azure/hub.ts';
import type { Broker } from './broker.ts';
import { VirtualClock } from './clock.ts';
import { enrolGateway, type Enrolment } from './enrolment.ts';
import type { Plant, SimWorldOptions } from './plant.ts';
import { addHubRival, registerDevice } from './hubs.ts';
import type { SimMdash } from './mdash/mdash.ts';
import { joinMdash } from './mdash/worlds.ts';
import { makeSimPorts } from './ports.ts';
import type { Rival } from './rival.ts';
import type { S3Faults } from './s3/faults.ts';
import { brokerAt, openMemoryPlant } from './plant-memory.ts';
import { openTcpPlant } from './plant-tcp.ts';

export interface SimDeviceOptions {
  readonly campbell: CampbellSimOptions;
  readonly canedge: CanedgeSimOptions;
  readonly chariot: ChariotSimOptions;
  readonly drogue: DrogueSimOptions;
  readonly mongoose: MongooseSimOptions;
  readonly shadow: ShadowSimOptions;
  readonly twin: TwinSimOptions;
}

/** Where a device is. `name` is what the world calls it, its own id when left out (a CANedge's id is its serial). */
export type SimPlace = string | { readonly connection: string; readonly name: string };

/** Servers and simulated devices in one process. */
export interface SimWorld {
  /** What the engine connects by. Connections are told apart by name; what they declare besides is not looked at. */
  readonly wires: Wires;
  readonly devices: ReadonlyMap<string, SimDevice>;
  /** Makes a device, switched off. Throws a RangeError for an unknown connection, a taken name, or options that are none. */
  addDevice<K extends keyof SimDeviceOptions>(kind: K, place: SimPlace, options: SimDeviceOptions[K]): SimDevice;
  /** Enrols a gateway in the account of a connection: see enrolGateway. Time of a virtual clock stands still meanwhile. */
  enrol(connection: string, thing: string, issuedAt: number): Promise<Enrolment>;
  broker(connection: string): Broker;
  /** What keeps the shadows of a connection. */
  aws(connection: string): AwsIot;
  /** What keeps the twins of a connection. */
  azure(connection: string): AzureHub;
  /** What stands between the engine and the devices of a connection. */
  mdash(connection: string): SimMdash;
  /** Somebody else writes the same shadow: see Rival. */
  rival(connection: string, rival: Rival): void;
  /** The bucket as it is, past every fault. */
  bucket(connection: string): ObjectStore;
  /**
   * Gives the server of a bucket an address by which devices look for it; the same again, another certificate. Of a broker
   * (`mqtts://host:8883`) only what it shows is told.
   */
  serve(connection: string, server: Omit<ServedBucket, 'connection' | 'bucket'>): void;
  readonly s3Faults: S3Faults;
  readonly artifactServer: ArtifactFiles;
  /** `mqtt://127.0.0.1:PORT` of a broker, `http://127.0.0.1:PORT` of a bucket; null in memory. */
  url(connection: string): string | null;
  /** Switches everything off and ends the servers and every connection to them. */
  close(): Promise<void>;
}

/** Starts the servers. Rejects with a RangeError when two connections have one name. */
export async function startSimWorld(options: SimWorldOptions): Promise<SimWorld> {
  const names = options.connections.map(({ name }) => name);
  if (new Set(names).size < names.length) throw new RangeError('two connections of the simulated world have the same name');
  const plant = await (options.transport === 'memory' ? openMemoryPlant(options) : openTcpPlant(options));
  const devices = new Map<string, SimDevice>();
  const addresses = makeAddresses((connection) => plant.objects(connection));
  return {
    wires: { ...plant.wires, serverChain: addresses.serverChain },
    devices,
    broker: (name) => known(plant.brokers, name, 'broker'),
    aws: (name) => known(plant.aws, name, 'shadow service'),
    azure: (name) => known(plant.azure, name, 'hub'),
    mdash: (name) => known(plant.mdash, name, 'mDash'),
    rival: (name, rival) => {
      const hub = plant.azure.get(name);
      if (hub === undefined) addRival(known(plant.aws, name, 'shadow service'), rival);
      else addHubRival(hub, rival);
    },
    bucket: (name) => known(plant.buckets, name, 'bucket'),
    serve(connection, server) {
      if (plant.brokers.has(connection)) {
        addresses.serveBroker(connection, { url: server.endpoint, chain: server.chain });
        // Another certificate is another start of the broker: who was connected connects again.
        known(plant.brokers, connection, 'broker').dropAll();
        return;
      }
      const found = options.connections.find(({ name, type }) => name === connection && type === 's3');
      if (found === undefined) throw new RangeError(`the simulated world has no bucket ${connection}`);
      addresses.serve({ ...server, connection, bucket: found.bucket ?? connection });
    },
    s3Faults: plant.s3Faults,
    artifactServer: plant.artifacts,
    url: (name) => plant.urls.get(name) ?? null,
    enrol: (name, thing, issuedAt) => {
      const work = enrolGateway(known(plant.aws, name, 'shadow service'), thing, issuedAt);
      return options.clock instanceof VirtualClock ? options.clock.track(work) : work;
    },
    addDevice(kind, place, deviceOptions) {
      const { connection, name } = typeof place === 'string' ? { connection: place, name: deviceOptions.id } : place;
      if (!names.includes(connection)) throw new RangeError(`the simulated world has no connection ${connection}`);
      if (devices.has(name)) throw new RangeError(`the simulated world has a device ${name} already`);
      const ports = portsOf(options, { plant, addresses, connection, name });
      registerThing(plant.aws.get(connection), deviceOptions.id);
      registerDevice(plant.azure.get(connection), deviceOptions.id);
      const device = MAKERS[kind](deviceOptions, ports);
      joinMdash(plant.mdash.get(connection), device, deviceOptions.id);
      devices.set(name, device);
      return device;
    },
    close: async () => {
      for (const [, device] of [...devices].toSorted(([a], [b]) => compareText(a, b))) await device.powerOff();
      await plant.close();
    },
  };
}

interface DevicePlace {
  readonly plant: Plant;
  readonly addresses: ReturnType<typeof makeAddresses>;
  readonly connection: string;
  readonly name: string;
}

/** What a device of the world may touch: it finds what its connection leads to, and what has an address. */
function portsOf(options: SimWorldOptions, { plant, addresses, connection, name }: DevicePlace): SimPorts {
  return makeSimPorts({
    clock: options.clock,
    seed: options.seed,
    id: name,
    ...(options.log === undefined ? {} : { log: options.log }),
    connect: async (session) => {
      const there = session.endpoint === undefined ? connection : brokerAt(options.connections, session.endpoint);
      const roots = session.credentials?.ca ?? null;
      if (roots !== null) addresses.checkBroker(there, roots, options.clock.now());
      return await plant.connect(connection, session);
    },
    objects: () => plant.objects(connection),
    server: addresses.lookUp,
    get: plant.get,
  });
}

const MAKERS: { readonly [K in keyof SimDeviceOptions]: (options: SimDeviceOptions[K], ports: SimPorts) => SimDevice } = {
  campbell: makeCampbellDevice,
  canedge: makeCanedgeDevice,
  chariot: makeChariotDevice,
  drogue: makeDrogueDevice,
  mongoose: makeMongooseDevice,
  shadow: makeShadowDevice,
  twin: makeTwinDevice,
};

function known<T>(map: ReadonlyMap<string, T>, name: string, what: string): T {
  const value = map.get(name);
  if (value === undefined) throw new RangeError(`the simulated world has no ${what} ${name}`);
  return value;
}
