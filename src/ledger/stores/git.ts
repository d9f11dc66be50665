import { randomUUID } from 'node:crypto';
import { compareText } from '#kit/diagnostics.ts';
import type { ChainHead } from '#ledger/chain.ts';
import { LEASE_TTL_MS, type LeaseCell, acquireLease } from '#ledger/lease.ts';
import type { LedgerRecord } from '#model/records.ts';
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
  let seen: ChainHead | null = null;
  let lease: Lease | null = null;
  // The commit by which the lease was taken, until it has been read; then the one on which records were read last.
  let takenAt: string | null = null;
  let readAt: string | null = null;
  const isMine = (): boolean => {
    const { lease: row } = writer.state;
    return lease !== null && lease.leftMs() > 0 && row.held && row.fencing === lease.fencing;
  };
  const lookAtRecords = async (): Promise<ChainHead> => {
    // Whoever has just taken the lease knows the end of the ledger.
    const known = takenAt !== null && takenAt === writer.state.commit?.oid && isMine();
    if (!known) await writer.refresh();
    takenAt = null;
    const { seq, hash } = writer.state.head;
    seen = { seq, hash };
    // The reports that belong to these records are read from the same commit.
    readAt = writer.state.commit?.oid ?? null;
    return seen;
  };
  const lookAtReports = async (): Promise<void> => {
    const current = readAt !== null && readAt === writer.state.commit?.oid && (isMine() || isRecent(writer));
    if (!current) await writer.refresh();
  };
  return {
    kind: 'git',
    read: async () => {
      await lookAtRecords();
      return [...writer.records];
    },
    head: lookAtRecords,
    begun: async () => {
      writer.willMove();
      await writer.refresh();
      return writer.state.head.seq > 0;
    },
    append: async (bodies, fencing) => {
      let answer: readonly LedgerRecord[] | AppendProblem = [];
      await writer.write({
        apply: async (draft) => {
          // Several appends of one handle follow each other in one commit.
          const expected = draft.records.length > 0 ? draft.head : (seen ?? draft.head);
          answer = await draftRecords(draft, { bodies, fencing, expected });
          return !('code' in answer);
        },
        landed: (_state, records) => {
          const last = Array.isArray(answer) ? answer.at(-1) : undefined;
          return last !== undefined && records[last.seq - 1]?.hash === last.hash;
        },
        mayCut: false,
      });
      const result: readonly LedgerRecord[] | AppendProblem = answer;
      if ('code' in result) return result;
      const last = result.at(-1);
      if (last !== undefined && (seen === null || seen.seq < last.seq)) seen = { seq: last.seq, hash: last.hash };
      return result;
    },
    acquire: async (holder, signal) => {
      writer.willMove();
      const answer = await acquireLease(leaseCell(writer, signal), { holder, clock, ttlMs, signal });
      if (answer.kind === 'held') {
        lease = answer.lease;
        takenAt = writer.state.commit?.oid ?? null;
      }
      return answer;
    },
    beginAnew: async () => {
      writer.willMove();
      await writer.beginAnew();
      seen = null;
    },
    reports: reportShards(branch, writer, lookAtReports),
    blobs: blobFiles(branch, writer),
    close: () => branch.close(),
  };
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
function reportShards(branch: GitBranch, writer: BranchWriter, look: () => Promise<void>): ReportStore {
  return {
    load: async () => {
      await look();
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
