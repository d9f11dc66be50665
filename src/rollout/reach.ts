import type { GroupDeclaration } from '#model/declared.ts';
import { shortDigest } from '#model/ids.ts';
import type { DeviceId } from '#model/ids.ts';
import type { Operation } from '#model/operation.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { GroupHistory, RolloutState } from '#model/rollout.ts';
import { isDrawable, placesOf } from './advance.ts';
import { PERSONAL_PART } from './approvals.ts';
import { personalChanges } from './changed.ts';
import { historyOf } from './draft.ts';
import type { Draft, Reach, Refusal } from './draft.ts';
import { previewWaves } from './waves.ts';

/** How far the rollout of a group reaches, worked out once per pass and only after its waves are open. */
export function reachOf(draft: Draft, group: GroupDeclaration): Reach {
  const known = draft.reaches.get(group.name);
  if (known !== undefined) return known;
  const history = historyOf(draft, group.name);
  const stopped = stoppedSince(history);
  const touched = (device: DeviceId): boolean => stopped.has(device);
  const { rollout } = history;
  const rolls = rollout !== null && draft.stances.get(group.name)?.kind === 'rollout';
  const reach = { ...(rolls ? reachIn(draft, group, rollout) : EVERYWHERE), touched };
  draft.reaches.set(group.name, reach);
  return reach;
}

/** Devices that a stopped rollout had reached since the present release was completed: they may have anything now. */
export function stoppedSince({ lineage, past }: GroupHistory): ReadonlySet<DeviceId> {
  const since = lineage.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
  const stopped = past.filter((rollout) => rollout.end !== 'completed' && rollout.endedAt >= since);
  return new Set(stopped.flatMap((rollout) => rollout.waves.flatMap((wave) => wave.members ?? [])));
}

const EVERYWHERE: Omit<Reach, 'touched'> = { waveOf: () => null, lastOpen: true, nextIndex: 0, changes: () => true, personalHeld: false };

function reachIn(draft: Draft, group: GroupDeclaration, rollout: RolloutState): Omit<Reach, 'touched'> {
  const waves = new Map<DeviceId, { readonly name: string; readonly index: number; readonly open: boolean }>();
  const waiting = rollout.phase === 'rolling' && rollout.waves.some((wave) => wave.members === null);
  const preview = waiting
    ? previewWaves(draft.input.declared, rollout, {
        takes: (device) => isDrawable(draft, rollout, device),
        placeOf: placesOf(draft, rollout),
      })
    : rollout.waves.map(({ name, members }) => ({ name, members: members ?? [], recorded: members !== null }));
  for (const [index, { name, members, recorded }] of preview.entries()) {
    for (const device of members) waves.set(device, { name, index, open: recorded });
  }
  const changed = new Set(rollout.changed);
  const nextIndex = rollout.waves.findIndex((wave) => wave.members === null);
  const personal = rollout.phase !== 'watched' && rollout.before === undefined ? personalChanges(draft, group).length : 0;
  return {
    waveOf: (device) => waves.get(device) ?? null,
    lastOpen: rollout.waves.at(-1)?.members !== null,
    nextIndex,
    changes: (device) => changed.has(device),
    personalHeld: personal > draft.input.declared.fleet.limits.personal,
  };
}

/**
 * Whether the operation keeps a device on the group's present release, which it may have whatever the rollout does. Not
 * when that release is itself the one that halted; one that is returned to is good, though the return may have halted.
 */
export function isUpkeep({ lineage, rollout }: GroupHistory, operation: Pick<Operation, 'release' | 'cause'>): boolean {
  if (operation.release !== lineage.at(-1)?.release) return false;
  if (rollout?.phase !== 'halted' || rollout.to !== operation.release) return true;
  return rollout.direction === 'rollback' && operation.cause !== 'rollout';
}

/** Why the device may not have the declared release yet; null when it may, as far as releases and waves go. */
export function releaseRefusal(draft: Draft, group: GroupDeclaration, plan: DevicePlan): Refusal | null {
  const stance = draft.stances.get(group.name) ?? { kind: 'steady' };
  switch (stance.kind) {
    case 'genesis':
      return refuse('WAVE_NOT_OPEN', 'the ledger begins with this pass; nothing is sent yet', { until: draft.now });
    case 'limited':
      // What is under way goes on under its own rollout; whatever would begin is held by `growthRefusal`.
      return draft.input.grown === true ? inRollout(draft, group, plan) : changeLimit(draft);
    case 'barred':
      return refuse('WAVE_NOT_OPEN', 'no device may take the release yet', {});
    case 'blocked':
      return blockedRefusal(group, plan, stance.parts);
    case 'steady':
      return null;
    default:
      return inRollout(draft, group, plan);
  }
}

function refuse(reason: Refusal['reason'], evidence: string, more: Partial<Refusal>): Refusal {
  return { reason, evidence, until: null, person: null, ...more };
}

export function changeLimit(draft: Draft): Refusal {
  return refuse('CHANGE_LIMIT', draft.mergeHeld?.evidence ?? 'the merge waits', { person: draft.mergeHeld?.person ?? null });
}

function blockedRefusal(
  group: GroupDeclaration,
  plan: DevicePlan,
  parts: readonly { readonly id: string; readonly why: string }[],
): Refusal | null {
  const [first] = parts;
  const personal = first?.id === PERSONAL_PART;
  if (personal && !plan.operations.some((operation) => operation.cause === 'personal')) return null;
  const evidence = first === undefined ? 'a part failed before' : `${first.id} failed before: ${first.why}`;
  return refuse('RELEASE_BLOCKED', evidence, { person: unblockText(group.name, group.release.id) });
}

function unblockText(group: string, release: string): string {
  return `declare another release, or write an Approval for ${group} with release: ${shortDigest(release)}, unblock: true`;
}

function inRollout(draft: Draft, group: GroupDeclaration, plan: DevicePlan): Refusal | null {
  const { rollout } = historyOf(draft, group.name);
  if (rollout === null || rollout.phase === 'watched') return null;
  const reach = reachOf(draft, group);
  if (rollout.before !== undefined && !reach.changes(plan.device)) return null;
  if (rollout.phase === 'halted') return haltedRefusal(draft, group, rollout);
  const wave = reach.waveOf(plan.device);
  if (wave?.open === true || reach.lastOpen) return personalBeside(draft, group, plan.operations[0] ?? plan.upkeep[0]);
  const waits = draft.waits.get(group.name) ?? refuse('WAVE_NOT_OPEN', 'no wave is open yet', {});
  const further = wave === null || wave.index > reach.nextIndex;
  return further ? { ...waits, reason: 'WAVE_NOT_OPEN', person: null } : waits;
}

/** Personal changes go beside a rollout, under the release that their device has, as many as the fleet allows at once. */
export function personalBeside(draft: Draft, group: GroupDeclaration, operation: Operation | undefined): Refusal | null {
  if (operation?.cause !== 'personal' || !reachOf(draft, group).personalHeld) return null;
  return refuse('WAVE_NOT_OPEN', 'more personal changes than go at once wait for the end of the rollout', {});
}

function haltedRefusal(draft: Draft, group: GroupDeclaration, rollout: RolloutState): Refusal {
  const { halt, commit } = rollout;
  const evidence = `${halt?.wave === null || halt === null ? '' : `${halt.wave}: `}${halt?.evidence ?? 'halted'}`;
  const reverts = draft.input.declared.rollouts.get(rollout.rules)?.onFailure === 'revert' && commit !== null;
  const person = reverts
    ? `merge the proposed revert of ${shortDigest(commit)}`
    : `revert${commit === null ? '' : ` ${shortDigest(commit)}`}`;
  return refuse('HALTED', evidence, { person: `${person}, or ${unblockText(group.name, rollout.to)}` });
}
