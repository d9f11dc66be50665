import type { Operation } from '#model/operation.ts';
import type { Plan } from '#model/plan.ts';
import type { LedgerView } from '#model/records.ts';

/** Without those that end what is on trial: that they are due now is what the device did, whatever engine looks. */
export function operationsIn(plan: Plan): number {
  const counted = (operations: readonly Operation[]): number => operations.filter(({ completes }) => completes === undefined).length;
  return plan.devices.reduce((sum, device) => sum + counted(device.operations) + counted(device.upkeep), 0);
}

/**
 * Whether another engine than the one that wrote the ledger plans more for the revision that is in force already:
 * DESIGN.md §4, "Engine upgrades".
 */
export function planGrew(engine: string, plan: Plan, before: LedgerView): boolean {
  const sameRevision = before.tree === plan.revision.tree && before.commit === plan.revision.commit;
  return before.engine !== null && before.engine !== engine && sameRevision && operationsIn(plan) > before.planned;
}
