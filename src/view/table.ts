/** Colours by meaning; the plain painter answers the text unchanged. */
export type Tone = 'good' | 'bad' | 'warn' | 'quiet' | 'strong' | 'add';
export type Paint = (tone: Tone, text: string) => string;

const CODES: Readonly<Record<Tone, string>> = { good: '32', bad: '31', warn: '33', quiet: '2', strong: '1', add: '36' };

/** Colour is only for terminals: the caller asks for it. */
export function painter(colour: boolean): Paint {
  return colour ? (tone, text) => (text === '' ? '' : `\u001B[${CODES[tone]}m${text}\u001B[0m`) : (_tone, text) => text;
}

export const plain: Paint = painter(false);

const COLOUR_CODE = new RegExp(`${String.fromCodePoint(27)}\\[[0-9;]*m`, 'g');

/** Length as it is seen: colour codes take no room. */
export function seenWidth(text: string): number {
  return Array.from(text.replaceAll(COLOUR_CODE, '')).length;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - seenWidth(text)));
}

function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - seenWidth(text))) + text;
}

/** Columns two spaces apart, numbers to the right, no space at the end of a line. Rows may be shorter than others. */
export function alignRows(rows: readonly (readonly string[])[], right: readonly number[] = []): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, seenWidth(cell))));
  return rows.map((row) =>
    row
      .map((cell, column) => (right.includes(column) ? padStart : padEnd)(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** A table with a heading line. */
export function tableText(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  options: { readonly right?: readonly number[]; readonly paint?: Paint } = {},
): string {
  const [first = '', ...rest] = alignRows([head, ...rows], options.right ?? []);
  return [(options.paint ?? plain)('strong', first), ...rest].join('\n');
}
