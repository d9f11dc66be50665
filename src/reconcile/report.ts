import type { Diagnostic } from '#kit/diagnostics.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { Plan } from '#model/plan.ts';
import type { LedgerView } from '#model/records.ts';
import type { Reported, ReportedDevice } from '#model/reported.ts';
import type { Decision } from '#model/rollout.ts';
import type { Executed } from '#execute/execute.ts';
import type { ObjectCalls, ShadowCalls } from '#ports/world.ts';
import type { Observed } from '#observe/observe.ts';

export interface PassOptions {
  readonly mode: 'plan' | 'apply';
  /** Branch, tag, commit or `WORKTREE`; the declared branch when left out. */
  readonly ref?: string;
  /** What connections, trust and limits are read from, and published digests compared with. */
  readonly base?: string;
  /** The time of the decision; now when left out. */
  readonly at?: Instant;
  /** Reports from a file in the place of observing. */
  readonly reports?: readonly ReportedDevice[];
  readonly listenMs?: number;
  readonly newLedger?: boolean;
  readonly acceptEngine?: boolean;
  /** Digest of a saved plan that this must still be. */
  readonly saved?: string;
  /** When the caller will run the next pass; null when it does not know. */
  readonly nextPassMs?: number | null;
  readonly signal?: AbortSignal;
}

/** Why nothing was done: a closed code and one line for people. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

export interface PassReport {
  readonly mode: 'plan' | 'apply';
  readonly at: Instant;
  readonly diagnostics: readonly Diagnostic[];
  readonly refusal: Refusal | null;
  /** Null when the pass ended before there was a plan. */
  readonly result: PassResult | null;
  readonly exit: number;
}

export interface PassResult {
  readonly declared: Declared;
  readonly reported: Reported;
  readonly reports: readonly ReportedDevice[];
  readonly troubles: Observed['troubles'];
  /** The ledger as the plan saw it, and as the pass left it. */
  readonly before: LedgerView;
  readonly view: LedgerView;
  readonly plan: Plan;
  readonly decision: Decision;
  readonly executed: readonly Executed[];
  /** What this pass asked of buckets, by connection, those of no call left out. */
  readonly objectCalls: readonly ObjectCalls[];
  /** What it asked of shadow services, in the same way. Left out: none was asked. */
  readonly shadowCalls?: readonly ShadowCalls[];
  /** The declared revision was invalid, and the last valid one stayed in force. */
  readonly fellBack: boolean;
}
