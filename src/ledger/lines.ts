import { canonicalJson } from '#kit/canonical.ts';
import { LedgerError } from '#ports/ledger.ts';
import type { RecordRow } from './chain.ts';

/** Rows as JSON lines that a person can read: one object a line, the body as an object, keys in code unit order. */
export function recordLines(rows: readonly RecordRow[]): string {
  return rows.map(recordLine).join('');
}

function recordLine({ version, seq, fencing, prev, hash, body }: RecordRow): string {
  const chained = prev === null ? 'null' : JSON.stringify(prev);
  return `{"body":${body},"fencing":${fencing},"hash":${JSON.stringify(hash)},"prev":${chained},"seq":${seq},"version":${version}}\n`;
}

/**
 * The rows of what recordLines wrote, not yet verified against a chain. Throws LedgerError BROKEN_CHAIN for a line that
 * is no record, a last one that was cut off included; `name` says where it lies.
 */
export function parseRecordLines(text: string, name: string): readonly RecordRow[] {
  const lines = text.split('\n');
  // Every line ends with a line feed, so a text whose end is missing does not pass for a shorter one.
  if (lines.pop() !== '') throw new LedgerError('BROKEN_CHAIN', `${name} ends in the middle of line ${lines.length + 1}`);
  return lines.map((line, index) => parseLine(line, `${name} line ${index + 1}`));
}

function parseLine(line: string, place: string): RecordRow {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new LedgerError('BROKEN_CHAIN', `${place} is not JSON`);
  }
  if (!isRow(value)) throw new LedgerError('BROKEN_CHAIN', `${place} is no record`);
  const { version, seq, fencing, prev, hash, body } = value;
  return { version, seq, fencing, prev, hash, body: canonicalJson(body) };
}

function isRow(value: unknown): value is Omit<RecordRow, 'body'> & { readonly body: unknown } {
  if (typeof value !== 'object' || value === null || !('body' in value)) return false;
  const row = value as Readonly<Record<string, unknown>>;
  const numbered = [row['version'], row['seq'], row['fencing']].every((number) => Number.isSafeInteger(number));
  const chained = row['prev'] === null || isDigest(row['prev']);
  return numbered && chained && isDigest(row['hash']);
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
