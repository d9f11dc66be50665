import { X509Certificate } from 'node:crypto';
import type { Json } from '#kit/canonical.ts';
import { parseDuration } from '#kit/duration.ts';
import { patchAt } from '#model/shadow.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport } from '#reconcile/report.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { expectLine } from './expect.ts';
import { admitAfter } from './host.ts';
import { parseScript, ScriptError } from './script.ts';
import type { Command } from './script.ts';
import { showChanges, showDevice, showHolds, showLedger, showPass, showRollout } from './show.ts';
import { PowerCut } from './stage.ts';
import type { ScenarioPorts, ScenarioRepo, ScenarioWorld, Stage } from './stage.ts';

export interface ScenarioResult {
  /** Commands with what they showed: compared with the golden file. */
  readonly output: string;
  /** `expect` lines that did not hold, with their line numbers. Never rewritten. */
  readonly failures: readonly string[];
}

/** Runs a script in one process on a virtual clock. Throws ScriptError for a line that cannot be carried out. */
export async function runScenario(script: string, ports: ScenarioPorts): Promise<ScenarioResult> {
  const stage: Stage = {
    ports,
    clock: ports.makeClock(ports.start),
    output: [],
    failures: [],
    repo: null,
    sim: null,
    ledger: null,
    engine: null,
    state: makeDeclareState(),
    last: null,
    crash: null,
    performed: 0,
  };
  try {
    for (const command of parseScript(script)) await runCommand(stage, command);
  } finally {
    await stage.clock.run(Promise.resolve(stage.engine?.close()));
    await stage.sim?.close();
    await stage.repo?.close();
  }
  return { output: `${stage.output.join('\n')}\n`, failures: stage.failures };
}

const COMMANDS: Readonly<Record<string, (stage: Stage, command: Command) => Promise<void>>> = {
  fleet: useFleet,
  sim: simCommand,
  edit: editFile,
  write: writeFile,
  remove: removeFile,
  commit: commitFiles,
  git: revertHead,
  pass: onePass,
  run: manyPasses,
  advance,
  crash: crashNext,
  restart,
  show,
  expect: expectCommand,
};

async function runCommand(stage: Stage, command: Command): Promise<void> {
  const run = COMMANDS[command.words[0] ?? ''];
  if (run === undefined) throw new ScriptError(command.line, `no such command: ${command.words[0]}`);
  if (command.words[0] !== 'expect') stage.output.push(`> ${command.text}`);
  await run(stage, command);
}

async function useFleet(stage: Stage, command: Command): Promise<void> {
  const fleet = command.words[2] ?? '';
  stage.repo = await stage.ports.makeRepo(fleet, stage.clock.now());
  stage.ledger = stage.ports.makeLedger(stage.clock);
  const declared = await stage.ports.declareAt(stage.repo.dir, stage.clock.now());
  stage.sim = await stage.ports.makeWorld(declared, stage.clock);
  openEngine(stage);
}

function openEngine(stage: Stage): void {
  const { repo, sim, ledger } = parts(stage, 0);
  if (ledger === null) return;
  const cut = (name: 'appended' | 'performed') => (): void => {
    if (stage.crash !== name) return;
    stage.crash = null;
    throw new PowerCut(name);
  };
  stage.state = makeDeclareState();
  stage.engine = stage.ports.openEngine({
    dir: repo.dir,
    wires: sim.wires,
    clock: stage.clock,
    ledger,
    checkpoints: { appended: cut('appended'), performed: cut('performed') },
  });
}

function parts(stage: Stage, line: number): { repo: ScenarioRepo; sim: ScenarioWorld; ledger: Stage['ledger'] } {
  if (stage.repo === null || stage.sim === null) throw new ScriptError(line, 'begin with `fleet use NAME`');
  return { repo: stage.repo, sim: stage.sim, ledger: stage.ledger };
}

async function simCommand(stage: Stage, command: Command): Promise<void> {
  const [, verb, name = '', third = '', fourth] = command.words;
  const { sim, repo } = parts(stage, command.line);
  if (verb === 'add') {
    const declared = await stage.ports.declareAt(repo.dir, stage.clock.now());
    const ids = name === 'all' ? Array.from({ length: declared.size }, (_, row) => declared.deviceAt(row).id) : [name];
    for (const device of ids) {
      if (sim.devices.has(device)) continue;
      await stage.clock.run(stage.ports.addDevice(sim, declared, { device, options: command.options }));
    }
    return;
  }
  if (verb === 'lose') return await loseObjects(stage, command);
  if (verb === 'server') return await serveBucket(stage, command);
  if (verb === 'rival') {
    addRival(sim, command);
    return;
  }
  const device = sim.devices.get(name);
  if (device === undefined) throw new ScriptError(command.line, `no simulated device ${name}`);
  if (verb === 'power') await stage.clock.run(third === 'on' ? device.powerOn() : device.powerOff());
  else if (verb === 'fault') device.fault(third, faultValue(fourth, command));
  else throw new ScriptError(command.line, `sim add|fault|lose|power|rival|server, not ${verb}`);
}

/** `sim lose BUCKET NAME`: somebody deletes every object of that name, so that a download gets an error page. */
async function loseObjects(stage: Stage, command: Command): Promise<void> {
  const [, , connection = '', name = ''] = command.words;
  const bucket = parts(stage, command.line).sim.bucket(connection);
  const { objects } = await bucket.list({ prefix: '' });
  const lost = objects.filter(({ key }) => key.endsWith(`/${name}`));
  if (lost.length === 0) throw new ScriptError(command.line, `${connection} holds no ${name}`);
  for (const { key } of lost) await bucket.delete(key);
}

/**
 * `sim rival CONNECTION THING POINTER VALUE times=N shadow=NAME`: somebody else writes that key of desired each time right
 * after the engine has read the shadow, so that its lock is broken.
 */
function addRival(sim: ScenarioWorld, { words, options }: Command): void {
  const [, , connection = '', thing = '', pointer = '', value = ''] = words;
  const { times = '1', shadow = 'fleet' } = options;
  sim.rival(connection, { thing, shadow, desired: patchAt(pointer, value), left: Number(times) });
}

/**
 * `sim server CONNECTION URL [PEM]`: from now on devices find the server of that bucket there, and it shows the certificates
 * of that file. The same URL with another file: it got another certificate. Of a broker, with the URL that the fleet
 * declares: it starts anew, and shows those certificates.
 */
async function serveBucket(stage: Stage, command: Command): Promise<void> {
  const [, , connection = '', endpoint = '', path] = command.words;
  const { sim, repo } = parts(stage, command.line);
  const pem = path === undefined ? null : await repo.read(path);
  const blocks = pem?.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? null;
  const chain = blocks === null ? null : blocks.map((block) => new X509Certificate(block).raw);
  sim.serve(connection, { endpoint, port: null, chain });
}

/** `on`, `off`, a number, a text, or durations by name: `sim fault elm asleep awakeMs=10m sleepMs=50m`. */
function faultValue(text: string | undefined, { options, line }: Command): Json {
  const named = Object.entries(options);
  if (named.length > 0) return Object.fromEntries(named.map(([name, written]) => [name, duration(written, line)]));
  if (text === undefined || text === 'on') return true;
  if (text === 'off') return false;
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

async function editFile(stage: Stage, command: Command): Promise<void> {
  const [, path = '', from = '', to = ''] = command.words;
  const { repo } = parts(stage, command.line);
  const text = await repo.read(path);
  if (!text.includes(from)) throw new ScriptError(command.line, `${path} does not hold ${from}`);
  await repo.write(path, text.replaceAll(from, to.replaceAll('\\n', '\n')));
}

async function writeFile(stage: Stage, command: Command): Promise<void> {
  await parts(stage, command.line).repo.write(command.words[1] ?? '', command.body ?? '');
}

async function removeFile(stage: Stage, command: Command): Promise<void> {
  await parts(stage, command.line).repo.remove(command.words[1] ?? '');
}

async function commitFiles(stage: Stage, command: Command): Promise<void> {
  await parts(stage, command.line).repo.commit(command.words[1] ?? 'change', stage.clock.now());
}

async function revertHead(stage: Stage, command: Command): Promise<void> {
  if (command.words[1] !== 'revert') throw new ScriptError(command.line, 'git revert is all there is');
  await parts(stage, command.line).repo.revert(stage.clock.now());
}

async function onePass(stage: Stage, command: Command): Promise<void> {
  const report = await pass(stage, command);
  stage.output.push(...(report === null ? ['  the process ended here'] : showPass(report)));
}

async function pass(stage: Stage, command: Command): Promise<PassReport | null> {
  const { engine } = stage;
  if (engine === null) throw new ScriptError(command.line, 'begin with `fleet use NAME`');
  const { options } = command;
  try {
    const report = await stage.clock.run(
      runPass(engine, stage.state, {
        mode: 'apply',
        newLedger: command.words.includes('new-ledger'),
        acceptEngine: command.words.includes('accept-engine'),
        listenMs: duration(options['listen'] ?? '0s', command.line),
        nextPassMs: options['every'] === undefined ? null : duration(options['every'], command.line),
      }),
    );
    await stage.clock.run(admitAfter(engine, stage.state, report));
    stage.last = report;
    stage.performed += report.result?.executed.filter((one) => one.result.kind === 'performed').length ?? 0;
    return report;
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
    await restart(stage);
    return null;
  }
}

function duration(text: string, line: number): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new ScriptError(line, `not a duration: ${text}`);
  return ms;
}

/** `run 3h every=10m`: passes on a schedule; only those that did something are shown. `until=converged` ends early. */
async function manyPasses(stage: Stage, command: Command): Promise<void> {
  const end = stage.clock.now() + duration(command.words[1] ?? '', command.line);
  const every = duration(command.options['every'] ?? '10m', command.line);
  while (stage.clock.now() < end) {
    await stage.clock.advance(Math.min(every, end - stage.clock.now()));
    const report = await pass(stage, { ...command, options: { every: `${every}ms`, ...command.options } });
    const lines = report === null ? ['  the process ended here'] : showPass(report, { quietWhenIdle: true });
    stage.output.push(...lines);
    if (command.options['until'] === 'converged' && report?.exit === 0) return;
    if (command.options['until'] === 'halted' && report?.exit === 3) return;
  }
}

async function advance(stage: Stage, command: Command): Promise<void> {
  await stage.clock.advance(duration(command.words[1] ?? '', command.line));
}

async function crashNext(stage: Stage, command: Command): Promise<void> {
  const what = command.words[2];
  if (what !== 'appended' && what !== 'performed') throw new ScriptError(command.line, 'crash next appended|performed');
  stage.crash = what;
  await Promise.resolve();
}

/** A new process: nothing is left but the repository, the ledger, and what the servers keep. */
async function restart(stage: Stage): Promise<void> {
  const ended = stage.engine;
  // The ledger is handed in and outlives the process; only connections end.
  if (ended !== null) await stage.clock.run(ended.close());
  openEngine(stage);
}

async function show(stage: Stage, command: Command): Promise<void> {
  const [, what, name = ''] = command.words;
  const lines = await showing(stage, what ?? '', name);
  if (lines === null) throw new ScriptError(command.line, 'show rollout|holds|changes|device NAME|ledger');
  stage.output.push(...lines);
}

async function showing(stage: Stage, what: string, name: string): Promise<readonly string[] | null> {
  switch (what) {
    case 'rollout':
      return showRollout(stage.last);
    case 'holds':
      return showHolds(stage.last);
    case 'changes':
      return showChanges(stage.last);
    case 'device':
      return showDevice(stage, name);
    case 'plan':
      return (stage.last?.result?.plan.devices ?? []).map(
        (d) => '  ' + JSON.stringify({ d: d.device, drifts: d.drifts, imp: d.impossible, ops: d.operations.map((o) => o.step) }),
      );
    case 'ledger':
      return showLedger((await stage.ledger?.read()) ?? []);
    default:
      return null;
  }
}

async function expectCommand(stage: Stage, command: Command): Promise<void> {
  const failure = await expectLine(stage, command);
  if (failure !== null) stage.failures.push(`line ${command.line}: ${command.text}: ${failure}`);
}
