import { sha256, stableFraction } from '#kit/digest.ts';
import { compareText } from '#kit/diagnostics.ts';
import { digest } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { BlobStore, ReportStore } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import { type LedgerPlace, backOff, inParallel, isPassing, persistently } from './s3-place.ts';

/** Fixed for ever, as the names of the objects follow from it: a few objects for a small fleet, some MB each for 100,000 devices. */
const SHARDS = 32;
const ATTEMPTS = 7;

interface Shard {
  readonly etag: string | null;
  readonly text: string;
  /** Lines by device. */
  readonly lines: ReadonlyMap<string, string>;
}

const EMPTY_SHARD: Shard = { etag: null, text: '', lines: new Map() };

/**
 * Last reports, one a line, in a fixed number of objects by a hash of the device: only those whose devices reported are
 * written, each by compare-and-swap. A line that cannot be read counts as never reported.
 */
export function reportShards(place: LedgerPlace): ReportStore {
  return {
    load: async () => {
      const listed = await place.list('reports/');
      const shards = await inParallel(listed, ({ key }) => readShard(place, key));
      const reports = shards.flatMap((shard) => [...shard.lines.values()].map((line) => JSON.parse(line) as ReportedDevice));
      return reports.toSorted((a, b) => compareText(a.device, b.device));
    },
    save: async (reports) => {
      const byShard = Map.groupBy(reports, ({ device }) => shardKey(device));
      await inParallel([...byShard], ([key, members]) => saveShard(place, key, members));
    },
  };
}

function shardKey(device: string): string {
  const number = Math.floor(stableFraction(device) * SHARDS);
  return `reports/${String(number).padStart(2, '0')}.jsonl`;
}

async function readShard(place: LedgerPlace, key: string): Promise<Shard> {
  const found = await place.get(key);
  if (found === 'missing') return EMPTY_SHARD;
  const text = Buffer.from(found.bytes).toString();
  const lines = new Map<string, string>();
  for (const line of text.split('\n')) {
    const device = deviceIn(line);
    if (device !== null && shardKey(device) === key) lines.set(device, line);
  }
  return { etag: found.etag, text, lines };
}

function deviceIn(line: string): string | null {
  try {
    const report: unknown = JSON.parse(line);
    const named = report !== null && typeof report === 'object' && 'device' in report;
    return named && typeof report.device === 'string' ? report.device : null;
  } catch {
    return null;
  }
}

async function saveShard(place: LedgerPlace, key: string, reports: readonly ReportedDevice[]): Promise<void> {
  const news = reports.map((report) => [report.device, JSON.stringify(report)] as const);
  let trouble: WireError | null = null;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (trouble !== null && attempt > 1) await backOff(place.clock, attempt - 1);
    try {
      const shard = await readShard(place, key);
      const lines = [...new Map([...shard.lines, ...news])].toSorted(([a], [b]) => compareText(a, b));
      const text = lines.map(([, line]) => `${line}\n`).join('');
      // Also what an earlier try with a lost answer has done already.
      if (text === shard.text) return;
      const condition = shard.etag === null ? { ifAbsent: true } : { ifMatch: shard.etag };
      if ((await place.put(key, text, { contentType: 'application/x-ndjson', ...condition })) !== 'conflict') return;
      trouble = null;
    } catch (error) {
      if (!isPassing(error)) throw error;
      trouble = error;
    }
  }
  throw trouble ?? new WireError('S3_CONTENDED', 'later', `${place.name(key)} changes faster than it can be written`);
}

/** Bytes by digest. Bytes that no longer have their digest are as good as missing, and a further put heals them. */
export function blobObjects(place: LedgerPlace): BlobStore {
  return {
    put: async (bytes) => {
      const copy = Uint8Array.from(bytes);
      const name = digest(sha256(copy));
      await persistently(place.clock, () => place.put(`blobs/${name}`, copy, { contentType: 'application/octet-stream' }));
      return name;
    },
    get: async (name) => {
      const found = await place.get(`blobs/${name}`);
      if (found === 'missing') return undefined;
      return sha256(found.bytes) === name ? found.bytes : undefined;
    },
  };
}
