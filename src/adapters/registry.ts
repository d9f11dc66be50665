import type { FamilyEntry } from '#ports/driver.ts';
import { campbellEntry } from './campbell/entry.ts';
import { canedgeEntry } from './canedge/entry.ts';
import { chariotEntry } from './chariot/entry.ts';
import { drogueEntry } from './drogue/entry.ts';
import { mongooseEntry } from './mongoose/entry.ts';
import { shadowEntry } from './shadow/entry.ts';
import { twinEntry } from './twin/entry.ts';

/** Every device family that this Headgate knows, by name. */
export function families(): ReadonlyMap<string, FamilyEntry> {
  return new Map(
    [campbellEntry, canedgeEntry, chariotEntry, drogueEntry, mongooseEntry, shadowEntry, twinEntry].map((entry) => [
      entry.family.name,
      entry,
    ]),
  );
}
