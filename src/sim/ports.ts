import type { SigningCredentials } from '#kit/sigv4.ts';
import type { BusOptions, LiveBus, NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import { SILENT_LOG, type Log } from '#ports/log.ts';
import type { ConnectionWatch, SimCredentials, SimEndpoint, SimPorts } from '#ports/sim.ts';
import type { S3Connection } from '#ports/wires.ts';
import { WireError } from '#ports/wire-error.ts';
import { watched } from './connection-watch.ts';
import { seededRandom } from './random.ts';

/** The largest file that a simulated device downloads, in bytes: above every firmware of the families. */
const MAX_DOWNLOAD_BYTES = 64 * 1024 * 1024;

export interface SimPortsOptions {
  readonly clock: Clock;
  readonly seed: number;
  /** Of the device: with the seed it fixes all its chances. */
  readonly id: string;
  readonly log?: Log;
  connect(options: DeviceSession): Promise<LiveBus>;
  objects: SimPorts['objects'];
  server?: SimPorts['server'];
  get: SimPorts['get'];
}

/** What a device says when it connects; the rest of BusOptions is the world's business. */
export interface DeviceSession extends Pick<
  BusOptions,
  'clientId' | 'clean' | 'keepAliveSeconds' | 'will' | 'markerTopic' | 'reconnect' | 'protocol'
> {
  /** Where the device wants to connect; the broker that it was given when left out. */
  readonly endpoint?: SimEndpoint;
  readonly credentials?: SimCredentials;
}

/** The ports of one simulated device over whatever connects it. */
export function makeSimPorts(options: SimPortsOptions): SimPorts {
  return {
    clock: options.clock,
    log: options.log ?? SILENT_LOG,
    random: seededRandom(options.seed, options.id),
    connect: async ({ clientId, clean, keepAliveSeconds, will, endpoint, credentials }) => {
      // Loggers speak MQTT 3.1.1, know no markers and connect again when their own firmware says so.
      const manner = { markerTopic: null, reconnect: false, protocol: 4 } as const;
      const where = { ...(endpoint === undefined ? {} : { endpoint }), ...(credentials === undefined ? {} : { credentials }) };
      const bus = await options.connect({ clientId, clean, keepAliveSeconds, ...manner, ...where, ...(will === null ? {} : { will }) });
      return { bus, onLost: (listener) => bus.onLost(listener), drop: () => bus.drop() };
    },
    objects: () => options.objects(),
    ...(options.server === undefined ? {} : { server: options.server }),
    get: (url, headers) => options.get(url, headers),
  };
}

export interface NetworkDevice {
  readonly clients: NetworkClients;
  readonly clock: Clock;
  readonly seed: number;
  readonly id: string;
  readonly log?: Log;
  /** A broker for devices on MQTT. */
  readonly broker?: Pick<BusOptions, 'url' | 'username' | 'password' | 'ca' | 'cert' | 'key'>;
  /** Told how it fares at the broker. */
  readonly watch?: ConnectionWatch;
  /** A bucket for devices on S3. */
  readonly bucket?: { readonly connection: S3Connection; readonly credentials: SigningCredentials };
}

/** Ports over the network, to any broker or bucket, ours or not: for `headgate sim` and for worlds on TCP. */
export function networkSimPorts(device: NetworkDevice): SimPorts {
  const { clients, broker, bucket } = device;
  return makeSimPorts({
    clock: device.clock,
    seed: device.seed,
    id: device.id,
    ...(device.log === undefined ? {} : { log: device.log }),
    connect: ({ endpoint, credentials, ...session }) => {
      if (broker === undefined) throw new WireError('NO_BROKER', 'never', `${device.id}: this device was given no broker`);
      const where = endpoint === undefined ? {} : { url: endpointUrl(endpoint) };
      const all = { ...session, ...broker, ...where, ...credentialOptions(credentials), clock: device.clock };
      return watched(device, () => clients.openBus(all));
    },
    objects: () => {
      if (bucket === undefined) throw new WireError('NO_BUCKET', 'never', `${device.id}: this device was given no bucket`);
      return clients.openObjects(bucket.connection, bucket.credentials);
    },
    get: (url, headers) => clients.get(url, { maxBytes: MAX_DOWNLOAD_BYTES, headers }),
  });
}

function endpointUrl({ host, port, tls }: SimEndpoint): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'mqtts' : 'mqtt'}://${name}${port === null ? '' : `:${port}`}`;
}

/** Credentials as a client takes them; those that the device does not have are left as they were. */
export function credentialOptions(credentials: SimCredentials | undefined): Partial<BusOptions> {
  const { cert = null, key = null, ca = null, username = null, password = null } = credentials ?? {};
  return {
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
    ...(ca === null ? {} : { ca }),
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
  };
}
