import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { mappedOperations } from '#shadows/mapped/operations.ts';

/**
 * One offer for each item that differs, by what is reported or by what desired holds. A hub tells a device of keys that are
 * gone, and the device reads all of desired when it connects: nothing hinders an offer (docs/protocols/shadow-devices.md §8).
 */
export function operationsFor(request: OperationsRequest): OperationsAnswer {
  return mappedOperations(request, () => null);
}
