import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type Scalar, type YAMLMap } from 'yaml';
import type { Place } from '#kit/diagnostics.ts';
import type { Entry, MapNode, Node } from './nodes.ts';
import type { Report } from './report.ts';

/** Nesting beyond this is no fleet repo; it guards the stack of everything that walks a document. */
const DEEPEST = 48;
/** Nodes that aliases may add to one file: more is a bomb (`&a [*b,*b]` doubles with each line). */
const MOST_ALIASED = 10_000;

interface Reading {
  readonly file: string;
  readonly text: string;
  readonly lines: LineCounter;
  readonly report: Report;
  readonly anchors: Map<string, { readonly node: Node; readonly size: number }>;
  aliased: number;
  /** A document with a mistake of syntax or structure is reported, and then left out. */
  broken: boolean;
}

/**
 * Reads all documents of a YAML file with every scalar as text. Mistakes go to the report with their places; a document
 * that has one is left out, so that nothing further is said of it. Never throws.
 */
export function readYaml(file: string, text: string, report: Report): MapNode[] {
  const lines = new LineCounter();
  let documents: readonly Document[];
  try {
    const parsed = parseAllDocuments(text, {
      schema: 'failsafe',
      lineCounter: lines,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    });
    documents = Array.isArray(parsed) ? parsed : [];
  } catch {
    // The parser is recursive: only nesting of a thousand levels and more ends here.
    report.error('YAML_TOO_DEEP', { file, line: 1, column: 1 }, { summary: 'the file is nested too deeply to be read' });
    return [];
  }
  const found: MapNode[] = [];
  for (const document of documents) {
    const node = readDocument(document, { file, text, lines, report, anchors: new Map(), aliased: 0, broken: false });
    if (node !== null) found.push(node);
  }
  return found;
}

function readDocument(document: Document, reading: Reading): MapNode | null {
  const first = [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0])[0];
  if (first !== undefined) {
    reportSyntax(first, reading);
    return null;
  }
  const contents = document.contents;
  if (contents === null || (isScalar(contents) && contents.value === '' && contents.type === 'PLAIN')) return null;
  const { node } = convert(contents, reading, 0);
  if (reading.broken) return null;
  if (node.kind === 'map') return node;
  reading.report.error('WRONG_TYPE', placeAt(node, reading), {
    summary: 'a document must be a mapping with `kind:`',
    fix: 'begin with for example `kind: Group`',
  });
  return null;
}

function reportSyntax(error: { code: string; message: string; pos: [number, number] }, reading: Reading): void {
  const tab = tabBefore(reading.text, error.pos[1]);
  if (tab !== undefined || error.code === 'TAB_AS_INDENT') {
    reading.report.error('TAB', offsetPlace(tab ?? error.pos[0], reading), {
      summary: 'a tab stands where YAML takes only spaces',
      fix: 'indent with two spaces',
    });
    return;
  }
  if (error.code === 'TAG_RESOLVE_FAILED') {
    reading.report.error('YAML_TAG', offsetPlace(error.pos[0], reading), {
      summary: 'YAML tags have no meaning here',
      fix: 'leave the tag out',
    });
    return;
  }
  reading.report.error('YAML_SYNTAX', offsetPlace(error.pos[0], reading), { summary: `this is not YAML: ${firstLine(error.message)}` });
}

/** The first tab used as indentation on the line of the mistake or one of the lines just above it. */
function tabBefore(text: string, offset: number): number | undefined {
  const end = text.indexOf('\n', offset);
  const until = text.slice(0, end < 0 ? text.length : end);
  const lines = until.split('\n').slice(-3);
  let start = until.length - lines.join('\n').length;
  for (const line of lines) {
    const indent = /^ *\t/.exec(line);
    if (indent !== null && line.trim() !== '') return start + indent[0].length - 1;
    start += line.length + 1;
  }
  return undefined;
}

function convert(node: unknown, reading: Reading, depth: number): { node: Node; size: number } {
  if (depth > DEEPEST) {
    fail(reading, 'YAML_TOO_DEEP', { offset: offsetOf(node), summary: `nested deeper than ${DEEPEST} levels` });
    return emptyAt(positionOf(node, reading));
  }
  if (isAlias(node)) return resolveAlias(node, reading);
  const made = convertOwn(node, reading, depth);
  const anchor = (node as { anchor?: string } | null)?.anchor;
  if (anchor !== undefined) reading.anchors.set(anchor, made);
  return made;
}

function convertOwn(node: unknown, reading: Reading, depth: number): { node: Node; size: number } {
  const place = positionOf(node, reading);
  if (isMap(node)) return convertMap(node, reading, depth);
  if (isSeq(node)) {
    const items = node.items.map((item) => convert(item, reading, depth + 1));
    return {
      node: { kind: 'list', items: items.map((item) => item.node), ...place },
      size: 1 + items.reduce((sum, item) => sum + item.size, 0),
    };
  }
  if (!isScalar(node)) return emptyAt(place);
  return { node: { kind: 'text', text: textOf(node), inner: innerOf(node, reading.text), ...place }, size: 1 };
}

function convertMap(map: YAMLMap, reading: Reading, depth: number): { node: Node; size: number } {
  const entries = new Map<string, Entry>();
  let size = 1;
  for (const pair of map.items) {
    const key = keyText(pair.key, reading);
    if (key === null) continue;
    const position = positionOf(pair.key, reading);
    const value = pair.value === null ? emptyAt(position) : convert(pair.value, reading, depth + 1);
    const before = entries.get(key);
    if (before !== undefined) {
      reading.broken = true;
      reading.report.error(
        'DUPLICATE_KEY',
        { file: reading.file, ...position },
        {
          summary: `\`${key}\` is written twice in one mapping`,
          fix: 'keep one of them',
          also: [{ file: reading.file, line: before.line, column: before.column }],
        },
      );
      continue;
    }
    entries.set(key, { key, node: value.node, ...position });
    size += 1 + value.size;
  }
  return { node: { kind: 'map', entries, ...positionOf(map, reading) }, size };
}

function emptyAt(place: { line: number; column: number }): { node: Node; size: number } {
  return { node: { kind: 'text', text: '', inner: null, line: place.line, column: place.column }, size: 1 };
}

function keyText(key: unknown, reading: Reading): string | null {
  if (isScalar(key)) return textOf(key);
  fail(reading, 'YAML_KEY', { offset: offsetOf(key), summary: 'a key must be text' });
  return null;
}

function resolveAlias(alias: { source: string; range?: [number, number, number] | null }, reading: Reading): { node: Node; size: number } {
  const target = reading.anchors.get(alias.source);
  const place = positionOf(alias, reading);
  if (target === undefined) {
    fail(reading, 'YAML_ALIAS', { offset: offsetOf(alias), summary: `there is no finished \`&${alias.source}\` before this alias` });
    return emptyAt(place);
  }
  reading.aliased += target.size;
  if (reading.aliased > MOST_ALIASED && !reading.broken) {
    fail(reading, 'ALIAS_BOMB', { offset: offsetOf(alias), summary: `aliases make more than ${MOST_ALIASED} values of this file` });
  }
  return target;
}

function fail(reading: Reading, code: string, words: { offset: number; summary: string }): void {
  reading.broken = true;
  reading.report.error(code, offsetPlace(words.offset, reading), { summary: words.summary });
}

/** Under the failsafe schema every scalar is text. */
function textOf(scalar: Scalar): string {
  return typeof scalar.value === 'string' ? scalar.value : '';
}

/** Where the text begins within its token, when each character of it stands there unchanged. */
function innerOf(node: Scalar, text: string): number | null {
  const range = node.range;
  if (!range) return null;
  const source = text.slice(range[0], range[1]);
  if (source === node.value) return 0;
  return source.slice(1, -1) === node.value && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE') ? 1 : null;
}

function offsetOf(node: unknown): number {
  return (node as { range?: [number, number, number] | null } | null)?.range?.[0] ?? 0;
}

function positionOf(node: unknown, reading: Reading): { line: number; column: number } {
  const { line, column } = offsetPlace(offsetOf(node), reading);
  return { line, column };
}

function offsetPlace(offset: number, reading: Reading): Place {
  const { line, col } = reading.lines.linePos(offset);
  return { file: reading.file, line: Math.max(1, line), column: Math.max(1, col) };
}

function placeAt(node: Node, reading: Reading): Place {
  return { file: reading.file, line: node.line, column: node.column };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
