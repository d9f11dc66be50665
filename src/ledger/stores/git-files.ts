import { compareText } from '#kit/diagnostics.ts';
import { stableFraction } from '#kit/digest.ts';
import { type LeaseRow, NO_LEASE } from '#ledger/lease.ts';
import type { ChainHead } from '#ledger/chain.ts';
import { EMPTY_HEAD } from '#ledger/chain.ts';
import { digest } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { LedgerError } from '#ports/ledger.ts';

export const LEDGER_REF = 'refs/heads/headgate/ledger';
/**
 * A second branch that moves with the first, in the same push: whoever puts the ledger's branch back, or deletes it, leaves
 * this one ahead. A branch, and not a ref of our own, because every host takes one and no clone trips over it when it moves.
 */
export const WITNESS_REF = 'refs/heads/headgate/witness';

export const README_FILE = 'README.md';
export const LEDGER_FILE = 'ledger.json';
export const HEAD_FILE = 'head.json';
export const LEASE_FILE = 'lease.json';

const FORMAT = 1;
const SHARDS = 64;

/** Where the branch stands: the end of the chain, and the number of this write. */
export interface BranchHead extends ChainHead {
  /** Grows by one with each commit and never falls, so that of two commits the later one is known without their history. */
  readonly write: number;
  /** The write at which the history of the branch was cut, or was last tried to be. */
  readonly squashed: number;
}

export const EMPTY_BRANCH: BranchHead = { ...EMPTY_HEAD, write: 0, squashed: 0 };

/** The lease with a mark of the swap that wrote it, by which a writer knows its own. */
export interface MarkedLease extends LeaseRow {
  readonly by: string;
}

export const UNMARKED_LEASE: MarkedLease = { ...NO_LEASE, by: '' };

const encoder = new TextEncoder();

function jsonFile(value: unknown): Uint8Array {
  return encoder.encode(`${JSON.stringify(value, null, 2)}\n`);
}

export function ledgerFile(id: string): Uint8Array {
  return jsonFile({ format: FORMAT, id });
}

/** `by` makes each write a commit of its own, even when two writers write the same at the same time. */
export function headFile(head: BranchHead, by: string): Uint8Array {
  const { seq, hash, write, squashed } = head;
  return jsonFile({ seq, hash, write, squashed, by });
}

export function leaseFile({ fencing, beat, holder, held, by }: MarkedLease): Uint8Array {
  return jsonFile({ holder, held, fencing, beat, by });
}

/** The id in ledger.json. Throws LedgerError NOT_A_LEDGER or TOO_NEW. */
export function parseLedgerFile(bytes: Uint8Array, place: string): string {
  const value = parseJson(bytes);
  const format = value['format'];
  if (typeof format !== 'number' || typeof value['id'] !== 'string') {
    throw new LedgerError('NOT_A_LEDGER', `${place} has a ${LEDGER_FILE} that is not one`);
  }
  if (format > FORMAT)
    throw new LedgerError('TOO_NEW', `${place} has format ${format}; this engine reads up to ${FORMAT}: use a newer Headgate`);
  return value['id'];
}

/** Throws LedgerError BROKEN_CHAIN for a file that was meddled with. */
export function parseHeadFile(bytes: Uint8Array, place: string): BranchHead {
  const { seq, hash, write, squashed } = parseJson(bytes);
  const end = typeof hash === 'string' ? digest(hash) : null;
  if (!isCount(seq) || !isCount(write) || !isCount(squashed) || (seq === 0) !== (end === null)) {
    throw new LedgerError('BROKEN_CHAIN', `${HEAD_FILE} of ${place} cannot be read`);
  }
  return { seq, hash: end, write, squashed };
}

/** Throws LedgerError BROKEN_CHAIN for a file that was meddled with: no number of a lease may be handed out twice. */
export function parseLeaseFile(bytes: Uint8Array, place: string): MarkedLease {
  const { fencing, beat, holder, held, by } = parseJson(bytes);
  if (!isCount(fencing) || !isCount(beat) || typeof holder !== 'string' || typeof held !== 'boolean' || typeof by !== 'string') {
    throw new LedgerError('BROKEN_CHAIN', `${LEASE_FILE} of ${place} cannot be read`);
  }
  return { fencing, beat, holder, held, by };
}

function parseJson(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    return value !== null && typeof value === 'object' ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** A file of records; `first` is the number of its first one. */
export interface Segment {
  readonly first: number;
  readonly path: string;
}

export function segmentAt(first: number): Segment {
  return { first, path: `records/${String(first).padStart(9, '0')}.jsonl` };
}

/** The files of records among the paths of a commit, in their order. */
export function segmentsIn(paths: Iterable<string>): readonly Segment[] {
  const segments: Segment[] = [];
  for (const path of paths) {
    const [, digits] = /^records\/(\d{9,15})\.jsonl$/.exec(path) ?? [];
    if (digits !== undefined) segments.push({ first: Number(digits), path });
  }
  return segments.toSorted((a, b) => a.first - b.first);
}

export function shardPath(device: string): string {
  const shard = Math.floor(stableFraction(device) * SHARDS);
  return `reports/${shard.toString(16).padStart(2, '0')}.jsonl`;
}

export function isShard(path: string): boolean {
  return /^reports\/[0-9a-f]{2}\.jsonl$/.test(path);
}

/** Reports by device. A line that cannot be read counts as never reported: the next observation replaces it. */
export function parseReports(bytes: Uint8Array): Map<string, ReportedDevice> {
  const reports = new Map<string, ReportedDevice>();
  for (const line of textOf(bytes).split('\n')) {
    const report = line === '' ? {} : parseJson(encoder.encode(line));
    const device = report['device'];
    if (typeof device === 'string') reports.set(device, report as unknown as ReportedDevice);
  }
  return reports;
}

export function reportLines(reports: ReadonlyMap<string, ReportedDevice>): Uint8Array {
  const sorted = [...reports].toSorted(([a], [b]) => compareText(a, b));
  return encoder.encode(sorted.map(([, report]) => `${JSON.stringify(report)}\n`).join(''));
}

export function blobPath(name: string): string {
  return `blobs/${name.slice(0, 2)}/${name}`;
}

/** What a person finds who looks at the branch. */
export const README = encoder.encode(`# The ledger of a fleet

Headgate keeps here what it intended, did and saw. Every commit is one write, and every push a comparison with what was
there: do not edit, rebase or force-push this branch. \`headgate/witness\` moves with it; when this branch was put back or
deleted by accident, it still has the last state:

    git push --force origin origin/headgate/witness:refs/heads/headgate/ledger

| file | holds |
| --- | --- |
| \`ledger.json\` | format and id of the ledger |
| \`head.json\` | number and hash of the last record, number of the last write |
| \`records/*.jsonl\` | the records, one a line, each with the hash of the one before; a file is named by its first record |
| \`lease.json\` | who may write: one runner at a time |
| \`reports/*.jsonl\` | the last report of each device; replaced, not appended |
| \`blobs/\` | bytes by SHA-256: what an offer replaced, so that it can be put back |

\`headgate history\` reads it. Without Headgate:

    git show origin/headgate/ledger:head.json
    git archive origin/headgate/ledger records | tar -xO | jq -c '[.seq, .body.type]'
    git log --oneline origin/headgate/ledger
`);
