import type { Content, DeclaredItem } from '#model/declared.ts';
import type { Admitted } from '#model/rollout.ts';
import type { PlanInput } from '#plan/plan.ts';

/**
 * Gives a repeated operation its bytes back: the ledger keeps only name and digest. Looks through what the device is
 * told by this revision and by the present release of its group.
 */
export function withContent(admitted: Admitted, input: PlanInput): Admitted {
  const { operation } = admitted;
  if (operation.content !== null) return admitted;
  const digest = (input.view.open.get(operation.device) ?? []).find((open) => open.operation.id === operation.id)?.operation.content
    ?.digest;
  if (digest === undefined) return admitted;
  const content = itemsOf(input, operation.device).find((item) => item.content?.digest === digest)?.content ?? null;
  return content === null ? admitted : { ...admitted, operation: { ...operation, content: content satisfies Content } };
}

function itemsOf(input: PlanInput, device: Admitted['operation']['device']): readonly DeclaredItem[] {
  const row = input.declared.rowOf(device);
  if (row === undefined) return [];
  const declared = input.declared.deviceAt(row);
  const older = [...input.older.values()].flatMap((one) => input.declared.itemsUnder(one, declared) ?? []);
  return [...declared.items, ...older];
}
