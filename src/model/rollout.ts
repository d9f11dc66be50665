import type { DeviceId, GroupName, Instant, OperationId, ReleaseId, RolloutId } from './ids.ts';
import type { ItemName } from './item.ts';
import type { ReleasePart } from './declared.ts';
import type { Closing, Operation } from './operation.ts';
import type { Reason } from './reasons.ts';

/** A release that a group has completed, or that was adopted when the ledger began. Newest last in the lineage. */
export interface LineageEntry {
  readonly release: ReleaseId;
  /** The commit that declared it; null for what was only reported when the ledger began. */
  readonly commit: string | null;
  readonly parts: readonly ReleasePart[];
  readonly at: Instant;
}

export interface BlockedPart extends ReleasePart {
  readonly release: ReleaseId;
  readonly why: string;
  readonly at: Instant;
}

/** The outcome of a device in a rollout. Offline is no outcome: such a device has none yet. */
export interface DeviceOutcome {
  readonly kind: 'succeeded' | 'failed';
  /** The family's code of a failure, or LOST, UNHEALTHY, ATTEMPTS_SPENT. */
  readonly code: string | null;
  readonly evidence: string;
  readonly at: Instant;
}

export interface WaveState {
  readonly name: string;
  /** Recorded when the wave opens; null before. */
  readonly members: readonly DeviceId[] | null;
  readonly openedAt: Instant | null;
  /** When its counts were met (or met again after a failure): the soak starts here. */
  readonly metAt: Instant | null;
  readonly passedAt: Instant | null;
}

export interface RolloutState {
  readonly id: RolloutId;
  readonly group: GroupName;
  readonly from: ReleaseId | null;
  readonly to: ReleaseId;
  /** The group's declared release when this began: equal to `to`, except for personal changes rolled out in waves. */
  readonly declared: ReleaseId;
  readonly direction: 'forward' | 'rollback';
  readonly commit: string | null;
  readonly rules: string;
  readonly beganAt: Instant;
  /** Devices that the release changes, sorted, as of the beginning. Shares are of these. */
  readonly changed: readonly DeviceId[];
  /** Devices that were silent when it began: they never count in the budget until they show life. */
  readonly silent: readonly DeviceId[];
  /** The parts in which `to` differs from `from`: what is blocked when it fails. */
  readonly parts: readonly ReleasePart[];
  readonly phase: 'rolling' | 'halted' | 'watched';
  readonly halt: { readonly reason: Reason; readonly wave: string | null; readonly evidence: string; readonly at: Instant } | null;
  readonly waves: readonly WaveState[];
  readonly outcomes: ReadonlyMap<DeviceId, DeviceOutcome>;
  readonly watchUntil: Instant | null;
}

/** What a decision changes in the recorded state of rollouts. Folded by one reducer; recorded before anything is sent. */
export type RolloutEvent =
  | { readonly kind: 'adopted'; readonly group: GroupName; readonly entry: LineageEntry }
  | {
      readonly kind: 'rollout-began';
      readonly rollout: Omit<RolloutState, 'waves' | 'outcomes' | 'phase' | 'halt' | 'watchUntil'>;
      readonly waves: readonly string[];
    }
  | {
      readonly kind: 'wave-opened';
      readonly group: GroupName;
      readonly wave: string;
      readonly members: readonly DeviceId[];
      readonly at: Instant;
    }
  | { readonly kind: 'wave-met'; readonly group: GroupName; readonly wave: string; readonly at: Instant }
  | { readonly kind: 'wave-unmet'; readonly group: GroupName; readonly wave: string; readonly at: Instant }
  | {
      readonly kind: 'wave-passed';
      readonly group: GroupName;
      readonly wave: string;
      readonly at: Instant;
      readonly because: 'gate' | 'empty' | 'approval' | 'patience';
    }
  | {
      readonly kind: 'device-outcome';
      readonly group: GroupName;
      readonly device: DeviceId;
      readonly outcome: DeviceOutcome;
    }
  /** An Approval `again`: the device may try this release once more. */
  | { readonly kind: 'device-again'; readonly group: GroupName; readonly device: DeviceId; readonly at: Instant }
  | {
      readonly kind: 'rollout-halted';
      readonly group: GroupName;
      readonly reason: Reason;
      readonly wave: string | null;
      readonly evidence: string;
      readonly blocked: readonly BlockedPart[];
      readonly at: Instant;
    }
  | { readonly kind: 'rollout-resumed'; readonly group: GroupName; readonly unblocked: readonly string[]; readonly at: Instant }
  | { readonly kind: 'rollout-completed'; readonly group: GroupName; readonly entry: LineageEntry; readonly watchUntil: Instant | null }
  | { readonly kind: 'watch-ended'; readonly group: GroupName; readonly at: Instant }
  | {
      readonly kind: 'rollout-stopped';
      readonly group: GroupName;
      readonly because: 'rolled-back' | 'superseded';
      readonly at: Instant;
    };

/** An operation that is not admitted now. Each device that is not converged has exactly one. */
export interface Hold {
  readonly device: DeviceId;
  readonly group: GroupName | null;
  readonly item: ItemName | null;
  readonly reason: Reason;
  readonly evidence: string;
  /** The next instant at which it can change; null when only a report or a person can change it. */
  readonly until: Instant | null;
  /** What a person must do, when one must. */
  readonly person: string | null;
  readonly wave: string | null;
}

export interface Admitted {
  readonly operation: Operation;
  readonly attempt: number;
  /** Spread by the rate limit within the pass. */
  readonly notBefore: Instant;
}

/** An operation that ends with this decision. */
export interface Closed {
  readonly operation: OperationId;
  readonly device: DeviceId;
  readonly item: ItemName;
  readonly closing: Closing;
  readonly code: string | null;
  readonly evidence: string;
}

export interface Taken {
  readonly operation: OperationId;
  readonly at: Instant;
}

export interface Decision {
  readonly at: Instant;
  readonly events: readonly RolloutEvent[];
  readonly closed: readonly Closed[];
  readonly taken: readonly Taken[];
  /** Withdrawals first, then changes, in order of notBefore and device. */
  readonly admitted: readonly Admitted[];
  /** One per device that is not converged, sorted by device. */
  readonly held: readonly Hold[];
  /** When the next pass can change something by time alone. */
  readonly wakeAt: Instant | null;
}
