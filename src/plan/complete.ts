import type { Declared, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { LedgerView } from '#model/records.ts';
import type { Reported } from '#model/reported.ts';
import type { Family } from '#ports/family.ts';

export interface CompleteInput {
  readonly declared: Declared;
  readonly reported: Reported;
  readonly view: LedgerView;
  readonly families: ReadonlyMap<string, Family>;
}

/**
 * The declaration with every item finished that depends on what its device reports (a config encrypted to the device's
 * own key). Made once per pass, before anything is compared; the same object where no device has such an item.
 */
export function completeDeclared(input: CompleteInput): Declared {
  const { declared } = input;
  const completed = new Map<number, DeclaredDevice>();
  for (let row = 0; row < declared.size; row += 1) {
    const device = declared.deviceAt(row);
    const items = completeItems(input, device, device.items);
    if (items !== device.items) completed.set(row, { ...device, items });
  }
  if (completed.size === 0) return declared;
  return {
    ...declared,
    deviceAt: (row) => completed.get(row) ?? declared.deviceAt(row),
    itemsUnder: (older, device) => {
      const items = declared.itemsUnder(older, device);
      return items === undefined ? undefined : completeItems(input, device, items);
    },
  };
}

/** The list itself where none of its items needs finishing. */
function completeItems(input: CompleteInput, device: DeclaredDevice, items: readonly DeclaredItem[]): readonly DeclaredItem[] {
  let some = false;
  for (const item of items) some ||= item.secret !== undefined;
  if (!some) return items;
  const family = input.families.get(device.family);
  if (family?.complete === undefined) return items;
  return items.map((item) => (item.secret === undefined ? item : completeItem(input, family, { device, item })));
}

function completeItem(
  input: CompleteInput,
  family: Family,
  { device, item }: { readonly device: DeclaredDevice; readonly item: DeclaredItem },
): DeclaredItem {
  const history = input.view.devices.get(device.id);
  const pinned = history?.hardware === device.hardware ? (history.pinned ?? null) : null;
  const answer = family.complete?.(item, { device, reported: input.reported.deviceAt(device.row), pinned });
  if (answer === undefined) return item;
  return answer.ok ? answer.value : { ...item, impossible: answer.error };
}
