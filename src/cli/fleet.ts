import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Declared } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { LedgerError } from '#ports/ledger.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions, PassReport } from '#reconcile/report.ts';
import { makeDeclareState, readRevision } from '#reconcile/revision.ts';
import type { DeclareState } from '#reconcile/revision.ts';
import { diagnosticsText } from '#view/diagnostics-text.ts';
import type { SourceLine } from '#view/diagnostics-text.ts';
import { painter } from '#view/table.ts';
import type { Paint } from '#view/table.ts';
import { openWorld } from '#world.ts';
import { wantsColour } from './context.ts';
import type { CliContext } from './context.ts';
import type { LookFlags, RepoFlags } from './flags.ts';

/** A fleet repo with all that a command needs of it, for the length of one command. */
export interface Fleet {
  readonly world: World;
  readonly state: DeclareState;
  /** The folder or URL it was opened at. */
  readonly repo: string;
  readonly paint: Paint;
  out(text: string): void;
  note(text: string): void;
}

/** An expected trouble of a command: printed as one line, exit 1. */
export class CliTrouble extends Error {
  override readonly name = 'CliTrouble';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Opens the fleet repo, does the work, and closes it again. The work answers the exit code. Broken wires, unusable ledgers
 * and expected troubles become one line on standard error and exit 1.
 */
export async function withFleet(context: CliContext, flags: RepoFlags, work: (fleet: Fleet) => Promise<number>): Promise<void> {
  const { cli, process } = context;
  const repo = repoOf(flags, cli.cwd);
  let world: World | undefined;
  try {
    world = openWorld({
      repo,
      env: cli.env,
      ...(cli.clock === undefined ? {} : { clock: cli.clock }),
      ...(cli.wireClock === undefined ? {} : { wireClock: cli.wireClock }),
      ...(cli.wires === undefined ? {} : { wires: cli.wires }),
    });
    const fleet = { world, state: makeDeclareState(), repo, paint: painter(wantsColour(cli)), ...outputs(context) };
    process.exitCode = await work(fleet);
  } catch (error) {
    process.exitCode = failed(context, error);
  } finally {
    await world?.close();
  }
}

/** For commands that only touch files: the same troubles, without a world. */
export async function withTroubles(context: CliContext, work: () => Promise<number>): Promise<void> {
  try {
    context.process.exitCode = await work();
  } catch (error) {
    context.process.exitCode = failed(context, error);
  }
}

export function outputs(context: CliContext): Pick<Fleet, 'out' | 'note'> {
  const { stdout, stderr } = context.process;
  return { out: (text) => stdout.write(`${text}\n`), note: (text) => stderr.write(`${text}\n`) };
}

function failed(context: CliContext, error: unknown): number {
  const isTold = error instanceof WireError || error instanceof LedgerError || error instanceof CliTrouble || isOfThisMachine(error);
  if (!isTold) throw error;
  context.process.stderr.write(`${error.code}: ${error.message}\n`);
  return 1;
}

/** A port that is taken, a folder that cannot be made: whoever named it can name another one, and its stack says nothing more. */
function isOfThisMachine(error: unknown): error is Error & { readonly code: string } {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string')) return false;
  return error.syscall === 'listen' || error.syscall === 'mkdir' || error.syscall === 'open';
}

/** What --repo says, else where we are. */
function repoOf(flags: RepoFlags, cwd: string): string {
  if (flags.repo !== undefined) return /^https?:\/\//.test(flags.repo) ? flags.repo : resolve(cwd, flags.repo);
  return nearestRepo(cwd);
}

/** The nearest folder upwards that has a fleet.yaml, else this one. */
export function nearestRepo(cwd: string): string {
  for (let dir = resolve(cwd); ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'fleet.yaml'))) return dir;
    if (dir === dirname(dir)) return resolve(cwd);
  }
}

/** What a revision declares; its mistakes are printed and the command ends when it cannot be used. */
export async function declaredOf(fleet: Fleet, flags: Pick<LookFlags, 'ref'>): Promise<Declared> {
  const at = fleet.world.clock.now();
  const loaded = await readRevision(fleet.world, fleet.state, { mode: 'plan', at, ...(flags.ref === undefined ? {} : { ref: flags.ref }) });
  if (loaded.kind === 'loaded') return loaded.declared;
  if (loaded.diagnostics.length > 0)
    fleet.note(diagnosticsText(loaded.diagnostics, { paint: fleet.paint, sourceLine: await sourceLines(fleet, flags.ref) }));
  throw new CliTrouble(loaded.refusal?.code ?? 'INVALID', loaded.refusal?.message ?? 'the revision has mistakes; nothing was done');
}

/** Lines of the files of a revision, for excerpts. */
export async function sourceLines(fleet: Fleet, ref: string | undefined): Promise<SourceLine> {
  const revision = await fleet.world.source.read(ref ?? 'HEAD');
  const files = new Map<string, readonly string[]>();
  return (file, line) => {
    const bytes = revision.ok ? revision.value.read(file) : undefined;
    if (!(bytes instanceof Uint8Array)) return undefined;
    const lines = files.get(file) ?? new TextDecoder().decode(bytes).split('\n');
    files.set(file, lines);
    return lines[line - 1];
  };
}

export function ledgerOf(fleet: Fleet, declared: Declared): Promise<LedgerStore> {
  return fleet.world.ledger(declared.fleet);
}

/** A pass that only plans, by default from the last reports beside the ledger: quick, and no device is asked. */
export async function lookAt(fleet: Fleet, flags: LookFlags & { readonly fresh?: boolean }): Promise<PassReport> {
  const declared = await declaredOf(fleet, flags);
  const ledger = await ledgerOf(fleet, declared);
  const stored: readonly ReportedDevice[] = flags.fresh === true ? [] : await ledger.reports.load();
  const options: PassOptions = {
    mode: 'plan',
    ...(flags.ref === undefined ? {} : { ref: flags.ref }),
    ...(flags.fresh === true ? {} : { reports: stored }),
  };
  return runPass(fleet.world, fleet.state, options);
}

/** The result of a pass that got that far; otherwise its mistakes or its refusal are printed as a trouble. */
export async function resultOf(fleet: Fleet, report: PassReport, ref: string | undefined): Promise<NonNullable<PassReport['result']>> {
  if (report.diagnostics.length > 0) {
    fleet.note(diagnosticsText(report.diagnostics, { paint: fleet.paint, sourceLine: await sourceLines(fleet, ref) }));
  }
  if (report.result !== null) return report.result;
  throw new CliTrouble(report.refusal?.code ?? 'INVALID', report.refusal?.message ?? 'the revision has mistakes; nothing was done');
}

/** JSON for machines: indented, so that a diff of two is readable. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
