import { compareDiagnostics } from '#kit/diagnostics.ts';
import type { Diagnostic } from '#kit/diagnostics.ts';
import { makeDeclareCache } from '#declare/cache.ts';
import type { DeclareCache } from '#declare/cache.ts';
import { declare } from '#declare/declare.ts';
import { secretsNeeded } from '#declare/needed.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { LedgerView } from '#model/records.ts';
import type { Revision } from '#model/revision.ts';
import { presentCommits } from '#plan/plan.ts';
import type { Family } from '#ports/family.ts';
import type { World } from '#ports/world.ts';
import { declareOnce, type LastAnswer } from './declare-once.ts';
import type { PassOptions, Refusal } from './report.ts';

/** What is kept between passes of one process: parsed files by blob oid, declarations of old commits. */
export interface DeclareState {
  readonly cache: DeclareCache;
  readonly older: Map<string, Declared>;
  /** What the newest revision declares. */
  last: LastAnswer | null;
}

export function makeDeclareState(): DeclareState {
  return { cache: makeDeclareCache(), older: new Map(), last: null };
}

export interface Loaded {
  readonly kind: 'loaded';
  readonly declared: Declared;
  readonly diagnostics: readonly Diagnostic[];
  readonly families: ReadonlyMap<string, Family>;
  /** The revision asked for was invalid; this is the last valid one. */
  readonly fellBack: boolean;
  /** Whether this revision may be applied after that commit: null when it may. */
  mayApply(lastApplied: string | null): Promise<Refusal | null>;
}

export interface Refused {
  readonly kind: 'refused';
  readonly diagnostics: readonly Diagnostic[];
  readonly refusal: Refusal | null;
  readonly exit: number;
}

type LoadRequest = Pick<PassOptions, 'mode' | 'ref' | 'base'> & { readonly at: Instant };

/** Reads and declares the revision; an invalid one is not applied, and the last valid one stays in force. */
export async function readRevision(world: World, state: DeclareState, request: LoadRequest): Promise<Loaded | Refused> {
  const fetched = await world.source.refresh();
  if (!fetched.ok) return refused(fetched.error);
  const revision = await world.source.read(request.ref ?? 'HEAD');
  if (!revision.ok) return refused(revision.error);
  const base = request.base === undefined ? null : await world.source.read(request.base);
  if (base !== null && !base.ok) return refused(base.error);
  const families = new Map([...world.families].map(([name, entry]) => [name, entry.family]));
  const needed = secretsNeeded(revision.value, base?.value ?? revision.value, state.cache);
  const secrets = await world.secrets.open(needed);
  const input = { revision: revision.value, families, at: request.at, base: base?.value ?? null, secrets, cache: state.cache };
  const answer = declareOnce(state, input, needed);
  const diagnostics = answer.diagnostics.toSorted(compareDiagnostics);
  if (answer.declared !== null) {
    const { declared } = answer;
    return { kind: 'loaded', declared, diagnostics, families, fellBack: false, mayApply: (last) => mayApply(world, declared, last) };
  }
  const { commit } = revision.value.ref;
  const valid = request.mode === 'apply' && commit !== null ? await lastApplied(world, state, { commit, at: request.at }) : null;
  if (valid === null) return { kind: 'refused', diagnostics, refusal: null, exit: 1 };
  return { kind: 'loaded', declared: valid, diagnostics, families, fellBack: true, mayApply: () => Promise.resolve(null) };
}

function refused(problem: Refusal): Refused {
  return { kind: 'refused', diagnostics: [], refusal: { code: problem.code, message: problem.message }, exit: 1 };
}

async function mayApply(world: World, declared: Declared, applied: string | null): Promise<Refusal | null> {
  const { commit } = declared.revision;
  if (commit === null) return { code: 'WORKTREE', message: 'a working tree may be validated and planned, never applied: commit it first' };
  if (declared.fleet.commitsMustBeSigned) {
    return {
      code: 'UNTRUSTED_REVISION',
      message: 'trust.commits requires signed commits, and signatures cannot be verified by this version: nothing is applied',
    };
  }
  const answer = await world.source.descends(commit, declared.fleet.branch, applied);
  return answer.ok ? null : { code: answer.error.code, message: answer.error.message };
}

/** The declarations of the commits that brought the groups' present releases; those that cannot be read are left out. */
export async function loadOlder(
  world: World,
  state: DeclareState,
  request: { readonly declared: Declared; readonly view: LedgerView; readonly at: Instant },
): Promise<ReadonlyMap<string, Declared>> {
  const older = new Map<string, Declared>();
  for (const commit of presentCommits(request.declared, request.view)) {
    const declared = await declaredAt(world, state, { commit, at: request.at });
    if (declared !== null) older.set(commit, declared);
  }
  return older;
}

/** How many ancestors are looked at for one that says where the ledger is. */
const ANCESTORS = 20;

/** The revision that was applied last: the nearest valid ancestor says where the ledger is, the ledger says the rest. */
async function lastApplied(
  world: World,
  state: DeclareState,
  request: { readonly commit: string; readonly at: Instant },
): Promise<Declared | null> {
  for (let back = 1; back <= ANCESTORS; back += 1) {
    const ancestor = await declaredAt(world, state, { commit: `${request.commit}~${back}`, at: request.at });
    if (ancestor === null) continue;
    const ledger = await world.ledger(ancestor.fleet);
    const { commit } = world.fold(await ledger.read());
    return commit === null ? null : declaredAt(world, state, { commit, at: request.at });
  }
  return null;
}

/** The declarations of a commit, kept for the passes to come; null when it cannot be read or is not valid. */
export async function declaredAt(
  world: World,
  state: DeclareState,
  request: { readonly commit: string; readonly at: Instant },
): Promise<Declared | null> {
  const kept = state.older.get(request.commit);
  if (kept !== undefined) return kept;
  const revision = await world.source.read(request.commit);
  if (!revision.ok) return null;
  const declared = await declareOld(world, state, { revision: revision.value, at: request.at });
  if (declared !== null) state.older.set(request.commit, declared);
  return declared;
}

async function declareOld(
  world: World,
  state: DeclareState,
  request: { readonly revision: Revision; readonly at: Instant },
): Promise<Declared | null> {
  const { revision, at } = request;
  const families = new Map([...world.families].map(([name, entry]) => [name, entry.family]));
  const secrets = await world.secrets.open(secretsNeeded(revision, revision, state.cache));
  return declare({ revision, families, at, base: null, secrets, cache: state.cache }).declared;
}
