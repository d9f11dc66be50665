import type { DeclaredItem } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { mappedOperations } from '#shadows/mapped/operations.ts';
import { itemFacts } from '#shadows/mapped/reports.ts';
import type { Write } from '#shadows/mapped/values.ts';

/** One offer for each item that differs: its keys of desired. */
export function operationsFor(request: OperationsRequest): OperationsAnswer {
  return mappedOperations(request, (item, writes, reported) => {
    const untold = untoldMembers(item, writes, reported);
    if (untold.length === 0) return null;
    return `${untold.slice(0, 3).join(', ')} would go, and a shadow never tells a device that a key is gone; write {version} or {sha256} beside the document`;
  });
}

/**
 * Members that the device has and the declared document has not, where nothing else would show it that something changed: a
 * key that is gone makes no delta (docs/protocols/aws-iot.md X5, X9).
 */
function untoldMembers(item: DeclaredItem, writes: readonly Write[], reported: ReportedDevice): readonly string[] {
  if (item.item !== 'config' || writes.some(({ kind }) => kind !== 'document')) return [];
  const members = isJsonObject(item.facts) ? item.facts['members'] : undefined;
  const has = itemFacts(reported.items.config)?.members ?? null;
  if (!Array.isArray(members) || has === null) return [];
  const wanted = new Set(members);
  return has.filter((pointer) => !wanted.has(pointer));
}
