import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { LedgerRecord } from '#model/records.ts';
import { ledgerEnd } from '#test/crash/end-state.ts';
import type { LedgerEnd, WorldEnd } from '#test/crash/end-state.ts';
import { declaredIn } from '#test/crash/play.ts';
import { driven, startEngine } from './engines.ts';
import type { Engine } from './engines.ts';
import { loggerId, writeFleet } from './fleet.ts';
import type { FleetShape } from './fleet.ts';
import { LEDGER_ID, readLedger } from './ledger.ts';
import type { ApplyJson, RunOrder } from './messages.ts';
import { runGit, startOrigin } from './origin.ts';
import type { Edit, Origin } from './origin.ts';
import { startSteppedWorld } from './stepped-world.ts';
import type { SteppedWorld } from './stepped-world.ts';

/** A Monday at 08:15 UTC. */
export const START: Instant = Date.UTC(2026, 10, 23, 8, 15);
/** Hears every logger say once what it runs. */
const LISTEN_MS = 6 * MINUTE_MS;
/** From the beginning of one run to that of the next, as a workflow's schedule has it. */
const EVERY_MS = 10 * MINUTE_MS;

/** Time of the story after which it is given up. */
const LIMIT_MS = 12 * HOUR_MS;

interface Chapter {
  readonly name: string;
  readonly change: readonly Edit[] | 'revert' | null;
  /** What happens to the hardware as the change is merged. */
  begin?(world: SteppedWorld): void;
  done(said: ApplyJson): boolean;
}

/** Up through three waves; on to a program that one logger does not compile, which halts; the revert, which is a rollback. */
const CHAPTERS: readonly Chapter[] = [
  { name: 'beginning', change: null, done: hasArrived },
  {
    name: 'upgrade',
    change: [
      { file: 'groups/met.yaml', from: 'cr1000x-os@8.1.0', to: 'cr1000x-os@8.2.1' },
      { file: 'groups/vans.yaml', from: 'canedge2@01.08.04', to: 'canedge2@01.08.05' },
    ],
    done: hasArrived,
  },
  {
    name: 'halt',
    change: [
      { file: 'groups/met.yaml', from: 'MET_v1', to: 'MET_v2' },
      { file: 'groups/vans.yaml', from: 'can/wifi.json]', to: 'can/wifi.json, files/can/boats.json]' },
    ],
    // In the second wave at the earliest: the canary has the new program by then, and must go back.
    begin: (world) => world.devices.get(loggerId(2))?.fault('compileError', true),
    done: ({ exit, status }) => exit === 3 && status?.open === 0 && Object.keys(status.held).every((reason) => WHEN_HALTED.has(reason)),
  },
  {
    name: 'rollback',
    change: 'revert',
    begin: (world) => world.devices.get(loggerId(2))?.fault('compileError', false),
    done: hasArrived,
  },
];

const WHEN_HALTED: ReadonlySet<string> = new Set(['HALTED', 'FAILED', 'RELEASE_BLOCKED']);

/** Nothing to do, nothing under way, and no soak to come to an end. */
export function hasArrived({ exit, status, wakeAt }: ApplyJson): boolean {
  return exit === 0 && wakeAt === null && status?.open === 0 && Object.keys(status.held).length === 0;
}

export interface Told {
  readonly end: WorldEnd & { readonly ledger: LedgerEnd };
  /** Each operation that was closed, and how, without what differs from telling to telling. */
  readonly operations: readonly string[];
  readonly processes: number;
  readonly runs: number;
  /** Where main of the server is in the end, where the last merge had put it, and what a runner is told who pushes to it. */
  readonly main: { readonly now: string; readonly merged: string; readonly denied: string };
}

export interface Telling {
  readonly shape: Omit<FleetShape, 'ledger'>;
  /** `short`: each run a new process with an empty disk, the ledger in git. `long`: one process, the ledger in sqlite. */
  readonly runs: 'short' | 'long';
}

/** Tells the story from the first run to the last. Throws when a run is refused, or the story does not end within half a day. */
export async function tell({ shape, runs }: Telling): Promise<Told> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-short-long-'));
  const ledger =
    runs === 'short'
      ? `{ store: git, id: ${LEDGER_ID} }`
      : `{ store: 'sqlite:${join(dir, 'ledger.db')}', id: ${LEDGER_ID}, lasting: true }`;
  const work = await writeFleet({ ...shape, ledger });
  const origin = await startOrigin(work);
  const world = await startSteppedWorld(await declaredIn(work), START);
  const runner = runs === 'short' ? new ShortRuns(world, origin) : new LongRun(world, origin, dir);
  try {
    const merged = await chapters(world, origin, runner);
    const denied = await pushToMain(origin);
    const records = await readLedger(
      runs === 'short' ? { store: 'git', url: origin.url } : { store: 'sqlite', path: join(dir, 'ledger.db') },
    );
    const end = { ...(await world.end()), ledger: ledgerEnd(records) };
    return {
      end,
      operations: operationsOf(records),
      processes: runner.processes,
      runs: runner.runs,
      main: { now: origin.head('main'), merged, denied },
    };
  } finally {
    await runner.close();
    await world.close();
    await origin.close();
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** With the credentials that the ledger is written with. */
async function pushToMain(origin: Origin): Promise<string> {
  const dir = await origin.clone();
  try {
    await runGit(dir, [
      '-c',
      'user.name=runner',
      '-c',
      'user.email=runner@example.org',
      'commit',
      '--quiet',
      '--allow-empty',
      '-m',
      'Mine',
    ]);
    return await runGit(dir, ['push', 'origin', 'HEAD:main']).then(
      () => 'pushed',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function chapters(world: SteppedWorld, origin: Origin, runner: Runner): Promise<string> {
  const limit = START + LIMIT_MS;
  let next = world.now();
  let merged = origin.head('main');
  for (const [index, chapter] of CHAPTERS.entries()) {
    if (chapter.change === 'revert') merged = await origin.revert();
    else if (chapter.change !== null) merged = await origin.merge(chapter.name, chapter.change);
    chapter.begin?.(world);
    for (let said: ApplyJson | null = null; said === null || !chapter.done(said); next += EVERY_MS) {
      if (next > limit) throw new Error(`${chapter.name} does not end: ${JSON.stringify(said)}`);
      await world.advance(next - world.now());
      said = await runner.run(index === 0 && said === null);
    }
  }
  return merged;
}

interface Runner {
  readonly processes: number;
  readonly runs: number;
  run(newLedger: boolean): Promise<ApplyJson>;
  close(): Promise<void>;
}

/** Each run a process of its own: by turns in a checkout that the real git made, and with nothing but the address. */
class ShortRuns implements Runner {
  runs = 0;
  readonly #world: SteppedWorld;
  readonly #origin: Origin;

  constructor(world: SteppedWorld, origin: Origin) {
    this.#world = world;
    this.#origin = origin;
  }

  get processes(): number {
    return this.runs;
  }

  async run(newLedger: boolean): Promise<ApplyJson> {
    this.runs += 1;
    const cloned = this.runs % 2 === 1;
    const cwd = cloned ? await this.#origin.clone() : await mkdtemp(join(tmpdir(), 'headgate-short-run-'));
    const engine = startEngine(this.#world);
    try {
      return await once(this.#world, engine, { repo: cloned ? cwd : this.#origin.url, cwd, newLedger, as: 'command' });
    } finally {
      await engine.close();
      await rm(cwd, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** One process with everything kept open, at the same instants. */
class LongRun implements Runner {
  readonly processes = 1;
  runs = 0;
  readonly #world: SteppedWorld;
  readonly #engine: Engine;
  readonly #place: { readonly repo: string; readonly cwd: string };

  constructor(world: SteppedWorld, origin: Origin, cwd: string) {
    this.#world = world;
    this.#engine = startEngine(world);
    this.#place = { repo: origin.url, cwd };
  }

  async run(newLedger: boolean): Promise<ApplyJson> {
    this.runs += 1;
    await this.#engine.moveTime(this.#world.now());
    return once(this.#world, this.#engine, { ...this.#place, newLedger, as: 'kept' });
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}

interface Once {
  readonly repo: string;
  readonly cwd: string;
  readonly newLedger: boolean;
  readonly as: RunOrder['as'];
}

async function once(world: SteppedWorld, engine: Engine, order: Once): Promise<ApplyJson> {
  const { ended } = await driven(
    world,
    [engine],
    engine.run({ ...order, kind: 'run', listenMs: LISTEN_MS, wireScale: 1, killAfter: null }),
  );
  if (ended?.said == null || ended.said.refusal !== null || ![0, 2, 3].includes(ended.exit)) {
    throw new Error(`a run ended with ${ended?.exit}: ${JSON.stringify(ended?.said?.refusal)} ${ended?.errors}`);
  }
  return ended.said;
}

/** Each operation that was closed, and how, without what differs from telling to telling. */
export function operationsOf(records: readonly LedgerRecord[]): readonly string[] {
  const begun = new Map<string, string>();
  const attempts = new Map<string, number>();
  const closed: string[] = [];
  for (const { body } of records) {
    if (body.type === 'intent') {
      const { id, device, step, expected, declared } = body.operation;
      begun.set(id, `${device} ${step} ${expected ?? '?'} → ${declared}`);
      attempts.set(id, Math.max(attempts.get(id) ?? 0, body.attempt));
    }
    if (body.type === 'closed') {
      closed.push(
        `${begun.get(body.operation) ?? body.operation}: ${body.closing} ${body.code ?? ''} after ${attempts.get(body.operation) ?? 0}`,
      );
    }
  }
  return closed.toSorted();
}
