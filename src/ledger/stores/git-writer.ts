import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerRecord } from '#model/records.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { GitBranch, GitCommit, RefMove } from '#ports/git-branch.ts';
import { LedgerError } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import { type Draft, draftOn, draftReports, finishDraft } from './git-draft.ts';
import { EMPTY_BRANCH, LEDGER_REF, UNMARKED_LEASE, WITNESS_REF } from './git-files.ts';
import { type BranchState, NOTHING, type Verified, catchUp, nothingVerified, openState, rewoundFrom } from './git-state.ts';

/** Others may be faster so many times before a writer gives up; one of any number of contenders gets through each time. */
const MAX_TRIES = 200;
/** A server that does not answer is asked so often what became of a push. */
const MAX_UNKNOWN = 4;
const PAUSE_MS = 15;
const LONGEST_PAUSE_MS = 1000;
const MESSAGE_CHARS = 200;

export interface WriterOptions {
  readonly branch: GitBranch;
  readonly id: string;
  /** Commits after which the history of the branch is cut. */
  readonly squashAfter: number;
  now(): Instant;
}

/** Something to be written: `apply` may be called again on a newer state, until what it drafted is on the branch. */
export interface Wish {
  /** Whether it can be done on this state. What it answers its caller is its own to keep. */
  apply(draft: Draft): Promise<boolean>;
  /** Whether the branch shows that it was done, though the server's answer was lost. */
  landed(state: BranchState, records: readonly LedgerRecord[]): boolean;
  /** It is the moment to cut the history, when that is due: nothing is lost when the repository does not let us. */
  readonly mayCut: boolean;
}

interface Waiting {
  readonly wish: Wish;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** What one handle knows of the branch. All calls run one after the other. */
export interface BranchWriter {
  readonly state: BranchState;
  readonly records: readonly LedgerRecord[];
  /** When the branch was looked at or written last, in milliseconds of this process. */
  readonly seenMs: number;
  readonly staged: Map<string, ReportedDevice>;
  /** Says that this handle is going to write: asks the server for what that needs at the same time. */
  willMove(): void;
  refresh(signal?: AbortSignal): Promise<void>;
  write(wish: Wish): Promise<void>;
  beginAnew(): Promise<void>;
}

interface Inner {
  readonly options: WriterOptions;
  state: BranchState;
  verified: Verified;
  seenMs: number;
  toMove: boolean;
  readonly staged: Map<string, ReportedDevice>;
  waiting: Waiting[];
}

/**
 * Reads and writes the branch. What is waiting to be written goes into one commit, whose push is the compare-and-swap; a
 * writer that was too late reads what is new and tries again on that.
 */
export function openBranchWriter(options: WriterOptions): BranchWriter {
  const inner: Inner = {
    options,
    state: NOTHING,
    verified: nothingVerified(),
    seenMs: Number.NEGATIVE_INFINITY,
    toMove: false,
    staged: new Map(),
    waiting: [],
  };
  let tail: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = tail.then(work);
    tail = turn.catch(() => undefined);
    return turn;
  }
  return {
    get state() {
      return inner.state;
    },
    get records() {
      return inner.verified.records;
    },
    get seenMs() {
      return inner.seenMs;
    },
    staged: inner.staged,
    willMove: () => void (inner.toMove = true),
    refresh: (signal) => inTurn(() => refresh(inner, signal)),
    write: (wish) =>
      new Promise((done, failed) => {
        inner.waiting.push({ wish, done, failed });
        void inTurn(() => writeWaiting(inner));
      }),
    beginAnew: () => inTurn(() => beginAnew(inner)),
  };
}

async function look(inner: Inner, signal?: AbortSignal): Promise<{ readonly tip: string | null; readonly witness: string | null }> {
  const refs = await inner.options.branch.refs([LEDGER_REF, WITNESS_REF], { toMove: inner.toMove, signal });
  return { tip: refs.get(LEDGER_REF) ?? null, witness: refs.get(WITNESS_REF) ?? null };
}

/** Brings the state up to the branch. Throws LedgerError REWOUND, BROKEN_CHAIN, NOT_A_LEDGER, TOO_NEW, OTHER_LEDGER. */
async function refresh(inner: Inner, signal?: AbortSignal): Promise<void> {
  let suspect: string | null = null;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const { tip, witness } = await look(inner, signal);
    const key = `${tip} ${witness}`;
    if (tip === (inner.state.commit?.oid ?? null) && (witness === inner.state.witness || witness === tip)) {
      inner.state = { ...inner.state, witness };
      inner.seenMs = performance.now();
      return;
    }
    const problem = await take(inner, { tip, witness, signal });
    if (problem === null) return;
    // The two refs are not read at one instant: a push in between makes the witness look ahead. Seen twice, it is.
    if (suspect === key && problem !== 'gone') throw new LedgerError('REWOUND', problem);
    suspect = key;
  }
  throw new WireError('GIT_BUSY', 'later', `${inner.options.branch.place}: the branch moves faster than it can be read`);
}

interface Tips {
  readonly tip: string | null;
  readonly witness: string | null;
  readonly signal: AbortSignal | undefined;
}

/** Takes over what the refs show: null when it may be trusted, else why it seems not. */
async function take(inner: Inner, { tip, witness, signal }: Tips): Promise<string | null> {
  const { branch, id } = inner.options;
  const oids = [...new Set([tip, witness].filter((oid) => oid !== null))];
  const commits = await branch.commits(oids, signal);
  if (commits === 'gone') return 'gone';
  const found = (oid: string | null): GitCommit | undefined => commits.find((commit) => commit.oid === oid);
  const [tipCommit, witnessCommit] = [found(tip), found(witness)];
  const seen = witnessCommit === undefined || witness === tip ? null : await openState(branch, witnessCommit, null).catch(() => null);
  if (tipCommit === undefined) {
    const before = seen ?? (inner.state.commit === null ? null : inner.state);
    return before === null ? null : rewound(inner, `is gone; it was at write ${before.head.write} with ${before.head.seq} records`);
  }
  const state = await openState(branch, tipCommit, witness).catch((error: unknown) => {
    if (seen === null || !(error instanceof LedgerError) || error.code !== 'NOT_A_LEDGER') throw error;
    return null;
  });
  if (state === null) return rewound(inner, 'holds something else than the ledger that was there');
  if (state.id !== id) throw new LedgerError('OTHER_LEDGER', `${branch.place} holds the ledger ${state.id}, fleet.yaml names ${id}`);
  const early = rewoundFrom({ ...inner.state, head: { ...inner.state.head, hash: null } }, state, []);
  if (early !== null) return rewound(inner, early);
  await catchUp(branch, state, inner.verified);
  const problem = seen === null ? null : rewoundFrom(seen, state, inner.verified.records);
  if (problem !== null) return rewound(inner, problem);
  inner.state = state;
  inner.seenMs = performance.now();
  return null;
}

function rewound(inner: Inner, what: string): string {
  return (
    `${LEDGER_REF} of ${inner.options.branch.place} ${what}: it was put back or deleted. headgate/witness has the last state: ` +
    '`git push --force origin origin/headgate/witness:refs/heads/headgate/ledger` restores it, `headgate apply --new-ledger` begins anew'
  );
}

/** Never rejects: each one that waits is told for itself. */
async function writeWaiting(inner: Inner): Promise<void> {
  const batch = inner.waiting.splice(0);
  if (batch.length === 0) return;
  try {
    await writeBatch(inner, batch);
    for (const { done } of batch) done();
  } catch (error) {
    for (const { failed } of batch) failed(error);
  }
}

interface Drafted {
  readonly draft: Draft;
  readonly head: BranchState['head'];
  readonly commit: GitCommit;
  readonly accepted: readonly Waiting[];
  readonly staged: ReadonlyMap<string, ReportedDevice>;
}

async function writeBatch(inner: Inner, batch: readonly Waiting[]): Promise<void> {
  let open = batch;
  let fresh = inner.seenMs === Number.NEGATIVE_INFINITY;
  if (fresh) await refresh(inner);
  let mayCut = true;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const draft = draftOn(inner.options.branch, inner.state);
    const accepted: Waiting[] = [];
    for (const waiting of open) if (await waiting.wish.apply(draft)) accepted.push(waiting);
    if (accepted.length < open.length && !fresh) {
      // What we know may be old: nobody is refused before it has been looked at again.
      await refresh(inner);
      fresh = true;
      continue;
    }
    if (accepted.length === 0) return;
    const staged = new Map(inner.staged);
    await draftReports(draft, staged.values());
    if (draft.changes.size === 0) return;
    const drafted = await commitDraft(inner, { draft, accepted, staged, mayCut });
    const answer = await push(inner, drafted);
    if (answer === 'done') return;
    if (answer === 'no cut') mayCut = false;
    else await delay(pauseMs(tries));
    if (answer !== 'no cut') await refresh(inner);
    fresh = true;
    open = open.filter(({ wish }) => !wish.landed(inner.state, inner.verified.records));
    if (open.length === 0) return;
  }
  throw new WireError('GIT_BUSY', 'later', `${inner.options.branch.place}: others were faster ${MAX_TRIES} times`);
}

interface ToCommit {
  readonly draft: Draft;
  readonly accepted: readonly Waiting[];
  readonly staged: ReadonlyMap<string, ReportedDevice>;
  readonly mayCut: boolean;
}

async function commitDraft(inner: Inner, { draft, accepted, staged, mayCut }: ToCommit): Promise<Drafted & { readonly cut: boolean }> {
  const { branch, id, squashAfter } = inner.options;
  const { commit: base, head: before } = draft.state;
  const due = base !== null && before.write - before.squashed >= squashAfter && accepted.some(({ wish }) => wish.mayCut);
  // A try that was refused counts too, so that the next one comes after as many commits again.
  const head = finishDraft(draft, { id, by: randomUUID(), squash: due });
  const cut = due && mayCut;
  const parents = base === null || cut ? [] : [base.oid];
  const subject = cut ? 'history cut; ' : '';
  const message = `${subject}${draft.words.join('; ')}`.slice(0, MESSAGE_CHARS);
  const commit = await branch.make({ base, parents, changes: draft.changes, message, at: inner.options.now() });
  return { draft, head, commit, accepted, staged, cut };
}

type Pushed = 'done' | 'moved' | 'no cut';

/** Pushes a commit; when the answer is lost, looks what became of it, and pushes the very same commit again. */
async function push(inner: Inner, drafted: Drafted & { readonly cut: boolean }): Promise<Pushed> {
  const { branch } = inner.options;
  const { commit: before, witness } = drafted.draft.state;
  const moves: readonly RefMove[] = [
    { name: LEDGER_REF, from: before?.oid ?? null, to: drafted.commit.oid },
    { name: WITNESS_REF, from: witness, to: drafted.commit.oid },
  ];
  for (let unknown = 0; ; unknown += 1) {
    try {
      const answer = await branch.move(moves);
      if (answer.kind === 'done') return arrived(inner, drafted);
      if (answer.kind === 'refused') {
        if (drafted.cut) return 'no cut';
        throw new WireError('GIT_REFUSED', 'never', `${branch.place} refuses the push to headgate/ledger: ${answer.message}`);
      }
      // Perhaps an earlier try of this very commit was heard after all.
      if (unknown === 0) return 'moved';
      return (await look(inner)).tip === drafted.commit.oid ? arrived(inner, drafted) : 'moved';
    } catch (error) {
      if (!(error instanceof WireError) || error.retry === 'never' || unknown >= MAX_UNKNOWN) throw error;
      await delay(pauseMs(unknown + 2));
    }
  }
}

function arrived(inner: Inner, { draft, head, commit, staged }: Drafted): 'done' {
  inner.state = { commit, witness: commit.oid, head, lease: draft.lease, segments: draft.segments };
  inner.seenMs = performance.now();
  for (const record of draft.records) inner.verified.records.push(record);
  inner.verified.head = draft.head;
  inner.verified.segments = new Set(draft.segments.map(({ path }) => commit.files.get(path) ?? ''));
  for (const [device, report] of staged) if (inner.staged.get(device) === report) inner.staged.delete(device);
  return 'done';
}

function pauseMs(tries: number): number {
  return Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** Math.min(tries, 10)) * Math.random();
}

/** An empty ledger on top of what is there: nothing of the old one is lost, and no number of a lease is given out again. */
async function beginAnew(inner: Inner): Promise<void> {
  const { branch, id } = inner.options;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const untrusted = await refresh(inner).then(
      () => false,
      (error: unknown) => {
        if (error instanceof LedgerError && (error.code === 'REWOUND' || error.code === 'BROKEN_CHAIN')) return true;
        throw error;
      },
    );
    if (!untrusted) return;
    const { tip, witness } = await look(inner);
    const parents = [...new Set([tip, witness].filter((oid) => oid !== null))];
    const commits = await branch.commits(parents);
    if (commits === 'gone') continue;
    const old = await Promise.all(commits.map((commit) => openState(branch, commit, null).catch(() => null)));
    const known = [...old.filter((state) => state !== null), inner.state];
    // One higher, so that whoever still believes to hold the old lease is fenced off from the new ledger.
    const lease = { ...UNMARKED_LEASE, fencing: Math.max(...known.map((state) => state.lease.fencing)) + 1 };
    const write = Math.max(...known.map(({ head }) => head.write));
    const draft = draftOn(branch, { ...NOTHING, lease, head: { ...EMPTY_BRANCH, write, squashed: write } });
    finishDraft(draft, { id, by: randomUUID(), squash: false });
    const at = inner.options.now();
    const made = await branch.make({ base: null, parents, changes: draft.changes, message: 'a new ledger begins', at });
    const answer = await branch.move([
      { name: LEDGER_REF, from: tip, to: made.oid },
      { name: WITNESS_REF, from: witness, to: made.oid },
    ]);
    if (answer.kind === 'refused') {
      throw new WireError('GIT_REFUSED', 'never', `${branch.place} refuses the push to headgate/ledger: ${answer.message}`);
    }
    if (answer.kind === 'moved') continue;
    inner.state = NOTHING;
    inner.verified = nothingVerified();
    inner.seenMs = Number.NEGATIVE_INFINITY;
    return;
  }
  throw new WireError('GIT_BUSY', 'later', `${branch.place}: others were faster ${MAX_TRIES} times`);
}
