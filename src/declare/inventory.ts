import type { Place } from '#kit/diagnostics.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Device, DevicesDocument, Via as ViaData } from '#model/generated/fleet-repo.ts';
import type { Via } from '#model/declared.ts';
import type { Revision } from '#model/revision.ts';
import type { DeclareCache } from './cache.ts';
import { readCsvRows } from './inventory-csv.ts';
import { at, keyAt, nodeAt, type SourceDocument } from './nodes.ts';
import type { Report } from './report.ts';

/** Text as written, or a mapping or list of it: what `options` and `settings` hold before a family's schema types it. */
export type TextTree = string | readonly TextTree[] | { readonly [key: string]: TextTree };
export type TextMap = Readonly<Record<string, TextTree>>;
export type Texts = Readonly<Record<string, string>>;

/** Knows where the fields of the devices of one document or sheet stand. `field` is `serial`, `labels.ring`, … */
export interface Origin {
  readonly document: SourceDocument<DevicesDocument>;
  placeOf(row: InventoryRow, field: string | null): Place;
}

/** A device as the inventory has it, with the defaults of its document, before groups and overrides are looked at. */
export interface InventoryRow {
  readonly id: string;
  /** The line of a sheet; 0 for a device in YAML. */
  readonly line: number;
  readonly origin: Origin;
  readonly family: string;
  readonly model: string;
  readonly serial: string | null;
  readonly address: string | null;
  readonly site: string | null;
  readonly zone: string | null;
  readonly via: Via | null;
  /** Whether `via` is the device's own, which a group's does not change. */
  readonly ownVia: boolean;
  readonly labels: Texts;
  readonly values: Texts;
  readonly options: TextMap;
  readonly retired: string | null;
  /** A part of it could not be read, which was reported: what it lacks is not told again. */
  readonly damaged: boolean;
}

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

/** Where the document says what all its devices have of a field; undefined when it does not. */
export function defaultPlace(document: SourceDocument<DevicesDocument>, field: string): Place | undefined {
  const path = fieldPath(field);
  const found = [['defaults', ...path], path].find((one) => nodeAt(document.node, one) !== undefined);
  return found === undefined ? undefined : at(document, ...found);
}

/** `labels.ring` → labels, ring: the rest of a name may have dots of its own. */
function fieldPath(field: string): string[] {
  const dot = field.indexOf('.');
  return dot < 0 ? [field] : [field.slice(0, dot), field.slice(dot + 1)];
}

/** A row out of what is written for the device and the defaults of its document. */
export function rowOf(input: { id: string; line: number; origin: Origin; device: Device; damaged: boolean }): InventoryRow {
  const { id, line, origin, device, damaged } = input;
  const { data } = origin.document;
  const defaults = data.defaults ?? {};
  const via = device.via ?? defaults.via ?? data.via;
  return {
    id,
    line,
    origin,
    family: data.family,
    model: device.model ?? defaults.model ?? '',
    serial: device.serial ?? null,
    address: device.address ?? null,
    site: device.site ?? defaults.site ?? null,
    zone: device.zone ?? defaults.zone ?? null,
    via: via === undefined ? null : viaOf(via),
    ownVia: device.via !== undefined,
    labels: joined(defaults.labels, device.labels),
    values: joined(defaults.values, device.values),
    options: { ...asTree(data.options), ...asTree(defaults.options), ...asTree(device.options) },
    retired: device.retired ?? null,
    damaged,
  };
}

const NOTHING: Texts = Object.freeze({});

function joined(defaults: Texts | undefined, own: Texts | undefined): Texts {
  if (defaults === undefined) return own ?? NOTHING;
  return own === undefined ? defaults : { ...defaults, ...own };
}

export function viaOf(via: ViaData): Via {
  return typeof via === 'string' ? { connection: via, to: null } : { connection: via.from, to: via.to };
}

/** The generated type of an open mapping says nothing of its values; in YAML read as text they can only be these. */
export function asTree(map: Readonly<Record<string, unknown>> | undefined): TextMap {
  return (map ?? NOTHING) as TextMap;
}
