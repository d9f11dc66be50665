import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Instant } from '#model/ids.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';

/** A request to a device, or its answer: JSON-RPC without source and destination (docs/protocols/shadow-devices.md §5). */
export type Frame = JsonObject;

/** How a connected device is handed frames. */
export interface MdashLink {
  /** False where it does not listen (yet). */
  send(frame: Frame): boolean;
}

interface Shadow {
  desired: JsonObject;
  reported: JsonObject;
  tags: JsonObject;
  version: number;
  at: Instant;
}

/** A device of the account. `token` is its own password, for its link. */
export interface MdashRecord {
  readonly id: string;
  readonly token: string;
  readonly createdAt: Instant;
  name: string;
  sharedWith: string;
  readonly shadow: Shadow;
  /** What it logged, oldest first. */
  readonly data: { readonly timestamp: number; readonly message: string }[];
}

export function newRecord(id: string, at: Instant): MdashRecord {
  const shadow = { desired: {}, reported: {}, tags: {}, version: 0, at };
  return { id, token: `token-${id}`, createdAt: at, name: id, sharedWith: '', shadow, data: [] };
}

/** A recursive merge; null deletes a member (§5). */
export function merged(old: JsonObject, change: JsonObject): JsonObject {
  const members = new Map(Object.entries(old));
  for (const [key, value] of Object.entries(change)) {
    const before = members.get(key);
    if (value === null || value === undefined) members.delete(key);
    else members.set(key, isJsonObject(value) ? merged(isJsonObject(before) ? before : {}, value) : value);
  }
  return Object.fromEntries(members);
}

/** What is desired and not reported so: only for keys of desired (§5). */
export function deltaOf(desired: JsonObject, reported: JsonObject): JsonObject {
  const members: [string, Json][] = [];
  for (const [key, value] of Object.entries(desired)) {
    const there = Object.hasOwn(reported, key) ? reported[key] : undefined;
    if (value === undefined) continue;
    if (isJsonObject(value) && isJsonObject(there)) {
      const below = deltaOf(value, there);
      if (Object.keys(below).length > 0) members.push([key, below]);
    } else if (JSON.stringify(value) !== JSON.stringify(there)) members.push([key, value]);
  }
  return Object.fromEntries(members);
}

/** The shadow as the API and devices see it. */
export function shadowBody({ shadow }: MdashRecord): JsonObject {
  const { desired, reported, tags, version, at } = shadow;
  const state = { desired, reported, delta: deltaOf(desired, reported) };
  return { state, tags, version, timestamp: Math.floor(at / 1000) };
}

export function deviceBody(record: MdashRecord, online: boolean): JsonObject {
  const { id, name, sharedWith, createdAt } = record;
  return { id, name, shared_with: sharedWith, created: Math.floor(createdAt / 1000), online, shadow: shadowBody(record) };
}

export function sortedRecords(records: Iterable<MdashRecord>): readonly MdashRecord[] {
  return [...records].toSorted((a, b) => compareText(a.id, b.id));
}
