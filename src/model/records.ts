import type { Json } from '#kit/canonical.ts';
import type { DeviceId, Digest, GroupName, Instant, OperationId, ReleaseId } from './ids.ts';
import type { ItemName } from './item.ts';
import type { Closing, OpenOperation, OperationRecord } from './operation.ts';
import type { Reason } from './reasons.ts';
import type { GroupHistory, RolloutEvent } from './rollout.ts';

export type { GroupHistory } from './rollout.ts';

/** What perform answered. `undo` is what a withdrawal will need; `reference` is in the clock of the wire. */
export type OutcomeResult =
  | { readonly kind: 'performed' | 'already'; readonly reference: Instant; readonly undo: Json }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly evidence: string }
  | { readonly kind: 'trouble'; readonly code: string; readonly evidence: string; readonly retryAt: Instant };

export interface InventoryEntry {
  readonly device: DeviceId;
  readonly hardware: Digest;
  readonly group: GroupName | null;
  readonly personal: Digest;
}

/** What is recorded. Bodies are versioned by the record's `version`; old majors stay readable. */
export type RecordBody =
  | { readonly type: 'genesis'; readonly ledger: string; readonly fleet: string; readonly engine: string }
  | {
      readonly type: 'pass';
      readonly commit: string | null;
      readonly tree: Digest;
      readonly engine: string;
      readonly planned: number;
      readonly at: Instant;
    }
  /** What changed in the inventory since the last applied revision. */
  | {
      readonly type: 'inventory';
      readonly tree: Digest;
      readonly set: readonly InventoryEntry[];
      readonly left: readonly DeviceId[];
    }
  /** Facts of hardware that were seen first and must not change, in the family's own shape: a device's public key. */
  | {
      readonly type: 'pinned';
      readonly entries: readonly { readonly device: DeviceId; readonly hardware: Digest; readonly facts: Json }[];
    }
  | { readonly type: 'event'; readonly event: RolloutEvent }
  | { readonly type: 'intent'; readonly operation: OperationRecord; readonly attempt: number; readonly at: Instant }
  | {
      readonly type: 'outcome';
      readonly operation: OperationId;
      readonly attempt: number;
      readonly at: Instant;
      readonly result: OutcomeResult;
    }
  | { readonly type: 'taken'; readonly operation: OperationId; readonly at: Instant }
  /** Devices that were seen to carry all of this release and of their personal part: what differs later was changed there. */
  | {
      readonly type: 'converged';
      readonly release: ReleaseId;
      readonly entries: readonly { readonly device: DeviceId; readonly personal: Digest }[];
    }
  | {
      readonly type: 'closed';
      readonly operation: OperationId;
      readonly device: DeviceId;
      readonly item: ItemName;
      readonly step?: string;
      readonly closing: Closing;
      readonly code: string | null;
      readonly evidence: string;
      readonly at: Instant;
    };

/** A record in its place in the chain: `hash` is the digest of all the rest, `prev` the hash of the record before. */
export interface LedgerRecord {
  readonly version: 1;
  readonly seq: number;
  readonly fencing: number;
  readonly prev: Digest | null;
  readonly hash: Digest;
  readonly body: RecordBody;
}

export interface DeviceHistory {
  readonly hardware: Digest;
  readonly group: GroupName | null;
  /** The personal digest last recorded by an inventory record, and the tree that brought it. */
  readonly personal: Digest;
  readonly personalTree: Digest;
  /** The personal digest that was last seen converged; null before. */
  readonly personalDone: Digest | null;
  /** The release that was last seen converged together with it; null before. */
  readonly releaseDone: ReleaseId | null;
  /** What a `pinned` record says of the present hardware; left out before there is one. */
  readonly pinned?: Json;
  /** A change of ours was begun since it was last seen converged: what differs now need not have been made at the device. */
  readonly changing?: boolean;
  /** Per item: number of the record that closed the last operation on it. Cleared by replaced hardware. */
  readonly lastClosed: Readonly<Partial<Record<ItemName, number>>>;
  /**
   * Attempts of operations that ended because their precondition had moved when they were repeated: they count for what
   * is planned in their place. Cleared by success, by another declaration and by an Approval.
   */
  readonly spent?: Readonly<Partial<Record<ItemName, { readonly release: ReleaseId; readonly attempts: number }>>>;
  /**
   * What a driver refused to begin, by item, for a reason that the plan did not foresee, and how often in a row. Cleared by any
   * other outcome on the item, by another declaration and by an Approval.
   */
  readonly refused?: Readonly<Partial<Record<ItemName, RefusedBeginning>>>;
  /** Operations that failed by verdict or spent their attempts, by operation id, so that they are not made again. */
  readonly failed: ReadonlyMap<
    OperationId,
    { readonly code: string; readonly evidence: string; readonly release: string; readonly at: Instant }
  >;
}

export interface RefusedBeginning {
  readonly step: string;
  readonly declared: string;
  readonly expected: string | null;
  readonly reason: Reason;
  readonly evidence: string;
  readonly times: number;
  readonly at: Instant;
}

/** The ledger, folded. */
export interface LedgerView {
  readonly ledger: string | null;
  readonly seq: number;
  readonly engine: string | null;
  /** How many operations the last pass planned: an engine that plans more for the same revision waits for a person. */
  readonly planned: number;
  readonly commit: string | null;
  readonly tree: Digest | null;
  /** Instants of the intents of the last minute: the token bucket. */
  readonly recentIntents: readonly Instant[];
  readonly devices: ReadonlyMap<DeviceId, DeviceHistory>;
  /** Open operations per device, oldest first. */
  readonly open: ReadonlyMap<DeviceId, readonly OpenOperation[]>;
  readonly groups: ReadonlyMap<GroupName, GroupHistory>;
}
