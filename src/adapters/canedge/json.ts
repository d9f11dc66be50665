import type { Json } from '#kit/canonical.ts';

/** Reading JSON of which nothing is known: each answers undefined (or an empty list) instead of throwing. */

export type JsonObject = Readonly<Record<string, Json | undefined>>;

export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** The own member at a path of names; undefined as soon as one is missing. */
export function at(value: unknown, ...path: readonly string[]): Json | undefined {
  let member: unknown = value;
  for (const name of path) {
    const object = objectOf(member);
    if (object === undefined || !Object.hasOwn(object, name)) return undefined;
    member = object[name];
  }
  return member as Json | undefined;
}

export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const member = at(value, ...path);
  return typeof member === 'string' ? member : undefined;
}

export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const member = at(value, ...path);
  return typeof member === 'number' ? member : undefined;
}

export function listAt(value: unknown, ...path: readonly string[]): readonly Json[] {
  const member = at(value, ...path);
  return Array.isArray(member) ? (member as readonly Json[]) : [];
}

/** The texts of a list; whatever else is in it is left out. */
export function textsAt(value: unknown, ...path: readonly string[]): readonly string[] {
  return listAt(value, ...path).filter((member) => typeof member === 'string');
}

/** Parses bytes as JSON in UTF-8 (a byte-order mark is tolerated); undefined when they are not. */
export function parseJson(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
  } catch {
    return undefined;
  }
}
