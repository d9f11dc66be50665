import { compareText } from '#kit/diagnostics.ts';
import type { Admitted, Closed, Decision } from '#model/rollout.ts';
import { admitAll } from './admit.ts';
import { advanceAll } from './advance.ts';
import { applyApprovals } from './approvals.ts';
import { makeDraft } from './draft.ts';
import type { Draft } from './draft.ts';
import { holdUnlisted, sortedHolds } from './holds.ts';
import type { DecideInput } from './input.ts';
import { noteRisen, settleAll } from './outcomes.ts';
import { haltDoomed, recordOutcomes } from './progress.ts';
import { adoptAll, takeStances } from './releases.ts';
import { withdrawStopped } from './withdraw.ts';

export type { DecideInput } from './input.ts';

/**
 * What of the plan may be done now, what is held and why, and how the rollouts go on: DESIGN.md §4. A pure function of
 * the plan, the ledger and the time; `decide` on the folded result at the same time, with the same reports, says nothing
 * new. Everything in it must be recorded before the first of the admitted operations is performed.
 */
export function decide(input: DecideInput): Decision {
  const draft = makeDraft(input);
  if (input.genesis) {
    adoptAll(draft);
  } else {
    applyApprovals(draft);
    noteRisen(draft);
    takeStances(draft);
    settleAll(draft);
    recordOutcomes(draft);
    haltDoomed(draft);
    advanceAll(draft);
    withdrawStopped(draft);
  }
  admitAll(draft);
  holdUnlisted(draft);
  return decisionOf(draft);
}

function decisionOf(draft: Draft): Decision {
  const { now, events, closed, taken, withdrawn, admitted, groups, mergeHeld } = draft;
  const held = sortedHolds(draft);
  const turned = events.some((event) => event.kind === 'rollout-completed');
  if (turned || withdrawn.length > 0 || closed.some((one) => letsOn(draft, one))) draft.wakes.push(now);
  return {
    at: now,
    events,
    closed,
    taken,
    admitted: [...withdrawn, ...admitted.toSorted(byTime)],
    held,
    wakeAt: draft.wakes.length === 0 ? null : draft.wakes.reduce((a, b) => Math.min(a, b)),
    groups,
    mergeHeld,
  };
}

/** The plan was made while it was open: the next one may hold what comes after it. */
function letsOn(draft: Draft, { device, closing }: Closed): boolean {
  return closing !== 'succeeded' || draft.plans.get(device)?.converged === false;
}

function byTime(a: Admitted, b: Admitted): number {
  return a.notBefore - b.notBefore || compareText(a.operation.device, b.operation.device);
}
