import { canonicalJson, type Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { Instant } from '#model/ids.ts';
import {
  isJsonObject,
  inversePatch,
  mergePatches,
  namedAt,
  patchAt,
  patchBetween,
  sameJson,
  valueAt,
  type JsonObject,
  type ShadowDocument,
} from '#model/shadow.ts';
import { documentDigest, pointerOf, textAt } from '#shadows/values.ts';
import type { ItemMapping, SettingMapping, StateMapping } from './options.ts';

/** One key of desired. `url`: the text has a URL in the place of `{url}`, which is made right before it is sent. */
export type Write =
  | { readonly pointer: string; readonly kind: 'value'; readonly value: Json }
  | { readonly pointer: string; readonly kind: 'url'; readonly template: string }
  /** `digest` as documentDigest has it. */
  | { readonly pointer: string; readonly kind: 'document'; readonly digest: string };

/** Longer than any setting; what is longer is shown by its digest. */
const LONGEST_SETTING = 1024;
/** What a report or a record keeps of a value in desired. */
const MOST_KEPT_BYTES = 2048;

/** The value of a config as it is reported: the digest of a document, or the text; `none` where there is nothing. */
export function configValue(mapping: ItemMapping, document: ShadowDocument): Result<string, string> {
  const value = valueAt(document.reported, mapping.reported);
  if (mapping.reports === 'document') return ok(value === undefined ? 'none' : documentDigest(value));
  const text = textAt(value);
  if (!text.ok) return text;
  if (text.value === null) return ok('none');
  return ok(mapping.reports === 'sha256' ? text.value.toLowerCase() : text.value);
}

/** A report keeps the pointers of so many members at most. */
const MOST_MEMBERS = 300;

/** Pointers of all members of a document, those of nested objects too; null for more than a report keeps. */
export function membersOf(document: Json | undefined): readonly string[] | null {
  const members: string[] = [];
  const walk = (value: Json | undefined, at: string): void => {
    if (!isJsonObject(value)) return;
    for (const [key, member] of Object.entries(value)) {
      const pointer = `${at}${pointerOf(key)}`;
      members.push(pointer);
      if (members.length <= MOST_MEMBERS) walk(member, pointer);
    }
  };
  walk(document, '');
  return members.length > MOST_MEMBERS ? null : members;
}

/** A setting as a text, a very long one as its digest; null for nothing. Numbers and booleans only where the mapping says so. */
export function settingText(value: Json | undefined): string | null {
  if (value === undefined || value === null) return null;
  const text = typeof value === 'string' ? value : canonicalJson(value);
  return text.length <= LONGEST_SETTING ? text : `sha256:${sha256(text)}`;
}

/** A declared setting as it is written, by the type of its mapping; an error in words. */
export function settingValue(mapping: SettingMapping, declared: Json): Result<Json, string> {
  if (typeof declared === 'object' || declared === undefined) return err('is no single value');
  const text = String(declared);
  if (mapping.type === 'boolean') return text === 'true' || text === 'false' ? ok(text === 'true') : err('is neither true nor false');
  if (mapping.type === 'number') {
    const number = Number(text);
    return /^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) && Number.isFinite(number) ? ok(number) : err('is no number');
  }
  return text.length <= LONGEST_SETTING ? ok(text) : err(`has ${text.length} characters`);
}

/** `interval=60 name="Moor House"`, sorted by name. */
export function settingsText(values: ReadonlyMap<string, string | null>): string {
  return [...values]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value === null ? '(none)' : /^[!#-'*-<>-~]+$/.test(value) ? value : JSON.stringify(value)}`)
    .join(' ');
}

/** What the device says of how it goes, when it says so. */
export interface StateSeen {
  readonly text: string;
  readonly at: Instant | null;
}

export function stateSeen(mapping: StateMapping | null, document: ShadowDocument): StateSeen | null {
  if (mapping === null) return null;
  const state = textAt(valueAt(document.reported, mapping.at));
  if (!state.ok || state.value === null || !mapping.when.includes(state.value)) return null;
  const why = mapping.why === null ? null : textAt(valueAt(document.reported, mapping.why));
  const more = why?.ok === true && why.value !== null ? `: ${why.value}` : '';
  return { text: `${state.value}${more}`, at: namedAt(document.reported, mapping.at) };
}

/** What desired holds where we write, for a report: URLs are left out, for whoever has one may use it; long values too. */
export function desiredKept(pointers: readonly string[], document: ShadowDocument): JsonObject {
  return Object.fromEntries(pointers.map((pointer) => [pointer, kept(valueAt(document.desired, pointer))]));
}

function kept(value: Json | undefined): Json {
  return value === undefined || canonicalJson(value).length > MOST_KEPT_BYTES ? null : value;
}

/** A write with all that was to be filled in. */
export interface FilledWrite {
  readonly pointer: string;
  readonly value: Json;
  readonly secret: boolean;
}

/** Whether desired holds what the writes say; URLs are passed over: each attempt has its own. */
export function holdsWrites(writes: readonly Write[], document: ShadowDocument): boolean {
  return writes.every((write) => {
    const value = valueAt(document.desired, write.pointer);
    if (write.kind === 'url') return true;
    return write.kind === 'document' ? value !== undefined && documentDigest(value) === write.digest : sameJson(value, write.value);
  });
}

/**
 * The changed keys of desired, and the patch that takes them back: null for what was not there, else what was. URLs are not
 * kept, so they are taken back to nothing. `patch` is null when all is there.
 */
export function writesPatch(
  writes: readonly FilledWrite[],
  document: ShadowDocument,
): { readonly patch: JsonObject | null; readonly inverse: JsonObject } {
  let patch: JsonObject = {};
  let whole: JsonObject = {};
  let before: JsonObject = document.desired.state;
  for (const { pointer, value, secret } of writes) {
    const part = patchBetween(valueAt(document.desired, pointer), value);
    whole = mergePatches(whole, patchAt(pointer, value));
    if (part !== undefined) patch = mergePatches(patch, patchAt(pointer, part));
    if (secret) before = without(before, pointer);
  }
  const inverse = inversePatch(Object.keys(patch).length === 0 ? whole : patch, before);
  const small = canonicalJson(inverse).length <= MOST_KEPT_BYTES;
  return {
    patch: Object.keys(patch).length === 0 ? null : patch,
    inverse: small ? inverse : nulls(writes.map(({ pointer }) => pointer)),
  };
}

/** The patch that removes these keys. */
export function nulls(pointers: readonly string[]): JsonObject {
  return pointers.reduce<JsonObject>((all, pointer) => mergePatches(all, patchAt(pointer, null)), {});
}

function without(state: JsonObject, pointer: string): JsonObject {
  const [, key = '', ...rest] = pointer.split('/');
  const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
  const { [name]: member, ...others } = state;
  if (rest.length === 0) return others;
  return isJsonObject(member) ? { ...others, [name]: without(member, `/${rest.join('/')}`) } : state;
}

/** Plain JSON facts back to writes; what is none is left out, and null is answered where nothing is left. */
export function readWrites(value: Json | undefined): readonly Write[] | null {
  if (!Array.isArray(value)) return null;
  const writes = value.flatMap((one: Json): readonly Write[] => {
    if (!isJsonObject(one) || typeof one['pointer'] !== 'string') return [];
    const { pointer, kind, template } = one;
    if (kind === 'document' && typeof one['digest'] === 'string') return [{ pointer, kind, digest: one['digest'] }];
    if (kind === 'url' && typeof template === 'string') return [{ pointer, kind, template }];
    return kind === 'value' && one['value'] !== undefined ? [{ pointer, kind, value: one['value'] }] : [];
  });
  return writes.length === value.length && writes.length > 0 ? writes : null;
}
