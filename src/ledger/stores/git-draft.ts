import { sha256 } from '#kit/digest.ts';
import { type ChainHead, type SealedRecord, sealRecords } from '#ledger/chain.ts';
import type { LeaseRow } from '#ledger/lease.ts';
import { recordLines } from '#ledger/lines.ts';
import { type Digest, digest } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { GitBranch } from '#ports/git-branch.ts';
import type { AppendProblem } from '#ports/ledger.ts';
import {
  HEAD_FILE,
  LEASE_FILE,
  LEDGER_FILE,
  type MarkedLease,
  README,
  README_FILE,
  type Segment,
  blobPath,
  headFile,
  leaseFile,
  ledgerFile,
  parseReports,
  reportLines,
  segmentAt,
  shardPath,
  textOf,
} from './git-files.ts';
import type { BranchState } from './git-state.ts';

/** Lines of one file of records; above it a file is complete and is never written again. */
const SEGMENT_BYTES = 512 * 1024;

/** The next commit in the making: what several writers of one process want to write goes into one. */
export interface Draft {
  readonly state: BranchState;
  readonly changes: Map<string, Uint8Array | null>;
  head: ChainHead;
  lease: MarkedLease;
  segments: readonly Segment[];
  /** The records that were sealed into it. */
  readonly records: LedgerRecord[];
  /** What it is about, for its message. */
  readonly words: string[];
  read(path: string): Promise<Uint8Array | undefined>;
}

export function draftOn(branch: GitBranch, state: BranchState): Draft {
  const changes = new Map<string, Uint8Array | null>();
  return {
    state,
    changes,
    head: { seq: state.head.seq, hash: state.head.hash },
    lease: state.lease,
    segments: state.segments,
    records: [],
    words: [],
    read: async (path) => {
      const changed = changes.get(path);
      if (changed !== undefined) return changed ?? undefined;
      const oid = state.commit?.files.get(path);
      return oid === undefined ? undefined : await branch.file(oid);
    },
  };
}

/** Adds what every commit has: the head with the number of this write, and all that a new branch begins with. */
export function finishDraft(
  draft: Draft,
  options: { readonly id: string; readonly by: string; readonly squash: boolean },
): BranchState['head'] {
  const { state, changes } = draft;
  const write = state.head.write + 1;
  const head = { ...draft.head, write, squashed: options.squash ? write : state.head.squashed };
  changes.set(HEAD_FILE, headFile(head, options.by));
  if (state.commit === null) {
    changes.set(README_FILE, README);
    changes.set(LEDGER_FILE, ledgerFile(options.id));
    changes.set(LEASE_FILE, leaseFile(draft.lease));
  }
  return head;
}

export interface AppendWish {
  readonly bodies: readonly RecordBody[];
  readonly fencing: number;
  readonly expected: ChainHead;
}

/** Seals the records into the draft, if the lease and the head are those that the writer believes in. */
export async function draftRecords(draft: Draft, wish: AppendWish): Promise<readonly LedgerRecord[] | AppendProblem> {
  const { bodies, fencing, expected } = wish;
  if (fencing !== draft.lease.fencing) {
    return { code: 'FENCED', message: `fencing number ${fencing} is not that of the lease (${draft.lease.fencing})` };
  }
  if (draft.head.seq !== expected.seq || draft.head.hash !== expected.hash) {
    return { code: 'MOVED', message: `the ledger ends with record ${draft.head.seq}, not ${expected.seq} as last read` };
  }
  const sealed = sealRecords(bodies, draft.head, fencing);
  const last = sealed.at(-1);
  if (last === undefined) return [];
  await addSegment(draft, sealed);
  draft.head = { seq: last.row.seq, hash: last.record.hash };
  const records = sealed.map(({ record }) => record);
  for (const record of records) draft.records.push(record);
  draft.words.push(records.length === 1 ? `record ${last.row.seq}` : `records ${last.row.seq - records.length + 1} to ${last.row.seq}`);
  return records;
}

/**
 * A new file for the records, into which the last ones are drawn while they are not much larger: each record is written
 * again a few times only, and the branch has few files.
 */
async function addSegment(draft: Draft, sealed: readonly SealedRecord[]): Promise<void> {
  const segments = [...draft.segments];
  let first = draft.head.seq + 1;
  let text = recordLines(sealed.map(({ row }) => row));
  for (let last = segments.at(-1); last !== undefined; last = segments.at(-1)) {
    const bytes = await draft.read(last.path);
    if (bytes === undefined || bytes.length > 2 * text.length || bytes.length + text.length > SEGMENT_BYTES) break;
    text = textOf(bytes) + text;
    first = last.first;
    draft.changes.set(last.path, null);
    segments.pop();
  }
  const segment = segmentAt(first);
  draft.changes.set(segment.path, Buffer.from(text));
  draft.segments = [...segments, segment];
}

/** Writes the lease if it is still the one that was seen. */
export function draftLease(draft: Draft, swap: { readonly seen: LeaseRow; readonly next: LeaseRow; readonly by: string }): boolean {
  const { seen, next, by } = swap;
  if (draft.lease.fencing !== seen.fencing || draft.lease.beat !== seen.beat) return false;
  draft.lease = { fencing: next.fencing, beat: next.beat, holder: next.holder, held: next.held, by };
  draft.changes.set(LEASE_FILE, leaseFile(draft.lease));
  const what = next.held ? (next.fencing === seen.fencing ? 'renewed' : 'taken') : 'released';
  draft.words.push(`lease ${next.fencing} ${what} by ${JSON.stringify(next.holder)}`);
  return true;
}

/** Replaces reports in their shards; shards that stay as they are are not written. */
export async function draftReports(draft: Draft, reports: Iterable<ReportedDevice>): Promise<void> {
  const byShard = new Map<string, ReportedDevice[]>();
  for (const report of reports) {
    const path = shardPath(report.device);
    const inShard = byShard.get(path) ?? [];
    inShard.push(report);
    byShard.set(path, inShard);
  }
  let count = 0;
  for (const [path, inShard] of byShard) {
    const before = await draft.read(path);
    const known = before === undefined ? new Map<string, ReportedDevice>() : parseReports(before);
    for (const report of inShard) known.set(report.device, report);
    const after = reportLines(known);
    if (before !== undefined && Buffer.compare(before, after) === 0) continue;
    draft.changes.set(path, after);
    count += inShard.length;
  }
  if (count > 0) draft.words.push(`reports of ${count} devices`);
}

export async function draftBlob(draft: Draft, bytes: Uint8Array): Promise<Digest> {
  const name = sha256(bytes);
  const path = blobPath(name);
  const before = await draft.read(path);
  if (before === undefined || Buffer.compare(before, bytes) !== 0) {
    draft.changes.set(path, bytes);
    draft.words.push(`bytes ${name.slice(0, 7)}`);
  }
  return digest(name);
}
