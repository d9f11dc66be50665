import type { Content, DeclaredItem } from '#model/declared.ts';
import type { FieldChange } from '#model/plan.ts';
import type { DifferenceContext } from '#ports/family.ts';
import { configFields } from './config-difference.ts';
import { readConfigFacts } from './facts.ts';
import { parseJson } from './json.ts';

/**
 * The fields that a drifted config changes: as the driver compared them with what the device runs, else against what the
 * device's present release declares. Null for other items, and where neither is at hand.
 */
export function configDifferences(declared: DeclaredItem, known: DifferenceContext): readonly FieldChange[] | null {
  if (declared.item !== 'config' || declared.content?.kind !== 'bytes') return null;
  const compared = readConfigFacts(known.reported)?.compared ?? null;
  if (compared?.digest === declared.content.digest) return compared.fields;
  const present = known.present()?.content ?? null;
  return present === null || present.digest === declared.content.digest ? null : fieldsBetween(present, declared.content);
}

/** Devices that are told the same share one content: compared once. */
const known = new WeakMap<Content, WeakMap<Content, readonly FieldChange[] | null>>();

function fieldsBetween(before: Content, after: Content): readonly FieldChange[] | null {
  const pairs = known.get(before) ?? new WeakMap<Content, readonly FieldChange[] | null>();
  known.set(before, pairs);
  const made = pairs.get(after);
  if (made !== undefined) return made;
  const [from, to] = [documentOf(before), documentOf(after)];
  const fields = from === undefined || to === undefined ? null : configFields(from, to);
  pairs.set(after, fields);
  return fields;
}

function documentOf(content: Content): ReturnType<typeof parseJson> {
  return content.kind === 'bytes' ? parseJson(content.bytes) : undefined;
}
