import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { passJson } from '#cli/commands/apply.ts';
import { runCli } from '#cli/run.ts';
import type { Clock } from '#ports/clock.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import type { DeclareState } from '#reconcile/revision.ts';
import { ScaledClock } from '#sim/clock.ts';
import { playStory } from '#test/crash/play-process.ts';
import { systemClock } from '#transports/clock.ts';
import { openWorld } from '#world.ts';
import { HandedClock } from './handed-clock.ts';
import type { ApplyJson, FromEngine, Order, RunEnded, RunOrder, ToEngine } from './messages.ts';

/** Turns of the event loop in which what has come in by the sockets is taken in before time moves on. */
const TURNS = 4;

/**
 * Runs of the engine on a clock that the starting process owns: told by messages, one order after the other, until the
 * channel is closed.
 */
const clock = new HandedClock(Number(process.argv[2]), (until) => say({ kind: 'waiting', until, answer: false }));
let kept: { readonly world: World; readonly state: DeclareState } | null = null;

process.on('message', (message: ToEngine) => {
  if (message.kind === 'time') void moveTime(message.now);
  else void carryOut(message);
});
process.once('disconnect', () => void kept?.world.close());

async function moveTime(now: number): Promise<void> {
  clock.move(now);
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  say({ kind: 'waiting', until: clock.until, answer: true });
}

async function carryOut(order: Order): Promise<void> {
  try {
    say(await endOf(order));
  } catch (error) {
    say({ kind: 'ended', exit: 1, said: null, errors: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

function endOf(order: Order): Promise<RunEnded> {
  if (order.kind === 'play') return playStory({ order, clock, wireClock: wireClockOf(order), say });
  return order.as === 'command' ? commandOf(order) : passOf(order);
}

/** What a workflow's step does: the command line, from nothing. */
async function commandOf(order: RunOrder): Promise<RunEnded> {
  let said = '';
  let errors = '';
  // What is kept on a disk is kept where a run is started: nothing is left of it for the next one.
  process.chdir(order.cwd);
  const args = ['apply', '--json', '--repo', order.repo, '--listen', `${order.listenMs / 1000}s`];
  const exit = await runCli(order.newLedger ? [...args, '--new-ledger'] : args, {
    stdout: { write: (text) => (said += text) },
    stderr: { write: (text) => (errors += text) },
    env: process.env,
    cwd: order.cwd,
    signal: new AbortController().signal,
    clock,
    wireClock: wireClockOf(order),
  });
  process.chdir(tmpdir());
  return { kind: 'ended', exit, said: said.trimStart().startsWith('{') ? (JSON.parse(said) as ApplyJson) : null, errors };
}

/** One pass of an engine that stays, or that is killed on the way. */
async function passOf(order: RunOrder): Promise<RunEnded> {
  const engine = kept ?? openEngine(order);
  if (order.as === 'kept') kept = engine;
  const { listenMs, newLedger } = order;
  const report = await runPass(engine.world, engine.state, { mode: 'apply', listenMs, newLedger, nextPassMs: null });
  if (order.as !== 'kept') await engine.world.close();
  return { kind: 'ended', exit: report.exit, said: JSON.parse(JSON.stringify(passJson(report))) as ApplyJson, errors: '' };
}

function openEngine(order: RunOrder): { readonly world: World; readonly state: DeclareState } {
  let passed = 0;
  const reached = (what: string): void => {
    passed += 1;
    say({ kind: 'checkpoint', what });
    if (passed === order.killAfter) process.kill(process.pid, 'SIGKILL');
  };
  const world = openWorld({
    repo: order.repo,
    env: process.env,
    clock,
    wireClock: wireClockOf(order),
    cacheDir: join(order.cwd, '.headgate'),
    holder: `run ${process.pid}`,
    checkpoints: { appended: () => reached('append'), performed: () => reached('perform') },
  });
  return { world, state: makeDeclareState() };
}

function wireClockOf({ wireScale }: Order): Clock {
  return wireScale === 1 ? systemClock : new ScaledClock(Date.now(), wireScale);
}

function say(message: FromEngine): void {
  if (process.connected) process.send?.(message);
}
