import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Instant } from '#model/ids.ts';
import type { FromEngine, Order, RunEnded, ToEngine } from './messages.ts';
import type { SteppedWorld } from './stepped-world.ts';

/** Virtual time that passes at once while an engine sleeps: what devices say meanwhile is stamped that finely. */
const STEP_MS = 30_000;
/** Real time after which a run that does not end is given up. */
const PATIENCE_MS = 300_000;

export interface Run {
  /** Null when the process was killed. */
  readonly ended: RunEnded | null;
  readonly checkpoints: readonly string[];
}

/** One process of the engine. */
export interface Engine {
  /** Starts a run; its end is awaited with `driven`. */
  run(order: Order): Promise<Run>;
  /** Until when it sleeps; null while it works or has ended. */
  readonly until: Instant | null;
  moveTime(now: Instant): Promise<void>;
  close(): Promise<void>;
}

export function startEngine(world: SteppedWorld, env: Readonly<Record<string, string>> = {}): Engine {
  const child = startProcess(world, env);
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors = `${errors}${chunk.toString('utf8')}`.slice(-4000)));
  let until: Instant | null = null;
  let checkpoints: string[] = [];
  let onMoved: () => void = () => undefined;
  let onEnded: (ended: RunEnded | null) => void = () => undefined;
  child.on('message', (message: FromEngine) => {
    if (message.kind === 'checkpoint') checkpoints.push(message.what);
    else if (message.kind === 'ended') onEnded(message);
    else {
      until = message.until;
      if (message.answer) onMoved();
    }
  });
  const gone = once(child, 'exit').then(() => {
    until = null;
    onEnded(null);
    onMoved();
  });
  const send = (message: ToEngine): void => void child.send(message, () => undefined);
  return {
    run: async (order) => {
      checkpoints = [];
      const timer = setTimeout(() => child.kill('SIGTERM'), PATIENCE_MS);
      const ended = await new Promise<RunEnded | null>((resolve) => {
        onEnded = resolve;
        send(order);
      });
      clearTimeout(timer);
      until = null;
      if (ended === null && child.signalCode !== 'SIGKILL') throw new Error(`the engine ended by itself: ${errors}`);
      return { ended, checkpoints };
    },
    get until() {
      return until;
    },
    moveTime: async (now) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      await new Promise<void>((resolve) => {
        onMoved = resolve;
        send({ kind: 'time', now });
      });
    },
    close: async () => {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** Waits for runs that are under way; time moves on while all that have not ended sleep. */
export async function driven<T>(world: SteppedWorld, engines: readonly Engine[], runs: Promise<T>): Promise<T> {
  const state = { over: false };
  const end = runs.then(
    () => void (state.over = true),
    () => void (state.over = true),
  );
  while (!state.over) {
    const sleeping = engines.map(({ until }) => until).filter((until) => until !== null);
    const next = Math.min(...sleeping);
    if (sleeping.length === 0) await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 2))]);
    else {
      await world.advance(Math.max(0, Math.min(STEP_MS, next - world.now())));
      for (const engine of engines) await engine.moveTime(world.now());
    }
  }
  return await runs;
}

function startProcess(world: SteppedWorld, env: Readonly<Record<string, string>>): ChildProcess {
  const { PATH, HOME, TMPDIR } = process.env;
  return fork(fileURLToPath(import.meta.resolve('./engine-process.ts')), [String(world.now())], {
    // A runner in CI: a ledger on its disk would be refused.
    env: { PATH, HOME, TMPDIR, TZ: 'UTC', CI: 'true', ...world.env, ...env },
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}
