import type { DeviceId, Digest, GroupName, Instant, OperationId, ReleaseId, RolloutId } from './ids.ts';
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
  /**
   * Only where many personal changes roll out in waves: what `to` was made of before them (the same digest over the
   * personal parts last seen converged), so that their revert is recognised. `from` then equals `declared`.
   */
  readonly before?: ReleaseId;
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
  /** When an Approval last resumed it: failures up to then are pardoned and leave all counts. */
  readonly resumedAt?: Instant;
}

export interface DeviceBeginning {
  readonly device: DeviceId;
  /** Values at the time of the first intent, of the measures that a `no rise` condition names. */
  readonly measures: Readonly<Record<string, string>>;
}

export interface DownDevice {
  readonly device: DeviceId;
  readonly code: 'LOST' | 'QUARANTINED';
  /** The newest sign of life when it went down: a newer one ends it. */
  readonly heardAt: Instant | null;
}

/** What the ledger knows of a group's releases. The optional members are empty when left out. */
export interface GroupHistory {
  readonly lineage: readonly LineageEntry[];
  readonly blocked: readonly BlockedPart[];
  readonly rollout: RolloutState | null;
  /** Rollouts that ended, newest last, at most 50. */
  readonly past: readonly (RolloutState & { readonly endedAt: Instant; readonly end: 'completed' | 'rolled-back' | 'superseded' })[];
  /** Devices whose change has begun, with the values that `no rise` compares with. */
  readonly begun?: ReadonlyMap<DeviceId, Readonly<Record<string, string>>>;
  /** Lost, or quarantined and silent, and not heard since. */
  readonly down?: ReadonlyMap<DeviceId, DownDevice>;
  /** Approvals that have had their effect: each works once. */
  readonly approvals?: ReadonlySet<Digest>;
}

/** What a decision changes in the recorded state of rollouts. Folded by one reducer; recorded before anything is sent. */
export type RolloutEvent =
  | { readonly kind: 'adopted'; readonly group: GroupName; readonly entry: LineageEntry }
  | {
      readonly kind: 'rollout-began';
      readonly rollout: Omit<RolloutState, 'waves' | 'outcomes' | 'phase' | 'halt' | 'watchUntil' | 'resumedAt'>;
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
      /** The Approval that is used up by this, null when none was needed. */
      readonly approval?: Digest;
    }
  /** All outcomes of one pass in one event: a group of 100,000 devices is folded once per pass, not once per device. */
  | {
      readonly kind: 'device-outcomes';
      readonly group: GroupName;
      readonly outcomes: readonly { readonly device: DeviceId; readonly outcome: DeviceOutcome }[];
    }
  /** The first operation of a change goes to these devices; `measures` are what `no rise` compares with later. */
  | { readonly kind: 'devices-began'; readonly group: GroupName; readonly devices: readonly DeviceBeginning[]; readonly at: Instant }
  /** A personal change or a correction outside a rollout came to its end there. */
  | { readonly kind: 'devices-settled'; readonly group: GroupName; readonly devices: readonly DeviceId[]; readonly at: Instant }
  /** Lost, or quarantined and silent: they count in the budget until they are heard again. */
  | { readonly kind: 'devices-down'; readonly group: GroupName; readonly devices: readonly DownDevice[]; readonly at: Instant }
  | { readonly kind: 'devices-up'; readonly group: GroupName; readonly devices: readonly DeviceId[]; readonly at: Instant }
  /** An Approval `again`: the device may try this release once more; its recorded failures no longer stand. */
  | {
      readonly kind: 'device-again';
      readonly group: GroupName;
      readonly device: DeviceId;
      readonly approval: Digest;
      readonly at: Instant;
    }
  | {
      readonly kind: 'rollout-halted';
      readonly group: GroupName;
      readonly reason: Reason;
      readonly wave: string | null;
      readonly evidence: string;
      readonly blocked: readonly BlockedPart[];
      readonly at: Instant;
    }
  | {
      readonly kind: 'rollout-resumed';
      readonly group: GroupName;
      readonly unblocked: readonly ReleasePart[];
      readonly approval: Digest;
      readonly at: Instant;
    }
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
  /** Only where the item does not tell it from others: stepToName. */
  readonly step?: string;
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
  /** When the next pass can change something by time alone, or by what this one sends; never before `at`. */
  readonly wakeAt: Instant | null;
  /** The groups as the events leave them: what a fold of `events` over the view gives. */
  readonly groups: ReadonlyMap<GroupName, GroupHistory>;
  /**
   * The merge changes or loses more than `limits` allow and waits for an Approval: nothing of it was begun, and its
   * inventory must not be recorded yet, or the devices that leave would be forgotten. Null when it is accepted.
   */
  readonly mergeHeld: { readonly evidence: string; readonly person: string } | null;
}
