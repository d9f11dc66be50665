import type { Place } from '#kit/diagnostics.ts';
import type { Selector } from '#model/declared.ts';
import { deviceId, groupName } from '#model/ids.ts';
import { matches, type Selectable } from '#model/selector.ts';
import { groupSelector, type CompiledGroup } from './groups.ts';
import type { Inventory } from './inventory.ts';
import type { InventoryRow } from './row.ts';
import { keyAt } from './nodes.ts';
import type { CompiledOverride } from './overrides.ts';
import type { Scope } from './scope.ts';
import { reportNobody, type Facts } from './selectors.ts';

export type Owners = ReadonlyMap<string, CompiledGroup>;

/** Which group owns which device (by id). Two owners, and groups without a device, are reported. */
export function ownersOf(groups: ReadonlyMap<string, CompiledGroup>, context: { readonly scope: Scope; readonly facts: Facts }): Owners {
  const { inventory } = context.facts;
  const owners = new Map<string, CompiledGroup>();
  const shared = new Map<string, { readonly first: CompiledGroup; readonly second: CompiledGroup; readonly rows: InventoryRow[] }>();
  for (const group of groups.values()) {
    const { selector } = group;
    if (selector === null) continue;
    const rows = selectedBy(selector, inventory, () => null);
    if (rows.length === 0) reportNobody(selector, groupSelector(group.document, context.scope), context);
    for (const row of rows) {
      const before = owners.get(row.id);
      if (before === undefined) {
        owners.set(row.id, group);
        continue;
      }
      const key = `${before.name} ${group.name}`;
      const pair = shared.get(key);
      if (pair === undefined) shared.set(key, { first: before, second: group, rows: [row] });
      else pair.rows.push(row);
    }
  }
  for (const pair of shared.values()) reportShared(pair, context.scope);
  return owners;
}

function selectPlace(group: CompiledGroup): Place {
  return keyAt(group.document, 'select');
}

/** One mistake for each pair of groups, however many devices they share. */
function reportShared(
  pair: { readonly first: CompiledGroup; readonly second: CompiledGroup; readonly rows: readonly InventoryRow[] },
  scope: Scope,
): void {
  const { first, second, rows } = pair;
  const [row] = rows;
  if (row === undefined) return;
  const others = rows.length - 1;
  scope.report.error('TWO_OWNERS', selectPlace(second), {
    summary: `\`${first.name}\` and \`${second.name}\` both select ${row.id}`,
    detail: others === 0 ? undefined : `and ${others} more`,
    fix: 'each device belongs to one group: take it out of one of the two',
    also: [selectPlace(first), row.origin.placeOf(row, null)],
  });
}

/** The devices of each override by its name, ids in order; one that selects nobody is reported. */
export function devicesOfOverrides(
  overrides: readonly CompiledOverride[],
  owners: Owners,
  context: { readonly scope: Scope; readonly facts: Facts },
): ReadonlyMap<string, readonly string[]> {
  const devices = new Map<string, readonly string[]>();
  for (const override of overrides) {
    const { selector } = override;
    if (selector === null) continue;
    const rows = selectedBy(selector, context.facts.inventory, (row) => owners.get(row.id)?.name ?? null);
    const unsure = selector.groups !== null && context.scope.broken.has('Group');
    if (rows.length === 0 && !unsure) reportNobody(selector, override.selectorSource, context);
    devices.set(
      override.name,
      rows.map((row) => row.id),
    );
  }
  return devices;
}

function selectedBy(selector: Selector, inventory: Inventory, groupOf: (row: InventoryRow) => string | null): readonly InventoryRow[] {
  // Ids are looked up: a list of a thousand of them need not be searched for each of 100,000 devices.
  const candidates = selector.ids === null ? inventory.rows : selector.ids.toSorted().flatMap((id) => inventory.byId.get(id) ?? []);
  return candidates.filter((row) => matches(selector, selectable(row, groupOf(row))));
}

export function selectable(row: InventoryRow, group: string | null): Selectable {
  return {
    id: deviceId(row.id),
    family: row.family,
    model: row.model,
    labels: row.labels,
    group: group === null ? null : groupName(group),
  };
}
