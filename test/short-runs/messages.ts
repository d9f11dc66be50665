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
  /** Keep everything open for the next order, as a daemon does; else open all of it anew and close it. */
  readonly keep: boolean;
  /** How much faster leases and limits of single calls run than the clock on the wall. */
  readonly wireScale: number;
  /** The name of a checkpoint at which the process kills itself (SIGKILL); none when null. */
  readonly killAt: string | null;
}

/** Time has moved. Answered with a Waiting. */
export interface TimeMoved {
  readonly kind: 'time';
  readonly now: Instant;
}

export type ToEngine = RunOrder | TimeMoved;

/** Until when the engine sleeps; null while it does not. */
export interface Waiting {
  readonly kind: 'waiting';
  readonly until: Instant | null;
  /** The message was sent because time had moved. */
  readonly answer: boolean;
}

export interface Checkpoint {
  readonly kind: 'checkpoint';
  readonly names: readonly string[];
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
