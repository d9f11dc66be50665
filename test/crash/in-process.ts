import { MINUTE_MS } from '#kit/duration.ts';
import { openMemoryLedger } from '#ledger/stores/memory.ts';
import type { Declared } from '#model/declared.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { World } from '#ports/world.ts';
import { VirtualClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import { PowerCut } from '#sim/scenario/stage.ts';
import { startSimWorld } from '#sim/world.ts';
import type { SimWorld } from '#sim/world.ts';
import { networkClients, openWorld } from '#world.ts';
import { ledgerEnd, worldEnd } from './end-state.ts';
import type { LedgerEnd, WorldEnd } from './end-state.ts';
import { declaredIn, play } from './play.ts';
import { merge, STORY_START } from './repo.ts';
import type { StoryRepo } from './repo.ts';
import type { Story } from './stories.ts';

/** Longer than any device takes to boot, poll and report. */
const SETTLED_MS = 15 * MINUTE_MS;

export interface Played {
  readonly end: WorldEnd & { readonly ledger: LedgerEnd };
  /** The checkpoints of each engine: up to its cut, or all there were. */
  readonly lives: readonly (readonly string[])[];
}

interface Stage {
  readonly story: Story;
  readonly repo: StoryRepo;
  readonly clock: VirtualClock;
  readonly world: SimWorld;
  readonly ledger: LedgerStore;
}

/** An engine loses its power at a checkpoint (its own first is 1), and the next one begins so much later. */
export interface Cut {
  readonly at: number;
  readonly downMs: number;
}

/**
 * Plays a story on the virtual clock: one engine per cut, each going on with what the ledger, the servers and the devices hold,
 * and a last one that nothing happens to. A story that has ended needs no further engine.
 */
export async function playInProcess(story: Story, repo: StoryRepo, cuts: readonly Cut[]): Promise<Played> {
  merge(repo.dir, repo.commits[0] ?? '');
  const clock = new VirtualClock(STORY_START);
  const declared = await declaredIn(repo.dir);
  const world = await startSimWorld({ clock, seed: 1, transport: 'memory', clients: networkClients, connections: connectionsOf(declared) });
  const ledger = openMemoryLedger({ clock });
  const stage: Stage = { story, repo, clock, world, ledger };
  try {
    await powerUp(stage, declared);
    const lives: (readonly string[])[] = [];
    for (const cut of [...cuts, null]) {
      const passed = await live(stage, cut?.at ?? null);
      lives.push(passed);
      if (passed.length !== cut?.at) break;
      await clock.advance(cut.downMs);
    }
    for (const device of story.parked) await world.devices.get(device)?.powerOn();
    await clock.advance(SETTLED_MS);
    return { end: { ...(await worldEnd(world.devices, world.bucket('logs'))), ledger: ledgerEnd(await ledger.read()) }, lives };
  } finally {
    await ledger.close();
    await world.close();
  }
}

/** Everything is switched on and has reported; then the parked devices lose their power. */
async function powerUp({ clock, world, story }: Stage, declared: Declared): Promise<void> {
  for (let row = 0; row < declared.size; row += 1) {
    await clock.run(addDeclaredDevice(world, declared, { device: declared.deviceAt(row).id, options: {} }));
  }
  await clock.advance(SETTLED_MS);
  for (const device of story.parked) await clock.run(world.devices.get(device)?.powerOff() ?? Promise.resolve());
}

/** One life of an engine: the checkpoints that it passed, at the last of which it ended if that was number `cutAt`. */
async function live(stage: Stage, cutAt: number | null): Promise<readonly string[]> {
  const { story, repo, clock } = stage;
  const checkpoints: string[] = [];
  const isDead = (): boolean => checkpoints.length === cutAt;
  const engine = openEngine(stage, {
    isDead,
    reached: (what) => {
      if (!isDead()) checkpoints.push(what);
      if (isDead()) throw new PowerCut(what);
    },
  });
  try {
    await play({ story, repo, engine, clock, run: (work) => clock.run(work) });
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
  } finally {
    await clock.run(engine.close());
  }
  return checkpoints;
}

interface Fate {
  isDead(): boolean;
  reached(what: string): void;
}

function openEngine({ repo, clock, world, ledger }: Stage, { isDead, reached }: Fate): World {
  const { wires } = world;
  const engine = openWorld({
    repo: repo.dir,
    env: {},
    clock,
    wires: {
      bus: async (...request) => mortal(await wires.bus(...request), isDead),
      objects: async (...request) => mortal(await wires.objects(...request), isDead),
      get: (...request) => wires.get(...request),
    },
    ledger,
    holder: 'crash',
    checkpoints: { appended: (seq) => reached(`append ${seq}`), performed: (operation) => reached(`perform ${operation}`) },
  });
  return { ...engine, source: clock.tracked(engine.source) };
}

/** What goes on beside the checkpoint in the same process must send nothing more either, once the power is gone. */
function mortal<P extends object>(port: P, isDead: () => boolean): P {
  return new Proxy(port, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: readonly unknown[]): unknown =>
        isDead() && name !== 'close' ? Promise.reject(new PowerCut(String(name))) : Reflect.apply(member, target, args);
    },
  });
}
