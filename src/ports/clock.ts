import type { Instant } from '#model/ids.ts';

/** Time. Virtual in tests and scenarios, scaled in the demo. */
export interface Clock {
  now(): Instant;
  /** Monotonic milliseconds since some beginning: what leases are measured with. */
  monotonicMs(): number;
  /** Resolves after that many milliseconds of this clock; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
