import { sha256 } from '#kit/digest.ts';
import { type ChainHead, EMPTY_HEAD, openRow } from '#ledger/chain.ts';
import { parseRecordLines } from '#ledger/lines.ts';
import type { LedgerRecord } from '#model/records.ts';
import type { GitBranch, GitCommit } from '#ports/git-branch.ts';
import { LedgerError } from '#ports/ledger.ts';
import {
  type BranchHead,
  EMPTY_BRANCH,
  HEAD_FILE,
  LEASE_FILE,
  LEDGER_FILE,
  LEDGER_REF,
  type MarkedLease,
  type Segment,
  UNMARKED_LEASE,
  parseHeadFile,
  parseLeaseFile,
  parseLedgerFile,
  segmentsIn,
  textOf,
} from './git-files.ts';

/** The branch as one commit has it; `commit` is null for a ledger that has not begun. */
export interface BranchState {
  readonly commit: GitCommit | null;
  /** Where the witness stands. */
  readonly witness: string | null;
  readonly head: BranchHead;
  readonly lease: MarkedLease;
  readonly segments: readonly Segment[];
}

export const NOTHING: BranchState = { commit: null, witness: null, head: EMPTY_BRANCH, lease: UNMARKED_LEASE, segments: [] };

/** The records that this handle has read and verified, so that the next look reads only what came after. */
export interface Verified {
  records: LedgerRecord[];
  head: ChainHead;
  /** Oids of files that were read and verified. */
  segments: Set<string>;
}

export function nothingVerified(): Verified {
  return { records: [], head: EMPTY_HEAD, segments: new Set() };
}

/** Reads what a commit says of the ledger, the records not yet. Throws LedgerError NOT_A_LEDGER, TOO_NEW, BROKEN_CHAIN. */
export async function openState(
  branch: GitBranch,
  commit: GitCommit,
  witness: string | null,
): Promise<BranchState & { readonly id: string }> {
  const place = `${LEDGER_REF} of ${branch.place}`;
  const read = async (path: string): Promise<Uint8Array> => {
    const oid = commit.files.get(path);
    if (oid !== undefined) return await branch.file(oid);
    if (path === LEDGER_FILE) throw new LedgerError('NOT_A_LEDGER', `${place} is a branch of something else: it has no ${LEDGER_FILE}`);
    throw new LedgerError('BROKEN_CHAIN', `${path} of ${place} is missing`);
  };
  const id = parseLedgerFile(await read(LEDGER_FILE), place);
  const head = parseHeadFile(await read(HEAD_FILE), place);
  const lease = parseLeaseFile(await read(LEASE_FILE), place);
  return { id, commit, witness, head, lease, segments: segmentsIn(commit.files.keys()) };
}

/** Reads and verifies the records that were added. Throws LedgerError BROKEN_CHAIN, TOO_NEW; nothing is kept then. */
export async function catchUp(branch: GitBranch, state: BranchState, verified: Verified): Promise<void> {
  const added: LedgerRecord[] = [];
  const segments = new Set<string>();
  let head = verified.head;
  let next = 1;
  for (const [index, { first, path }] of state.segments.entries()) {
    const oid = state.commit?.files.get(path) ?? '';
    const name = `${path} of ${branch.place}`;
    if (first !== next) throw new LedgerError('BROKEN_CHAIN', `record ${next} is missing: the file that follows begins with ${first}`);
    const following = state.segments[index + 1]?.first ?? state.head.seq + 1;
    next = following;
    segments.add(oid);
    if (verified.segments.has(oid)) continue;
    const rows = parseRecordLines(textOf(await branch.file(oid)), name);
    if (rows.length !== following - first)
      throw new LedgerError('BROKEN_CHAIN', `${name} has ${rows.length} records, not ${following - first}`);
    for (const row of rows) {
      if (row.seq <= verified.head.seq) {
        if (verified.records[row.seq - 1]?.hash !== row.hash) {
          throw new LedgerError('BROKEN_CHAIN', `record ${row.seq} is not the one that was read before`);
        }
        continue;
      }
      const record = openRow(row, head);
      added.push(record);
      head = { seq: record.seq, hash: record.hash };
    }
  }
  if (head.seq !== state.head.seq || head.hash !== state.head.hash) {
    throw new LedgerError('BROKEN_CHAIN', `the ledger ended with record ${state.head.seq}; the last one found is ${head.seq}`);
  }
  for (const record of added) verified.records.push(record);
  verified.head = head;
  verified.segments = segments;
}

/** Why a branch is older than one that was seen, or not its continuation: null when it may be trusted. */
export function rewoundFrom(seen: Pick<BranchState, 'head' | 'lease'>, now: BranchState, records: readonly LedgerRecord[]): string | null {
  const { head, lease } = now;
  if (head.write < seen.head.write || head.seq < seen.head.seq) {
    return `is at write ${head.write} with ${head.seq} records; it was at write ${seen.head.write} with ${seen.head.seq}`;
  }
  if (seen.head.hash !== null && records[seen.head.seq - 1]?.hash !== seen.head.hash) {
    return `does not continue the ledger of ${seen.head.seq} records that was there`;
  }
  if (lease.fencing < seen.lease.fencing) return `has a lease with number ${lease.fencing}; ${seen.lease.fencing} was given out`;
  return null;
}

/** Bytes by SHA-256; bytes that no longer have their digest are as good as missing. */
export function asNamed(bytes: Uint8Array, name: string): Uint8Array | undefined {
  return sha256(bytes) === name ? Uint8Array.from(bytes) : undefined;
}
