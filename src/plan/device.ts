import type { Declared, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { DeviceId, GroupName, ReleaseId } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { OpenOperation, Operation, OperationDraft } from '#model/operation.ts';
import type { DevicePlan, Impossible } from '#model/plan.ts';
import type { DeviceHistory, GroupHistory, LedgerView } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Family } from '#ports/family.ts';
import { driftOf, withFields } from './drift.ts';
import { identify } from './identity.ts';
import { guardIdentity, guardNeeds } from './guards.ts';

export interface DeviceRequest {
  readonly declared: Declared;
  readonly view: LedgerView;
  readonly family: Family;
  readonly device: DeclaredDevice;
  readonly group: GroupName;
  readonly reported: ReportedDevice | undefined;
  /** The revision that declared the group's present release, null when it is this one or is not known. */
  readonly present: Declared | null;
}

/** Everything the plan says of one device that has a group. */
export function planDevice(request: DeviceRequest): DevicePlan {
  const { device, reported, family, view } = request;
  const history = view.devices.get(device.id);
  const opens = view.open.get(device.id) ?? [];
  const open = opens.map((one) => ({ open: one, confirmation: besideWithdrawal(confirm(request, one), one, opens) }));
  const drift = driftOf(family, device.items, { device, reported });
  const blockedBy = guardIdentity(device, reported, { history, family });
  const change = blockedBy === null ? changesOf(request, targetOf(request), drift.drifted) : { operations: [], impossible: [blockedBy] };
  const upkeep = blockedBy === null ? upkeepOf(request) : null;
  const impossible = [...change.impossible, ...(blockedBy === null ? drift.unknown : [])];
  return {
    device: device.id,
    row: device.row,
    group: request.group,
    model: device.model,
    drifts: withFields(family, drift.drifts, { items: device.items, reported, present: (item) => presentItem(request, item) }),
    operations: change.operations,
    impossible,
    open,
    converged: blockedBy === null && drift.drifts.length === 0 && drift.unknown.length === 0,
    upkeep: upkeep?.operations ?? [],
    upkeepCause: upkeep === null || upkeep.operations.length === 0 ? null : upkeep.cause,
  };
}

/** What the group's present release makes of an item, where that is another release than the declared one. */
function presentItem({ declared, device, present }: DeviceRequest, name: ItemName): DeclaredItem | null {
  const items = present === null ? undefined : declared.itemsUnder(present, device);
  return items?.find(({ item }) => item === name) ?? null;
}

interface Target {
  readonly items: readonly DeclaredItem[];
  readonly release: ReleaseId;
  readonly cause: 'rollout' | 'personal' | 'drift';
}

function confirm({ device, family, reported }: DeviceRequest, open: OpenOperation): DevicePlan['open'][number]['confirmation'] {
  const ours = open.operation.hardware === device.hardware;
  // What the new hardware says proves nothing of what was offered to the old one.
  if (ours && reported !== undefined) return family.confirm(open, reported);
  const phase = open.operation.delivery === 'offer' ? 'OFFERED' : 'IN_FLIGHT';
  return {
    kind: 'open',
    phase,
    takenAt: open.takenAt,
    oldValueSeenAt: null,
    evidence: ours ? 'the device has not reported since' : 'the hardware was replaced',
  };
}

/**
 * From the intent of its withdrawal on only the declared value still speaks for an untaken offer: that the offer is gone, or
 * that the device runs what it ran before, may be the withdrawal's doing, even where a crash left no outcome of it.
 */
function besideWithdrawal(
  confirmation: DevicePlan['open'][number]['confirmation'],
  { operation, takenAt }: OpenOperation,
  opens: readonly OpenOperation[],
): DevicePlan['open'][number]['confirmation'] {
  if (takenAt !== null || confirmation.kind === 'confirmed') return confirmation;
  if (!opens.some((other) => other.operation.withdraws === operation.id)) return confirmation;
  const { perhapsTaken } = 'perhapsTaken' in confirmation ? confirmation : {};
  return {
    kind: 'open',
    phase: 'OFFERED',
    takenAt: null,
    oldValueSeenAt: null,
    evidence: 'is being withdrawn',
    ...(perhapsTaken === undefined ? {} : { perhapsTaken }),
  };
}

/** The declared release, and under which rules a change towards it stands. */
function targetOf(request: DeviceRequest): Target {
  const { declared, device, group, view } = request;
  const release = declared.groups.get(group)?.release.id;
  if (release === undefined) throw new Error(`device ${device.id} names a group that is not declared: ${group}`);
  const history = view.groups.get(group);
  const cause = settledIn(history, release, device) ? upkeepCauseOf(view.devices.get(device.id), device, release) : 'rollout';
  return { items: device.items, release: history?.rollout?.declared === release ? history.rollout.to : release, cause };
}

/** The group runs this release, and no rollout of it still has to reach the device. */
function settledIn(history: GroupHistory | undefined, release: ReleaseId, device: DeclaredDevice): boolean {
  const rollout = history?.rollout ?? null;
  if (rollout === null || rollout.phase === 'watched') return history?.lineage.at(-1)?.release === release;
  if (rollout.declared !== release) return false;
  return (
    rollout.outcomes.get(device.id)?.kind === 'succeeded' || (rollout.from === rollout.declared && !setOf(rollout.changed).has(device.id))
  );
}

/** Lists of the ledger as sets, made once: a group may have a hundred thousand devices. */
const sets = new WeakMap<readonly DeviceId[], ReadonlySet<DeviceId>>();

function setOf(devices: readonly DeviceId[]): ReadonlySet<DeviceId> {
  const known = sets.get(devices);
  if (known !== undefined) return known;
  const made = new Set(devices);
  sets.set(devices, made);
  return made;
}

/** What was once seen as declared and differs now was changed at the device; otherwise the declaration changed. */
function upkeepCauseOf(history: DeviceHistory | undefined, device: DeclaredDevice, release: ReleaseId): 'personal' | 'drift' {
  const seen = history?.personalDone === device.personal && history.releaseDone === release;
  return seen && history.changing !== true ? 'drift' : 'personal';
}

/** Changes that the present release asks for, of a device that no wave of a newer one has reached. */
function upkeepOf(request: DeviceRequest): { readonly operations: readonly Operation[]; readonly cause: 'personal' | 'drift' } | null {
  const { declared, device, group, view, reported, family, present } = request;
  const history = view.groups.get(group);
  const top = history?.lineage.at(-1);
  if (present === null || top === undefined || targetOf(request).cause !== 'rollout') return null;
  if (history?.rollout?.waves.some((wave) => wave.members !== null && setOf(wave.members).has(device.id))) return null;
  const items = declared.itemsUnder(present, device);
  if (items === undefined) return null;
  const { drifted } = driftOf(family, items, { device, reported });
  const cause = upkeepCauseOf(view.devices.get(device.id), device, top.release);
  const { operations } = changesOf(request, { items, release: top.release, cause }, drifted);
  return { operations, cause };
}

function changesOf(
  request: DeviceRequest,
  target: Target,
  drifted: readonly ItemName[],
): { readonly operations: readonly Operation[]; readonly impossible: readonly Impossible[] } {
  const { declared, device, family, group, reported, view } = request;
  const history = view.devices.get(device.id);
  if (reported === undefined || drifted.length === 0) return { operations: [], impossible: [] };
  const failed = history?.personal === device.personal ? failureIn(history, target.release) : null;
  if (failed !== null) return { operations: [], impossible: [failed] };
  const { allowed, held } = admissible(target, drifted);
  const refused = [...held, ...guardNeeds({ family, items: target.items, reported, wanted: allowed })];
  const stopped = new Set(refused.map((one) => one.item));
  const wanted = allowed.filter((item) => !stopped.has(item));
  if (wanted.length === 0) return { operations: [], impossible: refused };
  const answer = family.operations({ device, items: target.items, reported, drifted: wanted });
  const busy = busyOperations(request);
  const context = { fleet: declared.fleet.name, device, group, release: target.release, history, cause: target.cause };
  return {
    operations: answer.drafts.filter((draft) => mayFollow(draft, busy)).map((draft) => identify(draft, context)),
    // What an open operation moved (a firmware on trial) is its doing, and over when it ends: the device has not answered yet.
    impossible: [...refused, ...answer.impossible.filter(({ reason }) => busy.length === 0 || reason !== 'PRECONDITION_MOVED')],
  };
}

/**
 * An item with something open gets nothing else. What only lay ready beside the device is done as soon as it is seen to lie
 * there, and the step that it was laid ready for may follow in the same pass: the next item's step must not go first.
 */
function busyOperations(request: DeviceRequest): readonly OpenOperation[] {
  const opens = request.view.open.get(request.device.id) ?? [];
  return opens.filter(
    (open) => open.operation.disturbs || open.operation.delivery === 'push' || confirm(request, open).kind !== 'confirmed',
  );
}

/** What ends an open step goes beside it, and beside nothing else of its item. */
function mayFollow({ item, completes }: OperationDraft, busy: readonly OpenOperation[]): boolean {
  return busy.every(({ operation }) => operation.item !== item || operation.step === completes?.step);
}

/** Drift made at the device is left alone where the group says so. */
function admissible(
  target: Target,
  drifted: readonly ItemName[],
): { readonly allowed: readonly ItemName[]; readonly held: readonly Impossible[] } {
  if (target.cause !== 'drift') return { allowed: drifted, held: [] };
  const policy = new Map(target.items.map((item) => [item.item, item.drift]));
  const held = drifted.filter((item) => policy.get(item) !== 'correct');
  return {
    allowed: drifted.filter((item) => policy.get(item) === 'correct'),
    held: held.map((item) => ({
      item,
      reason: 'DRIFT_HELD',
      evidence: `${item} was changed at the device; declared as ${policy.get(item)}`,
    })),
  };
}

/**
 * A verdict stands for a release and for what tells the device apart: DESIGN.md §4, "Outcomes of a device". One that is told
 * something else from this pass on has none, as the inventory record of the pass will say.
 */
function failureIn(history: DeviceHistory | undefined, release: ReleaseId): Impossible | null {
  for (const failure of history?.failed.values() ?? []) {
    if (failure.release !== release) continue;
    const reason = failure.code === 'ATTEMPTS_SPENT' ? 'QUARANTINED' : 'FAILED';
    return { item: null, reason, evidence: `${failure.code}: ${failure.evidence}` };
  }
  return null;
}
