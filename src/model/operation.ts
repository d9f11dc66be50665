import type { Json } from '#kit/canonical.ts';
import type { Content } from './declared.ts';
import type { DeviceId, Digest, GroupName, Instant, OperationId, ReleaseId } from './ids.ts';
import type { ItemName } from './item.ts';

/** A push reaches the device at once or not at all; an offer lies ready until the device fetches it. */
export type Delivery = 'push' | 'offer';

/** `change` closes drift, `withdraw` takes an untaken offer back. */
export type OperationKind = 'change' | 'withdraw';

/** What a family's `operations` answers: one side effect, in the family's order; identity and release are added later. */
export interface OperationDraft {
  readonly item: ItemName;
  /** The place in the family's sequence: `os`, `program`, `config`, `firmware`, `withdraw-firmware`. */
  readonly step: string;
  readonly kind: OperationKind;
  readonly delivery: Delivery;
  /** The value that a later report must show. */
  readonly declared: string;
  /** The value that the device reports now and must still have when it is performed. */
  readonly expected: string | null;
  /** What the driver needs, apart from the content. Plain JSON, no secrets. */
  readonly facts: Json;
  readonly content: Content | null;
  /** Counted while the device is demonstrably online: the family says how. */
  readonly deadlineMs: number;
  /** What a person must know before: `erases stored tables`, `restarts the device`. */
  readonly effects: readonly string[];
  /** Whether the device is down, or may be, while this runs: it then needs a slot of the budget. */
  readonly disturbs: boolean;
  /** Of an offer: a device that is there hears of it and takes it at once, so that it needs its slot in the pass that makes it. */
  readonly prompt?: true;
  /**
   * Takes a way back away (the old certificate, the old trust): held, WAITS_FOR_GROUP, until each device of the group is
   * proven to carry this item as declared, by `Family.proves`. Silent and frozen devices are named, not passed over.
   */
  readonly onceAllCarry?: ItemName;
  /**
   * Of a push: how lately the device must have been heard, in the place of three of its usual gaps; null for one that is done
   * at a service (an account, the record of a broker), for which it need not be there.
   */
  readonly heardWithinMs?: number | null;
  /** A second step from us must follow within so many ms, or none at all (null): in the place of what the family says. */
  readonly attentionMs?: number | null;
  /**
   * Ends what an earlier step of the same item tried out (a commit, a way back): it goes beside that step while that is open,
   * and neither windows nor `before`, which held that one, hold this. `healthySince`, of one that makes it final: held,
   * CONDITIONS_NOT_MET, until readings made after it meet the group's `health`; null asks for none.
   */
  readonly completes?: { readonly step: string; readonly healthySince: Instant | null };
}

export interface Operation extends OperationDraft {
  readonly id: OperationId;
  readonly device: DeviceId;
  readonly family: string;
  readonly connection: string;
  readonly hardware: Digest;
  readonly group: GroupName;
  readonly release: ReleaseId;
  /** Number of the ledger record that closed the last operation on this device and item; 0 when there is none. */
  readonly occasion: number;
  /** Which kind of change it serves: decides which rules hold. */
  readonly cause: 'rollout' | 'personal' | 'drift' | 'withdrawal' | 'refusal';
  /** Of a withdrawal: the offer that it takes back. */
  readonly withdraws?: OperationId;
}

/**
 * The step, where the item alone would not tell several operations apart: `commit` of what was on trial, `switch` of a
 * certificate's rotation. Null where it says no more than the item: `load-identity`.
 */
export function stepToName({ item, step, completes }: Pick<OperationDraft, 'item' | 'step' | 'completes'>): string | null {
  return completes !== undefined || (item === 'identity' && !step.includes(item)) ? step : null;
}

/** An operation as it is kept in the ledger: content by name and digest only. */
export type OperationRecord = Omit<Operation, 'content'> & {
  readonly content: { readonly name: string; readonly digest: Digest; readonly size: number | null } | null;
};

/** An operation that was intended and is not closed. */
export interface OpenOperation {
  readonly operation: OperationRecord;
  readonly attempt: number;
  readonly intendedAt: Instant;
  /** The instant after which a report counts, in the clock of the wire; null: perhaps done (no outcome recorded). */
  readonly reference: Instant | null;
  /** First sign that the device took it. */
  readonly takenAt: Instant | null;
  /** What perform left for a withdrawal: object key, ETag, digest of the previous bytes. */
  readonly undo: Json;
  /** When the last attempt met trouble: not before then again. */
  readonly retryAt: Instant | null;
  readonly lastTrouble: string | null;
}

/** What the reports alone say of an open operation. Deadlines and silence are judged by rollout, which has the time. */
export type Confirmation =
  | { readonly kind: 'confirmed'; readonly evidence: string }
  /**
   * A verdict: at once, never tried again with this release. `takeBack`: what was offered lies there still, and must not.
   * `isBack`: the device runs what it ran before, which is no verdict where the release is not wanted any more.
   */
  | { readonly kind: 'failed'; readonly code: string; readonly evidence: string; readonly takeBack?: true; readonly isBack?: true }
  /** No evidence that it was taken, or a download that failed: retried with back-off. */
  | { readonly kind: 'trouble'; readonly code: string; readonly evidence: string; readonly perhapsTaken?: string }
  | {
      readonly kind: 'open';
      readonly phase: 'IN_FLIGHT' | 'OFFERED' | 'VERIFYING';
      readonly takenAt: Instant | null;
      /** A report made after the reference shows the old value still: needed before a silent operation is repeated. */
      readonly oldValueSeenAt: Instant | null;
      readonly evidence: string;
      /** What a loss would be put down to, in place of the plain words. */
      readonly lost?: string;
      /** Why an offer that was withdrawn may have been taken before: it is followed until a report says so or not. */
      readonly perhapsTaken?: string;
    };

/** How an operation ended. */
export type Closing = 'succeeded' | 'failed' | 'withdrawn' | 'superseded' | 'quarantined';
