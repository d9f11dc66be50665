import { compareText } from '#kit/diagnostics.ts';
import type { Operation } from '#model/operation.ts';
import type { Plan } from '#model/plan.ts';
import type { LedgerView } from '#model/records.ts';
import type { Decision, Hold } from '#model/rollout.ts';

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

/**
 * The decision without what it would newly begin: operations that are under way go on, offers are still withdrawn, and
 * what a new engine added waits for a person.
 */
export function withoutGrowth(decision: Decision, before: LedgerView): Decision {
  const known = new Set([...before.open.values()].flat().map((open) => open.operation.id));
  const goesOn = ({ id, kind, device, item, completes }: Operation): boolean =>
    kind === 'withdraw' ||
    known.has(id) ||
    (before.open.get(device) ?? []).some((open) => open.operation.item === item && open.operation.step === completes?.step);
  const admitted = decision.admitted.filter(({ operation }) => goesOn(operation));
  const kept = new Set(admitted);
  const waiting = decision.admitted
    .filter((one) => !kept.has(one))
    .map(({ operation }): Hold => ({
      device: operation.device,
      group: operation.group,
      item: operation.item,
      reason: 'APPROVAL_NEEDED',
      evidence: 'a new version of the engine plans more for a revision that did not change',
      until: null,
      person: 'read the plan, then run headgate apply --accept-engine',
      wave: null,
    }));
  // A group whose operations wait has not begun anything: its state stays as it was.
  const still = new Set(waiting.map((hold) => hold.group));
  const events = decision.events.filter((event) => !still.has(event.kind === 'rollout-began' ? event.rollout.group : event.group));
  const held = [...decision.held, ...waiting].toSorted((a, b) => compareText(a.device, b.device));
  return { ...decision, events, admitted, held };
}
