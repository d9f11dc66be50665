import { AwsError } from './errors.ts';
import { isObject } from './shadow-document.ts';

/** A query of fleet indexing, version 2017-09-30, read: docs/protocols/aws-iot.md §12. */
export type SearchQuery =
  | { readonly kind: 'all' }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly SearchQuery[] }
  | { readonly kind: 'not'; readonly part: SearchQuery }
  | { readonly kind: 'term'; readonly field: string | null; readonly test: ValueTest };

type ValueTest =
  | { readonly kind: 'pattern'; readonly pattern: RegExp }
  | { readonly kind: 'range'; readonly from: Bound | null; readonly to: Bound | null };

interface Bound {
  readonly text: string;
  readonly inclusive: boolean;
}

const MAX_QUERY_BYTES = 1000;
const MAX_TERMS = 12;
/** In one term. */
const MAX_STARS = 2;
const MAX_QUESTION_MARKS = 5;

type Token =
  | { readonly kind: '(' | ')' | 'AND' | 'OR' | 'NOT' }
  | { readonly kind: 'term'; readonly field: string | null; readonly test: ValueTest };

/** Throws AwsError InvalidQueryException for what AWS does not take: too long, too many terms, a leading wildcard. */
export function readQuery(text: string): SearchQuery {
  if (Buffer.byteLength(text) > MAX_QUERY_BYTES) throw bad(`is longer than ${MAX_QUERY_BYTES} bytes`);
  if (text.trim() === '*') return { kind: 'all' };
  const tokens = tokensOf(text);
  const terms = tokens.filter(({ kind }) => kind === 'term').length;
  if (terms === 0) throw bad('has no term');
  if (terms > MAX_TERMS) throw bad(`has more than ${MAX_TERMS} terms`);
  const reading = { tokens, at: 0 };
  const query = readOr(reading);
  if (reading.at < tokens.length) throw bad('has a bracket too many');
  return query;
}

/** Whether a document of the index fits: objects by dotted fields, arrays by any of their items. */
export function matchesQuery(query: SearchQuery, document: unknown): boolean {
  switch (query.kind) {
    case 'all':
      return true;
    case 'and':
      return query.parts.every((part) => matchesQuery(part, document));
    case 'or':
      return query.parts.some((part) => matchesQuery(part, document));
    case 'not':
      return !matchesQuery(query.part, document);
    case 'term':
      return (query.field === null ? leavesOf(document) : valuesAt(document, query.field.split('.'))).some((value) =>
        passes(query.test, value),
      );
  }
}

interface Reading {
  readonly tokens: readonly Token[];
  at: number;
}

function readOr(reading: Reading): SearchQuery {
  const parts = [readAnd(reading)];
  while (reading.tokens[reading.at]?.kind === 'OR') {
    reading.at += 1;
    parts.push(readAnd(reading));
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'or', parts };
}

/** Terms beside each other are joined by AND. */
function readAnd(reading: Reading): SearchQuery {
  const parts = [readNot(reading)];
  for (;;) {
    const next = reading.tokens[reading.at]?.kind;
    if (next === 'AND') reading.at += 1;
    else if (next === undefined || next === 'OR' || next === ')') break;
    parts.push(readNot(reading));
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'and', parts };
}

function readNot(reading: Reading): SearchQuery {
  const token = reading.tokens[reading.at];
  reading.at += 1;
  if (token?.kind === 'NOT') return { kind: 'not', part: readNot(reading) };
  if (token?.kind === 'term') return token;
  if (token?.kind !== '(') throw bad('lacks a term');
  const inner = readOr(reading);
  if (reading.tokens[reading.at]?.kind !== ')') throw bad('lacks a bracket');
  reading.at += 1;
  return inner;
}

const WORD = /^(?:\\.|[^\s()"\\])+/;
const QUOTED = /^"((?:\\.|[^"\\])*)"/;
const RANGE = /^([[{])\s*(\S+)\s+TO\s+(\S+?)\s*([\]}])/;

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const { token, length } = nextToken(rest);
    tokens.push(token);
    rest = rest.slice(length).trimStart();
  }
  return tokens;
}

function nextToken(rest: string): { readonly token: Token; readonly length: number } {
  const [first = ''] = rest;
  if (first === '(' || first === ')') return { token: { kind: first }, length: 1 };
  if (first === '-' && rest.length > 1) return { token: { kind: 'NOT' }, length: 1 };
  const [operator] = /^(AND|OR|NOT)(?=[\s(]|$)/.exec(rest) ?? [];
  if (operator !== undefined) return { token: { kind: operator as 'AND' | 'OR' | 'NOT' }, length: operator.length };
  const [, name] = /^((?:\\.|[A-Za-z0-9_$.:-])+?):(?=\S)/.exec(rest) ?? [];
  const field = name === undefined ? null : unescaped(name);
  const start = name === undefined ? 0 : name.length + 1;
  const { test, length } = valueTest(rest.slice(start));
  return { token: { kind: 'term', field, test }, length: start + length };
}

function valueTest(rest: string): { readonly test: ValueTest; readonly length: number } {
  const range = RANGE.exec(rest);
  if (range !== null) {
    const [whole, open, from = '', to = '', close] = range;
    const bound = (text: string, inclusive: boolean): Bound | null => (text === '*' ? null : { text: unescaped(text), inclusive });
    return { test: { kind: 'range', from: bound(from, open === '['), to: bound(to, close === ']') }, length: whole.length };
  }
  const compared = /^([<>])(=?)(\S+?)(?=[\s)]|$)/.exec(rest);
  if (compared !== null) {
    const [whole, sign, equal, text = ''] = compared;
    const bound = { text: unescaped(text), inclusive: equal === '=' };
    const test = { kind: 'range', from: sign === '>' ? bound : null, to: sign === '<' ? bound : null } as const;
    return { test, length: whole.length };
  }
  const quoted = QUOTED.exec(rest);
  if (quoted !== null) return { test: { kind: 'pattern', pattern: patternOf(quoted[1] ?? '', false) }, length: quoted[0].length };
  const [word] = WORD.exec(rest) ?? [];
  if (word === undefined) throw bad('has a quote or a backslash that does not end');
  return { test: { kind: 'pattern', pattern: patternOf(word, true) }, length: word.length };
}

/** Values are compared without regard to case; `*` and `?` stand for text in words, not in phrases, and never come first. */
function patternOf(text: string, wildcards: boolean): RegExp {
  if (wildcards && /^[*?]/.test(text)) throw bad('begins a term with a wildcard');
  const parts = text.match(/\\.|[^\\]/gsu) ?? [];
  const countOf = (sign: string): number => (wildcards ? parts.filter((part) => part === sign).length : 0);
  if (countOf('*') > MAX_STARS || countOf('?') > MAX_QUESTION_MARKS) throw bad('has a term with too many wildcards');
  const source = parts.map((part) => {
    if (wildcards && part === '*') return '[^]*';
    if (wildcards && part === '?') return '[^]';
    const plain = part.length > 1 && part.startsWith('\\') ? part.slice(1) : part;
    return plain.replace(/[.*+?^${}()|[\]\\]/, String.raw`\$&`);
  });
  return new RegExp(`^${source.join('')}$`, 'iu');
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, '$1');
}

function passes(test: ValueTest, value: unknown): boolean {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (test.kind === 'pattern') return test.pattern.test(text);
  const below = test.from === null || ordered(test.from.text, text, test.from.inclusive);
  return below && (test.to === null || ordered(text, test.to.text, test.to.inclusive));
}

/** As numbers where both are, else as texts. */
function ordered(a: string, b: string, inclusive: boolean): boolean {
  const [x, y] = [Number(a), Number(b)];
  const [left, right] = Number.isNaN(x) || Number.isNaN(y) ? [a.toLowerCase(), b.toLowerCase()] : [x, y];
  return left < right || (inclusive && left === right);
}

/** Scalars at a dotted field; a key may hold dots itself. */
function valuesAt(value: unknown, path: readonly string[]): readonly unknown[] {
  if (path.length === 0) return leavesOf(value, false);
  if (Array.isArray(value)) return value.flatMap((item: unknown) => valuesAt(item, path));
  if (!isObject(value)) return [];
  return path.flatMap((_, index) => {
    const key = path.slice(0, index + 1).join('.');
    return Object.hasOwn(value, key) ? valuesAt(value[key], path.slice(index + 1)) : [];
  });
}

function leavesOf(value: unknown, within = true): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => leavesOf(item, within));
  if (isObject(value)) return within ? Object.values(value).flatMap((member) => leavesOf(member)) : [];
  return value === undefined ? [] : [value];
}

function bad(why: string): AwsError {
  return new AwsError('InvalidQueryException', `The query ${why}`);
}
