import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';
import { isJsonObject, patchBetween, type JsonObject } from '#model/shadow.ts';

/** What a write under the version lock leaves for confirmation and withdrawal. */
export interface ShadowUndo {
  /** The version that the write made. */
  readonly version: number;
  /** When it was made, by the service's clock, whole seconds. */
  readonly at: Instant;
  /** The patch of desired that takes it back. */
  readonly inverse: JsonObject;
  /** Until when the URL in it is good, by our clock; null where it has none. */
  readonly expires: Instant | null;
}

/** What the last attempt left; null where there was none, or it cannot be read. */
export function readShadowUndo(undo: Json): ShadowUndo | null {
  if (!isJsonObject(undo) || typeof undo['version'] !== 'number' || !isJsonObject(undo['inverse'])) return null;
  const { version, inverse, expires, at } = undo;
  return { version, inverse, expires: typeof expires === 'number' ? expires : null, at: typeof at === 'number' ? at : 0 };
}

/** The keys of a merge patch that would still change something of a section; null for none. What withdrawals send. */
export function changedPart(patch: JsonObject, state: JsonObject): JsonObject | null {
  const left = Object.entries(patch).flatMap(([key, member]): readonly (readonly [string, JsonObject[string]])[] => {
    const old = Object.hasOwn(state, key) ? state[key] : undefined;
    if (member === undefined || member === null) return old === undefined ? [] : [[key, null]];
    if (isJsonObject(member) && isJsonObject(old)) {
      const inner = changedPart(member, old);
      return inner === null ? [] : [[key, inner]];
    }
    return patchBetween(old, member) === undefined ? [] : [[key, member]];
  });
  return left.length === 0 ? null : Object.fromEntries(left);
}
