import type { DeclaredDevice, GroupDeclaration } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { Operation } from '#model/operation.ts';
import type { Family } from '#ports/family.ts';
import { deviceOfRow, freezeOf, isRetired } from './draft.ts';
import type { Draft, Refusal } from './draft.ts';

const NAMED = 5;

/** What takes a way back away waits until nobody in the group still needs it (DESIGN.md §1, law 6). */
export function unproven(draft: Draft, operation: Operation, group: GroupDeclaration): Refusal | null {
  const { onceAllCarry } = operation;
  if (onceAllCarry === undefined) return null;
  const waiting = unprovenIn(draft, group, onceAllCarry);
  if (waiting.length === 0) return null;
  const names = waiting.slice(0, NAMED).map(({ device, frozen }) => (frozen ? `${device} (frozen)` : device));
  const more = waiting.length > NAMED ? ` and ${waiting.length - NAMED} more` : '';
  const evidence = `not yet proven to carry ${onceAllCarry}: ${names.join(', ')}${more}`;
  return { reason: 'WAITS_FOR_GROUP', evidence, until: null, person: null };
}

interface Waiting {
  readonly device: DeviceId;
  readonly frozen: boolean;
}

function unprovenIn(draft: Draft, group: GroupDeclaration, item: ItemName): readonly Waiting[] {
  const key = `${group.name} ${item}`;
  const known = draft.unproven.get(key);
  if (known !== undefined) return known;
  const waiting: Waiting[] = [];
  for (const row of group.rows) {
    const device = deviceOfRow(draft, row);
    const family = draft.input.families.get(device.family);
    if (family === undefined || isRetired(draft, device) || isProven(draft, { family, device, item })) continue;
    waiting.push({ device: device.id, frozen: freezeOf(draft, device) !== null });
  }
  draft.unproven.set(key, waiting);
  return waiting;
}

function isProven(
  draft: Draft,
  { family, device, item }: { readonly family: Family; readonly device: DeclaredDevice; readonly item: ItemName },
): boolean {
  const declared = device.items.find((one) => one.item === item);
  if (declared === undefined) return true;
  // What leads elsewhere and is still open is perhaps done: whatever the last report says, it may be of before.
  const open = draft.input.view.open.get(device.id) ?? [];
  if (open.some(({ operation }) => operation.item === item && operation.kind === 'change' && operation.declared !== declared.value))
    return false;
  const reported = draft.input.reported.deviceAt(device.row);
  if (reported === undefined || reported.problem !== null) return false;
  if (family.proves !== undefined) return family.proves(declared, reported);
  const value = reported.items[item];
  if (value?.kind !== 'value' || value.madeNotBefore === null) return false;
  return value.value === declared.value || family.agrees(declared, value);
}
