import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { families } from '#adapters/registry.ts';
import { makeArtifactHost, type ArtifactHost } from '#artifacts/serve.ts';
import { makeDeclareCache } from '#declare/cache.ts';
import { declare } from '#declare/declare.ts';
import { secretsNeeded } from '#declare/needed.ts';
import { openMemoryLedger } from '#ledger/stores/memory.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import { makeSecretOpener } from '#secrets/open.ts';
import { VirtualClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import type { ScenarioPorts, ScenarioWorld } from '#sim/scenario/stage.ts';
import { startSimWorld } from '#sim/world.ts';
import type { SimWorld } from '#sim/world.ts';
import { openGitSource } from '#source/git-source.ts';
import { networkClients, openWorld } from '#world.ts';
import { makeGitRepo } from './git-repo.ts';
import { writeImages } from './images.ts';
import { MemoryJournal } from './memory-journal.ts';

const FLEETS = join(import.meta.dirname, '..', 'scenarios', 'fleets');
const EXAMPLE = join(import.meta.dirname, '..', '..', 'fleet-example');

/** `publicUrl` of the fleets that serve by themselves. */
const SERVED_URL = 'https://files.headgate.example';
/** Opens the secrets of the fleets of the scripts, which are nobody's. */
const ENV = { AGE_IDENTITY: readFileSync(join(FLEETS, 'age-identity.txt'), 'utf8') };

/** A Monday at 08:30 UTC: within working hours wherever the fleets of the scripts stand. */
const START = Date.UTC(2026, 10, 23, 8, 30);

/** Everything a script needs, in this process: real git, our servers in memory, the virtual clock. */
export function scenarioPorts(options: { readonly seed: number }): ScenarioPorts {
  const worlds = new Map<ScenarioWorld, SimWorld>();
  const served: Served = { host: null };
  const journal = new MemoryJournal();
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
        hosts: [{ url: SERVED_URL, answer: (request) => served.host?.answer(request) ?? 'close' }],
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
      const host = makeArtifactHost({ url: SERVED_URL, clock });
      // What lay ready is gone with the process that served it.
      served.host = host;
      const artifactHost = { ...host, close: () => Promise.resolve() };
      const world = openWorld({ repo: dir, env: ENV, clock, wires, ledger, checkpoints, artifactHost, journal, holder: 'scenario' });
      // Neither git nor the opening of secrets takes any of the time that a script plays in.
      return { ...world, source: clock.tracked(world.source), secrets: clock.tracked(world.secrets) };
    },
    declareAt: declareHead,
  };
}

interface Served {
  host: Pick<ArtifactHost, 'answer'> | null;
}

/** What was made of files by their content: the same for every scenario of this process. */
const CACHE = makeDeclareCache();

async function declareHead(dir: string, at: Instant): Promise<Declared> {
  const revision = await openGitSource({ dir }).read('HEAD');
  if (!revision.ok) throw new Error(revision.error.message);
  const entries = new Map([...families()].map(([name, entry]) => [name, entry.family]));
  const needed = secretsNeeded(revision.value, revision.value, CACHE);
  const secrets = await makeSecretOpener({ env: ENV }).open(needed);
  const { declared, diagnostics } = declare({ revision: revision.value, families: entries, at, secrets, cache: CACHE });
  if (declared !== null) return declared;
  throw new Error(
    diagnostics.map((one) => `${one.place.file}:${one.place.line}:${one.place.column} ${one.code} ${one.summary}`).join('\n'),
  );
}
