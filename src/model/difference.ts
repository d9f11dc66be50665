import type { Place } from '#kit/diagnostics.ts';
import type { DeviceId, GroupName, ReleaseId } from './ids.ts';
import type { ItemName } from './item.ts';
import type { RevisionRef } from './revision.ts';

/** `joins` is only in the head, `leaves` only in the base. */
export type DifferenceSign = 'joins' | 'changes' | 'leaves';

/** A device that is only in one of the two revisions. The place is in that revision. */
export interface MovedDevice {
  readonly device: DeviceId;
  readonly group: GroupName | null;
  readonly model: string;
  readonly place: Place;
}

/** One item of several devices, from one declared version to another. Null: not declared there. */
export interface DeclaredItemChange {
  readonly item: ItemName;
  readonly from: string | null;
  readonly to: string | null;
  /** Devices by model, the most frequent first. */
  readonly models: readonly (readonly [string, number])[];
  /** The first of those devices in order of id, at most five. */
  readonly examples: readonly DeviceId[];
  /** Where the item of the first of them stands: in the head, for an item that leaves in the base. */
  readonly place: Place;
}

export interface GroupDifference {
  readonly group: GroupName;
  readonly sign: DifferenceSign;
  readonly place: Place;
  readonly from: ReleaseId | null;
  readonly to: ReleaseId | null;
  /** Devices of the group in the head (for a group that leaves: in the base). */
  readonly devices: number;
  /** Of those, the ones in both revisions that are told something else. */
  readonly changing: number;
  /** Parts of the release, sorted by id. */
  readonly parts: readonly { readonly id: string; readonly sign: DifferenceSign }[];
  readonly items: readonly DeclaredItemChange[];
  /** What else it says: `rollout careful → by-depot`, `silence 6h → 3d`. */
  readonly rules: readonly string[];
}

/** A rule that the merge adds, changes or removes; `details` says what of it, from → to. */
export interface RuleDifference {
  readonly kind:
    | 'rollout'
    | 'window'
    | 'override'
    | 'freeze'
    | 'approval'
    | 'connection'
    | 'trust'
    | 'limits'
    | 'ledger'
    | 'artifacts'
    | 'fleet';
  readonly name: string;
  readonly sign: DifferenceSign;
  readonly details: readonly string[];
  readonly place: Place;
}

/** What two revisions declare differently, without any report or ledger: all that a run without secrets can know. */
export interface DeclaredDifference {
  readonly fleet: string;
  readonly base: RevisionRef;
  readonly head: RevisionRef;
  /** Devices of the head. */
  readonly devices: number;
  /** Devices of both revisions that are told something else, moved ones and replaced hardware included. */
  readonly changing: number;
  readonly joining: readonly MovedDevice[];
  readonly leaving: readonly MovedDevice[];
  readonly replaced: readonly { readonly device: DeviceId; readonly from: string; readonly to: string; readonly place: Place }[];
  readonly moving: readonly {
    readonly device: DeviceId;
    readonly from: GroupName | null;
    readonly to: GroupName | null;
    readonly place: Place;
  }[];
  readonly groups: readonly GroupDifference[];
  /** Rollouts, windows, overrides, freezes, approvals. */
  readonly rules: readonly RuleDifference[];
  /** Connections, trust, limits and the like: a pull request is planned with those of its base, only the merge changes them. */
  readonly onlyByMerge: readonly RuleDifference[];
}
