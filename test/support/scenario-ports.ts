import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { families } from '#adapters/registry.ts';
import { declare } from '#declare/declare.ts';
import { openMemoryLedger } from '#ledger/stores/memory.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import { VirtualClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import type { ScenarioPorts, ScenarioWorld } from '#sim/scenario/stage.ts';
import { startSimWorld } from '#sim/world.ts';
import type { SimWorld } from '#sim/world.ts';
import { openGitSource } from '#source/git-source.ts';
import { networkClients, openWorld } from '#world.ts';
import { makeGitRepo } from './git-repo.ts';
import { writeImages } from './images.ts';

const FLEETS = join(import.meta.dirname, '..', 'scenarios', 'fleets');
const EXAMPLE = join(import.meta.dirname, '..', '..', 'fleet-example');

/** A Monday at 08:30 UTC: within working hours wherever the fleets of the scripts stand. */
const START = Date.UTC(2026, 10, 23, 8, 30);

/** Everything a script needs, in this process: real git, our servers in memory, the virtual clock. */
export function scenarioPorts(options: { readonly seed: number }): ScenarioPorts {
  const worlds = new Map<ScenarioWorld, SimWorld>();
  return {
    start: START,
    makeClock: (start) => new VirtualClock(start),
    makeRepo: async (fleet, at) => {
      const staged = await mkdtemp(join(tmpdir(), 'headgate-fleet-'));
      try {
        await cp(fleet === 'example' ? EXAMPLE : join(FLEETS, fleet), staged, { recursive: true });
        await writeImages(staged);
        return await makeGitRepo(staged, at);
      } finally {
        await rm(staged, { recursive: true, force: true });
      }
    },
    makeLedger: (clock) => openMemoryLedger({ clock }),
    makeWorld: async (declared, clock) => {
      const world = await startSimWorld({
        clock,
        seed: options.seed,
        transport: 'memory',
        connections: connectionsOf(declared),
        clients: networkClients,
      });
      worlds.set(world, world);
      return world;
    },
    addDevice: async (world, declared, request) => {
      const sim = worlds.get(world);
      if (sim === undefined) throw new Error('not a world of these ports');
      await addDeclaredDevice(sim, declared, request);
    },
    openEngine: ({ dir, wires, clock, ledger, checkpoints }) => {
      const world = openWorld({ repo: dir, env: {}, clock, wires, ledger, checkpoints, holder: 'scenario' });
      return { ...world, source: clock.tracked(world.source) };
    },
    declareAt: declareHead,
  };
}

async function declareHead(dir: string, at: Instant): Promise<Declared> {
  const revision = await openGitSource({ dir }).read('HEAD');
  if (!revision.ok) throw new Error(revision.error.message);
  const entries = new Map([...families()].map(([name, entry]) => [name, entry.family]));
  const { declared, diagnostics } = declare({ revision: revision.value, families: entries, at });
  if (declared !== null) return declared;
  throw new Error(
    diagnostics.map((one) => `${one.place.file}:${one.place.line}:${one.place.column} ${one.code} ${one.summary}`).join('\n'),
  );
}
