/**
 * Markdown of texts that others wrote: device names, evidence, versions, file names. Nothing in them may become a link, a
 * mention, HTML, or a cell of its own, on GitHub, GitLab or Gitea.
 */

/** Line ends, other control characters, and those that turn or hide text: what is read must be what is there. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]+/gu;

/** Letters, digits, and signs that mean nothing to markdown between them. What is made of these alone reads as prose. */
const HARMLESS = /^[\p{L}\p{N} .,;:?!%()'"/+=_≥≤→×·–…-]*$/u;
/** Would be made a link by itself, begins a list or a heading, or stresses what follows. */
const AUTOMATIC = /:\/\/|www\.|^[-+=]|^\d+[.)]|\bGH-\d|(^|[^\p{L}\p{N}])_|_([^\p{L}\p{N}]|$)/iu;

/** One line of at most so many characters, without anything that cannot be seen. */
export function oneLine(text: string, most: number): string {
  // Cut roughly first: a hostile text may be megabytes long.
  const line = text
    .slice(0, most * 4)
    .toWellFormed()
    .replaceAll(UNSEEN, ' ')
    .trim();
  const points = Array.from(line);
  const cut = points.length > most || text.length > most * 4;
  return cut ? `${points.slice(0, most - 1).join('')}…` : line;
}

const MOST_NAME = 60;
const MOST_PROSE = 220;

/** A text as code: nothing in it is interpreted. Backticks inside are kept by a longer fence; empty is a dash. */
export function code(text: string, most: number = MOST_NAME): string {
  const line = oneLine(text, most);
  if (line === '') return '–';
  if (!line.includes('`')) return `\`${line}\``;
  const longest = Math.max(...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence} ${line} ${fence}`;
}

/** A sentence as it stands when it is harmless, else as code. */
export function prose(text: string, most: number = MOST_PROSE): string {
  const line = oneLine(text, most);
  const pieces = line.split('`');
  // Every second piece stood between backticks: code already, and kept as that.
  const reads = pieces.length % 2 === 1 && pieces.every((piece, index) => (index % 2 === 0 ? isHarmless(piece) : piece !== ''));
  return reads ? pieces.map((piece, index) => (index % 2 === 0 ? piece : `\`${piece}\``)).join('') : code(line, most);
}

function isHarmless(text: string): boolean {
  return HARMLESS.test(text) && !AUTOMATIC.test(text);
}

/** The same inside of HTML, where markdown is not read: `<summary>`. */
export function htmlCode(text: string, most: number = MOST_NAME): string {
  const escaped = oneLine(text, most).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  return `<code>${escaped}</code>`;
}

/** A link of already safe markdown; only http and https are followed, everything else stays text. */
export function link(markdown: string, url: string | null): string {
  const address = url === null ? null : safeUrl(url);
  return address === null ? markdown : `[${markdown}](${address})`;
}

const MOST_URL = 500;

function safeUrl(url: string): string | null {
  if (url.length > MOST_URL || !URL.canParse(url)) return null;
  const { protocol, username, password, href } = new URL(url);
  if (!['http:', 'https:'].includes(protocol) || username !== '' || password !== '') return null;
  return href.replaceAll(/[^\w:/?#@!&=;,.~%+-]/g, (sign) => encodeURIComponent(sign).replaceAll(/[!'()*]/g, percentOf));
}

function percentOf(sign: string): string {
  return `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** A table of already safe cells: a bar in one of them would begin another. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (right.includes(column) ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

/** Folded away under one line. The summary is HTML; empty lines around the body make it markdown again. */
export function folded(summary: string, body: string): string {
  return body === '' ? '' : `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

/** A box that stands out where the reader's site knows it, and a quotation elsewhere. */
export function alert(kind: 'NOTE' | 'WARNING' | 'CAUTION', text: string): string {
  return [`> [!${kind}]`, ...text.split('\n').map((line) => `> ${line}`)].join('\n');
}

/** Sections with an empty line between them; empty ones are left out. */
export function sections(texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('\n\n');
}

/** UTF-8. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/** What `rest` may take: it says how much was left out, and where it is. */
const REST_BYTES = 300;

export interface FitRequest<T> {
  readonly entries: readonly T[];
  readonly bytes: number;
  render(entry: T): string;
  /** One short line about those that found no room. */
  rest(left: readonly T[]): string;
}

/** Entries in order, each whole, as many as fit into so many bytes; what is left out is counted in a last line. */
export function fit<T>({ entries, bytes, render, rest }: FitRequest<T>): readonly string[] {
  const lines: string[] = [];
  let used = 0;
  for (const [index, entry] of entries.entries()) {
    const line = render(entry);
    used += byteLength(line) + 2;
    const last = index === entries.length - 1;
    if (used > bytes - (last ? 0 : REST_BYTES)) return [...lines, rest(entries.slice(index))];
    lines.push(line);
  }
  return lines;
}
