import { randomUUID } from 'node:crypto';
import { compareText } from '#kit/diagnostics.ts';
import type { ChainHead } from '#ledger/chain.ts';
import { LEASE_TTL_MS, type LeaseCell, acquireLease } from '#ledger/lease.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { digest } from '#model/ids.ts';
import type { Clock } from '#ports/clock.ts';
import type { GitBranch } from '#ports/git-branch.ts';
import type { AppendProblem, BlobStore, Lease, LedgerStore, ReportStore } from '#ports/ledger.ts';
import { draftBlob, draftLease, draftRecords, draftReports } from './git-draft.ts';
import { blobPath, isShard, parseReports } from './git-files.ts';
import { asNamed } from './git-state.ts';
import { type BranchWriter, openBranchWriter } from './git-writer.ts';

export interface GitLedgerOptions {
  readonly branch: GitBranch;
  /** As fleet.yaml names the ledger. */
  readonly id: string;
  readonly clock: Clock;
  readonly leaseTtlMs?: number;
  /** Commits after which the history of the branch is cut, if the repository lets us. */
  readonly squashAfter?: number;
}

/** A pass makes about five commits; some weeks of a schedule stay in the history. */
const SQUASH_AFTER = 5000;
/** What was seen so shortly ago need not be looked at again: to take a lease that is free, to read reports after records. */
const RECENT_MS = 2000;

/**
 * The ledger on the branch `headgate/ledger` of a git repository, with `headgate/witness` as its witness. Every write is
 * one commit; its push names what each branch must be before, and that is the compare-and-swap. A look at a ledger that is
 * not there makes no branch. Calls throw LedgerError, and WireError for trouble with the repository.
 */
export function openGitLedger(options: GitLedgerOptions): LedgerStore {
  const { branch, id, clock, leaseTtlMs: ttlMs = LEASE_TTL_MS, squashAfter = SQUASH_AFTER } = options;
  const writer = openBranchWriter({ branch, id, squashAfter, now: () => clock.now() });
  const handle: Handle = { writer, seen: null, lease: null, takenAt: null, readAt: null };
  return {
    kind: 'git',
    read: async () => {
      await lookAtRecords(handle);
      return [...writer.records];
    },
    head: () => lookAtRecords(handle),
    begun: async () => {
      writer.willMove();
      await writer.refresh();
      return writer.state.head.seq > 0;
    },
    append: (bodies, fencing) => append(handle, bodies, fencing),
    acquire: async (holder, signal) => {
      writer.willMove();
      const answer = await acquireLease(leaseCell(writer, signal), { holder, clock, ttlMs, signal });
      if (answer.kind === 'held') {
        handle.lease = answer.lease;
        handle.takenAt = writer.state.commit?.oid ?? null;
      }
      return answer;
    },
    beginAnew: async () => {
      writer.willMove();
      await writer.beginAnew();
      handle.seen = null;
    },
    reports: reportShards(branch, handle),
    blobs: blobFiles(branch, writer),
    close: () => branch.close(),
  };
}

/** What one opener of the ledger has seen of it. */
interface Handle {
  readonly writer: BranchWriter;
  /** The end of the ledger as last read: an append to another one is refused. */
  seen: ChainHead | null;
  lease: Lease | null;
  /** The commit by which the lease was taken, until it has been read. */
  takenAt: string | null;
  /** The commit on which records were read last. */
  readAt: string | null;
}

function isMine({ lease, writer }: Handle): boolean {
  const { lease: row } = writer.state;
  return lease !== null && lease.leftMs() > 0 && row.held && row.fencing === lease.fencing;
}

async function lookAtRecords(handle: Handle): Promise<ChainHead> {
  const { writer, takenAt } = handle;
  // Whoever has just taken the lease knows the end of the ledger.
  const known = takenAt !== null && takenAt === writer.state.commit?.oid && isMine(handle);
  if (!known) await writer.refresh();
  const { seq, hash } = writer.state.head;
  handle.takenAt = null;
  handle.readAt = writer.state.commit?.oid ?? null;
  handle.seen = { seq, hash };
  return handle.seen;
}

/** The reports that belong to the records just read are read from the same commit. */
async function lookAtReports(handle: Handle): Promise<void> {
  const { writer, readAt } = handle;
  const current = readAt !== null && readAt === writer.state.commit?.oid && (isMine(handle) || isRecent(writer));
  if (!current) await writer.refresh();
}

async function append(handle: Handle, bodies: readonly RecordBody[], fencing: number): Promise<readonly LedgerRecord[] | AppendProblem> {
  const kept: { answer: readonly LedgerRecord[] | AppendProblem } = { answer: [] };
  await handle.writer.write({
    apply: async (draft) => {
      // Several appends of one handle follow each other in one commit.
      const expected = draft.records.length > 0 ? draft.head : (handle.seen ?? draft.head);
      kept.answer = await draftRecords(draft, { bodies, fencing, expected });
      return !('code' in kept.answer);
    },
    landed: (_state, records) => {
      const last = 'code' in kept.answer ? undefined : kept.answer.at(-1);
      return last !== undefined && records[last.seq - 1]?.hash === last.hash;
    },
    mayCut: false,
  });
  const { answer } = kept;
  if ('code' in answer) return answer;
  const last = answer.at(-1);
  if (last !== undefined && (handle.seen === null || handle.seen.seq < last.seq)) handle.seen = { seq: last.seq, hash: last.hash };
  return answer;
}

function isRecent(writer: BranchWriter): boolean {
  return performance.now() - writer.seenMs < RECENT_MS;
}

function leaseCell(writer: BranchWriter, signal: AbortSignal | undefined): LeaseCell {
  return {
    read: async () => {
      if (!isRecent(writer) || writer.state.lease.held) await writer.refresh(signal);
      return writer.state.lease;
    },
    swap: async (seen, next) => {
      const by = randomUUID();
      let swapped = false;
      await writer.write({
        apply: async (draft) => {
          swapped = draftLease(draft, { seen, next, by });
          return swapped;
        },
        landed: (state) => {
          swapped = state.lease.by === by;
          return swapped;
        },
        mayCut: !next.held,
      });
      return swapped;
    },
  };
}

/** Last reports in files by a stable hash of the device, of which only those that change are written. */
function reportShards(branch: GitBranch, handle: Handle): ReportStore {
  const { writer } = handle;
  return {
    load: async () => {
      await lookAtReports(handle);
      const reports = new Map<string, ReportedDevice>();
      for (const [path, oid] of writer.state.commit?.files ?? []) {
        if (!isShard(path)) continue;
        for (const [device, report] of parseReports(await branch.file(oid))) reports.set(device, report);
      }
      for (const [device, report] of writer.staged) reports.set(device, report);
      return [...reports.values()].toSorted((a, b) => compareText(a.device, b.device));
    },
    save: (reports) =>
      writer.write({
        apply: async (draft) => {
          await draftReports(draft, reports);
          return true;
        },
        landed: () => false,
        mayCut: false,
      }),
    stage: (reports) => {
      for (const report of reports) writer.staged.set(report.device, report);
    },
  };
}

function blobFiles(branch: GitBranch, writer: BranchWriter): BlobStore {
  const find = (name: string): string | undefined => writer.state.commit?.files.get(blobPath(name));
  return {
    put: async (bytes) => {
      const copy = Uint8Array.from(bytes);
      let name = digest('');
      await writer.write({
        apply: async (draft) => {
          name = await draftBlob(draft, copy);
          return true;
        },
        landed: () => false,
        mayCut: false,
      });
      return name;
    },
    get: async (name) => {
      if (find(name) === undefined) await writer.refresh();
      const oid = find(name);
      return oid === undefined ? undefined : asNamed(await branch.file(oid), name);
    },
  };
}
