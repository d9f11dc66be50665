import type { Json } from '#kit/canonical.ts';
import type { ShadowSwitches } from './switches.ts';

/** An object as JSON writes it. Made without a prototype, so that `__proto__` is a key like any other. */
export type JsonObject = { readonly [key: string]: Json | undefined };

/**
 * A section of a shadow with the time of each leaf. What is an object and what is a leaf stands here, and is never told
 * from the shape of the metadata: a property may itself be called `timestamp` (aws-iot.md §5.5).
 */
export interface Branch {
  readonly kind: 'branch';
  readonly members: ReadonlyMap<string, ShadowNode>;
}

/** A scalar, or an array, which is replaced as a whole (M4). `at` in seconds. */
interface Leaf {
  readonly kind: 'leaf';
  readonly value: Json;
  readonly at: number;
}

export type ShadowNode = Branch | Leaf;

export type MergeRules = Pick<ShadowSwitches, 'nullOnlySubtree' | 'timestampOfUnchanged'> & {
  /** Seconds since 1970: the time of this update. */
  readonly at: number;
};

export const EMPTY_BRANCH: Branch = { kind: 'branch', members: new Map() };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Key by key; null removes; what is no object replaces what stood there (aws-iot.md §5.3). Gives a new branch. */
export function merge(branch: Branch, patch: JsonObject, rules: MergeRules): Branch {
  const members = new Map(branch.members);
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    const next = value === null ? undefined : merged(members.get(key), value, rules);
    if (next === undefined) members.delete(key);
    else members.set(key, next);
  }
  return { kind: 'branch', members };
}

/** What stands under a key after the patch; undefined for a new subtree of nulls alone, which is not made (M10). */
function merged(before: ShadowNode | undefined, value: Exclude<Json, null>, rules: MergeRules): ShadowNode | undefined {
  if (!isObject(value)) return leaf(before, value, rules);
  if (before?.kind === 'branch') return merge(before, value, rules);
  const made = merge(EMPTY_BRANCH, value, rules);
  const nullsOnly = made.members.size === 0 && Object.keys(value).length > 0;
  if (!nullsOnly || rules.nullOnlySubtree === 'keepEmpty') return made;
  // A scalar that was there is replaced all the same: by nothing.
  return undefined;
}

function leaf(before: ShadowNode | undefined, value: Json, rules: MergeRules): Leaf {
  const stays = rules.timestampOfUnchanged === 'stays' && before?.kind === 'leaf' && sameValue(before.value, value);
  return { kind: 'leaf', value, at: stays ? before.at : rules.at };
}

/** What of desired is not so in reported, with the times of desired (X1–X7, X10); null when nothing differs. */
export function difference(desired: Branch, reported: Branch): Branch | null {
  const members = new Map<string, ShadowNode>();
  for (const [key, wanted] of desired.members) {
    const found = reported.members.get(key);
    const open = found === undefined ? wanted : openPart(wanted, found);
    if (open !== null) members.set(key, open);
  }
  return members.size === 0 ? null : { kind: 'branch', members };
}

function openPart(wanted: ShadowNode, found: ShadowNode): ShadowNode | null {
  if (wanted.kind === 'branch') return found.kind === 'branch' ? difference(wanted, found) : wanted;
  return found.kind === 'leaf' && sameValue(wanted.value, found.value) ? null : wanted;
}

/** Deeply; arrays by order; no text equals a number (X3, X4, X6). */
function sameValue(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameValue(a[key], b[key]));
}

export function stateOf(node: ShadowNode): Json {
  return node.kind === 'leaf' ? node.value : fromEntries([...node.members].map(([key, member]) => [key, stateOf(member)]));
}

/** The same structure with `{"timestamp": seconds}` for each leaf, and one for each element of an array (§5.5). */
export function metadataOf(node: ShadowNode): Json {
  if (node.kind === 'leaf') return stamped(node.value, node.at);
  return fromEntries([...node.members].map(([key, member]) => [key, metadataOf(member)]));
}

/** Metadata of a value as a request sent it: nulls are stamped too, as the answer `accepted` has it. */
export function stamped(value: Json, at: number): Json {
  if (Array.isArray(value)) return value.map((item: Json) => stamped(item, at));
  if (!isObject(value)) return { timestamp: at };
  return fromEntries(Object.entries(value).map(([key, member]) => [key, stamped(member ?? null, at)]));
}

export function fromEntries(entries: Iterable<readonly [string, Json]>): JsonObject {
  const object: Record<string, Json> = Object.create(null);
  for (const [key, value] of entries) object[key] = value;
  return object;
}
