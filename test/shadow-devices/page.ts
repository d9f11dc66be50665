import { readFileSync } from 'node:fs';

/** One thing that the page has, which a test must show: a vector, a rule, a row of a table. */
export interface PageItem {
  /** `A6`, `§2.12 F4` is `F4`; `§1 rule 3`, `§2.10 update retry / fetch retry`. */
  readonly id: string;
  /** Its own words, as they stand on the page. */
  readonly text: string;
}

const PAGE = 'docs/protocols/shadow-devices.md';
const page = readFileSync(PAGE, 'utf8');

/** The text below a heading, up to the next one of the same depth or less. Throws where the page has none. */
function sectionOf(title: string): string {
  const at = page.indexOf(`\n${title} `);
  if (at < 0) throw new Error(`${PAGE} has no section ${title}`);
  const depth = /^#+/.exec(title)?.[0].length ?? 2;
  const rest = page.slice(at + title.length + 1);
  const end = new RegExp(`\\n#{2,${depth}} `).exec(rest)?.index ?? rest.length;
  return rest.slice(0, end);
}

/** Rows of the tables of a section without their heads. */
export function rowsOf(title: string): readonly (readonly string[])[] {
  const lines = sectionOf(title).split('\n');
  return lines.flatMap((line, index) => {
    const isHead = /^\|[ -|]*\|$/.test(lines[index + 1] ?? '') && (lines[index + 1] ?? '').includes('---');
    if (!line.startsWith('| ') || isHead || /^\|[-| ]+\|$/.test(line)) return [];
    return [
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    ];
  });
}

/** The JSON objects in a text, in order. What is no JSON by itself, as `{url}` or one with `…` in it, is passed over. */
export function documentsIn(text: string): readonly unknown[] {
  const found: unknown[] = [];
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at)) {
    const end = endOfObject(text, at);
    try {
      found.push(JSON.parse(text.slice(at, end)));
      at = end;
    } catch {
      at += 1;
    }
  }
  return found;
}

/** Behind the bracket that closes the one at `from`; texts of these pages have no brackets of their own. */
function endOfObject(text: string, from: number): number {
  let open = 0;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '{') open += 1;
    else if (text[at] === '}') open -= 1;
    if (open === 0) return at + 1;
  }
  return text.length;
}

/** Everything that is an example, a rule or a failure mode of §1 to §4, §7 and §8. */
export function pageItems(): readonly PageItem[] {
  return [
    ...rulesOf('## 1.').map(({ id, text }) => ({ id: `§1 rule ${id}`, text })),
    ...tableOf('### 2.6'),
    ...tableOf('### 2.10'),
    ...tableOf('### 2.11'),
    ...rowsOf('### 2.12').map(([id = '', ...cells]) => ({ id, text: cells.join(' | ') })),
    ...vectorsOf('### 2.15', /^(A\d+) – /),
    ...rulesOf('### 3.4').map(({ id, text }) => ({ id: `§3.4 rule ${id}`, text })),
    ...vectorsOf('### 3.6', /^(B\d+) – /),
    ...tableOf('### 4.2'),
    ...vectorsOf('### 4.2', /^(Vector): /).map(({ text }) => ({ id: '§4.2 vector', text })),
    { id: '§4.5', text: sectionOf('### 4.5') },
    { id: '§7 manifest', text: /```json\n[\s\S]*?```/.exec(sectionOf('## 7.'))?.[0] ?? '' },
    ...vectorsOf('## 8.', /^Vector (D\d+)/),
  ];
}

function tableOf(title: string): readonly PageItem[] {
  const name = title.replace(/^#+ /, '§');
  return rowsOf(title).map(([first = '', ...cells]) => ({ id: `${name} ${first.replaceAll('`', '')}`, text: cells.join(' | ') }));
}

/** Numbered lines with those that go on below them. */
function rulesOf(title: string): readonly PageItem[] {
  return blocksOf(title, /^(\d+)\. /, /^(\d+\. |\s*$|[^ ].*$)/);
}

/** From the line that names it to the next one that names another, or to the end. */
function vectorsOf(title: string, name: RegExp): readonly PageItem[] {
  return blocksOf(title, name, name);
}

function blocksOf(title: string, name: RegExp, end: RegExp): readonly PageItem[] {
  const found: { readonly id: string; readonly lines: string[] }[] = [];
  let open = false;
  for (const line of sectionOf(title).split('\n')) {
    const [, id] = name.exec(line) ?? [];
    if (id !== undefined) found.push({ id, lines: [] });
    open = id !== undefined || (open && !end.test(line) && !/^#{2,} /.test(line));
    if (open) found.at(-1)?.lines.push(line);
  }
  return found.map(({ id, lines }) => ({ id, text: lines.join('\n').trim() }));
}
