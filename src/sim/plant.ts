import type { LiveBus, NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { Log } from '#ports/log.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimPorts } from '#ports/sim.ts';
import type { Wires } from '#ports/wires.ts';
import type { ArtifactFiles } from './artifact-server.ts';
import type { AwsIot } from './aws/aws-iot.ts';
import type { AzureHub } from './azure/hub.ts';
import type { BrokerTls } from './broker-tls.ts';
import type { Broker } from './broker.ts';
import type { Answering } from './in-process-get.ts';
import type { DeviceSession } from './ports.ts';
import type { SimMdash } from './mdash/mdash.ts';
import type { S3Faults } from './s3/faults.ts';

export interface SimWorldConnection {
  readonly name: string;
  readonly type: 'mqtt' | 's3' | 'aws-iot' | 'azure-iot' | 'mdash';
  /** A broker that keeps shadows as AWS IoT does; one of type `aws-iot` always does. */
  readonly shadows?: boolean;
  /** Of type `aws-iot`: named shadows in its index; nothing is indexed when left out. */
  readonly indexed?: readonly string[];
  /** The host name by which devices know a broker; the name of the connection when left out. */
  readonly host?: string;
  /** Makes the broker of a world on TCP speak TLS. */
  readonly tls?: BrokerTls;
  /** The name of the connection when left out. */
  readonly bucket?: string;
  /** Below which devices keep their objects; nothing when left out. */
  readonly prefix?: string;
}

export interface SimWorldOptions {
  /** Virtual for scenarios (with `memory`), scaled for the demo (with `tcp`). */
  readonly clock: Clock;
  /** Fixes every chance that a device takes. */
  readonly seed: number;
  /** `memory`: no sockets, the same each time. `tcp`: servers on free ports of 127.0.0.1, for other processes too. */
  readonly transport: 'memory' | 'tcp';
  readonly connections: readonly SimWorldConnection[];
  readonly clients: NetworkClients;
  readonly log?: Log;
  /** Further servers that devices of a world in memory can reach. */
  readonly hosts?: readonly Answering[];
}

/** The servers of a world and the ways to them: one kind in memory, one on TCP. */
export interface Plant {
  readonly wires: Wires;
  readonly brokers: ReadonlyMap<string, Broker>;
  readonly buckets: ReadonlyMap<string, ObjectStore>;
  /** What keeps shadows, by connection. */
  readonly aws: ReadonlyMap<string, AwsIot>;
  /** What keeps twins, by connection. */
  readonly azure: ReadonlyMap<string, AzureHub>;
  /** mDash, by connection. */
  readonly mdash: ReadonlyMap<string, SimMdash>;
  readonly s3Faults: S3Faults;
  readonly artifacts: ArtifactFiles;
  readonly urls: ReadonlyMap<string, string>;
  connect(connection: string, session: DeviceSession): Promise<LiveBus>;
  objects(connection: string): Promise<ObjectStore>;
  readonly get: SimPorts['get'];
  close(): Promise<void>;
}
