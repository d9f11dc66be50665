import { setTimeout as delay } from 'node:timers/promises';
import { sha256 } from '#kit/digest.ts';
import { compareText } from '#kit/diagnostics.ts';
import { type DeviceId, type Digest, digest } from '#model/ids.ts';
import type { LedgerRecord } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Clock } from '#ports/clock.ts';
import type { BlobStore, LedgerStore, ReportStore } from '#ports/ledger.ts';
import { EMPTY_HEAD, sealRecords } from '#ledger/chain.ts';
import { type LeaseCell, type LeaseRow, LEASE_TTL_MS, NO_LEASE, acquireLease } from '#ledger/lease.ts';

/** What several handles share, as several processes share a file: hand the same one to two stores to have two contenders. */
export interface MemoryStorage {
  records: LedgerRecord[];
  lease: LeaseRow;
  readonly reports: Map<DeviceId, ReportedDevice>;
  readonly blobs: Map<Digest, Uint8Array>;
}

export interface MemoryLedgerOptions {
  readonly clock?: Clock;
  readonly storage?: MemoryStorage;
  readonly leaseTtlMs?: number;
}

export function memoryStorage(): MemoryStorage {
  return { records: [], lease: NO_LEASE, reports: new Map(), blobs: new Map() };
}

/** A ledger that lives as long as its storage: for the demo, simulations and tests. The clock is the machine's by default. */
export function openMemoryLedger(options: MemoryLedgerOptions = {}): LedgerStore {
  const { clock = MACHINE_CLOCK, storage = memoryStorage(), leaseTtlMs: ttlMs = LEASE_TTL_MS } = options;
  const cell = leaseCell(storage);
  let known: number | null = null;
  return {
    kind: 'memory',
    read: async () => {
      known = storage.records.length;
      return [...storage.records];
    },
    head: async () => {
      known = storage.records.length;
      return headOf(storage);
    },
    append: async (bodies, fencing) => {
      if (fencing !== storage.lease.fencing) {
        return { code: 'FENCED', message: `fencing number ${fencing} is not that of the lease (${storage.lease.fencing})` };
      }
      if (known !== null && known !== storage.records.length) {
        return { code: 'MOVED', message: `the ledger ends with record ${storage.records.length}, not ${known} as last read` };
      }
      const appended = sealRecords(bodies, headOf(storage), fencing).map((sealed) => sealed.record);
      for (const record of appended) storage.records.push(record);
      known = storage.records.length;
      return appended;
    },
    acquire: (holder, signal) => acquireLease(cell, { holder, clock, ttlMs, signal }),
    reports: reportStore(storage),
    blobs: blobStore(storage),
    close: async () => undefined,
  };
}

const MACHINE_CLOCK: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
};

function headOf(storage: MemoryStorage) {
  const last = storage.records.at(-1);
  return last === undefined ? EMPTY_HEAD : { seq: last.seq, hash: last.hash };
}

function leaseCell(storage: MemoryStorage): LeaseCell {
  return {
    read: async () => storage.lease,
    swap: async (seen, next) => {
      if (storage.lease.fencing !== seen.fencing || storage.lease.beat !== seen.beat) return false;
      storage.lease = next;
      return true;
    },
  };
}

function reportStore(storage: MemoryStorage): ReportStore {
  return {
    load: async () => [...storage.reports.values()].toSorted((a, b) => compareText(a.device, b.device)),
    save: async (reports) => {
      for (const report of reports) storage.reports.set(report.device, structuredClone(report));
    },
  };
}

function blobStore(storage: MemoryStorage): BlobStore {
  return {
    put: async (bytes) => {
      const name = digest(sha256(bytes));
      storage.blobs.set(name, Uint8Array.from(bytes));
      return name;
    },
    get: async (name) => {
      const bytes = storage.blobs.get(name);
      return bytes === undefined ? undefined : Uint8Array.from(bytes);
    },
  };
}
