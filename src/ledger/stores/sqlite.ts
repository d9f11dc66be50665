import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { type ChainHead, EMPTY_HEAD, type RecordRow, openRow, sealRecords } from '#ledger/chain.ts';
import { LEASE_TTL_MS, type LeaseCell, type LeaseRow, acquireLease } from '#ledger/lease.ts';
import { digest } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import type { Clock } from '#ports/clock.ts';
import { type AppendProblem, LedgerError, type LedgerStore } from '#ports/ledger.ts';
import { type FileAccess, blobRows, reportRows } from './sqlite-beside.ts';
import { ledgerErrorOf, openLedgerFile, prepared, transact } from './sqlite-file.ts';

export interface SqliteLedgerOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly leaseTtlMs?: number;
}

/** The records this handle has read and verified, so that the next read looks only at what came after. */
interface Verified {
  records: LedgerRecord[];
  head: ChainHead;
}

/**
 * The ledger in one sqlite file, shared by any number of processes of one machine (not over a network file system).
 * Opened at the first use; a look at a ledger that is not there yet makes no file. The chain is verified when it is read
 * first, after that only what was added. Calls throw LedgerError, or WireError `SQLITE_n` for trouble of the file.
 */
export function openSqliteLedger(options: SqliteLedgerOptions): LedgerStore {
  const { path, clock, leaseTtlMs: ttlMs = LEASE_TTL_MS } = options;
  const verified: Verified = { records: [], head: EMPTY_HEAD };
  let looked = false;
  let database: DatabaseSync | null = null;
  async function change<T>(work: (open: DatabaseSync) => T): Promise<T> {
    try {
      database ??= openLedgerFile(path);
      return work(database);
    } catch (error) {
      throw ledgerErrorOf(error, path);
    }
  }
  const file: FileAccess = {
    change,
    look: async (absent, work) => (database === null && !existsSync(path) ? absent : await change(work)),
  };
  return {
    kind: 'sqlite',
    read: () =>
      file.look([], (open) => {
        looked = true;
        catchUp(open, verified);
        return [...verified.records];
      }),
    head: () =>
      file.look<ChainHead>(EMPTY_HEAD, (open) => {
        looked = true;
        return catchUp(open, verified);
      }),
    append: (bodies, fencing) =>
      change((open) => {
        if (!looked) catchUp(open, verified);
        looked = true;
        const expected = verified.head;
        const answer = transact(open, () => appendRows(open, { bodies, fencing, expected }));
        if (!isAppended(answer)) return answer;
        for (const record of answer) verified.records.push(record);
        const last = answer.at(-1);
        if (last !== undefined) verified.head = { seq: last.seq, hash: last.hash };
        return answer;
      }),
    acquire: (holder, signal) => acquireLease(leaseCell(file), { holder, clock, ttlMs, signal }),
    reports: reportRows(file),
    blobs: blobRows(file),
    close: async () => {
      database?.close();
      database = null;
    },
  };
}

function isAppended(answer: readonly LedgerRecord[] | AppendProblem): answer is readonly LedgerRecord[] {
  return Array.isArray(answer);
}

/** Reads and verifies what was added since; the recorded head shows a chain whose end was cut off. */
function catchUp(database: DatabaseSync, verified: Verified): ChainHead {
  const { seq, hash } = verified.head;
  if (seq > 0) {
    const known = prepared(database, 'SELECT hash FROM records WHERE seq = ?').get(seq);
    if (known?.['hash'] !== hash) throw new LedgerError('BROKEN_CHAIN', `record ${seq} is not the one that was read before`);
  }
  database.exec('BEGIN');
  try {
    const rows = prepared(database, 'SELECT version, seq, fencing, prev, hash, body FROM records WHERE seq > ? ORDER BY seq');
    const added: LedgerRecord[] = [];
    let head = verified.head;
    for (const row of rows.iterate(seq)) {
      const record = openRow(row as unknown as RecordRow, head);
      added.push(record);
      head = { seq: record.seq, hash: record.hash };
    }
    const end = headRow(database);
    if (end.seq !== head.seq || end.hash !== head.hash) {
      throw new LedgerError('BROKEN_CHAIN', `the ledger ended with record ${end.seq}; the last one found is ${head.seq}`);
    }
    for (const record of added) verified.records.push(record);
    verified.head = head;
    return head;
  } finally {
    database.exec('COMMIT');
  }
}

function headRow(database: DatabaseSync): ChainHead {
  const row = prepared(database, 'SELECT seq, hash FROM head').get();
  const hash = row?.['hash'];
  return { seq: Number(row?.['seq'] ?? 0), hash: typeof hash === 'string' ? digest(hash) : null };
}

interface AppendRequest {
  readonly bodies: readonly RecordBody[];
  readonly fencing: number;
  readonly expected: ChainHead;
}

function appendRows(database: DatabaseSync, request: AppendRequest): readonly LedgerRecord[] | AppendProblem {
  const { bodies, fencing, expected } = request;
  const lease = leaseRow(database);
  if (fencing !== lease.fencing) {
    return { code: 'FENCED', message: `fencing number ${fencing} is not that of the lease (${lease.fencing})` };
  }
  const head = headRow(database);
  if (head.seq !== expected.seq || head.hash !== expected.hash) {
    return { code: 'MOVED', message: `the ledger ends with record ${head.seq}, not ${expected.seq} as last read` };
  }
  const insert = prepared(database, 'INSERT INTO records (seq, version, fencing, prev, hash, body) VALUES (?, ?, ?, ?, ?, ?)');
  const sealed = sealRecords(bodies, head, fencing);
  for (const { row } of sealed) insert.run(row.seq, row.version, row.fencing, row.prev, row.hash, row.body);
  const last = sealed.at(-1);
  if (last !== undefined) prepared(database, 'UPDATE head SET seq = ?, hash = ?').run(last.row.seq, last.row.hash);
  return sealed.map(({ record }) => record);
}

function leaseRow(database: DatabaseSync): LeaseRow {
  const row = prepared(database, 'SELECT fencing, beat, holder, held FROM lease').get();
  return {
    fencing: Number(row?.['fencing'] ?? 0),
    beat: Number(row?.['beat'] ?? 0),
    holder: String(row?.['holder'] ?? ''),
    held: row?.['held'] === 1,
  };
}

function leaseCell(file: FileAccess): LeaseCell {
  return {
    read: () => file.change(leaseRow),
    swap: (seen, next) =>
      file.change((database) => {
        const sql = 'UPDATE lease SET fencing = ?, beat = ?, holder = ?, held = ? WHERE fencing = ? AND beat = ?';
        const done = prepared(database, sql).run(next.fencing, next.beat, next.holder, next.held ? 1 : 0, seen.fencing, seen.beat);
        return done.changes === 1;
      }),
  };
}
