import type { Declared } from '#model/declared.ts';
import type { Plan } from '#model/plan.ts';
import type { LedgerView } from '#model/records.ts';
import type { Reported } from '#model/reported.ts';
import type { Decision } from '#model/rollout.ts';
import type { UnseenConnection } from '#model/unread.ts';

/** What views of a plan are made of: the values of a pass, without how they came about. */
export interface PlanView {
  readonly declared: Declared;
  readonly plan: Plan;
  readonly decision: Decision;
  /** The ledger as the plan saw it. */
  readonly before: LedgerView;
  /** What was reported, and what could not be read of it; left out where the plan alone is known. */
  readonly reported?: Reported;
  readonly troubles?: readonly UnseenConnection[];
}

/** What views of a fleet are made of: the ledger as the pass left it, and the reports. */
export interface FleetView extends PlanView {
  readonly view: LedgerView;
  readonly reported: Reported;
}
