import { digestOf } from '#kit/digest.ts';
import type { ApprovalDeclaration, GroupDeclaration } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import type { DeviceId, Digest } from '#model/ids.ts';
import type { GroupHistory } from '#model/rollout.ts';
import { emit, historyOf, isUsed } from './draft.ts';
import type { Draft } from './draft.ts';

/** What makes an Approval this one and no other: the same text in the same file is the same answer, and works once. */
export function approvalKey(approval: ApprovalDeclaration): Digest {
  const { place, group, release, wave, unblock, again, reason } = approval;
  return digest(digestOf({ file: place.file, group, release, wave, unblock, again, reason }));
}

/** Approvals for this release of the group that have not had their effect. */
export function approvalsFor(draft: Draft, group: GroupDeclaration): readonly ApprovalDeclaration[] {
  const history = historyOf(draft, group.name);
  return draft.input.declared.approvals.filter(
    (approval) => approval.group === group.name && names(approval, group, history) && !isUsed(history, approvalKey(approval)),
  );
}

/** Inert for any other release: the id, or that of a rollout of personal changes, begins with what was written. */
function names({ release }: ApprovalDeclaration, group: GroupDeclaration, { rollout }: GroupHistory): boolean {
  if (release === null || release.length < 7) return false;
  return group.release.id.startsWith(release) || (rollout?.declared === group.release.id && rollout.to.startsWith(release));
}

/**
 * `again` and `unblock` of each group. One that finds nothing to lift is used up too: written before the failure that
 * it would answer, it must not answer it unseen.
 */
export function applyApprovals(draft: Draft): void {
  if (draft.input.declared.approvals.length === 0) return;
  for (const group of draft.input.declared.groups.values()) {
    for (const approval of approvalsFor(draft, group)) {
      const key = approvalKey(approval);
      for (const device of approval.again) emit(draft, { kind: 'device-again', group: group.name, device, approval: key, at: draft.now });
      if (!approval.unblock) continue;
      const { blocked } = historyOf(draft, group.name);
      const unblocked = group.release.parts.filter((part) => blocked.some((one) => one.id === part.id && one.digest === part.digest));
      const personal = blocked.filter((part) => part.id === PERSONAL_PART).map(({ id, digest: of }) => ({ id, digest: of }));
      emit(draft, { kind: 'rollout-resumed', group: group.name, unblocked: [...unblocked, ...personal], approval: key, at: draft.now });
    }
  }
}

/** The part that is blocked when a rollout of personal changes fails. */
export const PERSONAL_PART = 'personal';

/** Devices that an Approval lets try again in this very pass: the plan was made before. */
export function letAgain(draft: Draft): ReadonlySet<DeviceId> {
  return new Set(draft.events.flatMap((event) => (event.kind === 'device-again' ? [event.device] : [])));
}
