import type { Json } from '#kit/canonical.ts';
import { isJsonObject, sameJson } from '#model/shadow.ts';
import { documentDigest } from '#shadows/values.ts';

/** What removes a key at the device: a null in desired is swallowed by the shadow service (shadow-devices.md §2.5). */
export const DELETE = 'DELETE';
/** There is no config: no such key, or a service whose file was never written, which reports `{}` (A6). */
const NOTHING = 'none';
/** Why a number is no version here. */
export const NO_NUMBERS = 'SHELL files and numbers lose zeros';

/** `sha256:0123456789abcdef` of a document, whatever the order of its keys; `none` where there is nothing in it. */
export function documentValue(document: Json | undefined): string {
  if (document === undefined || (isJsonObject(document) && Object.keys(document).length === 0)) return NOTHING;
  return documentDigest(document);
}

/** A service's value without the keys that the device writes itself. */
export function without(value: Json | undefined, names: readonly string[]): Json | undefined {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}

/**
 * What must be written into the mailbox so that a device that reports `have` comes to have exactly `want`: the leaves that
 * differ, arrays whole, and DELETE for what is to go. Undefined when nothing differs.
 */
export function changes(want: Json, have: Json | undefined): Json | undefined {
  if (!isJsonObject(want) || !isJsonObject(have)) return sameJson(want, have) ? undefined : want;
  const patch: Record<string, Json> = {};
  for (const name of Object.keys(have)) if (want[name] === undefined) patch[name] = DELETE;
  for (const [name, member] of Object.entries(want)) {
    const inner = changes(member ?? null, Object.hasOwn(have, name) ? have[name] : undefined);
    if (inner !== undefined) patch[name] = inner;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Whether `have` holds every leaf of `want`, whatever else. */
export function holds(have: Json | undefined, want: Json): boolean {
  if (!isJsonObject(want)) return sameJson(have, want);
  if (!isJsonObject(have)) return false;
  return Object.entries(want).every(([name, member]) => holds(Object.hasOwn(have, name) ? have[name] : undefined, member ?? null));
}
