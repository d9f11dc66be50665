import { Bench } from 'tinybench';
import { makeDeclareCache } from '#declare/cache.ts';
import { readInventory, type Inventory } from '#declare/inventory.ts';
import { readDocuments } from '#declare/documents.ts';
import { makeReport } from '#declare/report.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';

const ROWS = 100_000;
/** The inventory may cost so many times what JSON.parse of the same rows does. */
const LIMIT = 5;

const DEVICES = `kind: Devices
family: campbell
via: field
defaults: { zone: Europe/London }
from: devices/loggers.csv
columns: { id: Station, model: Logger, serial: Serial, address: UID, site: Site, labels.catchment: Catchment, labels.ring: Ring, values.program: Program }
ignore: [Notes]
`;

interface BenchAnswer {
  readonly name: string;
  readonly results: { readonly label: string; readonly ms: number }[];
  readonly ratio: number;
  readonly limit: number;
}

/**
 * 100,000 CSV rows read, typed, indexed by id, checked for duplicates, against JSON.parse of the same rows as objects.
 * Both are measured in turn in one run, medians are compared.
 */
export async function inventoryBench(): Promise<BenchAnswer> {
  const rows = sheetRows();
  const csv = [Object.keys(rows[0] ?? {}).join(','), ...rows.map((row) => Object.values(row).join(','))].join('\n');
  const json = JSON.stringify(rows);
  const revision = revisionOfFiles({ 'devices/loggers.yaml': DEVICES, 'devices/loggers.csv': csv });
  const floor = 'JSON.parse of the same rows';
  const label = 'inventory from CSV';
  const samples = new Map<string, number[]>();
  // Interleaved, so that a noisy minute of the machine hits both alike.
  for (let round = 0; round < 7; round += 1) {
    const bench = new Bench({ iterations: 1, time: 0, warmup: round === 0, warmupIterations: 2, warmupTime: 0 });
    bench.add(floor, () => JSON.parse(json));
    bench.add(label, () => readOnce(revision));
    await bench.run();
    for (const task of bench.tasks) {
      const { result } = task;
      if (result.state === 'completed') samples.set(task.name, [...(samples.get(task.name) ?? []), result.latency.p50]);
    }
  }
  const results = [floor, label].map((name) => ({ label: name, ms: median(samples.get(name) ?? []) }));
  return { name: 'inventory', results, ratio: (results[1]?.ms ?? 0) / (results[0]?.ms ?? 1), limit: LIMIT };
}

function readOnce(revision: ReturnType<typeof revisionOfFiles>): Inventory {
  // A fresh cache each time: what is measured is a sheet that has just changed.
  const cache = makeDeclareCache();
  const report = makeReport();
  const documents = readDocuments(revision, cache, report);
  const inventory = readInventory({ documents: documents.byKind.Devices, revision, cache, report });
  if (report.list().length > 0 || inventory.rows.length !== ROWS) throw new Error('the inventory was not read');
  return inventory;
}

function sheetRows(): Record<string, string>[] {
  return Array.from({ length: ROWS }, (_, index) => ({
    Station: `station-${String(index).padStart(6, '0')}`,
    Logger: index % 3 === 0 ? 'CR6' : 'CR1000X',
    Serial: String(100_000 + index),
    UID: `QU8Q-${String(index).padStart(6, '0')}-HVP8`,
    Site: `site-${index % 500}`,
    Catchment: ['tees', 'eden', 'wear'][index % 3] ?? '',
    Ring: index % 50 === 0 ? 'canary' : '',
    Program: `PROGRAM_${index}_v1.CR1X`,
    Notes: 'by the gate',
  }));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
