import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { Operation } from '#model/operation.ts';
import type { Plan } from '#model/plan.ts';
import type { LedgerView } from '#model/records.ts';
import type { Reported } from '#model/reported.ts';
import type { Family } from '#ports/family.ts';

export interface DecideInput {
  readonly plan: Plan;
  readonly declared: Declared;
  readonly reported: Reported;
  readonly view: LedgerView;
  readonly families: ReadonlyMap<string, Family>;
  readonly now: Instant;
  /** When the next pass that the engine knows of is due, in ms from now; null when it knows of none. */
  readonly nextPassMs: number | null;
  /** Why the process that decides cannot carry an operation out though another one can; null where it can. Left out: it can. */
  elsewhere?(operation: Operation): string | null;
  /** `apply --new-ledger`: what is reported becomes the lineage, nothing is sent. */
  readonly genesis: boolean;
  /**
   * A new engine plans more for a revision that did not change, and nobody has accepted that (DESIGN.md §4, "Engine upgrades"):
   * what is under way goes on and is judged, nothing begins. Left out: false.
   */
  readonly grown?: boolean;
  /** The digest by which an Approval names this merge, where it is not the tree's own. */
  readonly approvalsTree?: string;
}
