import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MINUTE_MS } from '#kit/duration.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { LedgerRecord } from '#model/records.ts';
import { systemClock } from '#transports/clock.ts';
import { ledgerEnd } from './end-state.ts';
import type { LedgerEnd, WorldEnd } from './end-state.ts';
import { CHECKPOINTS_FILE, LEDGER_FILE } from './processes.ts';
import type { ClockOrigin, RunRequest, WorldReady, WorldRequest } from './processes.ts';
import type { StoryRepo } from './repo.ts';
import type { Story } from './stories.ts';

/** Longer than any device takes to boot, poll and report, in the time of the world. */
const SETTLED_MS = 15 * MINUTE_MS;
/** Real time after which an engine that does not end is given up. */
const PATIENCE_MS = 90_000;

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
  const running: ChildProcessWithoutNullStreams[] = [];
  try {
    await cp(repo.dir, dir, { recursive: true });
    const world = await startWorld(story, dir, running);
    const request: RunRequest = { dir, story: story.name, commits: repo.commits, origin: world.ready.origin, killAt };
    const first = await runEngine(request, world.ready.env, running);
    const killed = first.signal === 'SIGKILL';
    if (!killed && first.code !== 0) throw new Error(`the engine failed by itself: ${first.errors}`);
    const checkpoints = (await readFile(join(dir, CHECKPOINTS_FILE), 'utf8')).trim().split('\n');
    await readLedger(dir);
    if (killed) {
      const second = await runEngine({ ...request, killAt: null }, world.ready.env, running);
      if (second.code !== 0) throw new Error(`the engine after the one that was killed failed: ${second.errors}`);
    }
    const end = await world.ask({ powerOn: story.parked, afterMs: SETTLED_MS });
    return { end: { ...end, ledger: ledgerEnd(await readLedger(dir)) }, checkpoints, killed };
  } finally {
    for (const child of running) child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
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

interface RunningWorld {
  readonly ready: WorldReady;
  ask(request: WorldRequest): Promise<WorldEnd>;
}

async function startWorld(story: Story, dir: string, running: ChildProcessWithoutNullStreams[]): Promise<RunningWorld> {
  const child = startProcess(import.meta.resolve('./world-process.ts'), [dir, ...story.parked], {});
  running.push(child);
  const errors = textOf(child.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`the world ended: ${errors()}`);
    return JSON.parse(line.value) as unknown;
  };
  const ready = (await next()) as WorldReady;
  return {
    ready,
    ask: async (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return (await next()) as WorldEnd;
    },
  };
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

async function runEngine(
  request: RunRequest & { readonly origin: ClockOrigin },
  env: Readonly<Record<string, string>>,
  running: ChildProcessWithoutNullStreams[],
): Promise<Ended> {
  const child = startProcess(import.meta.resolve('./run-process.ts'), [JSON.stringify(request)], env);
  running.push(child);
  const errors = textOf(child.stderr);
  const timer = setTimeout(() => child.kill('SIGTERM'), PATIENCE_MS);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal, errors: errors() };
  } finally {
    clearTimeout(timer);
  }
}

function startProcess(url: string, args: readonly string[], env: Readonly<Record<string, string>>): ChildProcessWithoutNullStreams {
  const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = process.env;
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(url), ...args], {
    env: { PATH, HOME, TMPDIR, TZ: 'UTC', NODE_COMPILE_CACHE, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

function textOf(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => (text = `${text}${chunk.toString('utf8')}`.slice(-4000)));
  return () => text;
}
