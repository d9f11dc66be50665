import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MINUTE_MS } from '#kit/duration.ts';
import type { SigningCredentials } from '#kit/sigv4.ts';
import type { LedgerRecord } from '#model/records.ts';
import { SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { declaredIn } from '#test/crash/play.ts';
import { driven, startEngine } from './engines.ts';
import type { Engine, Run } from './engines.ts';
import { writeFleet } from './fleet.ts';
import { LEDGER_ID, readLedger } from './ledger.ts';
import type { LedgerPlace } from './ledger.ts';
import type { RunEnded, RunOrder } from './messages.ts';
import { startOrigin } from './origin.ts';
import type { Edit, Origin } from './origin.ts';
import { startSteppedWorld } from './stepped-world.ts';
import type { SteppedWorld } from './stepped-world.ts';
import { START } from './story.ts';

const DEVICES = { loggers: 2, vans: 2 };
const LISTEN_MS = 6 * MINUTE_MS;
/** Longer than the devices take for what they were told. */
const REST_MS = 10 * MINUTE_MS;
/** Each so many rounds both runners are processes that were never used before. */
const FRESH_EVERY = 5;
/** Each so many rounds both are started in one empty folder, and so share a cache. */
const SHARED_EVERY = 3;

/** A bucket on a server of its own for the ledger; that of the simulated world when left out. */
export interface LedgerServer {
  readonly endpoint: string;
  readonly bucket: string;
  readonly credentials: SigningCredentials;
}

export interface RaceRequest {
  readonly store: 'git' | 's3';
  readonly server?: LedgerServer;
  readonly rounds: number;
}

/** What two runners that were started together did in one round. */
export interface Round {
  readonly exits: readonly number[];
  readonly refusals: readonly string[];
  /** Operations that they said they performed, as often as they said it. */
  readonly said: readonly string[];
  /** Effects of this round at each device. */
  readonly flashes: Readonly<Record<string, readonly string[]>>;
}

export interface Raced {
  readonly rounds: readonly Round[];
  readonly records: readonly LedgerRecord[];
}

/**
 * Merges a change of every device's firmware again and again, and each time starts two runners at the same moment, both of
 * which see all operations pending. Between the rounds one of them alone confirms what the devices report.
 */
export async function race(request: RaceRequest): Promise<Raced> {
  const { store } = request;
  const ledger = store === 'git' ? `{ store: git, id: ${LEDGER_ID} }` : `{ store: 's3:ledgers/${LEDGER_ID}', id: ${LEDGER_ID} }`;
  const work = await writeFleet({ ...DEVICES, rollout: 'all', soak: '5m', ledger, ledgerBucket: request.server?.bucket ?? 'ledgers' });
  const origin = await startOrigin(work);
  const world = await startSteppedWorld(await declaredIn(work), START);
  const env = ledgerEnv(world, request.server);
  const runners = [startEngine(world, env), startEngine(world, env)] as const;
  try {
    await alone({ world, origin, engine: runners[0] }, true);
    const rounds: Round[] = [];
    for (let round = 1; round <= request.rounds; round += 1) {
      await origin.merge(`Round ${round}`, round % 2 === 1 ? UP : DOWN);
      rounds.push(
        await together({ world, origin, env, runners: round % FRESH_EVERY === 0 ? null : runners, shared: round % SHARED_EVERY === 1 }),
      );
      await alone({ world, origin, engine: runners[round % 2] ?? runners[0] }, false);
    }
    return { rounds, records: await readLedger(placeOf(request, { world, origin })) };
  } finally {
    for (const engine of runners) await engine.close();
    await world.close();
    await origin.close();
  }
}

const UP: readonly Edit[] = [
  { file: 'groups/met.yaml', from: 'cr1000x-os@8.1.0', to: 'cr1000x-os@8.2.1' },
  { file: 'groups/vans.yaml', from: 'canedge2@01.08.04', to: 'canedge2@01.08.05' },
];
const DOWN: readonly Edit[] = UP.map(({ file, from, to }) => ({ file, from: to, to: from }));

function ledgerEnv(world: SteppedWorld, server: LedgerServer | undefined): Readonly<Record<string, string>> {
  const { endpoint, credentials } = server ?? { endpoint: world.env['BUCKET_URL'] ?? '', credentials: SIM_CREDENTIALS };
  return { LEDGER_URL: endpoint, LEDGER_KEY: credentials.accessKeyId, LEDGER_SECRET: credentials.secretAccessKey };
}

function placeOf(
  { store, server }: RaceRequest,
  { world, origin }: { readonly world: SteppedWorld; readonly origin: Origin },
): LedgerPlace {
  if (store === 'git') return { store, url: origin.url };
  const { endpoint, bucket, credentials } = server ?? {
    endpoint: world.env['BUCKET_URL'] ?? '',
    bucket: 'ledgers',
    credentials: SIM_CREDENTIALS,
  };
  return { store, endpoint, bucket, prefix: LEDGER_ID, credentials };
}

interface Alone {
  readonly world: SteppedWorld;
  readonly origin: Origin;
  readonly engine: Engine;
}

/** One run that listens: it confirms what is open, and knows who is online. */
async function alone({ world, origin, engine }: Alone, newLedger: boolean): Promise<void> {
  await world.advance(REST_MS);
  const cwd = await mkdtemp(join(tmpdir(), 'headgate-race-'));
  await engine.moveTime(world.now());
  const ended = endOf(await driven(world, [engine], engine.run(orderOf(origin, cwd, { listenMs: LISTEN_MS, newLedger }))));
  await rm(cwd, { recursive: true, force: true, maxRetries: 3 });
  if (ended.exit !== 0) throw new Error(`the devices did not come to rest: ${JSON.stringify(ended)}`);
}

interface Together {
  readonly world: SteppedWorld;
  readonly origin: Origin;
  readonly env: Readonly<Record<string, string>>;
  /** Processes that run already; null for new ones. */
  readonly runners: readonly Engine[] | null;
  readonly shared: boolean;
}

async function together({ world, origin, env, runners, shared }: Together): Promise<Round> {
  const before = effectsOf(world);
  const engines = runners ?? [startEngine(world, env), startEngine(world, env)];
  const folder = await mkdtemp(join(tmpdir(), 'headgate-race-'));
  const cwds = await Promise.all(engines.map((_, index) => mkdtemp(join(folder, `${index}-`))));
  try {
    for (const engine of engines) await engine.moveTime(world.now());
    const orders = engines.map((engine, index) =>
      engine.run(orderOf(origin, (shared ? null : cwds[index]) ?? folder, { listenMs: 0, newLedger: false })),
    );
    const ends = (await driven(world, engines, Promise.all(orders))).map(endOf);
    await world.advance(REST_MS);
    const after = effectsOf(world);
    const flashes = Object.entries(after).map(([id, effects]) => [
      id,
      effects.slice(before[id]?.length).filter((effect) => effect.startsWith('flash ')),
    ]);
    return {
      exits: ends.map(({ exit }) => exit),
      refusals: ends.flatMap(({ said, errors }) => [
        ...(said?.refusal == null ? [] : [said.refusal.code]),
        ...(errors === '' ? [] : [errors]),
      ]),
      said: ends.flatMap(({ said }) => (said?.operations ?? []).filter((one) => one.outcome === 'performed').map((one) => one.operation)),
      flashes: Object.fromEntries(flashes) as Round['flashes'],
    };
  } finally {
    if (runners === null) for (const engine of engines) await engine.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function orderOf(origin: Origin, cwd: string, run: { readonly listenMs: number; readonly newLedger: boolean }): RunOrder {
  return { ...run, kind: 'run', repo: origin.url, cwd, as: 'command', wireScale: 1, killAfter: null };
}

function endOf({ ended }: Run): RunEnded {
  if (ended === null) throw new Error('a runner was killed');
  return ended;
}

function effectsOf(world: SteppedWorld): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries([...world.devices].map(([id, device]) => [id, device.effects.map(({ kind, detail }) => `${kind} ${detail}`)]));
}
