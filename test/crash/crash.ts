import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MINUTE_MS } from '#kit/duration.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { LedgerRecord } from '#model/records.ts';
import { driven, startEngine } from '#test/short-runs/engines.ts';
import type { Run } from '#test/short-runs/engines.ts';
import type { PlayOrder } from '#test/short-runs/messages.ts';
import { startSteppedWorld } from '#test/short-runs/stepped-world.ts';
import type { SteppedWorld } from '#test/short-runs/stepped-world.ts';
import { systemClock } from '#transports/clock.ts';
import { ledgerEnd } from './end-state.ts';
import type { LedgerEnd, WorldEnd } from './end-state.ts';
import { declaredIn } from './play.ts';
import { LEDGER_FILE, STORY_START } from './repo.ts';
import type { StoryRepo } from './repo.ts';
import type { Story } from './stories.ts';

/** From the kill to the next process: devices go on meanwhile. */
const DOWN_MS = 20 * MINUTE_MS;
/** The lease of a killed process, 90 s, is over in 3 s. */
const WIRE_SCALE = 30;

export interface Told {
  readonly end: WorldEnd & { readonly ledger: LedgerEnd };
  /** Of the first process: up to the kill, or all there were. */
  readonly checkpoints: readonly string[];
  /** False when the story ended before that checkpoint came. */
  readonly killed: boolean;
}

/** Tells a story with nobody killed: its checkpoints are the kill points. */
export function killPoints(story: Story, repo: StoryRepo): Promise<Told> {
  return tell(story, repo, null);
}

/**
 * Tells a story in a fresh world with a fresh ledger: one process is killed (SIGKILL) right after its checkpoint `killAt`,
 * another one goes on. Throws when a process ends in any other way, or the ledger it leaves does not verify.
 */
export function runWithKill(story: Story, repo: StoryRepo, killAt: string): Promise<Told> {
  return tell(story, repo, killAt);
}

async function tell(story: Story, repo: StoryRepo, killAt: string | null): Promise<Told> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-crash-'));
  try {
    await cp(repo.dir, dir, { recursive: true });
    const world = await startSteppedWorld(await declaredIn(dir), STORY_START);
    try {
      return await tellIn(
        world,
        { kind: 'play', dir, story: story.name, commits: repo.commits, wireScale: WIRE_SCALE, killAt },
        story.parked,
      );
    } finally {
      await world.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function tellIn(world: SteppedWorld, order: PlayOrder, parked: readonly string[]): Promise<Told> {
  for (const device of parked) await world.run(world.devices.get(device)?.powerOff() ?? Promise.resolve());
  const first = await playOn(world, order);
  await readLedger(order.dir);
  if (first.ended === null) {
    await world.advance(DOWN_MS);
    await playOn(world, { ...order, killAt: null });
  }
  for (const device of parked) await world.run(world.devices.get(device)?.powerOn() ?? Promise.resolve());
  const end = { ...(await world.end()), ledger: ledgerEnd(await readLedger(order.dir)) };
  return { end, checkpoints: first.checkpoints, killed: first.ended === null };
}

/** One process, to its end or its kill. */
async function playOn(world: SteppedWorld, order: PlayOrder): Promise<Run> {
  const engine = startEngine(world);
  try {
    const run = await driven(world, [engine], engine.run(order));
    if (run.ended !== null && run.ended.exit !== 0) throw new Error(run.ended.errors);
    return run;
  } finally {
    await engine.close();
  }
}

/** Opening verifies the hash chain. */
async function readLedger(dir: string): Promise<readonly LedgerRecord[]> {
  const ledger = openSqliteLedger({ path: join(dir, LEDGER_FILE), clock: systemClock });
  try {
    return await ledger.read();
  } finally {
    await ledger.close();
  }
}
