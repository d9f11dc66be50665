import type { Instant } from '#model/ids.ts';

/** A minute of the world passes in this many milliseconds: 60,000 / SCALE. */
export const SCALE = 1200;
/** The lease of 90 s is over in 1.5 s. */
export const LEASE_SCALE = 60;
export const LEDGER_FILE = 'ledger.db';
export const CHECKPOINTS_FILE = 'checkpoints.log';

/** Where the world's clock stood at an instant of the machine's. */
export interface ClockOrigin {
  readonly instant: Instant;
  readonly wallMs: number;
}

export interface WorldReady {
  readonly origin: ClockOrigin;
  /** What connections in fleet.yaml refer to, and the credentials of the bucket. */
  readonly env: Readonly<Record<string, string>>;
}

/** Answered with a WorldEnd, so much later. */
export interface WorldRequest {
  readonly powerOn: readonly string[];
  readonly afterMs: number;
}

export interface RunRequest {
  readonly dir: string;
  readonly story: string;
  readonly commits: readonly string[];
  readonly origin: ClockOrigin;
  /** The name of a checkpoint. */
  readonly killAt: string | null;
}

/** Finer than Date.now, and the same for all processes of the machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
