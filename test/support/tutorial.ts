/** A fenced block of a page, with where it stands. */
export interface Block {
  readonly kind: 'sh' | 'text' | 'diff';
  readonly text: string;
  /** Line of the page on which its first line stands, from 1. */
  readonly line: number;
  /** Whether it runs in a terminal of its own until the end. */
  readonly terminal: boolean;
}

/** All blocks of a page, in order. An unknown kind is an error: it would be a block that nobody executes. */
export function blocksOf(page: string): readonly Block[] {
  const lines = page.split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const kind = /^```(.*)$/.exec(lines[at] ?? '')?.[1];
    if (kind === undefined) continue;
    if (kind !== 'sh' && kind !== 'text' && kind !== 'diff') throw new Error(`line ${at + 1}: a block of kind ${JSON.stringify(kind)}`);
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`line ${at + 1}: a block that does not end`);
    blocks.push({ kind, text: lines.slice(at + 1, end).join('\n'), line: at + 2, terminal: lines[at - 1] === '<!-- terminal -->' });
    at = end;
  }
  return blocks;
}

/** The page with the text of these blocks, by their line, in the place of what stands there. */
export function withTexts(page: string, texts: ReadonlyMap<number, string>): string {
  let result = page;
  for (const block of blocksOf(page).toReversed()) {
    const text = texts.get(block.line);
    if (text === undefined) continue;
    const lines = result.split('\n');
    lines.splice(
      block.line - 1,
      block.text === '' && lines[block.line - 1] === '```' ? 0 : block.text.split('\n').length,
      ...text.split('\n'),
    );
    result = lines.join('\n');
  }
  return result;
}

/** The words of a simple command line; single and double quotes hold words together. */
export function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replaceAll(/["']/g, ''));
}

/** Applies a diff of `-` and `+` lines below `--- FILE`: each run of `-` lines must be there once. */
export function patched(diff: string, read: (path: string) => string): { readonly path: string; readonly text: string } {
  const lines = diff.split('\n');
  const path = /^--- (.+)$/.exec(lines[0] ?? '')?.[1] ?? '';
  const side = (sign: string): string =>
    lines
      .slice(2)
      .filter((line) => line.startsWith(sign))
      .map((line) => `${line.slice(1)}\n`)
      .join('');
  const before = read(path);
  if (before.split(side('-')).length !== 2) throw new Error(`${path} does not have once:\n${side('-')}`);
  return { path, text: before.replace(side('-'), () => side('+')) };
}

/**
 * Words in the place of what differs from run to run: times, and commits and releases by the order in which they are first
 * met, so that two that are the same stay the same. `known` is carried from text to text.
 */
export function normalised(text: string, known: Map<string, string>): string {
  return (
    text
      .replaceAll(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{1,2} [A-Z][a-z]{2}( \d{4})?( \d{2}:\d{2})?( [A-Z]{3,4}\b)?/g, 'TIME')
      .replaceAll(/\bjust now\b|\b\d+ (s|min|h) ago\b/g, 'AGO')
      // Columns are as wide as what stands in them.
      .replaceAll(/ {2,}/g, '  ')
      .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
      .replaceAll(/\b[0-9a-f]{7,64}\b/g, (hex) => {
        const short = hex.slice(0, 7);
        const name = known.get(short) ?? `HEX${known.size + 1}`;
        known.set(short, name);
        return name;
      })
  );
}
