import { canonicalJson, type Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { Instant } from './ids.ts';

export type JsonObject = { readonly [key: string]: Json | undefined };

/** One section of a shadow: what it holds, and when each leaf was last named. Empty where the service has no such section. */
export interface ShadowSection {
  readonly state: JsonObject;
  /**
   * The shape of `state` with `{ timestamp: SECONDS }` in the place of each leaf (docs/protocols/aws-iot.md §5.5), with a
   * fraction where the service tells it. Whether
   * a node is a leaf is told by `state` alone: a member may itself be called `timestamp`. Empty where it is not known.
   */
  readonly times: JsonObject;
}

/** What a service keeps of one shadow. Everything in it was written by others: nothing of it is to be trusted. */
export interface ShadowDocument {
  /** Grows with each accepted update; what is lower than one that was seen is older (§5.6). Null where an index has none. */
  readonly version: number | null;
  readonly desired: ShadowSection;
  readonly reported: ShadowSection;
  /** When the service gave this answer, in its own clock and whole seconds, as ms; null where it does not say. */
  readonly at: Instant | null;
}

const NOTHING: ShadowSection = { state: {}, times: {} };
/** Deeper than any service allows (§5.8): what comes deeper is not looked into. */
const MAX_DEPTH = 16;
/** The last second that a date can hold. */
const MAX_SECONDS = 8_640_000_000_000;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A document as `get`, `current` of `update/documents`, or the index has it: `{ state: { desired, reported }, metadata,
 * version, timestamp }`, or with the sections beside each other in the place of `state`. Null for what is none.
 */
export function readShadowDocument(value: unknown): ShadowDocument | null {
  if (!isJsonObject(value) || tooDeep(value, MAX_DEPTH)) return null;
  const state = value['state'] === undefined ? value : value['state'];
  if (!isJsonObject(state)) return null;
  const { desired = {}, reported = {} } = state;
  if (!isJsonObject(desired) || !isJsonObject(reported)) return null;
  const metadata = isJsonObject(value['metadata']) ? value['metadata'] : {};
  const times = (name: string): JsonObject => (isJsonObject(metadata[name]) ? metadata[name] : {});
  const { version } = value;
  return {
    version: typeof version === 'number' && Number.isSafeInteger(version) && version >= 0 ? version : null,
    desired: { state: desired, times: times('desired') },
    reported: { state: reported, times: times('reported') },
    at: secondsOf(value['timestamp']),
  };
}

/** A shadow that is there and holds nothing. */
export const EMPTY_SHADOW: ShadowDocument = { version: null, desired: NOTHING, reported: NOTHING, at: null };

function tooDeep(value: unknown, left: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return left === 0 || Object.values(value).some((member) => tooDeep(member, left - 1));
}

function secondsOf(value: unknown): Instant | null {
  return typeof value === 'number' && value >= 0 && value <= MAX_SECONDS ? Math.round(value * SECOND_MS) : null;
}

/** Keys of a JSON pointer (RFC 6901); null for what is none. `''` is the whole section. */
export function pointerKeys(pointer: string): readonly string[] | null {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return null;
  return pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What a section holds under a pointer; undefined for nothing. Arrays are not looked into: they are replaced as a whole (M4). */
export function valueAt(section: ShadowSection, pointer: string): Json | undefined {
  return memberAt(section.state, pointer);
}

function memberAt(tree: JsonObject, pointer: string): Json | undefined {
  const keys = pointerKeys(pointer);
  if (keys === null) return undefined;
  let at: Json | undefined = tree;
  for (const key of keys) {
    if (!isJsonObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

/**
 * When something under a pointer was last named, in the service's clock and whole seconds, as ms; null where that is not
 * known. Of an object or an array the newest of its leaves.
 */
export function namedAt(section: ShadowSection, pointer: string): Instant | null {
  const state = memberAt(section.state, pointer);
  return state === undefined ? null : newest(state, memberAt(section.times, pointer));
}

function newest(state: Json, times: Json | undefined): Instant | null {
  if (Array.isArray(state)) {
    if (!Array.isArray(times)) return isJsonObject(times) ? secondsOf(times['timestamp']) : null;
    return latest(state.map((item: Json, index) => newest(item, times[index])));
  }
  if (!isJsonObject(times)) return null;
  if (!isJsonObject(state)) return secondsOf(times['timestamp']);
  return latest(Object.keys(state).map((key) => (Object.hasOwn(times, key) ? newest(state[key] ?? null, times[key]) : null)));
}

function latest(instants: readonly (Instant | null)[]): Instant | null {
  return instants.reduce((last, at) => (at !== null && (last === null || at > last) ? at : last), null);
}

/** A merge patch that names one value under a pointer. Throws a RangeError for a pointer that is none, or the whole section. */
export function patchAt(pointer: string, value: Json): JsonObject {
  const keys = pointerKeys(pointer);
  if (keys === null || keys.length === 0) throw new RangeError(`not a pointer into a section: ${pointer}`);
  return keys.reduceRight<Json>((inner, key) => ({ [key]: inner }), value) as JsonObject;
}

/**
 * The merge patch that brings `from` to `to` where `to` speaks: members of its objects that are nested in a named value are
 * exact, so what is there beside them goes (null), and what is equal is not sent (docs/protocols/aws-iot.md §5.3, §19).
 * Undefined when nothing differs.
 */
export function patchBetween(from: Json | undefined, to: Json): Json | undefined {
  if (!isJsonObject(to) || !isJsonObject(from)) return sameJson(from, to) ? undefined : to;
  const patch: Record<string, Json> = {};
  for (const key of Object.keys(from)) if (to[key] === undefined) patch[key] = null;
  for (const [key, member] of Object.entries(to)) {
    const inner = patchBetween(Object.hasOwn(from, key) ? from[key] : undefined, member ?? null);
    if (inner !== undefined) patch[key] = inner;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Two patches as one; the second wins. */
export function mergePatches(first: JsonObject, second: JsonObject): JsonObject {
  const merged: Record<string, Json | undefined> = { ...first };
  for (const [key, member] of Object.entries(second)) {
    const before = merged[key];
    merged[key] = isJsonObject(before) && isJsonObject(member) ? mergePatches(before, member) : member;
  }
  return merged;
}

/** The patch that takes `patch` back from a section that held `before`: null for what was not there, else what was. */
export function inversePatch(patch: JsonObject, before: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(patch).map(([key, member]) => {
      const old = Object.hasOwn(before, key) ? before[key] : undefined;
      if (old === undefined) return [key, null];
      return [key, isJsonObject(member) && isJsonObject(old) ? inversePatch(member, old) : old];
    }),
  );
}

/** Deeply, whatever the order of keys. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || canonicalJson(a) === canonicalJson(b);
}
