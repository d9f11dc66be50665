import { join, resolve } from 'node:path';
import { hostname } from 'node:os';
import { unlessAborted } from '#kit/aborted.ts';
import { canonicalJson } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { HOUR_MS } from '#kit/duration.ts';
import { runBench, type BenchAction, type BenchParts } from '#adapters/campbell/driver-bench.ts';
import { families } from '#adapters/registry.ts';
import { makeArtifacts } from '#artifacts/artifacts.ts';
import { makeArtifactCache, type ArtifactCache } from '#artifacts/cache.ts';
import { registryAuthIn } from '#artifacts/oci.ts';
import { startArtifactHost } from '#artifacts/serve.ts';
import type { ArtifactHost } from '#artifacts/serve.ts';
import { foldRecords } from '#ledger/fold.ts';
import { openGitLedger } from '#ledger/stores/git.ts';
import { openS3Ledger } from '#ledger/stores/s3.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { ConnectionDeclaration, Declared, FleetDeclaration } from '#model/declared.ts';
import type { Clock } from '#ports/clock.ts';
import type { Driver, DriverPorts } from '#ports/driver.ts';
import { LedgerError } from '#ports/ledger.ts';
import type { BlobStore, LedgerStore } from '#ports/ledger.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { Log } from '#ports/log.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Journal, Responder } from '#ports/responder.ts';
import type { Presence, Revocation } from '#ports/presence.ts';
import type { ShadowReader } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { S3Connection, Wires } from '#ports/wires.ts';
import type { Checkpoints, DriverSet, World } from '#ports/world.ts';
import { applyRolloutEvent } from '#rollout/state.ts';
import { makeSecretOpener } from '#secrets/open.ts';
import { environmentCredentials, openGitPlace } from '#source/git-branch-open.ts';
import { openGitSource, openRemoteSource } from '#source/git-source.ts';
import { systemClock } from '#transports/clock.ts';
import { CallCounter, ShadowCallCounter } from '#transports/count-calls.ts';
import { withLook } from '#transports/shadow-look.ts';
import { ConnectionWatch } from '#transports/watch.ts';
import { makeNetworkWires } from '#transports/wires.ts';

/** Written into each record and pass: the version of package.json. */
export const ENGINE = '0.1.0';

export interface WorldOptions {
  /** A folder with a git repository, or the https URL of one. */
  readonly repo: string;
  readonly branch?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  /** Real time beside a scaled `clock`; the same clock when left out. */
  readonly wireClock?: Clock;
  readonly wires?: Wires;
  readonly log?: Log;
  /** Where fetched artifacts and cloned remotes are kept; in memory only when left out. */
  readonly cacheDir?: string;
  readonly holder?: string;
  readonly checkpoints?: Checkpoints;
  /** In the place of the store that fleet.yaml declares: scenarios keep theirs in memory. */
  readonly ledger?: LedgerStore;
  readonly engine?: string;
  /** In the place of a server of our own for `urls: serve`: scenarios answer in their own process. */
  readonly artifactHost?: ArtifactHost;
  /** What responders of this process write to; left out where none runs. */
  readonly journal?: Journal;
  /** The name of this one of several daemons: each has MQTT sessions of its own. */
  readonly instance?: string;
}

/** Puts all the parts together: the only place that knows every folder. */
export function openWorld(options: WorldOptions): World {
  const clock = options.clock ?? systemClock;
  const wireClock = options.wireClock ?? clock;
  const wires = options.wires ?? makeNetworkWires({ clock, env: options.env });
  const log = options.log ?? SILENT_LOG;
  const stores = new Map<string, LedgerStore>();
  const sets = new Map<string, { readonly key: string; readonly set: DriverSet }>();
  const cache = makeArtifactCache(options.cacheDir ?? null);
  const journal = options.journal === undefined ? {} : { journal: options.journal };
  const watch = new ConnectionWatch();
  return {
    source: openSource(options),
    secrets: makeSecretOpener({ env: options.env }),
    clock,
    wireClock,
    log,
    engine: options.engine ?? ENGINE,
    holder: options.holder ?? `${hostname()} ${process.pid}`,
    families: families(),
    checkpoints: options.checkpoints ?? {},
    fold: (records, from) => foldRecords(records, { event: applyRolloutEvent, ...(from === undefined ? {} : { from }) }),
    ledger: (fleet) => openLedger(options, { fleet, clock: wireClock, stores, wires }),
    drivers: async (declared, role, blobs) => {
      const key = canonicalJson([...declared.fleet.connections.keys()].map((name) => connectionKey(declared.fleet.connections.get(name))));
      const kept = sets.get(role);
      if (kept?.key === key) return kept.set;
      await kept?.set.close();
      const serve = role === 'holder' ? await openArtifactHost(options, declared, wireClock) : null;
      const set = openDrivers({
        declared,
        role,
        blobs,
        wires,
        clock,
        log,
        serve,
        cache,
        watch,
        instance: options.instance ?? null,
        registryAuth: registryAuthIn(options.env),
        ...journal,
      });
      sets.set(role, { key, set });
      return set;
    },
    connections: () => watch.states(),
    close: async () => {
      for (const { set } of sets.values()) await set.close();
      for (const store of stores.values()) await store.close();
    },
  };
}

function openSource(options: WorldOptions): World['source'] {
  if (!/^https?:\/\//.test(options.repo)) return openGitSource({ dir: resolve(options.repo) });
  const cacheDir = options.cacheDir ?? join(resolve('.'), '.headgate');
  const credentials = environmentCredentials(options.repo, options.env);
  const auth = credentials === null ? {} : { auth: () => Promise.resolve(credentials) };
  return openRemoteSource({ url: options.repo, cacheDir, branch: options.branch ?? 'main', ...auth });
}

async function openLedger(
  options: WorldOptions,
  request: { readonly fleet: FleetDeclaration; readonly clock: Clock; readonly stores: Map<string, LedgerStore>; readonly wires: Wires },
): Promise<LedgerStore> {
  const { stores } = request;
  const declaration = request.fleet.ledger;
  if (options.ledger !== undefined) return options.ledger;
  if (declaration.store === 'git') return await openBranchLedger(options, request);
  if (declaration.store === 's3') return openBucketLedger({ ...request, ...declaration });
  if (declaration.store !== 'sqlite') {
    throw new LedgerError('UNSUPPORTED_STORE', `this version keeps no ledger in ${declaration.store}; such stores are not built in`);
  }
  if (isInCi(options) && !declaration.lasting) {
    throw new LedgerError(
      'NOT_LASTING',
      `a ledger on the disk of a CI runner is gone after the job, and waves and soak times with it; declare another store, or lasting: true when ${declaration.path} outlives the job`,
    );
  }
  const path = resolve(options.repo, declaration.path);
  const store = stores.get(path) ?? openSqliteLedger({ path, clock: request.clock });
  stores.set(path, store);
  return store;
}

function isInCi({ env }: WorldOptions): boolean {
  return env['CI'] === 'true' || env['GITHUB_ACTIONS'] === 'true';
}

/** On a branch of the repository that the fleet repo was cloned from; of the repo itself when it was cloned from nowhere. */
async function openBranchLedger(
  options: WorldOptions,
  request: { readonly fleet: FleetDeclaration; readonly clock: Clock; readonly stores: Map<string, LedgerStore> },
): Promise<LedgerStore> {
  const { fleet, clock, stores } = request;
  const { id, lasting } = fleet.ledger;
  const key = canonicalJson(['git', id]);
  const kept = stores.get(key);
  if (kept !== undefined) return kept;
  const { kind, branch } = await openGitPlace({ repo: options.repo, env: options.env });
  if (kind === 'own' && isInCi(options) && !lasting) {
    throw new LedgerError(
      'NOT_LASTING',
      'this clone has no remote, so the branch headgate/ledger would be gone after the job; clone from where the ledger shall lie, set HEADGATE_LEDGER_REMOTE to its URL, or declare lasting: true when this repository outlives the job',
    );
  }
  const store = stores.get(key) ?? openGitLedger({ branch, id, clock });
  stores.set(key, store);
  return store;
}

/** Where no disk lasts: the bucket that is there anyway. A connection that was changed is another ledger's. */
function openBucketLedger(request: {
  readonly fleet: FleetDeclaration;
  readonly clock: Clock;
  readonly stores: Map<string, LedgerStore>;
  readonly wires: Wires;
  readonly connection: string;
  readonly prefix: string;
}): LedgerStore {
  const { fleet, clock, stores, wires, prefix } = request;
  const connection = typed(fleet.connections.get(request.connection), request.connection, 's3');
  const key = canonicalJson(['s3', connectionKey(connection), prefix]);
  const store = stores.get(key) ?? openS3Ledger({ objects: () => wires.objects(connection), prefix, clock });
  stores.set(key, store);
  return store;
}

/** Bytes of certificates by their length and text: a changed connection must be opened anew. */
function connectionKey(connection: ConnectionDeclaration | undefined): unknown {
  if (connection === undefined) return null;
  return Object.fromEntries(
    Object.entries(connection).map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value]),
  );
}

interface DriverSetOptions {
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

/** How long a logger may fetch what is put on it by hand: longer than any download of a program. */
const BENCH_URL_MS = HOUR_MS;
/** Where our own artifact server listens when nothing else is said. */
const ARTIFACTS_PORT = 8470;

/** `artifacts: { urls: serve }`: listens on 127.0.0.1 unless HEADGATE_ARTIFACTS_HOST says otherwise. */
async function openArtifactHost(options: WorldOptions, declared: Declared, clock: Clock): Promise<ArtifactHost | null> {
  const { urls, publicUrl } = declared.fleet.artifacts;
  if (urls !== 'serve') return null;
  if (options.artifactHost !== undefined) return options.artifactHost;
  const port = Number(options.env['HEADGATE_ARTIFACTS_PORT'] ?? ARTIFACTS_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new WireError('BAD_ENV', 'never', 'HEADGATE_ARTIFACTS_PORT is not a port');
  return startArtifactHost({ publicUrl, clock, port, host: options.env['HEADGATE_ARTIFACTS_HOST'] ?? '127.0.0.1' });
}

/** By connection: what was opened, once for all who ask. */
function nothingOpened() {
  return {
    buses: new Map<string, Promise<MessageBus>>(),
    stores: new Map<string, Promise<ObjectStore>>(),
    shadows: new Map<string, Promise<ShadowReader>>(),
    presences: new Map<string, Promise<Presence | null>>(),
    revocations: new Map<string, Promise<Revocation | null>>(),
  };
}

function openDrivers(options: DriverSetOptions): DriverSet {
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
    ...(wires.serverChain === undefined ? {} : { serverChain: wires.serverChain.bind(wires) }),
    presence: (name) => shared(kept.presences, name, async () => (await wires.presence?.(typed(connection(name), name, 'mqtt'))) ?? null),
    revocation: (name) =>
      shared(kept.revocations, name, async () => (await wires.revocation?.(typed(connection(name), name, 'mqtt'))) ?? null),
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
      // Shadows over a bus end before it.
      const opened = [kept.shadows, kept.buses, kept.stores, kept.presences, kept.revocations].flatMap((some) => [...some.values()]);
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

/** Of an `mqtt` connection over its bus, which all drivers share; of `aws-iot` over HTTP. */
async function openShadows(
  name: string,
  options: DriverSetOptions & { readonly shadowCalls: ShadowCallCounter; bus(name: string): Promise<MessageBus> },
): Promise<ShadowReader> {
  const { declared, wires, clock, log } = options;
  const connection = declared.fleet.connections.get(name);
  if (connection === undefined || connection.type === 's3')
    throw new WireError('NO_CONNECTION', 'never', `no aws-iot or mqtt connection is declared as ${name}`);
  const wanted = connection.type === 'mqtt' ? ({ type: 'mqtt', name, bus: await options.bus(name) } as const) : connection;
  const shadows = await wires.shadows?.(wanted);
  if (shadows === undefined) throw new WireError('NO_CONNECTION', 'never', `${name} leads to no shadow service`);
  const { index, indexQuery } = connection.type === 'aws-iot' ? connection : ({ index: 'off', indexQuery: null } as const);
  return withLook(options.shadowCalls.counted(name, shadows), { clock, log, connection: name, index, indexQuery });
}

function makeResponders(ports: DriverPorts, share: string | null): readonly Responder[] {
  const { journal } = ports;
  if (journal === undefined) return [];
  return [...families().values()].flatMap((entry) => entry.makeResponder?.({ ...ports, journal, share }) ?? []);
}

/** One connection for all who ask; one that failed to open is tried again by the next who asks. */
function shared<T>(kept: Map<string, Promise<T>>, name: string, open: () => Promise<T>): Promise<T> {
  const known = kept.get(name);
  if (known !== undefined) return known;
  const opening = open();
  kept.set(name, opening);
  opening.catch(() => kept.delete(name));
  return opening;
}

/** One that is still being opened is not waited for: a server that never answers must not keep a run from its end. */
async function closeOpened(opened: Promise<{ close(): Promise<void> } | null>, closing: AbortSignal): Promise<void> {
  const closed = opened.then(
    (one) => one?.close(),
    () => undefined,
  );
  const standing = await unlessAborted(opened, closing).then(
    () => true,
    () => false,
  );
  if (standing) await closed;
}

function typed<Type extends ConnectionDeclaration['type']>(
  connection: ConnectionDeclaration | undefined,
  name: string,
  type: Type,
): Extract<ConnectionDeclaration, { type: Type }> {
  if (connection === undefined || connection.type !== type)
    throw new WireError('NO_CONNECTION', 'never', `no ${type} connection is declared as ${name}`);
  return connection as Extract<ConnectionDeclaration, { type: Type }>;
}

/** What entry points write for a person: a commit, its inverse, a file of reports. */
export { readAuthor } from '#source/author.ts';
export { commitFiles, revertCommit } from '#source/commit.ts';
export { parseReports, reportsText } from '#observe/reports-file.ts';
export { recipientsOf } from '#declare/needed.ts';
export { sealSecret } from '#secrets/seal.ts';
export { createRepository } from '#source/create.ts';
export { systemClock } from '#transports/clock.ts';
export { networkClients } from '#transports/wires.ts';

/** For CANedges by hand: what a file is, a config encrypted to one device, a config without its secrets. */
export { configCrc, readDocument, shownConfig, kpubIn } from '#adapters/canedge/by-hand.ts';
export { encryptConfig } from '#adapters/canedge/encrypt.ts';
export { inspectFile } from '#adapters/canedge/inspect.ts';
export type { Inspection } from '#adapters/canedge/inspect.ts';

export type { BenchAction } from '#adapters/campbell/driver-bench.ts';

export interface BenchRequest extends Omit<BenchParts, 'bus' | 'clock' | 'offer'> {
  readonly connection: ConnectionDeclaration;
  /** Where the logger fetches what is put on it. */
  readonly serve: { readonly host: string; readonly port: number; readonly publicUrl: string | null };
}

/** One action on one Campbell logger, over a session of its own that disturbs none of the engine's. Throws WireError. */
export async function benchLogger(
  options: Pick<WorldOptions, 'env' | 'clock' | 'wires'>,
  action: BenchAction,
  request: BenchRequest,
): Promise<boolean> {
  const { connection, serve, signal } = request;
  const clock = options.clock ?? systemClock;
  const wires = options.wires ?? makeNetworkWires({ clock, env: options.env });
  const declaration = typed(connection, connection.name, 'mqtt');
  const bus = await wires.bus({ ...declaration, clientId: `headgate-bench-${process.pid}` }, { role: 'reader' }, signal);
  let host: ArtifactHost | null = null;
  try {
    return await runBench(action, {
      ...request,
      bus,
      clock,
      offer: async (name, bytes) => {
        host ??= await startArtifactHost({ ...serve, clock });
        return host.offer({ name, digest: sha256(bytes), bytes }, request.address, BENCH_URL_MS);
      },
    });
  } finally {
    await bus.close();
    await (host as ArtifactHost | null)?.close();
  }
}
