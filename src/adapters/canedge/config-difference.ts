import type { Json } from '#kit/canonical.ts';
import { SECRET_TEXT } from '#kit/secret.ts';
import type { FieldChange } from '#model/plan.ts';
import { at, listAt, objectOf, textAt } from './json.ts';
import { redactedConfig } from './secrets-fields.ts';

/** Of a list that is shown and stored: what a person still reads. The rest is counted. */
const MAX_FIELDS = 48;
/** Published configs are nine levels deep; what comes out of a bucket may be nested without end. */
const MAX_DEPTH = 16;
const MAX_TEXT = 64;

/** What one side of a comparison is: the value as it is, and as it may be shown. */
interface Side {
  readonly raw: Json | undefined;
  readonly shown: Json | undefined;
}

/**
 * The fields in which two configs differ, in the order of the newer one: `connect.s3.sync.ota`, 600 → 300. Members of a
 * list that have names (filters, access points) are matched by them. Protected fields (docs/protocols/canedge-s3.md §8.1)
 * are compared and never shown. At most 48, and a line that counts the rest.
 */
export function configFields(before: Json, after: Json): readonly FieldChange[] {
  const found: FieldChange[] = [];
  const [from, to] = [side(before), side(after)];
  compare({ from, to, path: '', depth: 0 }, found);
  if (found.length <= MAX_FIELDS) return found;
  return [...found.slice(0, MAX_FIELDS), { path: `${found.length - MAX_FIELDS} more fields`, from: null, to: null }];
}

function side(document: Json): Side {
  return { raw: document, shown: redactedConfig(document) };
}

interface Pair {
  readonly from: Side;
  readonly to: Side;
  readonly path: string;
  readonly depth: number;
}

function compare(pair: Pair, found: FieldChange[]): void {
  const { from, to, path, depth } = pair;
  if (from.raw === to.raw) return;
  if (depth < MAX_DEPTH) {
    if (objectOf(from.raw) !== undefined && objectOf(to.raw) !== undefined) return compareObjects(pair, found);
    if (Array.isArray(from.raw) && Array.isArray(to.raw)) return compareLists(pair, found);
  }
  found.push({ path, from: preview(from.shown, path), to: preview(to.shown, path) });
}

function compareObjects({ from, to, path, depth }: Pair, found: FieldChange[]): void {
  const names = new Set([...Object.keys(objectOf(to.raw) ?? {}), ...Object.keys(objectOf(from.raw) ?? {})]);
  for (const name of names) {
    const inner = path === '' ? spelled(name) : `${path}.${spelled(name)}`;
    compare({ from: memberOf(from, name), to: memberOf(to, name), path: inner, depth: depth + 1 }, found);
  }
}

function memberOf({ raw, shown }: Side, name: string): Side {
  return { raw: at(raw, name), shown: at(shown, name) };
}

/** By name where all members have one of their own, by place otherwise. */
function compareLists(pair: Pair, found: FieldChange[]): void {
  const { from, to, path, depth } = pair;
  const [before, after] = [namesOf(from.raw), namesOf(to.raw)];
  if (before === null || after === null) {
    const count = Math.max(lengthOf(from.raw), lengthOf(to.raw));
    for (let index = 0; index < count; index += 1) {
      compare({ from: elementOf(from, index), to: elementOf(to, index), path: `${path}[${index}]`, depth: depth + 1 }, found);
    }
    return;
  }
  for (const name of new Set([...after, ...before])) {
    const [old, next] = [elementOf(from, before.indexOf(name)), elementOf(to, after.indexOf(name))];
    compare({ from: old, to: next, path: `${path}[${spelled(name)}]`, depth: depth + 1 }, found);
  }
  const [kept, now] = [before.filter((name) => after.includes(name)), after.filter((name) => before.includes(name))];
  if (kept.join('\n') !== now.join('\n'))
    found.push({
      path: `${path} (order)`,
      from: kept.map(spelled).join(', ').slice(0, MAX_TEXT),
      to: now.map(spelled).join(', ').slice(0, MAX_TEXT),
    });
}

function lengthOf(value: Json | undefined): number {
  return Array.isArray(value) ? value.length : 0;
}

function elementOf({ raw, shown }: Side, index: number): Side {
  if (index < 0) return { raw: undefined, shown: undefined };
  return { raw: elementAt(raw, index), shown: elementAt(shown, index) };
}

function elementAt(value: Json | undefined, index: number): Json | undefined {
  return Array.isArray(value) ? (value as readonly Json[])[index] : undefined;
}

const MAX_NAMED = 256;

function namesOf(value: Json | undefined): readonly string[] | null {
  const list = Array.isArray(value) ? (value as readonly Json[]) : [];
  if (list.length > MAX_NAMED) return null;
  const names = list.flatMap((member) => textAt(member, 'ssid') ?? textAt(member, 'name') ?? []);
  return names.length === list.length && new Set(names).size === names.length ? names : null;
}

/** Names as the schemas have them; anything else comes from a stranger and is quoted. */
function spelled(name: string): string {
  return /^[\w -]{1,40}$/.test(name) ? name : quoted(name);
}

const SECRET_NAME = /(?:^|\.)(?:pwd|password|secretkey|passphrase|pin)$/i;

/** What stands in a field, short and in ASCII; null where there is nothing. Secrets by their names, wherever they stand. */
function preview(value: Json | undefined, path: string, depth = 0): string | null {
  if (value === undefined) return null;
  if (SECRET_NAME.test(path) && value !== '') return SECRET_TEXT;
  if (typeof value === 'string') return value === SECRET_TEXT ? value : quoted(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return listPreview(value as readonly Json[], depth);
  const members = Object.entries(value);
  if (depth >= 2) return members.length === 0 ? '{}' : '{…}';
  const texts = members.slice(0, 8).map(([name, member]) => `${spelled(name)}: ${preview(member, `${path}.${name}`, depth + 1) ?? ''}`);
  return bounded(`{${texts.join(', ')}${members.length > 8 ? ', …' : ''}}`, 3 * MAX_TEXT);
}

function listPreview(list: readonly Json[], depth: number): string {
  if (list.length === 0) return '[]';
  const scalars = list.every((member) => typeof member !== 'object' || member === null);
  if (depth >= 2 || !scalars) return `[${list.length} entries]`;
  return bounded(
    `[${list
      .slice(0, 8)
      .map((member) => preview(member, '', depth + 1) ?? '')
      .join(', ')}${list.length > 8 ? ', …' : ''}]`,
    MAX_TEXT,
  );
}

/** Control characters and all that is not ASCII are escaped: the text may come from a bucket that others write. */
function quoted(text: string): string {
  const escaped = JSON.stringify(text.slice(0, MAX_TEXT)).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${(unit.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
  return bounded(text.length > MAX_TEXT ? `${escaped.slice(0, -1)}…"` : escaped, 2 * MAX_TEXT);
}

function bounded(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** The fields in which a declared config differs from the object of what a device runs, as its report carries them. */
export interface ComparedConfig {
  /** SHA-256 of the declared bytes, and ETag of the object that they were compared with. */
  readonly digest: string;
  readonly etag: string;
  readonly fields: readonly FieldChange[];
  /** What only both documents with their secrets can show; names places only. */
  readonly guards: readonly { readonly code: string | null; readonly text: string }[];
}

export function readCompared(value: Json | undefined): ComparedConfig | null {
  const [digest, etag] = [textAt(value, 'digest'), textAt(value, 'etag')];
  if (digest === undefined || etag === undefined) return null;
  const fields = listAt(value, 'fields')
    .slice(0, MAX_FIELDS + 1)
    .flatMap((field) => {
      const path = textAt(field, 'path');
      return path === undefined ? [] : [{ path, from: textAt(field, 'from') ?? null, to: textAt(field, 'to') ?? null }];
    });
  return { digest, etag, fields, guards: readGuards(listAt(value, 'guards')) };
}

/** Guards as facts carry them. */
export function readGuards(list: readonly Json[]): readonly { readonly code: string | null; readonly text: string }[] {
  return list.flatMap((guard) => {
    const text = textAt(guard, 'text');
    return text === undefined ? [] : [{ code: textAt(guard, 'code') ?? null, text }];
  });
}
