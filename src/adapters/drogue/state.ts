import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';
import type { Encoding } from './wire.ts';

/** What a device said last. */
export interface Heard {
  readonly at: Instant;
  readonly version: string;
  /** First of a row of statuses with this version. */
  readonly since: Instant;
  readonly mtu: number | null;
  readonly update: { readonly version: string; readonly offset: number } | null;
  readonly encoding: Encoding;
  /** Statuses in the documented form, or an mtu of 0: what a person should know. */
  readonly warnings: readonly string[];
}

/** A status that could not be understood, or was not this device's. */
export interface Odd {
  readonly at: Instant;
  readonly kind: 'UNREADABLE' | 'STRANGER';
  readonly text: string;
}

/**
 * writing: blocks are told. jumped: part of the image is missing, and nothing more is told until the device begins anew.
 * swapping: Swap was told. trial: the new image runs and is not marked good. synced: Sync was told. failed: a verdict.
 */
export type Phase = 'writing' | 'jumped' | 'swapping' | 'trial' | 'synced' | 'failed';

export type FailureCode = 'SWAP_FAILED' | 'BOOTED_BACK' | 'WRONG_VERSION' | 'TRIAL_FAILED' | 'TRANSFER_BROKEN';

/** One offer that a device came for. */
export interface Job {
  readonly operation: string;
  readonly release: string;
  readonly version: string;
  readonly digest: string;
  readonly size: number;
  /** What ran when it began. */
  readonly from: string;
  readonly phase: Phase;
  readonly begunAt: Instant;
  /** The last block that was told, null before the first one and after the device began anew. */
  readonly told: { readonly offset: number; readonly length: number } | null;
  /** Times that part of the image was missing. */
  readonly jumps: number;
  readonly swaps: number;
  /** When Swap was first told: from here on only the device itself can go back. */
  readonly swapAt: Instant | null;
  /** First status of the new image. */
  readonly ranAt: Instant | null;
  readonly syncAt: Instant | null;
  /** First status of the new image after Sync. */
  readonly provenAt: Instant | null;
  readonly failure: { readonly code: FailureCode; readonly at: Instant; readonly text: string } | null;
}

/** All that is known of one device, as it stands in the journal. */
export interface DeviceState {
  readonly heard: Heard | null;
  readonly odd: Odd | null;
  readonly job: Job | null;
  readonly measures: Readonly<Record<string, { readonly value: string; readonly at: Instant }>>;
}

export const NOTHING_KNOWN: DeviceState = { heard: null, odd: null, job: null, measures: {} };

/** Changes when the members of a state change their meaning. */
const STATE_VERSION = 1;

export function stateJson(state: DeviceState): Json {
  return { v: STATE_VERSION, ...state } as unknown as Json;
}

/** Reads an entry of our own journal; null for one of another version. */
export function readState(json: Json): DeviceState | null {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return null;
  const { v, ...state } = json as Readonly<Record<string, unknown>>;
  return v === STATE_VERSION ? { ...NOTHING_KNOWN, ...(state as Partial<DeviceState>) } : null;
}
