import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { Drift, Impossible } from '#model/plan.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { Family } from '#ports/family.ts';

export interface DriftAnswer {
  readonly drifts: readonly Drift[];
  readonly drifted: readonly ItemName[];
  /** Items of which no value is known, declared or reported: nothing may change them. */
  readonly unknown: readonly Impossible[];
}

/** Whether the report shows the declared item: the same text, or another spelling of it that the family knows; and nothing beside it says otherwise. */
export function shows(family: Family, declared: DeclaredItem, reported: ReportedItem | undefined): boolean {
  if (reported === undefined || reported.kind !== 'value' || declared.impossible !== undefined) return false;
  const agrees = reported.value === declared.value || family.agrees(declared, reported);
  return agrees && family.contradicts?.(declared, reported) !== true;
}

/** The difference of declared and reported for each item of one device, in the order of the items. */
export function driftOf(
  family: Family,
  items: readonly DeclaredItem[],
  { device, reported }: { readonly device: DeclaredDevice; readonly reported: ReportedDevice | undefined },
): DriftAnswer {
  const drifts: Drift[] = [];
  const drifted: ItemName[] = [];
  const unknown: Impossible[] = [];
  for (const declared of items) {
    const value = reported?.items[declared.item];
    if (declared.impossible !== undefined) {
      unknown.push({ item: declared.item, ...declared.impossible });
    } else if (value === undefined) {
      const evidence = family.unheard?.(device, declared.item) ?? `no report of ${declared.item} was ever received`;
      unknown.push({ item: declared.item, reason: 'NEVER_REPORTED', evidence });
    } else if (value.kind === 'unknown') {
      unknown.push({ item: declared.item, reason: value.why, evidence: value.detail });
    } else if (!shows(family, declared, value)) {
      drifted.push(declared.item);
      drifts.push({ item: declared.item, from: value.value, to: declared.value, part: declared.part });
    }
  }
  return { drifts, drifted, unknown };
}

/**
 * The drifts with the fields that differ, where the family can tell them. `present` gives what the device's present release
 * declares for an item: asked only where the report does not say enough.
 */
export function withFields(
  family: Family,
  drifts: readonly Drift[],
  from: {
    readonly items: readonly DeclaredItem[];
    readonly reported: ReportedDevice | undefined;
    present(item: ItemName): DeclaredItem | null;
  },
): readonly Drift[] {
  if (family.differences === undefined) return drifts;
  return drifts.map((drift) => {
    const declared = from.items.find(({ item }) => item === drift.item);
    const reported = from.reported?.items[drift.item];
    if (declared === undefined || reported?.kind !== 'value') return drift;
    const fields = family.differences?.(declared, { reported, present: () => from.present(drift.item) }) ?? null;
    return fields === null ? drift : { ...drift, fields };
  });
}
