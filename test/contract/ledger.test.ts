import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { verifyChain } from '#ledger/chain.ts';
import { memoryStorage, openMemoryLedger } from '#ledger/stores/memory.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import { digest } from '#model/ids.ts';
import type { RecordBody } from '#model/records.ts';
import { LedgerError, type LedgerStore } from '#ports/ledger.ts';
import { VirtualClock } from '#sim/clock.ts';
import { appended, ledgerContract } from './ledger.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-ledger-'));
  folders.push(folder);
  return join(folder, 'state', 'ledger.db');
}

ledgerContract('memory', async () => {
  const storage = memoryStorage();
  return { handle: (clock) => openMemoryLedger({ clock, storage }), clean: async () => undefined };
});

ledgerContract('sqlite', async () => {
  const path = newPath();
  return { handle: (clock) => openSqliteLedger({ path, clock }), clean: async () => undefined };
});

const pass: Extract<RecordBody, { type: 'pass' }> = {
  type: 'pass',
  commit: 'a',
  tree: digest('0'.repeat(64)),
  engine: '0.1.0',
  planned: 3,
  at: 0,
};

function openAt(path: string): LedgerStore {
  return openSqliteLedger({ path, clock: new VirtualClock(0) });
}

/** A ledger of five records, closed again. */
async function writtenLedger(): Promise<string> {
  const path = newPath();
  const store = openAt(path);
  const answer = await store.acquire('test');
  if (answer.kind !== 'held') throw new Error('busy');
  await appended(store, [pass, pass, pass], answer.lease.fencing);
  await appended(store, [pass, { ...pass, commit: 'b' }], answer.lease.fencing);
  await answer.lease.release();
  await store.close();
  return path;
}

function edit(path: string, ...statements: readonly string[]): void {
  const database = new DatabaseSync(path);
  for (const statement of statements) database.exec(statement);
  database.close();
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof LedgerError ? error.code : String(error);
}

describe('a ledger file that was meddled with', () => {
  const copyRow5As = (seq: number) => `INSERT INTO records SELECT ${seq}, version, fencing, prev, hash, body FROM records WHERE seq = 5`;

  it.each([
    ['a body', `UPDATE records SET body = replace(body, '"planned":3', '"planned":4') WHERE seq = 2`, 'BROKEN_CHAIN'],
    ['white space in a body', `UPDATE records SET body = body || ' ' WHERE seq = 2`, 'BROKEN_CHAIN'],
    ['a fencing number', 'UPDATE records SET fencing = 7 WHERE seq = 4', 'BROKEN_CHAIN'],
    ['a hash', `UPDATE records SET hash = '${'0'.repeat(64)}' WHERE seq = 5`, 'BROKEN_CHAIN'],
    ['a link', 'UPDATE records SET prev = NULL WHERE seq = 3', 'BROKEN_CHAIN'],
    ['the first record removed', 'DELETE FROM records WHERE seq = 1', 'BROKEN_CHAIN'],
    ['a record in the middle removed', 'DELETE FROM records WHERE seq = 3', 'BROKEN_CHAIN'],
    ['the end cut off', 'DELETE FROM records WHERE seq = 5', 'BROKEN_CHAIN'],
    ['all records removed', 'DELETE FROM records', 'BROKEN_CHAIN'],
    ['a record repeated at the end', copyRow5As(6), 'BROKEN_CHAIN'],
    ['two records exchanged', 'UPDATE records SET seq = 9 - seq WHERE seq = 4; UPDATE records SET seq = 4 WHERE seq = 5', 'BROKEN_CHAIN'],
    ['a newer version of a record', 'UPDATE records SET version = 2 WHERE seq = 5', 'TOO_NEW'],
    ['a newer format', 'PRAGMA user_version = 2', 'TOO_NEW'],
    ['a table removed', 'DROP TABLE head', 'NOT_A_LEDGER'],
  ])('is found out: %s', async (_what, statement, code) => {
    const path = await writtenLedger();
    expect((await openAt(path).read()).length).toBe(5);
    try {
      edit(path, statement);
    } catch {
      // Exchanging two rows meets its own key in between: done in two steps by way of a free number.
      edit(
        path,
        'UPDATE records SET seq = 99 WHERE seq = 4',
        'UPDATE records SET seq = 4 WHERE seq = 5',
        'UPDATE records SET seq = 5 WHERE seq = 99',
      );
    }
    for (const look of [(store: LedgerStore) => store.read(), (store: LedgerStore) => store.head()]) {
      const store = openAt(path);
      expect(await codeOf(look(store))).toBe(code);
      await store.close();
    }
    const store = openAt(path);
    expect(await codeOf(store.append([pass], 1)), 'nothing is added to it').toBe(code);
    await store.close();
  });

  it('is found out by a handle that has read it before, when the end it knows is gone', async () => {
    const path = await writtenLedger();
    const store = openAt(path);
    await store.read();
    edit(path, 'DELETE FROM records WHERE seq = 5', 'UPDATE head SET seq = 4, hash = (SELECT hash FROM records WHERE seq = 4)');
    expect(await codeOf(store.read())).toBe('BROKEN_CHAIN');
    await store.close();
  });

  it('is not taken for a ledger when it is another database, no database, or damaged', async () => {
    const other = join(mkdtempSync(join(tmpdir(), 'headgate-ledger-')), 'other.db');
    folders.push(join(other, '..'));
    edit(other, 'CREATE TABLE theirs (a)', 'INSERT INTO theirs VALUES (1)');
    expect(await codeOf(openAt(other).read())).toBe('NOT_A_LEDGER');
    expect(await codeOf(openAt(other).acquire('a'))).toBe('NOT_A_LEDGER');
    const database = new DatabaseSync(other);
    expect(database.prepare('SELECT name FROM sqlite_schema').all().length, 'nothing was made in it').toBe(1);
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' });
    database.close();
    writeFileSync(other, 'kind: Fleet\n'.repeat(100));
    expect(await codeOf(openAt(other).read())).toBe('NOT_A_LEDGER');
    const path = await writtenLedger();
    truncateSync(path, statSync(path).size - 4096);
    expect(['BROKEN_CHAIN', 'NOT_A_LEDGER']).toContain(await codeOf(openAt(path).read()));
  });

  it('loses a report or bytes that were changed, not the ledger', async () => {
    const path = await writtenLedger();
    const store = openAt(path);
    const name = await store.blobs.put(Buffer.from('previous config'));
    edit(path, `UPDATE blobs SET bytes = x'00'`, `INSERT INTO reports VALUES ('a', 0, '{"device":'), ('b', 0, '{"device":"c"}')`);
    expect(await store.blobs.get(name)).toBeUndefined();
    expect(await store.reports.load()).toEqual([]);
    expect((await store.read()).length).toBe(5);
    await store.close();
  });
});

describe('a ledger file', () => {
  it('is not made by looking at it', async () => {
    const path = newPath();
    const store = openAt(path);
    expect([await store.read(), (await store.head()).seq, await store.reports.load()]).toEqual([[], 0, []]);
    expect(existsSync(path)).toBe(false);
    await store.reports.save([], 0);
    expect(existsSync(path)).toBe(true);
    await store.close();
  });

  it('is one file after it is closed, and can be opened again', async () => {
    const path = await writtenLedger();
    expect([existsSync(`${path}-wal`), existsSync(`${path}-shm`)]).toEqual([false, false]);
    const store = openAt(path);
    expect((await store.read()).length).toBe(5);
    await store.close();
    expect((await store.read()).length).toBe(5);
    await store.close();
  });

  it('is in WAL mode, so that readers and the writer do not block each other', async () => {
    const path = await writtenLedger();
    const database = new DatabaseSync(path);
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    database.close();
  });
});

/** Runs the writer until it has acknowledged so many appends, kills it, and gives the last number it acknowledged. */
function writeUntilKilled(path: string, acknowledgements: number): Promise<number> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve('./ledger-writer.ts')), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('latin1');
      if (output.split('\n').length > acknowledgements) child.kill('SIGKILL');
    });
    child.on('close', (_code, signal) => {
      const complete = output.slice(0, output.lastIndexOf('\n')).split('\n');
      if (signal === 'SIGKILL') resolve(Number(complete.at(-1)));
      else reject(new Error('the writer ended by itself'));
    });
  });
}

describe('kill -9 while appending', () => {
  it('keeps every acknowledged append whole, and the next writer goes on', async () => {
    const path = newPath();
    let before = 0;
    for (const acknowledgements of [1, 3, 40, 200]) {
      const acknowledged = await writeUntilKilled(path, acknowledgements);
      expect(acknowledged).toBeGreaterThan(before);
      const store = openAt(path);
      const records = await store.read();
      await store.close();
      expect(records.length).toBeGreaterThanOrEqual(acknowledged);
      expect(records.length % 3, 'an append is there as a whole or not at all').toBe(0);
      expect(verifyChain(records).ok).toBe(true);
      before = records.length;
    }
  });
});
