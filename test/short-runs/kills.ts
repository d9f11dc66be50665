import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { ledgerEnd } from '#test/crash/end-state.ts';
import type { LedgerEnd, WorldEnd } from '#test/crash/end-state.ts';
import { declaredIn } from '#test/crash/play.ts';
import { driven, startEngine } from './engines.ts';
import type { Run } from './engines.ts';
import { writeFleet } from './fleet.ts';
import { LEDGER_ID, readLedger } from './ledger.ts';
import type { LedgerPlace } from './ledger.ts';
import type { RunEnded } from './messages.ts';
import { startOrigin } from './origin.ts';
import type { Edit, Origin } from './origin.ts';
import { startSteppedWorld } from './stepped-world.ts';
import type { SteppedWorld } from './stepped-world.ts';
import { hasArrived, operationsOf, START } from './story.ts';

const LISTEN_MS = 6 * MINUTE_MS;
/** Two runs see more than the deadline of an operation pass: one that may have been done waits for it. */
const EVERY_MS = 25 * MINUTE_MS;
const BUSY = 75;
const LIMIT_MS = 24 * HOUR_MS;
/** The lease of a killed runner, 90 s, is over in 6 s; more, and a slow machine would leave a run too little of its own. */
const WIRE_SCALE = 15;

const UPGRADE: readonly Edit[] = [
  { file: 'groups/met.yaml', from: 'cr1000x-os@8.1.0', to: 'cr1000x-os@8.2.1' },
  { file: 'groups/met.yaml', from: 'MET_v1', to: 'MET_v2' },
  { file: 'groups/vans.yaml', from: 'canedge2@01.08.04', to: 'canedge2@01.09.01' },
];

/** What the upgrade asks for, each once. */
export const OPERATIONS: readonly string[] = [
  'logger-01 os CR1000X.8.1.0 → CR1000X.8.2.1: succeeded',
  'logger-01 program CPU:MET_v1.CR1X → CPU:MET_v2.CR1X: succeeded',
  'van-01 config-next 01.08 033168BE → 01.09 79E84715: succeeded',
  'van-01 firmware 01.08.04 → 01.09.01: succeeded',
];

/** The runs of a telling, from 0, that are killed, and after which of their checkpoints, from 1. */
export type Kills = ReadonlyMap<number, number>;

export interface KilledStory {
  readonly end: WorldEnd & { readonly ledger: LedgerEnd };
  readonly operations: readonly string[];
  /** The checkpoints of each run, up to its kill or all there were. */
  readonly lives: readonly (readonly string[])[];
  readonly killed: number;
}

/**
 * Begins a ledger and brings a logger and a van to the next release by short runs, each a process with an empty disk; some
 * of them are killed (SIGKILL) on the way. Throws when a run fails, or the story does not end within a day.
 */
export async function tellWithKills(store: 'git' | 's3', kills: Kills): Promise<KilledStory> {
  const ledger = store === 'git' ? `{ store: git, id: ${LEDGER_ID} }` : `{ store: 's3:ledgers/${LEDGER_ID}', id: ${LEDGER_ID} }`;
  const work = await writeFleet({ loggers: 1, vans: 1, rollout: 'all', soak: '5m', ledger, ledgerBucket: 'ledgers' });
  const origin = await startOrigin(work);
  const world = await startSteppedWorld(await declaredIn(work), START);
  try {
    const lives: (readonly string[])[] = [];
    let killed = 0;
    for (let upgraded = false, arrived = false; !arrived;) {
      if (world.now() > START + LIMIT_MS) throw new Error(`the story does not end: ${JSON.stringify(lives)}`);
      const { ended, checkpoints } = await run({ world, origin, newLedger: !upgraded, killAfter: kills.get(lives.length) ?? null });
      lives.push(checkpoints);
      if (ended === null) killed += 1;
      else if (![0, 2].includes(ended.exit)) {
        if (!wasSlow(ended)) throw new Error(`a run ended with ${ended.exit}: ${JSON.stringify(ended.said)} ${ended.errors}`);
      } else if (ended.said !== null && hasArrived(ended.said)) {
        arrived = upgraded;
        if (!upgraded) await origin.merge('Everything newer', UPGRADE);
        upgraded = true;
      }
      await world.advance(EVERY_MS - LISTEN_MS);
    }
    const records = await readLedger(placeOf(store, { world, origin }));
    // How often an operation was tried is all that a kill may change.
    const operations = operationsOf(records).map((operation) => operation.replace(/  after \d+$/, ''));
    return { end: { ...(await world.end()), ledger: ledgerEnd(records) }, operations, lives, killed };
  } finally {
    await world.close();
    await origin.close();
  }
}

/** Limits of calls are as short as the lease: a run that a slow machine ends is one more that the next goes on from. */
function wasSlow({ exit, errors }: RunEnded): boolean {
  return exit === BUSY || errors.includes('no answer in time');
}

interface OneRun {
  readonly world: SteppedWorld;
  readonly origin: Origin;
  readonly newLedger: boolean;
  readonly killAfter: number | null;
}

async function run({ world, origin, newLedger, killAfter }: OneRun): Promise<Run> {
  const cwd = await mkdtemp(join(tmpdir(), 'headgate-kill-'));
  const { accessKeyId, secretAccessKey } = SIM_CREDENTIALS;
  const engine = startEngine(world, { LEDGER_URL: world.env['BUCKET_URL'] ?? '', LEDGER_KEY: accessKeyId, LEDGER_SECRET: secretAccessKey });
  try {
    const order = {
      kind: 'run',
      repo: origin.url,
      cwd,
      listenMs: LISTEN_MS,
      newLedger,
      as: 'watched',
      wireScale: WIRE_SCALE,
      killAfter,
    } as const;
    return await driven(world, [engine], engine.run(order));
  } finally {
    await engine.close();
    await rm(cwd, { recursive: true, force: true, maxRetries: 3 });
  }
}

function placeOf(store: 'git' | 's3', { world, origin }: { readonly world: SteppedWorld; readonly origin: Origin }): LedgerPlace {
  if (store === 'git') return { store, url: origin.url };
  return { store, endpoint: world.env['BUCKET_URL'] ?? '', bucket: 'ledgers', prefix: LEDGER_ID, credentials: SIM_CREDENTIALS };
}
