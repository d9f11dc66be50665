import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MINUTE_MS } from '#kit/duration.ts';
import type { Result } from '#kit/result.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { World } from '#ports/world.ts';
import { makeDeclareState, readRevision } from '#reconcile/revision.ts';
import type { DeclareState } from '#reconcile/revision.ts';
import { commitFiles, createRepository, networkClients, openWorld, revertCommit } from '#world.ts';
import { CliTrouble } from '#cli/fleet.ts';

/** A Monday, eight in the morning in Britain: the working day of the example network begins. */
const DEMO_START = Date.UTC(2026, 10, 23, 8, 0);

const BOOT_MS = 30 * MINUTE_MS;

const AUTHOR = { name: 'Field Team', email: 'field@example.org' };

/** The example fleet with its devices, in one process. */
export interface DemoStage {
  readonly world: World;
  readonly state: DeclareState;
  readonly devices: ReadonlyMap<string, SimDevice>;
  now(): Instant;
  /** Moves virtual time; whatever devices do on the way happens. */
  advance(ms: number): Promise<void>;
  run<T>(work: Promise<T>): Promise<T>;
  /** Replaces a text in a file and commits it. */
  change(change: {
    readonly file: string;
    readonly replace: readonly (readonly [string, string])[];
    readonly message: string;
  }): Promise<void>;
  revert(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Copies the example into a temporary git repository and starts the world on the virtual clock: a broker and buckets in
 * memory, eighteen devices that run what is declared. Equal seeds give equal demos.
 */
export async function startDemo(seed: number): Promise<DemoStage> {
  const [{ VirtualClock }, { startSimWorld }, { addDeclaredDevice, connectionsOf }] = await Promise.all([
    import('#sim/clock.ts'),
    import('#sim/world.ts'),
    import('#sim/fleet.ts'),
  ]);
  const dir = await mkdtemp(join(tmpdir(), 'headgate-demo-'));
  await cp(exampleFolder(), dir, { recursive: true });
  const clock = new VirtualClock(DEMO_START);
  await createRepository({ dir, branch: 'main', message: 'The network as it stands', author: AUTHOR, at: clock.now() });
  const declared = await declaredIn(dir, clock.now());
  const sim = await startSimWorld({ clock, seed, transport: 'memory', clients: networkClients, connections: connectionsOf(declared) });
  const world = openWorld({ repo: dir, env: {}, clock, wires: sim.wires, holder: 'demo' });
  const stage: World = {
    ...world,
    source: clock.tracked(world.source),
    ledger: async (fleet) => clock.tracked(await world.ledger(fleet), ['acquire']),
  };
  const devices = new Map<string, SimDevice>();
  for (let row = 0; row < declared.size; row += 1) {
    const { id } = declared.deviceAt(row);
    devices.set(id, await clock.run(addDeclaredDevice(sim, declared, { device: id, options: {} })));
  }
  // What is switched on needs a moment before it reports.
  await clock.advance(BOOT_MS);
  return {
    world: stage,
    state: makeDeclareState(),
    devices,
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    run: (work) => clock.run(work),
    change: async ({ file, replace, message }) => {
      let text = await readFile(join(dir, file), 'utf8');
      for (const [from, to] of replace) {
        if (!text.includes(from)) throw new CliTrouble('DEMO', `${file} of the example does not say ${from}`);
        text = text.replace(from, to);
      }
      const files = { [file]: new TextEncoder().encode(text) };
      must(await clock.track(commitFiles({ dir, files, message, author: AUTHOR, at: clock.now() })));
    },
    revert: async () => {
      must(await clock.track(revertCommit({ dir, commit: 'HEAD', author: AUTHOR, at: clock.now() })));
    },
    close: async () => {
      await clock.run(stage.close());
      await sim.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function declaredIn(dir: string, at: Instant): Promise<Declared> {
  const world = openWorld({ repo: dir, env: {} });
  const loaded = await readRevision(world, makeDeclareState(), { mode: 'plan', at });
  await world.close();
  if (loaded.kind === 'loaded') return loaded.declared;
  throw new CliTrouble('DEMO', loaded.diagnostics.map((one) => `${one.place.file}:${one.place.line} ${one.summary}`).join('; '));
}

function must(answer: Result<string, { readonly code: string; readonly message: string }>): void {
  if (!answer.ok) throw new CliTrouble(answer.error.code, answer.error.message);
}

/** Shipped beside the sources, and beside dist/ in what npm installs. */
function exampleFolder(): string {
  for (let dir = import.meta.dirname; ; dir = dirname(dir)) {
    const folder = join(dir, 'fleet-example');
    if (existsSync(join(folder, 'fleet.yaml'))) return folder;
    if (dir === dirname(dir)) throw new CliTrouble('DEMO', 'the example fleet is not where it was installed');
  }
}
