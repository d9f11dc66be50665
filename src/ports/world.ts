import type { Declared, FleetDeclaration } from '#model/declared.ts';
import type { LedgerRecord, LedgerView } from '#model/records.ts';
import type { Artifacts } from './artifacts.ts';
import type { Clock } from './clock.ts';
import type { Driver, FamilyEntry } from './driver.ts';
import type { BlobStore, LedgerStore } from './ledger.ts';
import type { Log } from './log.ts';
import type { Responder } from './responder.ts';
import type { SecretOpener } from './secrets.ts';
import type { Source } from './source.ts';

/** The drivers of one pass, sharing connections. */
export interface DriverSet {
  of(family: string): Driver;
  /**
   * What answers devices that ask, one for each family that has such devices, made when first asked for; none without a
   * journal. Taken from the set of the role `reader`: its connections are clean, and of this process alone. Closed with
   * the set, which is another one once connections were declared anew.
   */
  responders(share: string | null): readonly Responder[];
  /** Calls to the buckets of devices and artifacts since the set was opened, sorted by connection. Left out: not counted. */
  objectCalls?(): readonly ObjectCalls[];
  /** Calls to shadow services since the set was opened, sorted by connection. Left out: not counted. */
  shadowCalls?(): readonly ShadowCalls[];
  readonly artifacts: Artifacts;
  close(): Promise<void>;
}

/** How often a bucket was asked. */
export interface ObjectCalls {
  readonly connection: string;
  readonly list: number;
  readonly head: number;
  readonly get: number;
  readonly put: number;
  readonly delete: number;
}

/** How often a shadow service was asked; `search` counts pages of its index. */
export interface ShadowCalls {
  readonly connection: string;
  readonly get: number;
  readonly update: number;
  readonly search: number;
}

/** A broker connection of this process: sums since it was first opened. */
export interface ConnectionState {
  readonly connection: string;
  readonly role: 'holder' | 'reader';
  readonly connected: boolean;
  readonly lost: number;
  readonly restored: number;
}

/** Where crash tests cut the power: after each durable append and each side effect. */
export interface Checkpoints {
  appended?(seq: number): void;
  performed?(operation: string): void;
}

/** All that a pass needs from outside; put together by world.ts, or by the scenario runner in one process. */
export interface World {
  readonly source: Source;
  /** Opens `${age:…}`; keeps what it opened by git blob for the life of the process. */
  readonly secrets: SecretOpener;
  readonly clock: Clock;
  /** What leases and the limits of single calls are measured with: real time even where `clock` is scaled. */
  readonly wireClock: Clock;
  readonly log: Log;
  /** Version of the engine that records are written by. */
  readonly engine: string;
  /** Who asks for the lease: for people. */
  readonly holder: string;
  readonly families: ReadonlyMap<string, FamilyEntry>;
  readonly checkpoints: Checkpoints;
  /** The ledger folded, rollout events by rollout's own reducer; `from` is an earlier fold of the same ledger. */
  fold(records: readonly LedgerRecord[], from?: LedgerView): LedgerView;
  /** Opened once and kept. Throws LedgerError when the store cannot be used here (NOT_LASTING, UNSUPPORTED_STORE). */
  ledger(fleet: FleetDeclaration): Promise<LedgerStore>;
  /** `holder` has the persistent session and may act; `reader` only looks. Kept between passes of one role. */
  drivers(declared: Declared, role: 'holder' | 'reader', blobs: BlobStore): Promise<DriverSet>;
  /** Broker connections that were opened, sorted. Left out: nobody watches them. */
  connections?(): readonly ConnectionState[];
  close(): Promise<void>;
}
