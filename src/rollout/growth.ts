import type { Draft, Refusal } from './draft.ts';

/**
 * Against whatever would newly begin while a new engine plans more and nobody has accepted that (DESIGN.md §4, "Engine upgrades"):
 * an operation, a wave, a rollout. Null in all other passes. Reports are judged and verdicts recorded as ever.
 */
export function growthRefusal(draft: Draft): Refusal | null {
  if (draft.input.grown !== true) return null;
  return {
    reason: 'APPROVAL_NEEDED',
    evidence: 'a new version of the engine plans more for a revision that did not change',
    until: null,
    person: 'read the plan, then run headgate apply --accept-engine',
  };
}
