import type { ErrorObject } from 'ajv/dist/2020.js';
import type { Json } from '#kit/canonical.ts';
import { canonicalJson } from '#kit/canonical.ts';
import type { Family } from '#ports/family.ts';
import type { TextMap } from './row.ts';
import { compileTyped, type TypedCheck } from './schemas.ts';

interface Typed {
  readonly value: unknown;
  readonly errors: readonly ErrorObject[];
}

interface Checks {
  options?: TypedCheck;
  settings?: TypedCheck;
  readonly known: Map<string, Typed>;
}

/** Most fleets have a handful of different options; what is beyond is checked again each time. */
const MOST_KNOWN = 10_000;

// By family object: schemas are compiled once, and equal options of many devices are checked once.
const checksOf = new WeakMap<Family, Checks>();

function checksFor(family: Family): Checks {
  const known = checksOf.get(family);
  if (known !== undefined) return known;
  const checks: Checks = { known: new Map() };
  checksOf.set(family, checks);
  return checks;
}

/** A device's `options:` with the types that the family's schema gives them. */
export function typedOptions(family: Family, options: TextMap): Typed {
  const checks = checksFor(family);
  const key = canonicalJson(options);
  const known = checks.known.get(key);
  if (known !== undefined) return known;
  checks.options ??= compileTyped(family.optionsSchema);
  const typed = checks.options(options);
  if (checks.known.size < MOST_KNOWN) checks.known.set(key, typed);
  return typed;
}

export function typedSettings(family: Family, settings: Json): Typed {
  if (family.settingsSchema === null) return { value: settings, errors: [] };
  const checks = checksFor(family);
  checks.settings ??= compileTyped(family.settingsSchema);
  return checks.settings(settings);
}
