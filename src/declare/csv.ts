/** Receives each row in order. `cells` is reused for the next row: take what is needed. Lines count from 1. */
export type RowVisitor = (cells: readonly string[], line: number) => void;

export interface CsvProblem {
  readonly kind: 'unclosed-quote' | 'text-after-quote';
  readonly line: number;
  readonly column: number;
}

export type Delimiter = ',' | ';' | '\t';

const QUOTE = 34;
const CARRIAGE_RETURN = 13;

/**
 * Reads CSV as RFC 4180 has it and Excel writes it: `,` `;` or tab, quotes, CRLF, line breaks within quotes, a first
 * line `sep=;`. Rows without any text are passed over. A broken quote ends the reading: what follows has no meaning.
 */
export function readCsv(text: string, delimiter: Delimiter, visit: RowVisitor): CsvProblem | null {
  const cells: string[] = [];
  const length = text.length;
  let line = 1;
  let at = sepLineEnd(text);
  if (at > 0) line = 2;
  let quote = text.indexOf('"', at);
  while (at < length) {
    const rowLine = line;
    cells.length = 0;
    if (quote >= 0 && quote < at) quote = text.indexOf('"', at);
    let end = text.indexOf('\n', at);
    if (end < 0) end = length;
    if (quote < 0 || quote > end) {
      splitPlain(text, { at, end, delimiter }, cells);
      at = end + 1;
      line += 1;
    } else {
      const read = splitQuoted(text, { at, line, delimiter }, cells);
      if (read.problem !== null) return read.problem;
      at = read.at;
      line = read.line;
    }
    if (cells.some(isFilled)) visit(cells, rowLine);
  }
  return null;
}

function isFilled(cell: string): boolean {
  return cell !== '';
}

function splitPlain(text: string, row: { at: number; end: number; delimiter: string }, cells: string[]): void {
  const { delimiter } = row;
  const end = row.end > row.at && text.charCodeAt(row.end - 1) === CARRIAGE_RETURN ? row.end - 1 : row.end;
  let from = row.at;
  for (let next = text.indexOf(delimiter, from); next >= 0 && next < end; next = text.indexOf(delimiter, from)) {
    cells.push(text.slice(from, next).trim());
    from = next + 1;
  }
  cells.push(text.slice(from, end).trim());
}

interface QuotedRow {
  readonly at: number;
  readonly line: number;
  readonly problem: CsvProblem | null;
}

function splitQuoted(text: string, row: { at: number; line: number; delimiter: string }, cells: string[]): QuotedRow {
  let { at, line } = row;
  let lineStart = at;
  for (;;) {
    let cell = '';
    if (text.charCodeAt(at) === QUOTE) {
      const opened = { line, column: at - lineStart + 1 };
      const close = closingQuote(text, at + 1);
      if (close < 0) return { at, line, problem: { kind: 'unclosed-quote', ...opened } };
      cell = text.slice(at + 1, close).replaceAll('""', '"');
      for (let broken = text.indexOf('\n', at); broken >= 0 && broken < close; broken = text.indexOf('\n', broken + 1)) {
        line += 1;
        lineStart = broken + 1;
      }
      at = close + 1;
    }
    const next = cellEnd(text, at, row.delimiter);
    const rest = text.slice(at, next).trim();
    if (cell !== '' && rest !== '') return { at, line, problem: { kind: 'text-after-quote', line, column: at - lineStart + 1 } };
    cells.push(cell === '' ? rest : cell.trim());
    if (text[next] !== row.delimiter) return { at: next + 1, line: line + 1, problem: null };
    at = next + 1;
  }
}

function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text.charCodeAt(at + 1) !== QUOTE) return at;
  }
  return -1;
}

function cellEnd(text: string, from: number, delimiter: string): number {
  const end = text.indexOf('\n', from);
  const next = text.indexOf(delimiter, from);
  const last = end < 0 ? text.length : end;
  return next < 0 || next > last ? last : next;
}

/** Excel's own first line `sep=;` names the delimiter: where it ends, 0 when it is not there. */
function sepLineEnd(text: string): number {
  const found = /^sep=[,;\t]\r?\n/.exec(text);
  return found === null ? 0 : found[0].length;
}

/** The delimiter: named by `sep=`, or the one that the first line has most of outside quotes. */
export function delimiterOf(text: string): Delimiter {
  const named = /^sep=([,;\t])\r?\n/.exec(text)?.[1];
  if (named === ',' || named === ';' || named === '\t') return named;
  const end = text.indexOf('\n');
  const head = (end < 0 ? text : text.slice(0, end)).replaceAll(/"[^"]*"/g, '');
  const counts = ([',', ';', '\t'] as const).map((delimiter) => ({ delimiter, count: head.split(delimiter).length }));
  return counts.reduce((best, one) => (one.count > best.count ? one : best)).delimiter;
}

/** The offset at which each line begins: mistakes need it, so it is made when the first one is met. */
export function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** Where a cell begins (line and column from 1), by looking at its row again. `start` is the offset of the row's line. */
export function cellPlace(
  text: string,
  delimiter: Delimiter,
  cell: { readonly start: number; readonly line: number; readonly index: number },
): { line: number; column: number } {
  let at = cell.start;
  for (let index = 0; index < cell.index; index += 1) {
    if (text.charCodeAt(at) === QUOTE) at = Math.max(closingQuote(text, at + 1), at);
    const next = text.indexOf(delimiter, at);
    if (next < 0) break;
    at = next + 1;
  }
  const breaks = text.slice(cell.start, at).split('\n');
  return { line: cell.line + breaks.length - 1, column: (breaks.at(-1) ?? '').length + 1 };
}
