import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { isSettled } from '#plan/plan.ts';
import type { PlanInput } from '#plan/plan.ts';
import type { Declared } from '#model/declared.ts';
import type { DeviceId, Digest, Instant, ReleaseId } from '#model/ids.ts';
import type { Operation, OperationRecord } from '#model/operation.ts';
import type { DeviceHistory, InventoryEntry, LedgerView, RecordBody } from '#model/records.ts';
import type { Decision } from '#model/rollout.ts';
import type { Executed } from '#execute/execute.ts';

/** What changed in the inventory since the ledger last saw it; null when nothing did. */
export function inventoryRecord(declared: Declared, view: LedgerView): RecordBody | null {
  const set: InventoryEntry[] = [];
  for (let row = 0; row < declared.size; row += 1) {
    const { id, hardware, group, personal } = declared.deviceAt(row);
    const known = view.devices.get(id);
    if (known?.hardware === hardware && known.group === group && known.personal === personal) continue;
    set.push({ device: id, hardware, group, personal });
  }
  const left = [...view.devices.keys()].filter((id) => declared.rowOf(id) === undefined).toSorted(compareText);
  return set.length === 0 && left.length === 0 ? null : { type: 'inventory', tree: declared.revision.tree, set, left };
}

/**
 * What hardware is first seen with and must keep, of devices that are told secrets. Comes behind the inventory of the same append,
 * which begins its history.
 */
export function pinnedRecords(input: PlanInput): readonly RecordBody[] {
  const { declared, families, reported, view } = input;
  const entries: { readonly device: DeviceId; readonly hardware: Digest; readonly facts: Json }[] = [];
  for (let row = 0; row < declared.size; row += 1) {
    const { id, family, group, hardware, items, serial } = declared.deviceAt(row);
    if (!items.some((item) => item.ciphertext !== undefined)) continue;
    const pin = families.get(family)?.pin;
    const known = view.devices.get(id);
    if (pin === undefined || group === null || (known?.hardware === hardware && known.pinned !== undefined)) continue;
    const report = reported.deviceAt(row);
    if (report === undefined || report.problem !== null || (serial !== null && report.serial?.toUpperCase() !== serial.toUpperCase()))
      continue;
    const facts = pin.of(report);
    if (facts !== null) entries.push({ device: id, hardware, facts });
  }
  return entries.length === 0 ? [] : [{ type: 'pinned', entries }];
}

/** Devices that now show all they are told, and were not recorded so: later differences are drift made at the device. */
export function convergedRecords(input: PlanInput): readonly RecordBody[] {
  const { declared, view } = input;
  const byRelease = new Map<ReleaseId, { readonly device: DeviceId; readonly personal: Digest }[]>();
  for (let row = 0; row < declared.size; row += 1) {
    const device = declared.deviceAt(row);
    const release = device.group === null ? undefined : declared.groups.get(device.group)?.release.id;
    const known = view.devices.get(device.id);
    if (release === undefined || isRecorded(known, device.personal, release)) continue;
    if (!isSettled(input, device)) continue;
    const entries = byRelease.get(release) ?? [];
    entries.push({ device: device.id, personal: device.personal });
    byRelease.set(release, entries);
  }
  return [...byRelease].toSorted(([a], [b]) => compareText(a, b)).map(([release, entries]) => ({ type: 'converged', release, entries }));
}

function isRecorded(known: DeviceHistory | undefined, personal: Digest, release: ReleaseId): boolean {
  return known?.personalDone === personal && known.releaseDone === release && known.changing !== true;
}

/** Everything that must be durable before the first perform, in the order in which it is folded. */
export function decisionRecords(decision: Decision): readonly RecordBody[] {
  const { at } = decision;
  return [
    ...decision.taken.map((taken): RecordBody => ({ type: 'taken', operation: taken.operation, at: taken.at })),
    ...decision.closed.map((closed): RecordBody => ({ type: 'closed', ...closed, at })),
    ...decision.events.map((event): RecordBody => ({ type: 'event', event })),
    ...decision.admitted.map(({ operation, attempt, notBefore }): RecordBody => ({
      type: 'intent',
      operation: withoutBytes(operation),
      attempt,
      at: Math.max(at, notBefore),
    })),
  ];
}

export function outcomeRecords(executed: readonly Executed[], at: Instant): readonly RecordBody[] {
  return executed.map(({ admitted, result }) => ({
    type: 'outcome',
    operation: admitted.operation.id,
    attempt: admitted.attempt,
    at,
    result,
  }));
}

/** Bytes and URLs stay out of the ledger: name and digest say which content it was. */
function withoutBytes(operation: Operation): OperationRecord {
  const { content } = operation;
  return { ...operation, content: content === null ? null : { name: content.name, digest: content.digest, size: content.size } };
}
