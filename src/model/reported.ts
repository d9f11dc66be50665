import type { Json } from '#kit/canonical.ts';
import type { DeviceId, Instant } from './ids.ts';
import type { ItemName } from './item.ts';
import type { Reason } from './reasons.ts';

/**
 * What a device says of one item. `madeNotBefore` is the earliest instant at which the report can have been made, in
 * the clock of the wire (Last-Modified for S3, ours for MQTT); null when its age is unknown (retained, queued).
 */
export type ReportedItem =
  | {
      readonly kind: 'value';
      /** The family's canonical text, the same spelling as DeclaredItem.value. */
      readonly value: string;
      readonly facts: Json;
      readonly madeNotBefore: Instant | null;
      readonly source: string;
    }
  | {
      readonly kind: 'unknown';
      readonly why: Extract<Reason, 'NEVER_REPORTED' | 'REPORT_UNREADABLE'>;
      readonly detail: string;
      readonly source: string;
    };

/** A reported number or state that is no item: battery, watchdogErrors. */
export interface Reading {
  readonly value: string;
  readonly madeNotBefore: Instant | null;
}

/**
 * Something the device did that says how an operation goes, in the family's own codes (its `reasons`). `item` narrows
 * it to operations on that item. Never proof of success.
 */
export interface Sign {
  readonly code: string;
  readonly item: ItemName | null;
  readonly at: Instant | null;
  readonly text: string;
}

/**
 * The last reports of one device: a replaceable snapshot, kept beside the ledger. All of it is JSON, so that it can be
 * stored and handed to `plan --reported FILE`.
 */
export interface ReportedDevice {
  readonly device: DeviceId;
  /** What the hardware says it is; members that it does not say are null. */
  readonly serial: string | null;
  readonly model: string | null;
  /** The newest sign of life with a known age; null when there is none. */
  readonly heardAt: Instant | null;
  /** Whether the transport shows it connected now: null where the wire cannot tell. */
  readonly online: boolean | null;
  /** Its usual gap between signs of life in ms, null before two were seen. */
  readonly gapMs: number | null;
  /**
   * For how long since `heardAt` somebody listened, or up to when somebody looked, and there was nothing newer, in ms. Left out
   * where the age of `heardAt` says it.
   */
  readonly silentMs?: number;
  /** The hardware or its reports are not what was declared, or cannot be read as a whole. Nothing is written then. */
  readonly problem: { readonly reason: Extract<Reason, 'IDENTITY_MISMATCH' | 'REPORT_UNREADABLE'>; readonly detail: string } | null;
  readonly items: Readonly<Partial<Record<ItemName, ReportedItem>>>;
  readonly measures: Readonly<Record<string, Reading>>;
  /** Oldest first, at most 32: older ones fall out. */
  readonly signs: readonly Sign[];
  /** What only the family's driver reads back: ETags, the dialect it found. */
  readonly memo: Readonly<Record<string, Json>>;
}

/** Rows are those of the Declared it was observed for. */
export interface Reported {
  readonly size: number;
  deviceAt(row: number): ReportedDevice | undefined;
  /** The hot path of the plan: the item's report without touching the rest. */
  valueAt(row: number, item: ItemName): ReportedItem | undefined;
}

/** The report of a device of which nothing is known yet. */
export function emptyReport(device: DeviceId): ReportedDevice {
  return {
    device,
    serial: null,
    model: null,
    heardAt: null,
    online: null,
    gapMs: null,
    problem: null,
    items: {},
    measures: {},
    signs: [],
    memo: {},
  };
}
