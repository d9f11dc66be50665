import type { GroupName, DeviceId, Digest, ReleaseId } from './ids.ts';
import type { ItemName } from './item.ts';
import type { Confirmation, OpenOperation, Operation } from './operation.ts';
import type { Reason } from './reasons.ts';
import type { RevisionRef } from './revision.ts';

/**
 * One field that a change touches inside an item, for people: what it was, what it becomes; null where it is not there.
 * Short texts without secrets.
 */
export interface FieldChange {
  readonly path: string;
  readonly from: string | null;
  readonly to: string | null;
}

export interface Drift {
  readonly item: ItemName;
  /** For people. */
  readonly from: string | null;
  readonly to: string;
  readonly part: string;
  /** Left out where nobody can tell. */
  readonly fields?: readonly FieldChange[];
}

/** A change that must not or cannot be made to this device: the reason, the evidence, and what a person must do. */
export interface Impossible {
  readonly item: ItemName | null;
  readonly reason: Reason;
  readonly evidence: string;
}

/**
 * What the plan says of one device that is not simply converged. `operations` are in the family's order; only the first
 * is live. `target` tells which release they lead to: a device that no wave has reached yet keeps its present one.
 */
export interface DevicePlan {
  readonly device: DeviceId;
  readonly row: number;
  readonly group: GroupName | null;
  readonly model: string;
  readonly drifts: readonly Drift[];
  readonly operations: readonly Operation[];
  readonly impossible: readonly Impossible[];
  /** Open operations of this device with what the reports say of them. */
  readonly open: readonly { readonly open: OpenOperation; readonly confirmation: Confirmation }[];
  /** Everything it is told is reported, apart from what `open` still waits for. */
  readonly converged: boolean;
  /** Operations that its present release asks for: drift and personal changes of a device no wave has reached. */
  readonly upkeep: readonly Operation[];
  readonly upkeepCause: 'personal' | 'drift' | null;
}

export interface GroupPlan {
  readonly group: GroupName;
  readonly release: ReleaseId;
  readonly devices: number;
  readonly converged: number;
}

export interface Plan {
  readonly revision: RevisionRef;
  readonly groups: readonly GroupPlan[];
  /** In order of id; converged devices without open operations are counted, not listed. */
  readonly devices: readonly DevicePlan[];
  /** In the inventory that was last applied, and no longer in this one. */
  readonly leavers: readonly DeviceId[];
  readonly joiners: readonly DeviceId[];
  readonly unmanaged: readonly DeviceId[];
  /** Digest of all the above: equal plans have equal digests. */
  readonly digest: Digest;
}
