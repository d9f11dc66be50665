import type { Declared } from '#model/declared.ts';
import type { Reported, ReportedDevice } from '#model/reported.ts';

/** Lays reports out in the rows of what is declared; reports of devices that are not declared are left out. */
export function reportedFor(declared: Declared, reports: Iterable<ReportedDevice>): Reported {
  const rows: (ReportedDevice | undefined)[] = Array.from({ length: declared.size });
  let next = 0;
  for (const report of reports) {
    // Reports are kept in the order of the rows, so the next one is nearly always where the last one ended.
    const row = next < declared.size && declared.deviceAt(next).id === report.device ? next : declared.rowOf(report.device);
    if (row === undefined) continue;
    rows[row] = report;
    next = row + 1;
  }
  return {
    size: declared.size,
    deviceAt: (row) => rows[row],
    valueAt: (row, item) => rows[row]?.items[item],
  };
}
