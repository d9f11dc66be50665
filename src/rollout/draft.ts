import type { DeclaredDevice, GroupDeclaration, RolloutRules } from '#model/declared.ts';
import type { DeviceId, Digest, GroupName, Instant, OperationId, ReleaseId } from '#model/ids.ts';
import { stepToName, type OpenOperation, type Operation } from '#model/operation.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { Reason } from '#model/reasons.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Admitted, BlockedPart, Closed, Decision, GroupHistory, Hold, RolloutEvent, Taken } from '#model/rollout.ts';
import type { DecideInput } from './input.ts';
import type { PlaceOf } from './waves.ts';
import type { WindowState } from './windows.ts';
import { applyRolloutEvent, emptyGroupHistory, groupOf } from './state.ts';

/** Why an operation is not admitted now; a hold without the device. */
export interface Refusal {
  readonly reason: Reason;
  readonly evidence: string;
  readonly until: Instant | null;
  readonly person: string | null;
}

/** A change operation that this pass leaves open. */
export interface StillOpen {
  readonly open: OpenOperation;
  /** The device has taken it: it can no longer be withdrawn. */
  readonly taken: boolean;
  /** The device showed life after it was delivered: it now counts in the budget. */
  readonly alive: boolean;
  /** What it waits for. */
  readonly refusal: Refusal;
  /** It is to be attempted again from then on; null while the attempt under way stands. */
  readonly againFrom: Instant | null;
  /** Why it may have been taken before it was withdrawn; null where nothing says so. */
  readonly perhapsTaken: string | null;
}

export interface Failure {
  readonly code: string;
  readonly evidence: string;
  readonly release: ReleaseId;
  readonly closing: 'failed' | 'quarantined';
}

/** What became of a device's open operations in this pass. */
export interface Settlement {
  readonly open: readonly StillOpen[];
  readonly withdrawals: readonly OpenOperation[];
  readonly failure: Failure | null;
  /** Releases that an operation which succeeded now led to. */
  readonly succeeded: readonly ReleaseId[];
}

const NOTHING_OPEN: Settlement = { open: [], withdrawals: [], failure: null, succeeded: [] };

/** How far the rollout of a group reaches. */
export interface Reach {
  /** The wave of each device: recorded, or the one it would be in if all opened now. */
  waveOf(device: DeviceId): { readonly name: string; readonly index: number; readonly open: boolean } | null;
  readonly lastOpen: boolean;
  readonly nextIndex: number;
  changes(device: DeviceId): boolean;
  /** A wave of a rollout that was stopped since the present release was completed held it: it may have anything now. */
  touched(device: DeviceId): boolean;
  /** More personal changes than may go beside a rollout that is under way. */
  readonly personalHeld: boolean;
}

/** How a group stands to its declared release in this pass. */
export type Stance =
  | { readonly kind: 'genesis' | 'steady' | 'rollout' }
  /** All devices that the release would change are ones it must not change: there is nothing to begin with. */
  | { readonly kind: 'barred' }
  | { readonly kind: 'limited' }
  | { readonly kind: 'blocked'; readonly parts: readonly BlockedPart[] };

/** The decision while it is made. Events change the groups at once, so that each step sees what the one before did. */
export interface Draft {
  readonly input: DecideInput;
  readonly now: Instant;
  readonly groups: Map<GroupName, GroupHistory>;
  readonly events: RolloutEvent[];
  readonly closed: Closed[];
  readonly taken: Taken[];
  readonly withdrawn: Admitted[];
  readonly admitted: Admitted[];
  readonly holds: Map<DeviceId, Hold>;
  readonly wakes: Instant[];
  readonly plans: ReadonlyMap<DeviceId, DevicePlan>;
  readonly byGroup: ReadonlyMap<GroupName, readonly DevicePlan[]>;
  readonly settled: Map<DeviceId, Settlement>;
  readonly stances: Map<GroupName, Stance>;
  /** Why the next wave of a rolling group is not open. */
  readonly waits: Map<GroupName, Refusal>;
  /** Offers whose withdrawal is admitted or under way, with the reason for the device's hold. */
  readonly recalled: Map<OperationId, Refusal>;
  /** What reachOf has worked out; only asked once the waves of this pass are open. */
  readonly reaches: Map<GroupName, Reach>;
  /** Where the stable hash of each rollout puts its devices, as far as it was asked. */
  readonly places: Map<GroupName, PlaceOf>;
  /** What windowsAt has worked out. */
  readonly windows: Map<string, WindowState>;
  /** Devices that stand in the way of operations with `onceAllCarry`, by group and item. */
  readonly unproven: Map<string, readonly { readonly device: DeviceId; readonly frozen: boolean }[]>;
  /** When each freeze may begin, where its override has a day for that. */
  readonly freezeStarts: ReadonlyMap<string, Instant>;
  mergeHeld: Decision['mergeHeld'];
}

export function makeDraft(input: DecideInput): Draft {
  const plans = new Map<DeviceId, DevicePlan>();
  const byGroup = new Map<GroupName, DevicePlan[]>();
  for (const plan of input.plan.devices) {
    plans.set(plan.device, plan);
    if (plan.group === null) continue;
    const list = byGroup.get(plan.group);
    if (list === undefined) byGroup.set(plan.group, [plan]);
    else list.push(plan);
  }
  return {
    input,
    now: input.now,
    groups: new Map(input.view.groups),
    events: [],
    closed: [],
    taken: [],
    withdrawn: [],
    admitted: [],
    holds: new Map(),
    wakes: [],
    plans,
    byGroup,
    settled: new Map(),
    stances: new Map(),
    waits: new Map(),
    recalled: new Map(),
    reaches: new Map(),
    places: new Map(),
    windows: new Map(),
    unproven: new Map(),
    freezeStarts: new Map(input.declared.overrides.flatMap(({ name, starts }) => (starts === null ? [] : [[name, starts] as const]))),
    mergeHeld: null,
  };
}

export function emit(draft: Draft, event: RolloutEvent): void {
  draft.events.push(event);
  draft.groups.set(groupOf(event), applyRolloutEvent(historyOf(draft, groupOf(event)), event));
}

export function historyOf(draft: Draft, group: GroupName): GroupHistory {
  return draft.groups.get(group) ?? emptyGroupHistory();
}

export function declaredOf(draft: Draft, device: DeviceId): DeclaredDevice | undefined {
  const row = draft.input.declared.rowOf(device);
  return row === undefined ? undefined : draft.input.declared.deviceAt(row);
}

export function deviceOfRow(draft: Draft, row: number): DeclaredDevice {
  return draft.input.declared.deviceAt(row);
}

/** The device of a plan entry: by its row, without the search. */
export function deviceOf(draft: Draft, plan: DevicePlan): DeclaredDevice {
  return draft.input.declared.deviceAt(plan.row);
}

export function reportOf(draft: Draft, device: DeviceId): ReportedDevice | undefined {
  const row = draft.input.declared.rowOf(device);
  return row === undefined ? undefined : draft.input.reported.deviceAt(row);
}

export function settlementOf(draft: Draft, device: DeviceId): Settlement {
  return draft.settled.get(device) ?? NOTHING_OPEN;
}

/** The freeze that holds the device now: one that has begun and has not ended. */
export function freezeOf(draft: Draft, device: DeclaredDevice): DeclaredDevice['freeze'] {
  const { freeze } = device;
  if (freeze === null) return null;
  const starts = draft.freezeStarts.get(freeze.override);
  if (starts !== undefined && starts > draft.now) return null;
  return freeze.until !== null && freeze.until <= draft.now ? null : freeze;
}

export function isRetired(draft: Draft, device: DeclaredDevice): boolean {
  return device.retiredFrom !== null && device.retiredFrom <= draft.now;
}

/** Whether the group's rollouts have anything to do with the device now: it is in the group, watched and not frozen. */
export function takesPart(draft: Draft, group: GroupName, device: DeclaredDevice | undefined): boolean {
  return device !== undefined && device.group === group && !isRetired(draft, device) && freezeOf(draft, device) === null;
}

/** The rules of a device: an override may give it a rollout of its own. */
export function rulesOf(draft: Draft, group: GroupDeclaration, device: DeclaredDevice): RolloutRules | undefined {
  return draft.input.declared.rollouts.get(device.rollout ?? group.rollout);
}

/** The release that operations towards what is declared lead to. */
export function targetOf(draft: Draft, group: GroupDeclaration): ReleaseId {
  const { rollout } = historyOf(draft, group.name);
  return rollout !== null && rollout.declared === group.release.id ? rollout.to : group.release.id;
}

export function close(draft: Draft, open: OpenOperation, how: Pick<Closed, 'closing' | 'code' | 'evidence'>): void {
  const { id, device, item } = open.operation;
  const step = stepToName(open.operation);
  draft.closed.push({ operation: id, device, item, ...(step === null ? {} : { step }), ...how });
}

/** Wakes the engine then; what is past wakes nobody. */
export function wakeAt(draft: Draft, at: Instant | null): void {
  if (at !== null && at >= draft.now) draft.wakes.push(at);
}

export function isUsed(history: GroupHistory, approval: Digest): boolean {
  return history.approvals?.has(approval) === true;
}

/** An operation of the ledger, ready to be admitted again: its bytes are found by their digest before it is performed. */
export function operationAgain({ operation }: OpenOperation): Operation {
  return { ...operation, content: null };
}
