import { makeDeclareCache } from '#declare/cache.ts';
import { declare, type DeclareAnswer } from '#declare/declare.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { placeText } from '#kit/diagnostics.ts';
import { sha256 } from '#kit/digest.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { err, ok } from '#kit/result.ts';
import { openMemoryLedger } from '#ledger/stores/memory.ts';
import type { Declared } from '#model/declared.ts';
import type { Revision } from '#model/revision.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { Journal, Responder } from '#ports/responder.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { Source } from '#ports/source.ts';
import type { Wires } from '#ports/wires.ts';
import type { Checkpoints, World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions, PassReport } from '#reconcile/report.ts';
import { makeDeclareState, type DeclareState } from '#reconcile/revision.ts';
import { VirtualClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import { admitAfter } from '#sim/scenario/host.ts';
import { startSimWorld, type SimWorld } from '#sim/world.ts';
import { networkClients, openWorld } from '#world.ts';
import { families } from '#adapters/registry.ts';

/** A Monday at 08:30 UTC. */
const FLEET_START = Date.UTC(2026, 10, 23, 8, 30);

/** A daemon's schedule. */
const DAEMON_EVERY_MS = 5 * MINUTE_MS;

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A fleet repo in memory: each commit follows the one before, ids are digests of what is committed. */
export class MemoryRepo implements Source {
  readonly #commits: { readonly id: string; readonly revision: Revision }[] = [];
  files: Files;

  constructor(files: Files) {
    this.files = {};
    this.commit(files, 'The fleet as it stands');
  }

  /** `null` removes a file. */
  commit(changes: Readonly<Record<string, string | Uint8Array | null>>, subject: string): string {
    const kept = Object.entries({ ...this.files, ...changes }).filter((entry): entry is [string, string | Uint8Array] => entry[1] !== null);
    this.files = Object.fromEntries(kept);
    const made = revisionOfFiles(this.files, subject);
    const id = sha256(`${this.#commits.length} ${made.ref.tree}`).slice(0, 40);
    this.#commits.push({ id, revision: { ...made, ref: { ...made.ref, commit: id } } });
    return id;
  }

  read(ref: string): ReturnType<Source['read']> {
    const [, name = '', back = '0'] = /^(.*?)(?:~(\d+))?$/.exec(ref) ?? [];
    const newest = this.#commits.length - 1;
    const at = name === 'HEAD' || name === 'main' ? newest : this.#commits.findIndex((commit) => commit.id.startsWith(name));
    const found = this.#commits[at - Number(back)];
    return Promise.resolve(found === undefined ? err({ code: 'NOT_FOUND', message: `no ${ref}` }) : ok(found.revision));
  }

  descends(): ReturnType<Source['descends']> {
    return Promise.resolve(ok(true));
  }

  refresh(): ReturnType<Source['refresh']> {
    return Promise.resolve(ok(true));
  }
}

export interface MemoryFleetOptions {
  readonly files: Files;
  readonly seed?: number;
  /** Where servers outside of this world go by the same time; else one that begins at FLEET_START. */
  readonly clock?: VirtualClock;
  /** In the place of the wires of the simulated world: a test puts its own in between. */
  wires?(wires: Wires): Wires;
  readonly checkpoints?: Checkpoints;
  /** What `${env:NAME}` finds: the age identity, for one. */
  readonly env?: Readonly<Record<string, string>>;
  /** Given: responders answer from the first pass on, as in a daemon. */
  readonly journal?: Journal;
  /** When the next pass is sure to come, as apply --watch has it; nobody knows without a journal. */
  readonly nextPassMs?: number;
}

/** A fleet repo, its ledger, its servers and its devices in this process, on a virtual clock; passes are the engine's own. */
export class MemoryFleet {
  readonly clock: VirtualClock;
  ledger: LedgerStore;
  readonly repo: MemoryRepo;
  readonly sim: SimWorld;
  readonly #options: MemoryFleetOptions;
  #engine: World;
  #state: DeclareState = makeDeclareState();
  #responders: readonly Responder[] = [];
  #declared: { readonly files: Files; readonly answer: DeclareAnswer } | null = null;

  private constructor(sim: SimWorld, repo: MemoryRepo, options: MemoryFleetOptions & { readonly clock: VirtualClock }) {
    this.clock = options.clock;
    this.ledger = openMemoryLedger({ clock: options.clock });
    this.sim = sim;
    this.repo = repo;
    this.#options = options;
    this.#engine = this.#open();
  }

  static async start(options: MemoryFleetOptions): Promise<MemoryFleet> {
    const repo = new MemoryRepo(options.files);
    const clock = options.clock ?? new VirtualClock(FLEET_START);
    const sim = await startSimWorld({
      clock,
      seed: options.seed ?? 1,
      transport: 'memory',
      connections: connectionsOf(declaredOf(options.files, FLEET_START)),
      clients: networkClients,
    });
    return new MemoryFleet(sim, repo, { ...options, clock });
  }

  /** What the newest commit declares. Throws on a mistake in it. */
  get declared(): Declared {
    const { files } = this.repo;
    const now = this.clock.now();
    const known = this.#declared;
    if (known !== null && known.files === files && (known.answer.until === null || now < known.answer.until)) return valid(known.answer);
    this.#declared = { files, answer: declareFiles(files, now) };
    return valid(this.#declared.answer);
  }

  /** Hardware that carries what is declared now, apart from `options` (sim/fleet.ts); switched on. */
  add(device: string, options: Readonly<Record<string, string>> = {}): Promise<SimDevice> {
    return this.clock.run(addDeclaredDevice(this.sim, this.declared, { device, options }));
  }

  device(name: string): SimDevice {
    const device = this.sim.devices.get(name);
    if (device === undefined) throw new RangeError(`no simulated device ${name}`);
    return device;
  }

  async pass(options: Partial<PassOptions> = {}): Promise<PassReport> {
    const { journal, nextPassMs = journal === undefined ? undefined : DAEMON_EVERY_MS } = this.#options;
    const every = nextPassMs === undefined ? {} : { nextPassMs };
    const report = await this.clock.run(runPass(this.#engine, this.#state, { mode: 'apply', ...every, ...options }));
    if (journal !== undefined) this.#responders = await this.clock.run(admitAfter(this.#engine, this.#state, report));
    return report;
  }

  /** The one of the first family that has one. Throws before the first pass, and without a journal. */
  get responder(): Responder {
    const [responder] = this.#responders;
    if (responder === undefined) throw new Error('nobody answers devices here');
    return responder;
  }

  /** The engine ends, and a new process takes over: nothing is left but repo, ledger and what the servers keep. */
  async restart(between: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await this.clock.run(this.#engine.close());
    await between();
    this.#engine = this.#open();
    this.#state = makeDeclareState();
  }

  /** The ledger is gone, and the last reports beside it: the next engine finds an empty one. */
  loseLedger(): Promise<void> {
    return this.restart(() => {
      this.ledger = openMemoryLedger({ clock: this.clock });
      return Promise.resolve();
    });
  }

  get engine(): World {
    return this.#engine;
  }

  async close(): Promise<void> {
    await this.clock.run(this.#engine.close());
    await this.sim.close();
  }

  #open(): World {
    const { wires = (own) => own, checkpoints = {} } = this.#options;
    const { clock, ledger } = this;
    const world = openWorld({
      repo: '.',
      env: this.#options.env ?? {},
      clock,
      wires: wires(this.sim.wires),
      ledger,
      checkpoints,
      holder: 'test',
      ...(this.#options.journal === undefined ? {} : { journal: this.#options.journal }),
    });
    return { ...world, source: this.repo };
  }
}

/** What was made of files by their content: the same for every fleet of this process. */
const CACHE = makeDeclareCache();

/** What a fleet repo in memory declares. Throws on a mistake in it. */
export function declaredOf(files: Files, at: number = FLEET_START): Declared {
  return valid(declareFiles(files, at));
}

function declareFiles(files: Files, at: number): DeclareAnswer {
  const entries = new Map([...families()].map(([name, entry]) => [name, entry.family]));
  return declare({ revision: revisionOfFiles(files), families: entries, at, cache: CACHE });
}

function valid({ declared, diagnostics }: DeclareAnswer): Declared {
  if (declared !== null) return declared;
  throw new Error(diagnostics.map((one) => `${placeText(one.place)} ${one.code} ${one.summary} ${one.detail ?? ''}`).join('\n'));
}
