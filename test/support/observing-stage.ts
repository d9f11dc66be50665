import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openS3Ledger } from '#ledger/stores/s3.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import { deviceId } from '#model/ids.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { MqttConnection, MqttSession, Wires } from '#ports/wires.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions, PassReport } from '#reconcile/report.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { VirtualClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import { startSimWorld, type SimWorld } from '#sim/world.ts';
import { declaredIn } from '#test/crash/play.ts';
import { networkClients, openWorld } from '#world.ts';
import { branchOf, ledgerOn } from './git-ledger.ts';
import { makeGitRepo } from './git-repo.ts';
import { writeImages } from './images.ts';
import { troubled } from './troubled-objects.ts';

/** A Monday at 08:30 UTC. */
const START = Date.UTC(2026, 10, 23, 8, 30);
const CRASH_FLEET = join(import.meta.dirname, '..', 'crash', 'fleet');
const LEDGER_PREFIX = 'ledger/crash';

type Store = 'sqlite' | 's3' | 'git';
type BrokerPoint = 'connect' | 'subscribe' | 'settle';
type BucketPoint = 'open' | 'list' | 'head' | 'get';

export interface Ran {
  readonly report: PassReport;
  troubles(): readonly { readonly connection: string; readonly code: string }[];
  heardAt(device: string): Instant | null;
  firmware(device: string): { readonly kind: string; readonly value: string; readonly madeNotBefore: Instant | null } | null;
}

/** Three loggers at a broker and four CANedges at a bucket; every run is a world of its own that is closed again. */
export interface ObservingStage {
  readonly clock: VirtualClock;
  run(options: PassOptions): Promise<Ran>;
  /** Begins a run; time stands still until it is driven by `clock` or `end`. */
  start(options: PassOptions): Promise<PassReport>;
  end(running: Promise<PassReport>): Promise<Ran>;
  device(id: string): SimDevice;
  /** What the ledger's store holds, read by a handle that knows nothing. */
  keptReports(): Promise<readonly ReportedDevice[]>;
  /** Keys that runs read whole from a bucket since `forget`; keys they wrote or deleted in any but the ledger's folder. */
  gets(connection: string): readonly string[];
  writes(): readonly string[];
  /** Topics that runs published to since `forget`. */
  saidByUs(): readonly string[];
  forget(): void;
  /** Ids of Headgate's connections that stand now; all that were opened, in order. */
  sessions(): readonly string[];
  openings(): readonly { readonly clientId: string; readonly role: string }[];
  /** From now on a run hangs at that point of a connection, below a prefix; null mends it. */
  hang(connection: string, point: BrokerPoint | BucketPoint | null, prefix?: string): void;
  /** Writes the same bytes again. */
  rewrite(connection: string, key: string): Promise<void>;
  /** Declares another program for the loggers. */
  upgrade(): Promise<void>;
  close(): Promise<void>;
}

interface Hang {
  readonly point: string;
  readonly prefix: string;
}

/** What runs did, and what is to befall them. */
class Observer {
  readonly hangs = new Map<string, Hang>();
  readonly openings: { readonly clientId: string; readonly role: string }[] = [];
  gets: { readonly connection: string; readonly key: string }[] = [];
  writes: string[] = [];
  said: string[] = [];

  wires(inner: Wires): Wires {
    return {
      bus: async (connection, session, signal) => {
        if (this.#hangsAt(connection.name, 'connect')) return never();
        const bus = await inner.bus(connection, session, signal);
        return this.#bus(connection, session, bus);
      },
      objects: async (connection) => {
        if (this.#hangsAt(connection.name, 'open')) return never();
        return this.#objects(connection.name, await inner.objects(connection));
      },
      get: (url, options, signal) => inner.get(url, options, signal),
    };
  }

  #hangsAt(connection: string, point: string, key = ''): boolean {
    const hang = this.hangs.get(connection);
    return hang?.point === point && key.startsWith(hang.prefix);
  }

  #bus({ name }: MqttConnection, { role }: MqttSession, bus: MessageBus): MessageBus {
    this.openings.push({ clientId: bus.clientId, role });
    return {
      clientId: bus.clientId,
      expires: bus.expires,
      subscribe: (filters, qos) => (this.#hangsAt(name, 'subscribe') ? never() : bus.subscribe(filters, qos)),
      publish: (topic, payload, options) => bus.publish(topic, payload, options),
      listen: (listener) => bus.listen(listener),
      settle: (signal) => (this.#hangsAt(name, 'settle') ? never() : bus.settle(signal)),
      close: () => bus.close(),
    };
  }

  #objects(connection: string, store: ObjectStore): ObjectStore {
    const get: ObjectStore['get'] = async (key, ...how) => {
      const found = await store.get(key, ...how);
      if (typeof found === 'object') this.gets.push({ connection, key });
      return found;
    };
    return troubled({ ...store, get }, ({ kind, key }) => {
      if ((kind === 'put' || kind === 'delete') && !key.startsWith(LEDGER_PREFIX)) this.writes.push(`${connection}:${key}`);
      return this.#hangsAt(connection, kind, key) ? 'hang' : undefined;
    });
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

async function makeFleet(store: Store) {
  const staged = await mkdtemp(join(tmpdir(), 'headgate-observing-'));
  try {
    await cp(CRASH_FLEET, staged, { recursive: true });
    await writeImages(staged);
    if (store !== 'sqlite') {
      const ledger = { s3: `{ store: 's3:depot/${LEDGER_PREFIX}', id: crash }`, git: '{ store: git, id: crash, lasting: true }' }[store];
      const fleet = await readFile(join(staged, 'fleet.yaml'), 'utf8');
      await writeFile(join(staged, 'fleet.yaml'), fleet.replace(/^ledger: .*$/m, `ledger: ${ledger}`));
    }
    return await makeGitRepo(staged, START);
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}

export async function startObservingStage({ store }: { readonly store: Store }): Promise<ObservingStage> {
  const repo = await makeFleet(store);
  const declared = await declaredIn(repo.dir);
  const clock = new VirtualClock(START);
  const sim = await startSimWorld({ clock, seed: 1, transport: 'memory', clients: networkClients, connections: connectionsOf(declared) });
  for (let row = 0; row < declared.size; row += 1)
    await clock.run(addDeclaredDevice(sim, declared, { device: declared.deviceAt(row).id, options: {} }));
  await clock.advance(5 * 60_000);
  const observer = new Observer();
  const wires = observer.wires(sim.wires);
  sim.broker('field').onPublish((topic, _payload, clientId) => {
    if (clientId.startsWith('headgate-')) observer.said.push(topic);
  });
  const start = async (options: PassOptions): Promise<PassReport> => {
    // In CI, as short runs are: an empty disk, and a ledger that outlasts it.
    // Time stands still while git is at work.
    const ledger = store === 'git' ? { ledger: ledgerOn(await clock.track(branchOf(repo.dir)), clock, undefined, 'crash') } : {};
    const opened = openWorld({ repo: repo.dir, env: { CI: 'true' }, clock, wires, holder: 'a runner', ...ledger });
    const world: World = { ...opened, source: clock.tracked(opened.source) };
    try {
      return await runPass(world, makeDeclareState(), options);
    } finally {
      await world.close();
    }
  };
  const end = async (running: Promise<PassReport>): Promise<Ran> => ranOf(await clock.run(running));
  return {
    clock,
    start,
    end,
    run: (options) => end(start(options)),
    device: (id) => {
      const device = sim.devices.get(id);
      if (device === undefined) throw new Error(`no device ${id}`);
      return device;
    },
    keptReports: () => clock.run(keptReports({ store, dir: repo.dir, sim, clock })),
    gets: (connection) => observer.gets.filter((one) => one.connection === connection).map(({ key }) => key),
    writes: () => observer.writes,
    saidByUs: () => observer.said,
    forget: () => {
      observer.gets = [];
      observer.writes = [];
      observer.said = [];
    },
    sessions: () => sim.broker('field').clients.filter((id) => id.startsWith('headgate-')),
    openings: () => observer.openings,
    hang: (connection, point, prefix = '') => {
      if (point === null) observer.hangs.delete(connection);
      else observer.hangs.set(connection, { point, prefix });
    },
    rewrite: async (connection, key) => {
      const found = await sim.bucket(connection).get(key);
      if (typeof found === 'string') throw new Error(`${key} is ${found}`);
      await sim.bucket(connection).put(key, found.bytes);
    },
    upgrade: async () => {
      const text = await repo.read('groups/met.yaml');
      await repo.write('groups/met.yaml', text.replace('MET_v1', 'MET_v2'));
      await repo.commit('Another program', clock.now());
    },
    close: async () => {
      await sim.close();
      await repo.close();
    },
  };
}

function ranOf(report: PassReport): Ran {
  const reportOf = (device: string): ReportedDevice | undefined => report.result?.reports.find((one) => one.device === deviceId(device));
  return {
    report,
    troubles: () => (report.result?.troubles ?? []).map(({ connection, code }) => ({ connection, code })),
    heardAt: (device) => reportOf(device)?.heardAt ?? null,
    firmware: (device) => {
      const item = reportOf(device)?.items.firmware;
      return item?.kind === 'value' ? { kind: item.kind, value: item.value, madeNotBefore: item.madeNotBefore } : null;
    },
  };
}

async function keptReports(place: {
  readonly store: Store;
  readonly dir: string;
  readonly sim: SimWorld;
  readonly clock: VirtualClock;
}): Promise<readonly ReportedDevice[]> {
  const { store, dir, sim, clock } = place;
  const ledger =
    store === 'git'
      ? ledgerOn(await clock.track(branchOf(dir)), clock, undefined, 'crash')
      : store === 'sqlite'
        ? openSqliteLedger({ path: join(dir, 'ledger.db'), clock })
        : openS3Ledger({ objects: async () => sim.bucket('depot'), prefix: LEDGER_PREFIX, clock });
  try {
    return await ledger.reports.load();
  } finally {
    await ledger.close();
  }
}
