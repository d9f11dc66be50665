import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { LedgerError } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';

/** `HGLD`: marks the file as a ledger of ours, so that no other program's database is ever written into. */
const APPLICATION_ID = 0x48474c44;
const FORMAT = 1;
/** Another process holds the write lock for a few milliseconds at a time; longer means that something is stuck. */
const BUSY_TIMEOUT_MS = 5000;

const SCHEMA = `
  CREATE TABLE records (
    seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, fencing INTEGER NOT NULL, prev TEXT, hash TEXT NOT NULL, body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT) STRICT;
  CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), fencing INTEGER NOT NULL, beat INTEGER NOT NULL, holder TEXT NOT NULL, held INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE reports (device TEXT PRIMARY KEY, at INTEGER NOT NULL, report TEXT NOT NULL) STRICT;
  CREATE TABLE blobs (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  INSERT INTO head VALUES (1, 0, NULL);
  INSERT INTO lease VALUES (1, 0, 0, '', 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT};
`;

/**
 * Opens the file, made when it is not there. WAL with a sync at every commit: what was acknowledged survives a killed
 * process and a lost power supply. Throws LedgerError NOT_A_LEDGER or TOO_NEW, and WireError for trouble of the file system.
 */
export function openLedgerFile(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    if (format(database, path) === 'empty') {
      database.exec('PRAGMA journal_mode = WAL');
      transact(database, () => {
        if (format(database, path) === 'empty') database.exec(SCHEMA);
      });
    }
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function format(database: DatabaseSync, path: string): 'empty' | 'ledger' {
  const application = pragma(database, 'application_id');
  const version = pragma(database, 'user_version');
  if (application === APPLICATION_ID) {
    if (version <= FORMAT) return 'ledger';
    throw new LedgerError('TOO_NEW', `${path} has format ${version}; this engine reads up to ${FORMAT}: use a newer Headgate`);
  }
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get();
  if (application === 0 && version === 0 && tables?.['count'] === 0) return 'empty';
  throw new LedgerError('NOT_A_LEDGER', `${path} is a database of another program`);
}

function pragma(database: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
}

const statements = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

/** The prepared statement of this text, compiled once per open file. */
export function prepared(database: DatabaseSync, sql: string): StatementSync {
  let known = statements.get(database);
  if (known === undefined) {
    known = new Map();
    statements.set(database, known);
  }
  let statement = known.get(sql);
  if (statement === undefined) {
    statement = database.prepare(sql);
    known.set(sql, statement);
  }
  return statement;
}

/** Runs the work in one transaction that holds the write lock from its beginning; nothing of it stays when it throws. */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

const SQLITE_ERROR = 1;
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** What an error of node:sqlite means to the engine; anything else is given back as it is. */
export function ledgerErrorOf(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error;
  const primary = error.errcode & 0xff;
  if (primary === SQLITE_NOTADB) return new LedgerError('NOT_A_LEDGER', `${path} is not an sqlite database`);
  if (primary === SQLITE_ERROR) return new LedgerError('NOT_A_LEDGER', `${path} does not have the tables of a ledger: ${error.message}`);
  if (primary === SQLITE_CORRUPT) return new LedgerError('BROKEN_CHAIN', `${path} is damaged: ${error.message}`);
  const retry = primary === SQLITE_BUSY || primary === SQLITE_LOCKED ? 'later' : 'never';
  return new WireError(`SQLITE_${primary}`, retry, `${path}: ${error.message}`, error);
}
