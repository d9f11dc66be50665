import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MINUTE_MS } from '#kit/duration.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { SimDevice } from '#ports/sim.ts';
import { VirtualClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import { SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { startSimWorld } from '#sim/world.ts';
import { worldEnd } from '#test/crash/end-state.ts';
import type { WorldEnd } from '#test/crash/end-state.ts';
import { networkClients } from '#world.ts';

/** Longer than any device takes to boot, poll and report. */
const SETTLED_MS = 15 * MINUTE_MS;
/** Real time in which what an engine sent last has reached the servers. */
const ARRIVAL_MS = 10;

/** Servers on TCP and simulated devices, in this process, on a clock that moves only when told to. */
export interface SteppedWorld {
  /** For processes of the engine: what connections in fleet.yaml refer to, and the credentials of the bucket. */
  readonly env: Readonly<Record<string, string>>;
  readonly devices: ReadonlyMap<string, SimDevice>;
  now(): Instant;
  advance(ms: number): Promise<void>;
  /** Drives time while that is under way. */
  run<T>(work: Promise<T>): Promise<T>;
  /** When everything that was sent has been done. */
  end(): Promise<WorldEnd>;
  close(): Promise<void>;
}

/** Everything that is declared is switched on and has reported. */
export async function startSteppedWorld(declared: Declared, start: Instant): Promise<SteppedWorld> {
  const clock = new VirtualClock(start);
  const world = await startSimWorld({ clock, seed: 1, transport: 'tcp', clients: networkClients, connections: connectionsOf(declared) });
  const advance = async (ms: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, ARRIVAL_MS));
    await clock.advance(ms);
  };
  for (let row = 0; row < declared.size; row += 1) {
    await clock.run(addDeclaredDevice(world, declared, { device: declared.deviceAt(row).id, options: {} }));
  }
  await advance(SETTLED_MS);
  // Each run is a new process: what is compiled once need not be compiled by all of them.
  const compiled = await mkdtemp(join(tmpdir(), 'headgate-short-code-'));
  return {
    env: {
      NODE_COMPILE_CACHE: compiled,
      FIELD_URL: world.url('field') ?? '',
      BUCKET_URL: world.url('logs') ?? '',
      AWS_ACCESS_KEY_ID: SIM_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: SIM_CREDENTIALS.secretAccessKey,
    },
    devices: world.devices,
    now: () => clock.now(),
    advance,
    run: (work) => clock.run(work),
    end: async () => {
      await advance(SETTLED_MS);
      return worldEnd(world.devices, world.bucket('logs'));
    },
    close: async () => {
      await world.close();
      await rm(compiled, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
