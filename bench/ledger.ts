import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { canonicalJson } from '#kit/canonical.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import { deviceId, digest, groupName, operationId, releaseId } from '#model/ids.ts';
import type { RecordBody } from '#model/records.ts';
import { systemClock } from '#transports/clock.ts';

interface Measured {
  readonly label: string;
  readonly ms: number;
}

const ROUNDS = 5;
const SINGLE = { appends: 300, records: 1 };
const BATCH = { appends: 10, records: 1000 };

/**
 * Appends of intents to the sqlite ledger (canonical JSON, hash chain, fencing, one synced commit each) against raw
 * inserts of the same texts into the same kind of table with equally many synced commits. The ratio is that of the
 * batches, as a pass makes them: with one record an append, both wait for the disk.
 */
export async function ledgerBench(): Promise<{ name: string; results: Measured[]; ratio: number; limit: number | null }> {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
  try {
    const results: Measured[] = [];
    let ratio = Number.NaN;
    for (const shape of [SINGLE, BATCH]) {
      const measured = await measure(folder, shape);
      const rows = shape.appends * shape.records;
      const per = `${shape.records} a commit, ${rows} records`;
      ratio = measured.ledger / measured.raw;
      results.push(
        { label: `${per}: raw inserts (${rate(rows, measured.raw)})`, ms: measured.raw },
        { label: `${per}: ledger (${rate(rows, measured.ledger)}, ${ratio.toFixed(2)} x)`, ms: measured.ledger },
      );
    }
    return { name: 'ledger', results, ratio, limit: null };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function rate(rows: number, ms: number): string {
  return `${Math.round((rows / ms) * 1000)} records/s`;
}

interface Shape {
  readonly appends: number;
  readonly records: number;
}

/** The rounds of both are interleaved and the medians compared, because the machine is noisy. */
async function measure(folder: string, shape: Shape): Promise<{ readonly raw: number; readonly ledger: number }> {
  const bodies = Array.from({ length: shape.records }, (_, at) => intent(at));
  const texts = bodies.map((body) => canonicalJson(body));
  const times = { raw: [] as number[], ledger: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = `${shape.records}-${round}`;
    times.raw.push(insertRaw(join(folder, `raw-${name}.db`), texts, shape.appends));
    times.ledger.push(await appendAll(join(folder, `ledger-${name}.db`), bodies, shape.appends));
  }
  return { raw: median(times.raw), ledger: median(times.ledger) };
}

function insertRaw(path: string, texts: readonly string[], appends: number): number {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE records (
    seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, fencing INTEGER NOT NULL, prev TEXT, hash TEXT NOT NULL, body TEXT NOT NULL
  ) STRICT`);
  const insert = database.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)');
  const hash = '0'.repeat(64);
  let seq = 0;
  const began = performance.now();
  for (let append = 0; append < appends; append += 1) {
    database.exec('BEGIN IMMEDIATE');
    for (const text of texts) insert.run((seq += 1), 1, 1, hash, hash, text);
    database.exec('COMMIT');
  }
  const took = performance.now() - began;
  database.close();
  return took;
}

async function appendAll(path: string, bodies: readonly RecordBody[], appends: number): Promise<number> {
  const store = openSqliteLedger({ path, clock: systemClock });
  const answer = await store.acquire('bench');
  if (answer.kind !== 'held') throw new Error('a new ledger is held by another');
  const began = performance.now();
  for (let append = 0; append < appends; append += 1) {
    const appended = await store.append(bodies, answer.lease.fencing);
    if (!Array.isArray(appended)) throw new Error('an append was refused');
  }
  const took = performance.now() - began;
  await store.close();
  return took;
}

function intent(at: number): RecordBody {
  const id = digest(at.toString(16).padStart(64, '0'));
  return {
    type: 'intent',
    attempt: 1,
    at: 1_790_000_000_000 + at,
    operation: {
      id: operationId(id),
      device: deviceId(`station-${at}`),
      family: 'campbell',
      connection: 'field',
      hardware: id,
      group: groupName('upland-met'),
      release: releaseId(id),
      occasion: at,
      cause: 'rollout',
      item: 'firmware',
      step: 'os',
      kind: 'change',
      delivery: 'push',
      declared: 'CR1000X.8.2.1',
      expected: 'CR1000X.8.1.0',
      facts: { dialect: 'os80', file: 'CR1000X.Std.08.02.01.obj' },
      content: { name: 'CR1000X.Std.08.02.01.obj', digest: id, size: 12_345_678 },
      deadlineMs: 1_800_000,
      effects: ['erases stored tables', 'restarts the device'],
      disturbs: true,
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
