import { canonicalJson } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { type Result, err, ok } from '#kit/result.ts';
import { type Digest, digest } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import { LedgerError } from '#ports/ledger.ts';

const RECORD_VERSION = 1;

/** The end of a chain: the last number and hash, 0 and null for an empty ledger. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Digest | null;
}

export const EMPTY_HEAD: ChainHead = { seq: 0, hash: null };

/** A record as a store keeps it: the body as canonical JSON text, so that the hash is over the very bytes that are kept. */
export interface RecordRow {
  readonly version: number;
  readonly seq: number;
  readonly fencing: number;
  readonly prev: string | null;
  readonly hash: string;
  readonly body: string;
}

export interface SealedRecord {
  readonly row: RecordRow;
  readonly record: LedgerRecord;
}

export interface ChainProblem {
  readonly code: 'BROKEN_CHAIN' | 'TOO_NEW';
  readonly seq: number;
  readonly message: string;
}

/** Bodies this engine can fold. A ledger with another one was written by a newer engine. */
const BODY_TYPES: Readonly<Record<RecordBody['type'], true>> = {
  genesis: true,
  pass: true,
  inventory: true,
  pinned: true,
  event: true,
  intent: true,
  outcome: true,
  taken: true,
  closed: true,
  converged: true,
};

/**
 * Numbers the bodies from the head on and chains them. The records hold what a later read will hold (bodies after a
 * round trip through JSON), so a fold of an append and of a read cannot differ.
 */
export function sealRecords(bodies: readonly RecordBody[], head: ChainHead, fencing: number): readonly SealedRecord[] {
  const sealed: SealedRecord[] = [];
  let prev = head.hash;
  let seq = head.seq;
  for (const body of bodies) {
    seq += 1;
    const text = canonicalJson(body);
    const hash = hashOf({ version: RECORD_VERSION, seq, fencing, prev, body: text });
    const record: LedgerRecord = { version: RECORD_VERSION, seq, fencing, prev, hash, body: JSON.parse(text) as RecordBody };
    sealed.push({ record, row: { version: RECORD_VERSION, seq, fencing, prev, hash, body: text } });
    prev = hash;
  }
  return sealed;
}

/** The digest of {body, fencing, prev, seq, version} as canonical JSON, given the body's canonical text. */
function hashOf(row: Omit<RecordRow, 'hash'>): Digest {
  const prev = row.prev === null ? 'null' : JSON.stringify(row.prev);
  return digest(sha256(`{"body":${row.body},"fencing":${row.fencing},"prev":${prev},"seq":${row.seq},"version":${row.version}}`));
}

/** Whether the records continue the chain at `from` without a gap or a change; gives the new head. */
export function verifyChain(records: readonly LedgerRecord[], from: ChainHead = EMPTY_HEAD): Result<ChainHead, ChainProblem> {
  let head = from;
  for (const record of records) {
    const { body, ...rest } = record;
    const problem = problemOf({ ...rest, body: canonicalJson(body) }, head);
    if (problem !== null) return err(problem);
    head = { seq: record.seq, hash: record.hash };
  }
  return ok(head);
}

/** The record of a stored row that follows `head`. Throws LedgerError BROKEN_CHAIN or TOO_NEW. */
export function openRow(row: RecordRow, head: ChainHead): LedgerRecord {
  const problem = problemOf(row, head);
  if (problem !== null) throw new LedgerError(problem.code, problem.message);
  const body = parseBody(row);
  return {
    version: RECORD_VERSION,
    seq: row.seq,
    fencing: row.fencing,
    prev: row.prev === null ? null : digest(row.prev),
    hash: digest(row.hash),
    body,
  };
}

function problemOf(row: RecordRow, head: ChainHead): ChainProblem | null {
  if (row.version > RECORD_VERSION) {
    const message = `record ${row.seq} has version ${row.version}; this engine reads up to ${RECORD_VERSION}: use a newer Headgate`;
    return { code: 'TOO_NEW', seq: row.seq, message };
  }
  if (row.seq !== head.seq + 1) {
    return broken(row.seq, `record ${head.seq + 1} is missing: the next one found is ${row.seq}`);
  }
  if (row.prev !== head.hash) return broken(row.seq, `record ${row.seq} does not continue record ${head.seq}`);
  if (hashOf(row) !== row.hash) return broken(row.seq, `record ${row.seq} was changed after it was written: its hash differs`);
  return null;
}

function broken(seq: number, message: string): ChainProblem {
  return { code: 'BROKEN_CHAIN', seq, message };
}

function parseBody(row: RecordRow): RecordBody {
  let body: unknown;
  try {
    body = JSON.parse(row.body);
  } catch {
    throw new LedgerError('BROKEN_CHAIN', `record ${row.seq} is not JSON`);
  }
  const type = body !== null && typeof body === 'object' && 'type' in body ? body.type : undefined;
  if (typeof type !== 'string') throw new LedgerError('BROKEN_CHAIN', `record ${row.seq} has no type`);
  if (!Object.hasOwn(BODY_TYPES, type)) {
    throw new LedgerError('TOO_NEW', `record ${row.seq} is of a kind that this engine does not know: use a newer Headgate`);
  }
  return body as RecordBody;
}
