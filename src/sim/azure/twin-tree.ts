import { sameJson, isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { Json } from '#kit/canonical.ts';
import type { AzureSwitches } from './switches.ts';

/** A section of a twin with the time of each node: objects have one of their own, so that a removal shows (§8.3). */
export interface Branch {
  readonly kind: 'branch';
  readonly at: number;
  readonly members: ReadonlyMap<string, TwinNode>;
}

/** A scalar, or an array, which is replaced as a whole. `at` in ms. */
interface Leaf {
  readonly kind: 'leaf';
  readonly at: number;
  readonly value: Json;
}

export type TwinNode = Branch | Leaf;

/** Year 1: a section that was never written. */
const NEVER = Number.NEGATIVE_INFINITY;
export const EMPTY_BRANCH: Branch = { kind: 'branch', at: NEVER, members: new Map() };

export type MergeRules = Pick<AzureSwitches, 'lastUpdatedOfUnchanged' | 'emptyObject'> & { readonly at: number };

/** Key by key; null removes; what is no object replaces what stood there. The same branch where nothing is named. */
export function merge(branch: Branch, patch: JsonObject, rules: MergeRules): Branch {
  const members = new Map(branch.members);
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    const next = value === null ? undefined : merged(members.get(key), value, rules);
    if (next === undefined) members.delete(key);
    else members.set(key, next);
  }
  const named = Object.keys(patch).length > 0;
  const changed = !sameJson(stateOf(branch), stateOf({ ...branch, members }));
  const moves = named && (changed || rules.lastUpdatedOfUnchanged === 'moves');
  return { kind: 'branch', at: moves ? rules.at : branch.at, members };
}

function merged(before: TwinNode | undefined, value: Exclude<Json, null>, rules: MergeRules): TwinNode | undefined {
  if (!isJsonObject(value)) {
    const same = before?.kind === 'leaf' && sameJson(before.value, value);
    return { kind: 'leaf', at: same && rules.lastUpdatedOfUnchanged === 'stays' ? before.at : rules.at, value };
  }
  if (before?.kind === 'branch') return merge(before, value, rules);
  const made = merge({ ...EMPTY_BRANCH, at: rules.at }, value, rules);
  return made.members.size === 0 && rules.emptyObject === 'drop' ? undefined : made;
}

export function stateOf(branch: Branch): JsonObject {
  return Object.fromEntries([...branch.members].map(([key, node]) => [key, node.kind === 'branch' ? (stateOf(node) as Json) : node.value]));
}

/** `$metadata` as a hub writes it: `$lastUpdated` at every level. */
export function metadataOf(node: TwinNode): JsonObject {
  const own = { $lastUpdated: timeText(node.at) };
  if (node.kind === 'leaf') return own;
  return { ...own, ...Object.fromEntries([...node.members].map(([key, member]) => [key, metadataOf(member) as Json])) };
}

function timeText(at: number): string {
  return at === NEVER ? '0001-01-01T00:00:00Z' : new Date(at).toISOString();
}
