import type { Digest, Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';

/** The right to run a pass. `fencing` grows with each holder; a store refuses an append with an older one. */
export interface Lease {
  readonly fencing: number;
  /** Milliseconds of monotonic time left before it must be renewed. */
  leftMs(): number;
  renew(): Promise<boolean>;
  release(): Promise<void>;
}

export type LeaseAnswer = { readonly kind: 'held'; readonly lease: Lease } | { readonly kind: 'busy'; readonly holder: string };

export interface AppendProblem {
  /** FENCED: another holder has the lease. MOVED: the head is not what was expected. */
  readonly code: 'FENCED' | 'MOVED';
  readonly message: string;
}

/**
 * The append-only record. One append is atomic and durable when it resolves. Opening verifies the hash chain and throws
 * a LedgerError with code BROKEN_CHAIN, REWOUND, TOO_NEW or NOT_A_LEDGER when it cannot be trusted.
 */
export interface LedgerStore {
  readonly kind: string;
  /** All records in order of seq. */
  read(): Promise<readonly LedgerRecord[]>;
  head(): Promise<{ readonly seq: number; readonly hash: Digest | null }>;
  append(bodies: readonly RecordBody[], fencing: number): Promise<readonly LedgerRecord[] | AppendProblem>;
  /** Watches for up to one TTL on a monotonic clock when someone else holds it (DESIGN.md §4, Lease). */
  acquire(holder: string, signal?: AbortSignal): Promise<LeaseAnswer>;
  /** Whether there is a record. For stores in which a lease alone leaves something behind that others see: asked before it is taken. */
  begun?(): Promise<boolean>;
  /**
   * Puts a ledger aside that can no longer be trusted (REWOUND, BROKEN_CHAIN), so that a new one can begin; does nothing to
   * one that can. Left out where a person has to do it.
   */
  beginAnew?(): Promise<void>;
  readonly reports: ReportStore;
  readonly blobs: BlobStore;
  close(): Promise<void>;
}

/** Last reports: a replaceable snapshot beside the chain. */
export interface ReportStore {
  load(): Promise<readonly ReportedDevice[]>;
  /** Replaces the reports of these devices. */
  save(reports: readonly ReportedDevice[], at: Instant): Promise<void>;
  /** The same, but to be written together with the next append or at the latest with the release of the lease: saves a round trip. */
  stage?(reports: readonly ReportedDevice[], at: Instant): void;
}

/** Bytes by digest, beside the chain: what an offer replaced, so that it can be put back. */
export interface BlobStore {
  put(bytes: Uint8Array): Promise<Digest>;
  get(digest: Digest): Promise<Uint8Array | undefined>;
}

export class LedgerError extends Error {
  override readonly name = 'LedgerError';
  readonly code:
    | 'BROKEN_CHAIN'
    /** The end that is found is older than one that was written: the store was put back, or its head is gone. */
    | 'REWOUND'
    | 'TOO_NEW'
    | 'NOT_A_LEDGER'
    | 'OTHER_LEDGER'
    | 'EMPTY_LEDGER'
    | 'NOT_LASTING'
    | 'FENCED'
    | 'UNSUPPORTED_STORE'
    /** The server takes conditional writes for plain ones: two runners could both hold the lease. */
    | 'NO_CONDITIONS';

  constructor(code: LedgerError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
