import type { Instant } from '#model/ids.ts';

/** What one run of the engine is told to do. */
export interface RunOrder {
  readonly kind: 'run';
  /** The folder of a clone, or the address of the repository. */
  readonly repo: string;
  /** Where a run may leave files: an empty folder for a short run. */
  readonly cwd: string;
  readonly listenMs: number;
  readonly newLedger: boolean;
  /**
   * `command`: the command line, from nothing, as a workflow's step. `kept`: one pass of an engine that keeps everything open
   * for the next order. `watched`: one pass from nothing that tells its checkpoints.
   */
  readonly as: 'command' | 'kept' | 'watched';
  /** How much faster leases and limits of single calls run than the clock on the wall. */
  readonly wireScale: number;
  /** The number of the checkpoint after which a watched process kills itself (SIGKILL), 1 for its first; none when null. */
  readonly killAfter: number | null;
}

/** Time has moved. Answered with a Waiting. */
export interface TimeMoved {
  readonly kind: 'time';
  readonly now: Instant;
}

/** Passes until a story of the crash tests is told, by one process. */
export interface PlayOrder {
  readonly kind: 'play';
  readonly dir: string;
  readonly story: string;
  readonly commits: readonly string[];
  readonly wireScale: number;
  /** The name of the checkpoint after which the process kills itself (SIGKILL); none when null. */
  readonly killAt: string | null;
}

export type Order = RunOrder | PlayOrder;

export type ToEngine = Order | TimeMoved;

/** Until when the engine sleeps; null while it does not. */
export interface Waiting {
  readonly kind: 'waiting';
  readonly until: Instant | null;
  /** The message was sent because time had moved. */
  readonly answer: boolean;
}

export interface Checkpoint {
  readonly kind: 'checkpoint';
  /** An append of records to the ledger, or the perform of an operation. */
  readonly what: string;
}

/** What `apply --json` says, as far as the tests read it. */
export interface ApplyJson {
  readonly exit: number;
  readonly refusal: { readonly code: string; readonly message: string } | null;
  readonly status: { readonly held: Readonly<Record<string, number>>; readonly open: number; readonly halted: readonly string[] } | null;
  readonly wakeAt: string | null;
  readonly operations: readonly { readonly operation: string; readonly device: string; readonly outcome: string }[];
}

export interface RunEnded {
  readonly kind: 'ended';
  readonly exit: number;
  /** Null when the run ended before it could say anything. */
  readonly said: ApplyJson | null;
  readonly errors: string;
}

export type FromEngine = Waiting | Checkpoint | RunEnded;
