import { placeText } from '#kit/diagnostics.ts';
import type { Diagnostic, Place } from '#kit/diagnostics.ts';
import type { Json } from '#kit/canonical.ts';
import { padEnd, plain } from './table.ts';
import type { Paint } from './table.ts';
import { counted } from './words.ts';

/** The text of a line of a file of the revision, 1-based; undefined when there is none. */
export type SourceLine = (file: string, line: number) => string | undefined;

const MOST_COLUMNS = 120;

export interface DiagnosticsOptions {
  readonly paint?: Paint;
  readonly sourceLine?: SourceLine;
}

/** All mistakes, each with its line and a caret under its column, and the count in the last line. */
export function diagnosticsText(diagnostics: readonly Diagnostic[], options: DiagnosticsOptions = {}): string {
  const blocks = diagnostics.map((diagnostic) => diagnosticText(diagnostic, options));
  return [...blocks, problemCount(diagnostics)].join('\n\n');
}

/** `2 errors, 1 warning`. */
export function problemCount(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  return `${counted(errors, 'error')}, ${counted(diagnostics.length - errors, 'warning')}`;
}

export function diagnosticText(diagnostic: Diagnostic, options: DiagnosticsOptions = {}): string {
  const paint = options.paint ?? plain;
  const tone = diagnostic.severity === 'error' ? 'bad' : 'warn';
  const lines = [`${paint(tone, diagnostic.severity)} ${diagnostic.code}  ${placeText(diagnostic.place)}`];
  lines.push(...excerpt(diagnostic.place, options.sourceLine, paint));
  lines.push(`  ${diagnostic.summary}`);
  if (diagnostic.detail !== undefined) lines.push(`  ${diagnostic.detail}`);
  for (const place of diagnostic.also ?? []) lines.push(`  also ${placeText(place)}`);
  if (diagnostic.fix !== undefined) lines.push(`  ${paint('good', 'fix')}: ${diagnostic.fix}`);
  return lines.join('\n');
}

/** The line and a caret. A long line is cut so that the place stays in sight; tabs count as one column. */
function excerpt(place: Place, sourceLine: SourceLine | undefined, paint: Paint): readonly string[] {
  const text = sourceLine?.(place.file, place.line)?.replaceAll('\t', ' ').replaceAll('\r', '');
  if (text === undefined) return [];
  const from = Math.max(0, place.column - 1 - MOST_COLUMNS / 2);
  const shown = text.slice(from, from + MOST_COLUMNS);
  const number = String(place.line);
  const gutter = paint('quiet', `  ${number} | `);
  const empty = paint('quiet', `  ${padEnd('', number.length)} | `);
  return [gutter + shown, `${empty}${' '.repeat(Math.max(0, place.column - 1 - from))}${paint('bad', '^')}`];
}

/** The same for machines. */
export function diagnosticsJson(diagnostics: readonly Diagnostic[]): Json {
  return diagnostics.map((one) => ({
    severity: one.severity,
    code: one.code,
    file: one.place.file,
    line: one.place.line,
    column: one.place.column,
    summary: one.summary,
    detail: one.detail,
    fix: one.fix,
    also: one.also?.map(({ file, line, column }) => ({ file, line, column })),
  }));
}
