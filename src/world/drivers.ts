import { families } from '#adapters/registry.ts';
import { makeArtifacts } from '#artifacts/artifacts.ts';
import type { ArtifactCache } from '#artifacts/cache.ts';
import type { ArtifactHost } from '#artifacts/serve.ts';
import type { ConnectionDeclaration, Declared } from '#model/declared.ts';
import type { Clock } from '#ports/clock.ts';
import type { DeviceMethods } from '#ports/device-methods.ts';
import type { Driver, DriverPorts } from '#ports/driver.ts';
import type { BlobStore } from '#ports/ledger.ts';
import type { Log } from '#ports/log.ts';
import type { Mdash } from '#ports/mdash.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Presence, Revocation } from '#ports/presence.ts';
import type { Journal, Responder } from '#ports/responder.ts';
import type { ShadowReader } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection, MdashConnection, MqttConnection, S3Connection, Wires } from '#ports/wires.ts';
import type { DriverSet } from '#ports/world.ts';
import { CallCounter, ShadowCallCounter } from '#transports/count-calls.ts';
import { withLook } from '#transports/shadow-look.ts';
import type { ConnectionWatch } from '#transports/watch.ts';
import { closeOpened, shared, typed } from './connections.ts';

export interface DriverSetOptions {
  readonly declared: Declared;
  readonly role: 'holder' | 'reader';
  readonly blobs: BlobStore;
  readonly wires: Wires;
  readonly clock: Clock;
  readonly log: Log;
  readonly serve: ArtifactHost | null;
  readonly cache: ArtifactCache;
  readonly watch: ConnectionWatch;
  readonly instance: string | null;
  registryAuth(registry: string): string | null;
  readonly journal?: Journal;
}

/** By connection: what was opened, once for all who ask; in the order in which it is closed, shadows over a bus before it. */
function nothingOpened() {
  return {
    shadows: new Map<string, Promise<ShadowReader>>(),
    methods: new Map<string, Promise<DeviceMethods>>(),
    mdash: new Map<string, Promise<Mdash>>(),
    buses: new Map<string, Promise<MessageBus>>(),
    stores: new Map<string, Promise<ObjectStore>>(),
    presences: new Map<string, Promise<Presence | null>>(),
    revocations: new Map<string, Promise<Revocation | null>>(),
  };
}

/** Drivers and responders of one role, and what they share: each connection is opened when the first of them asks for it. */
export function openDrivers(options: DriverSetOptions): DriverSet {
  const { declared, wires, clock } = options;
  const kept = nothingOpened();
  const closing = new AbortController();
  const connection = (name: string): ConnectionDeclaration | undefined => declared.fleet.connections.get(name);
  const calls = new CallCounter();
  const objects = async (declaration: S3Connection): Promise<ObjectStore> =>
    calls.counted(declaration.name, await wires.objects(declaration));
  const shadowCalls = new ShadowCallCounter();
  const artifacts = makeArtifacts({
    wires: { ...wires, objects },
    connection,
    mode: declared.fleet.artifacts,
    cacheDir: null,
    cache: options.cache,
    clock,
    serve: options.serve,
    registryAuth: options.registryAuth,
  });
  const bus = (name: string): Promise<MessageBus> => shared(kept.buses, name, () => openFleetBus(name, options, closing.signal));
  const ports: DriverPorts = {
    clock,
    log: options.log,
    artifacts,
    blobs: options.blobs,
    role: options.role,
    ...(options.journal === undefined ? {} : { journal: options.journal }),
    connection,
    bus,
    objects: (name) => shared(kept.stores, name, () => objects(typed(connection(name), name, 's3'))),
    shadows: (name) => shared(kept.shadows, name, () => openShadows(name, { ...options, bus, shadowCalls })),
    ...callWays(kept, { wires, connection }),
    ...(wires.serverChain === undefined ? {} : { serverChain: wires.serverChain.bind(wires) }),
    ...witnesses(kept, { wires, bus, connection }),
  };
  const drivers = new Map<string, Driver>();
  let responders: readonly Responder[] | null = null;
  return {
    artifacts,
    of: (family) => {
      const entry = families().get(family);
      if (entry === undefined) throw new Error(`no such family: ${family}`);
      const driver = drivers.get(family) ?? entry.makeDriver(ports);
      drivers.set(family, driver);
      return driver;
    },
    objectCalls: () => calls.sums(),
    shadowCalls: () => shadowCalls.sums(),
    responders: (share) => (responders ??= makeResponders(ports, share)),
    close: async () => {
      for (const part of [...(responders ?? []), ...drivers.values()]) await part.close();
      closing.abort(new WireError('CLOSED', 'never', 'the connection was closed by us'));
      const opened = Object.values(kept).flatMap((some) => [...some.values()]);
      for (const one of opened) await closeOpened(one, closing.signal);
      await artifacts.close();
      await options.serve?.close();
    },
  };
}

/** Two sessions with one id push each other off, so the id names the fleet, the connection and the daemon. */
async function openFleetBus(name: string, options: DriverSetOptions, closing: AbortSignal): Promise<MessageBus> {
  const { declared, role, wires } = options;
  const declaration = typed(declared.fleet.connections.get(name), name, 'mqtt');
  const own = options.instance === null ? '' : `-${options.instance}`;
  const clientId = `${declaration.clientId ?? `headgate-${declared.fleet.name}-${name}`}${own}`;
  return options.watch.watch(name, role, await wires.bus({ ...declaration, clientId }, { role }, closing));
}

/** Of an `mqtt` connection over its bus, which all drivers share; of `aws-iot` and `azure-iot` over HTTP. */
async function openShadows(
  name: string,
  options: DriverSetOptions & { readonly shadowCalls: ShadowCallCounter; bus(name: string): Promise<MessageBus> },
): Promise<ShadowReader> {
  const { declared, wires, clock, log } = options;
  const connection = declared.fleet.connections.get(name);
  if (connection === undefined || connection.type === 's3' || connection.type === 'mdash')
    throw new WireError('NO_CONNECTION', 'never', `no aws-iot, azure-iot or mqtt connection is declared as ${name}`);
  const wanted = connection.type === 'mqtt' ? ({ type: 'mqtt', name, bus: await options.bus(name) } as const) : connection;
  const shadows = await wires.shadows?.(wanted);
  if (shadows === undefined) throw new WireError('NO_CONNECTION', 'never', `${name} leads to no shadow service`);
  const { index, indexQuery } = connection.type === 'mqtt' ? ({ index: 'off', indexQuery: null } as const) : connection;
  return withLook(options.shadowCalls.counted(name, shadows), { clock, log, connection: name, index, indexQuery });
}

/** How devices are called over what is no bus, and what they ask of who calls them over one. */
function callWays(
  kept: Pick<ReturnType<typeof nothingOpened>, 'methods' | 'mdash'>,
  { wires, connection }: Pick<DriverPorts, 'connection'> & { readonly wires: Wires },
): Required<Pick<DriverPorts, 'methods' | 'mdash' | 'rpcPassword'>> {
  return {
    methods: (name) => shared(kept.methods, name, () => openMethods(typed(connection(name), name, 'azure-iot'), wires)),
    mdash: (name) => shared(kept.mdash, name, () => openMdash(typed(connection(name), name, 'mdash'), wires)),
    rpcPassword: (name) => wires.rpcPassword?.(typed(connection(name), name, 'mqtt')) ?? null,
  };
}

/** Who a broker saw, and how certificates are withdrawn there. */
function witnesses(
  kept: Pick<ReturnType<typeof nothingOpened>, 'presences' | 'revocations'>,
  { wires, bus, connection }: Pick<DriverPorts, 'bus' | 'connection'> & { readonly wires: Wires },
): Required<Pick<DriverPorts, 'presence' | 'revocation'>> {
  return {
    presence: (name) => shared(kept.presences, name, () => openPresence(typed(connection(name), name, 'mqtt'), wires, () => bus(name))),
    revocation: (name) => shared(kept.revocations, name, () => openRevocation(typed(connection(name), name, 'mqtt'), wires)),
  };
}

async function openPresence(connection: MqttConnection, wires: Wires, bus: () => Promise<MessageBus>): Promise<Presence | null> {
  return (await wires.presence?.(connection, bus)) ?? null;
}

async function openRevocation(connection: MqttConnection, wires: Wires): Promise<Revocation | null> {
  return (await wires.revocation?.(connection)) ?? null;
}

async function openMethods(connection: AzureIotConnection, wires: Wires): Promise<DeviceMethods> {
  const methods = await wires.methods?.(connection);
  if (methods === undefined) throw new WireError('NO_CONNECTION', 'never', `${connection.name} leads to no hub with direct methods`);
  return methods;
}

async function openMdash(connection: MdashConnection, wires: Wires): Promise<Mdash> {
  const account = await wires.mdash?.(connection);
  if (account === undefined) throw new WireError('NO_CONNECTION', 'never', `${connection.name} leads to no mDash`);
  return account;
}

function makeResponders(ports: DriverPorts, share: string | null): readonly Responder[] {
  const { journal } = ports;
  if (journal === undefined) return [];
  return [...families().values()].flatMap((entry) => entry.makeResponder?.({ ...ports, journal, share }) ?? []);
}
