import type { Diagnostic, Place } from '#kit/diagnostics.ts';
import type { Device, DevicesDocument } from '#model/generated/fleet-repo.ts';
import type { Revision } from '#model/revision.ts';
import { kept, type DeclareCache } from './cache.ts';
import { cellPlace, delimiterOf, lineStarts, readCsv, type Delimiter } from './csv.ts';
import { findFile } from './files.ts';
import { defaultPlace, rowOf, type InventoryRow, type Origin, type TextMap } from './row.ts';
import { didYouMean } from './nearest.ts';
import { at, type SourceDocument } from './nodes.ts';
import { makeReport, type Report, type Words } from './report.ts';
import { decodeText } from './text.ts';

const LARGEST_CSV = 64 * 1024 * 1024;
const FIELDS = ['id', 'model', 'serial', 'address', 'site', 'zone', 'via', 'retired'] as const;
const MAPS = ['labels', 'values', 'options'] as const;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

type Column =
  | { readonly kind: 'field'; readonly index: number; readonly field: (typeof FIELDS)[number] }
  | { readonly kind: 'member'; readonly index: number; readonly map: (typeof MAPS)[number]; readonly name: string };

export interface SheetRows {
  readonly rows: readonly InventoryRow[];
  readonly partial: boolean;
}

interface Sheet {
  readonly file: string;
  readonly text: string;
  readonly delimiter: Delimiter;
  readonly report: Report;
  starts: readonly number[] | null;
}

interface ReadSheet extends SheetRows {
  readonly diagnostics: readonly Diagnostic[];
}

/** The rows of the CSV file that a Devices document names, typed by its columns. Each mistake has the row and column. */
export function readCsvRows(input: {
  readonly document: SourceDocument<DevicesDocument>;
  readonly revision: Revision;
  readonly cache: DeclareCache;
  readonly report: Report;
}): SheetRows {
  const { document, revision, report } = input;
  const place = at(document, 'from');
  const found = findFile(revision, document.data.from ?? '');
  if (!found.ok) {
    report.error(found.error.code, place, found.error);
    return { rows: [], partial: true };
  }
  const { path, oid, bytes } = found.value;
  if (bytes.length > LARGEST_CSV) {
    report.error(
      'FILE_TOO_LARGE',
      { file: path, line: 1, column: 1 },
      { summary: `the file has ${bytes.length} bytes; a CSV file may have ${LARGEST_CSV}` },
    );
    return { rows: [], partial: true };
  }
  const declaredBy = revision.files.get(document.file)?.oid ?? '';
  const key = `csv ${oid} ${path} ${declaredBy} ${document.file}:${document.node.line}`;
  const read = kept(input.cache, key, () => readSheet({ document, path, bytes }));
  report.add(read.diagnostics);
  return read;
}

function readSheet(input: { document: SourceDocument<DevicesDocument>; path: string; bytes: Uint8Array }): ReadSheet {
  const { document, path } = input;
  const report = makeReport();
  const decoded = decodeText(input.bytes);
  if (decoded.kind === 'not-text') {
    report.error(
      'NOT_UTF8',
      { file: path, line: decoded.line, column: decoded.column },
      {
        summary: decoded.utf16 ? 'the file is UTF-16, which Excel calls “Unicode Text”' : 'this is not UTF-8',
        fix: 'in Excel, save as “CSV UTF-8”',
      },
    );
    return { rows: [], partial: true, diagnostics: report.list() };
  }
  const sheet: Sheet = { file: path, text: decoded.text, delimiter: delimiterOf(decoded.text), report, starts: null };
  const rows = readRows(sheet, document);
  return { rows, partial: report.hasErrors(), diagnostics: report.list() };
}

function readRows(sheet: Sheet, document: SourceDocument<DevicesDocument>): InventoryRow[] {
  const { text, delimiter, report } = sheet;
  const rows: InventoryRow[] = [];
  const head: { value: Header | null } = { value: null };
  // A reference in a sheet is rare: one look at the whole text spares a look at each cell.
  const suspicious = /\$\{|#[A-Z]|\dE\+/i.test(text);
  const problem = readCsv(text, delimiter, (cells, line) => {
    if (head.value === null) {
      const columns = readHeader(cells, line, { sheet, document });
      head.value = { columns, width: cells.length, origin: originOf(sheet, document, columns), sound: !report.hasErrors() };
      return;
    }
    const { columns, width, origin, sound } = head.value;
    if (!hasWidth(cells, line, { sheet, width })) return;
    const damaged = suspicious && reportDamage(cells, line, { sheet, columns });
    const row = readRow({ cells, line, columns, origin, damaged: damaged || !sound });
    if (row.id !== '') rows.push(row);
    else {
      report.error('ID_MISSING', placeOfCell(sheet, line, columnOf(columns, 'id') ?? 0), {
        summary: 'this row has no id',
        fix: 'fill the id in, or take the row out',
      });
    }
  });
  if (problem !== null) {
    report.error(
      'CSV_QUOTE',
      { file: sheet.file, line: problem.line, column: problem.column },
      {
        summary: problem.kind === 'unclosed-quote' ? 'this quote is never closed' : 'text follows a closing quote',
        fix: 'put the whole cell in quotes, and double the quotes within it',
      },
    );
  } else if (head.value === null) {
    report.error('CSV_EMPTY', { file: sheet.file, line: 1, column: 1 }, { summary: 'the file has no header row' });
  }
  return head.value !== null && columnOf(head.value.columns, 'id') !== undefined ? rows : [];
}

interface Header {
  readonly columns: readonly Column[];
  readonly width: number;
  readonly origin: Origin;
  /** Every column is known, and none is missing. */
  readonly sound: boolean;
}

function readHeader(
  cells: readonly string[],
  line: number,
  context: { sheet: Sheet; document: SourceDocument<DevicesDocument> },
): readonly Column[] {
  const { sheet, document } = context;
  const { report } = sheet;
  const { columns: declared, ignore = [] } = document.data;
  const wanted = new Map(Object.entries(declared ?? {}).map(([field, header]) => [header ?? '', field]));
  const columns: Column[] = [];
  const seen = new Set<string>();
  for (const [index, header] of cells.entries()) {
    // Excel pads a sheet with nameless columns; what stands below them is caught as a row that is too long.
    if (header === '') continue;
    const place = (): Place => placeOfCell(sheet, line, index);
    if (seen.has(header)) report.error('CSV_COLUMN_TWICE', place(), { summary: `the column \`${header}\` is there twice` });
    seen.add(header);
    const field = declared === undefined ? header : wanted.get(header);
    const column = field === undefined ? null : columnFor(field, index);
    if (column !== null) columns.push(column);
    else if (!ignore.includes(header)) {
      report.error('CSV_COLUMN_UNKNOWN', place(), {
        summary: `nothing says what the column \`${header}\` is`,
        fix:
          didYouMean(header, declared === undefined ? FIELDS : wanted.keys()) ??
          `name it in \`columns:\` or \`ignore:\` of ${document.file}`,
      });
    }
  }
  for (const [header, field] of wanted) {
    if (seen.has(header)) continue;
    report.error('CSV_COLUMN_MISSING', at(document, 'columns', field), {
      summary: `${sheet.file} has no column \`${header}\``,
      fix: didYouMean(header, seen) ?? `its columns are: ${[...seen].join(', ')}`,
    });
  }
  if (declared === undefined && !seen.has('id')) {
    report.error('CSV_COLUMN_MISSING', placeOfCell(sheet, line, 0), {
      summary: 'no column is called `id`',
      fix: `say in \`columns:\` of ${document.file} which column is which`,
    });
  }
  return columns;
}

function columnFor(field: string, index: number): Column | null {
  const plain = FIELDS.find((one) => one === field);
  if (plain !== undefined) return { kind: 'field', index, field: plain };
  const map = MAPS.find((one) => field.startsWith(`${one}.`));
  const name = map === undefined ? '' : field.slice(map.length + 1);
  return map === undefined || !NAME.test(name) ? null : { kind: 'member', index, map, name };
}

function readRow(input: {
  cells: readonly string[];
  line: number;
  columns: readonly Column[];
  origin: Origin;
  damaged: boolean;
}): InventoryRow {
  const { cells, line, columns, origin, damaged } = input;
  const device: Device = {};
  let id = '';
  let labels: Record<string, string> | undefined;
  let values: Record<string, string> | undefined;
  let options: Record<string, string> | undefined;
  for (const column of columns) {
    const cell = cells[column.index] ?? '';
    // An empty cell says nothing: the default holds.
    if (cell === '') continue;
    if (column.kind === 'field') {
      if (column.field === 'id') id = cell;
      else device[column.field] = cell;
    } else if (column.map === 'labels') (labels ??= {})[column.name] = cell;
    else if (column.map === 'values') (values ??= {})[column.name] = cell;
    else (options ??= {})[column.name] = cell;
  }
  if (labels !== undefined) device.labels = labels;
  if (values !== undefined) device.values = values;
  if (options !== undefined) device.options = options satisfies TextMap;
  return rowOf({ id, line, origin, device, damaged });
}

function hasWidth(cells: readonly string[], line: number, context: { sheet: Sheet; width: number }): boolean {
  const { sheet, width } = context;
  if (cells.length === width) return true;
  const extra = cells.findIndex((cell, index) => index >= width && cell !== '');
  if (cells.length > width && extra < 0) return true;
  sheet.report.error('CSV_ROW_LENGTH', placeOfCell(sheet, line, extra < 0 ? 0 : extra), {
    summary: `this row has ${cells.length} cells and the header ${width}`,
    fix: extra < 0 ? 'fill the row up to the last column' : `put a cell that contains \`${sheet.delimiter}\` in quotes`,
  });
  return false;
}

/** What Excel does to a sheet: long numbers become 5.1E+17 and lose their digits, broken formulas become #REF!. */
function damageOf(cell: string, column: Column): { readonly code: string; readonly words: Words } | null {
  if (/^#([A-ZÄÖÜ/0]+[!?]|N\/[AV])$/.test(cell)) {
    const summary = `\`${cell}\` is an error of a formula in Excel`;
    return { code: 'EXCEL_ERROR', words: { summary, fix: 'write the value itself' } };
  }
  if (column.kind === 'field' && /^\d([.,]\d+)?E\+\d+$/i.test(cell)) {
    const summary = `Excel has turned this ${column.field} into the number \`${cell}\` and lost its digits`;
    return { code: 'EXCEL_NUMBER', words: { summary, fix: 'format the column as Text in Excel, then enter it again' } };
  }
  if (/\$\{(env|file):/.test(cell)) {
    return { code: 'ENV_MISPLACED', words: { summary: `\`${cell}\`: \${env:} and \${file:} may stand only in fleet.yaml` } };
  }
  if (cell.includes('${') && !(column.kind === 'member' && column.map === 'values')) {
    return {
      code: 'REFERENCE_MISPLACED',
      words: { summary: `\`${cell}\`: a reference may stand only in a value`, fix: 'write the text itself' },
    };
  }
  return null;
}

function reportDamage(cells: readonly string[], line: number, context: { sheet: Sheet; columns: readonly Column[] }): boolean {
  const { sheet, columns } = context;
  let damaged = false;
  for (const column of columns) {
    const damage = damageOf(cells[column.index] ?? '', column);
    if (damage === null) continue;
    damaged = true;
    sheet.report.error(damage.code, placeOfCell(sheet, line, column.index), damage.words);
  }
  return damaged;
}

function originOf(sheet: Sheet, document: SourceDocument<DevicesDocument>, columns: readonly Column[]): Origin {
  return {
    document,
    placeOf(row, field) {
      const index = field === null ? undefined : columnOf(columns, field);
      if (index !== undefined) return placeOfCell(sheet, row.line, index);
      const start = { file: sheet.file, line: row.line, column: 1 };
      return field === null ? start : (defaultPlace(document, field) ?? start);
    },
  };
}

function columnOf(columns: readonly Column[], field: string): number | undefined {
  return columns.find((column) => (column.kind === 'field' ? column.field : `${column.map}.${column.name}`) === field)?.index;
}

function placeOfCell(sheet: Sheet, line: number, index: number): Place {
  sheet.starts ??= lineStarts(sheet.text);
  const start = sheet.starts[line - 1] ?? 0;
  return { file: sheet.file, ...cellPlace(sheet.text, sheet.delimiter, { start, line, index }) };
}
