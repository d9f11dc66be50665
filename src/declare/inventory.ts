import { compareText } from '#kit/diagnostics.ts';
import type { DevicesDocument } from '#model/generated/fleet-repo.ts';
import type { Revision } from '#model/revision.ts';
import type { DeclareCache } from './cache.ts';
import { readCsvRows } from './inventory-csv.ts';
import { at, keyAt, nodeAt, type SourceDocument } from './nodes.ts';
import type { Report } from './report.ts';
import { defaultPlace, fieldPath, rowOf, type InventoryRow, type Origin } from './row.ts';

export interface Inventory {
  /** In code unit order of the id. */
  readonly rows: readonly InventoryRow[];
  readonly byId: ReadonlyMap<string, InventoryRow>;
  /** Something of it could not be read: what only follows from that is not told. */
  readonly partial: boolean;
}

/** A device with any other key has a misspelt one. */
const DEVICE_KEYS = new Set(['model', 'serial', 'address', 'site', 'zone', 'via', 'labels', 'values', 'options', 'retired']);

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** All devices of all Devices documents, with duplicates and impossible ids reported. */
export function readInventory(input: {
  readonly documents: readonly SourceDocument<DevicesDocument>[];
  readonly revision: Revision;
  readonly cache: DeclareCache;
  readonly report: Report;
}): Inventory {
  const { report } = input;
  const byId = new Map<string, InventoryRow>();
  let partial = false;
  for (const document of input.documents) {
    const { data } = document;
    if (data.from === undefined && data.devices === undefined) {
      report.error('MISSING_KEY', at(document), {
        summary: 'the document declares no devices',
        fix: 'add `devices:`, or `from:` with a CSV file',
      });
    }
    const written = rowsInYaml(document);
    const sheet = data.from === undefined ? { rows: [], partial: false } : readCsvRows({ ...input, document });
    partial ||= sheet.partial;
    for (const row of written) addRow(row, byId, report);
    for (const row of sheet.rows) addRow(row, byId, report);
  }
  const rows = sorted([...byId.values()]);
  reportTwice(rows, { field: 'serial', code: 'DUPLICATE_SERIAL', report });
  reportTwice(rows, { field: 'address', code: 'DUPLICATE_ADDRESS', report });
  return { rows, byId, partial };
}

function sorted(rows: InventoryRow[]): InventoryRow[] {
  // A sheet is often in order already, and looking costs a hundredth of sorting.
  let ordered = true;
  for (let index = 1; index < rows.length && ordered; index += 1) ordered = (rows[index - 1]?.id ?? '') < (rows[index]?.id ?? '');
  return ordered ? rows : rows.toSorted((a, b) => compareText(a.id, b.id));
}

function addRow(row: InventoryRow, byId: Map<string, InventoryRow>, report: Report): void {
  if (!ID.test(row.id)) {
    report.error('BAD_NAME', row.origin.placeOf(row, 'id'), {
      summary: `\`${row.id}\` cannot be the id of a device`,
      fix: 'use letters, digits, dots, dashes and underscores, and begin with a letter or digit',
    });
    return;
  }
  const before = byId.get(row.id);
  if (before === undefined) {
    byId.set(row.id, row);
    return;
  }
  report.error('DUPLICATE_ID', row.origin.placeOf(row, 'id'), {
    summary: `the device \`${row.id}\` is declared twice`,
    fix: 'give one of them another id',
    also: [before.origin.placeOf(before, 'id')],
  });
}

/** One box cannot stand in two places. Addresses are compared per connection, serials per model. */
function reportTwice(
  rows: readonly InventoryRow[],
  check: { readonly field: 'serial' | 'address'; readonly code: string; readonly report: Report },
): void {
  const { field } = check;
  const seenBy = new Map<string, Map<string, InventoryRow>>();
  for (const row of rows) {
    const value = row[field];
    if (value === null) continue;
    const scope = field === 'serial' ? row.model : (row.via?.connection ?? '');
    let seen = seenBy.get(scope);
    if (seen === undefined) seenBy.set(scope, (seen = new Map()));
    const before = seen.get(value);
    if (before === undefined) seen.set(value, row);
    else if (before.family === row.family) {
      check.report.error(check.code, row.origin.placeOf(row, field), {
        summary: `\`${before.id}\` and \`${row.id}\` have the same ${field} \`${value}\``,
        fix: 'one box cannot stand in two places: correct one of them',
        also: [before.origin.placeOf(before, field)],
      });
    }
  }
}

function rowsInYaml(document: SourceDocument<DevicesDocument>): InventoryRow[] {
  const origin: Origin = {
    document,
    placeOf(row, field) {
      const key = keyAt(document, 'devices', row.id);
      if (field === null || field === 'id') return key;
      const path = ['devices', row.id, ...fieldPath(field)];
      if (nodeAt(document.node, path) !== undefined) return at(document, ...path);
      return defaultPlace(document, field) ?? key;
    },
  };
  return Object.entries(document.data.devices ?? {}).map(([id, device]) =>
    rowOf({ id, line: 0, origin, device, damaged: !Object.keys(device).every((key) => DEVICE_KEYS.has(key)) }),
  );
}
