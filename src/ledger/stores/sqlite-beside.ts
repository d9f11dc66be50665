import type { DatabaseSync } from 'node:sqlite';
import { sha256 } from '#kit/digest.ts';
import { digest } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { BlobStore, ReportStore } from '#ports/ledger.ts';
import { prepared, transact } from './sqlite-file.ts';

/** Runs work on the file; `absent` is the answer, and nothing is made, when there is no file yet. */
export interface FileAccess {
  look<T>(absent: T, work: (database: DatabaseSync) => T): Promise<T>;
  change<T>(work: (database: DatabaseSync) => T): Promise<T>;
}

/** Last reports as rows. A row that cannot be read counts as never reported: the next observation replaces it. */
export function reportRows(file: FileAccess): ReportStore {
  return {
    load: () =>
      file.look([], (database) => {
        const reports: ReportedDevice[] = [];
        for (const row of prepared(database, 'SELECT device, report FROM reports ORDER BY device').iterate()) {
          const report = parseReport(row['device'], row['report']);
          if (report !== null) reports.push(report);
        }
        return reports;
      }),
    save: (reports, at) =>
      file.change((database) => {
        const put = prepared(database, 'INSERT OR REPLACE INTO reports (device, at, report) VALUES (?, ?, ?)');
        transact(database, () => {
          for (const report of reports) put.run(report.device, at, JSON.stringify(report));
        });
      }),
  };
}

function parseReport(device: unknown, text: unknown): ReportedDevice | null {
  try {
    const report: unknown = JSON.parse(String(text));
    const named = report !== null && typeof report === 'object' && 'device' in report && report.device === device;
    return named ? (report as ReportedDevice) : null;
  } catch {
    return null;
  }
}

/** Bytes by digest. Bytes that no longer have their digest are as good as missing. */
export function blobRows(file: FileAccess): BlobStore {
  return {
    put: (bytes) =>
      file.change((database) => {
        const name = digest(sha256(bytes));
        prepared(database, 'INSERT OR REPLACE INTO blobs (digest, bytes) VALUES (?, ?)').run(name, bytes);
        return name;
      }),
    get: (name) =>
      file.look(undefined, (database) => {
        const bytes = prepared(database, 'SELECT bytes FROM blobs WHERE digest = ?').get(name)?.['bytes'];
        return bytes instanceof Uint8Array && sha256(bytes) === name ? bytes : undefined;
      }),
  };
}
