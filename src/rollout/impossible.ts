import type { DeclaredDevice } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { Operation } from '#model/operation.ts';
import type { DevicePlan, Impossible } from '#model/plan.ts';
import type { Reason } from '#model/reasons.ts';

/** A value that is not known yet. Such a device is like one that is offline: it belongs to its wave and may answer late. */
const UNKNOWN: ReadonlySet<Reason> = new Set<Reason>(['NEVER_REPORTED', 'REPORT_UNREADABLE', 'REPORT_STALE']);
/** What may pass without a change of the release: these devices are drawn into waves, or they would go all at once later. */
const MAY_PASS: ReadonlySet<Reason> = new Set<Reason>([...UNKNOWN, 'IDENTITY_MISMATCH', 'ARTIFACT_UNVERIFIED', 'PRECONDITION_MOVED']);
/** What a wave waits for: an answer, an artifact that a person mends, somebody else's trial that ends by itself. */
const COUNTED: ReadonlySet<Reason> = new Set<Reason>([...UNKNOWN, 'ARTIFACT_UNVERIFIED', 'PRECONDITION_MOVED']);

/** Whether no wave may hold the device: the release must not be given to it, whatever it reports next. */
export function isBarred(plan: DevicePlan): boolean {
  return plan.impossible.some(({ reason }) => !MAY_PASS.has(reason));
}

/** Whether the device stands outside the counts of its wave while it has no outcome. */
export function isOutsideCounts(plan: DevicePlan): boolean {
  return plan.impossible.some(({ reason }) => !COUNTED.has(reason));
}

/**
 * What stands against this operation of the device. A release is taken whole: an item that must not change holds the
 * others too. An unknown value holds its own item and those that come after it; drift that is held, only its own.
 */
export function barrierTo(plan: DevicePlan, operation: Operation, device: DeclaredDevice): Impossible | null {
  const order = (item: ItemName): number => device.items.findIndex((one) => one.item === item);
  const upkeep = plan.upkeep.includes(operation);
  for (const one of plan.impossible) {
    if (one.reason === 'DRIFT_HELD') continue;
    if (one.item !== null && UNKNOWN.has(one.reason)) {
      if (order(one.item) <= order(operation.item)) return one;
    } else if (!upkeep || one.reason === 'IDENTITY_MISMATCH') return one;
  }
  return null;
}
