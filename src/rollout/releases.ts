import { digestOf } from '#kit/digest.ts';
import type { GroupDeclaration, ReleasePart, RolloutRules } from '#model/declared.ts';
import { digest, releaseId, rolloutId } from '#model/ids.ts';
import type { DeviceId, ReleaseId } from '#model/ids.ts';
import type { BlockedPart, GroupHistory, RolloutState } from '#model/rollout.ts';
import { PERSONAL_PART } from './approvals.ts';
import { changedBy, hasBarred, personalChanges, personalRelease, personalReleaseBefore, silentAmong } from './changed.ts';
import { declaredOf, emit, historyOf } from './draft.ts';
import type { Draft, Stance } from './draft.ts';

/** `apply --new-ledger`: what is reported becomes the lineage. A group that drifts nowhere has its declared release. */
export function adoptAll(draft: Draft): void {
  for (const group of sortedGroups(draft)) {
    draft.stances.set(group.name, { kind: 'genesis' });
    if (historyOf(draft, group.name).lineage.length > 0) continue;
    const drifts = (draft.byGroup.get(group.name) ?? []).some((plan) => plan.drifts.length > 0 || plan.operations.length > 0);
    const entry = drifts
      ? { release: releaseId(digestOf(['reported', group.name])), commit: null, parts: [], at: draft.now }
      : { release: group.release.id, commit: draft.input.plan.revision.commit, parts: group.release.parts, at: draft.now };
    emit(draft, { kind: 'adopted', group: group.name, entry });
  }
}

export function sortedGroups(draft: Draft): readonly GroupDeclaration[] {
  return [...draft.input.declared.groups.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Starts, stops and turns round the rollouts of all groups: DESIGN.md §4, "Releases, blocks, rollbacks". */
export function takeStances(draft: Draft): void {
  const held = holdMerge(draft) || draft.input.grown === true;
  for (const group of sortedGroups(draft)) draft.stances.set(group.name, takeStance(draft, group, held));
}

function takeStance(draft: Draft, group: GroupDeclaration, mergeHeld: boolean): Stance {
  const history = historyOf(draft, group.name);
  const { rollout } = history;
  const release = group.release.id;
  if (rollout !== null && rollout.declared === release) return keepOrTurn(draft, { group, rollout, mergeHeld });
  if (rollout === null && history.lineage.at(-1)?.release === release) {
    // Completed, and failed in its watch: those that its halted rollback took back must not be given it again.
    const failed = blockedIn(history, group);
    return failed.length > 0 ? { kind: 'blocked', parts: failed } : steady(draft, group, mergeHeld);
  }
  const direction = isRollback(history, release) ? 'rollback' : 'forward';
  if ((direction === 'forward' && mergeHeld) || draft.input.grown === true) return { kind: 'limited' };
  if (rollout !== null) stopRollout(draft, rollout, direction);
  const blocked = blockedIn(historyOf(draft, group.name), group);
  if (blocked.length > 0) return { kind: 'blocked', parts: blocked };
  const from = direction === 'rollback' ? (rollout?.to ?? null) : (history.lineage.at(-1)?.release ?? null);
  return beginIfAny(draft, group, { direction, from });
}

/** The declared release is the one below a newer one that is not yet past its watch. */
function isRollback(history: GroupHistory, release: ReleaseId): boolean {
  const { rollout, lineage } = history;
  if (rollout === null || rollout.before !== undefined) return false;
  const completed = lineage.at(-1)?.release === rollout.declared;
  return lineage.at(completed ? -2 : -1)?.release === release;
}

function stopRollout(draft: Draft, rollout: RolloutState, direction: 'forward' | 'rollback'): void {
  const { group } = rollout;
  if (direction === 'rollback') emit(draft, { kind: 'rollout-stopped', group, because: 'rolled-back', at: draft.now });
  else if (rollout.phase === 'watched') emit(draft, { kind: 'watch-ended', group, at: draft.now });
  else emit(draft, { kind: 'rollout-stopped', group, because: 'superseded', at: draft.now });
}

/** Parts of the declared release that failed before, in the same bytes. */
function blockedIn(history: GroupHistory, group: GroupDeclaration): readonly BlockedPart[] {
  return history.blocked.filter((part) => group.release.parts.some((one) => one.id === part.id && one.digest === part.digest));
}

interface Begin {
  readonly direction: 'forward' | 'rollback';
  readonly from: ReleaseId | null;
}

function beginIfAny(draft: Draft, group: GroupDeclaration, how: Begin): Stance {
  const changed = changedBy(draft, group, how.direction);
  const settled = historyOf(draft, group.name).lineage.at(-1)?.release === group.release.id;
  if (changed.length === 0 && (settled || hasBarred(draft, group))) return { kind: settled ? 'steady' : 'barred' };
  const before = historyOf(draft, group.name).lineage.at(-1)?.parts ?? [];
  begin(draft, group, {
    ...how,
    to: group.release.id,
    changed,
    rules: group.rollout,
    // The release that a rollback returns to was completed once: a failure on the way back must not take the way back.
    parts: how.direction === 'rollback' ? [] : partsBeyond(group.release.parts, before),
  });
  return { kind: 'rollout' };
}

function partsBeyond(parts: readonly ReleasePart[], before: readonly ReleasePart[]): readonly ReleasePart[] {
  const known = new Set(before.map((part) => `${part.id} ${part.digest}`));
  return parts.filter((part) => !known.has(`${part.id} ${part.digest}`));
}

interface Beginning extends Begin {
  readonly to: ReleaseId;
  readonly before?: ReleaseId;
  readonly changed: readonly DeviceId[];
  readonly rules: string;
  readonly parts: readonly ReleasePart[];
}

function begin(draft: Draft, group: GroupDeclaration, what: Beginning): void {
  const { direction, from, to, changed, rules, parts, before } = what;
  const rollout = {
    id: rolloutId(digestOf({ group: group.name, from, to, direction, seq: draft.input.view.seq })),
    group: group.name,
    from,
    to,
    declared: group.release.id,
    ...(before === undefined ? {} : { before }),
    direction,
    commit: draft.input.plan.revision.commit,
    rules,
    beganAt: draft.now,
    changed,
    silent: silentAmong(draft, group, changed),
    parts,
  };
  const waves = wavesOf(draft.input.declared.rollouts.get(rules), direction);
  emit(draft, { kind: 'rollout-began', rollout, waves });
}

function wavesOf(rules: RolloutRules | undefined, direction: 'forward' | 'rollback'): readonly string[] {
  const waves = direction === 'rollback' ? rules?.rollback.waves : rules?.waves;
  return waves === undefined || waves.length === 0 ? ['all'] : waves.map((wave) => wave.name);
}

/** The release is the one that is rolling; of personal changes, only while the devices' personal parts are the same. */
function keepOrTurn(
  draft: Draft,
  { group, rollout, mergeHeld }: { readonly group: GroupDeclaration; readonly rollout: RolloutState; readonly mergeHeld: boolean },
): Stance {
  if (rollout.before === undefined) {
    return rollout.phase === 'watched' ? steady(draft, group, mergeHeld) : { kind: 'rollout' };
  }
  const present = personalRelease(draft, group, rollout.changed);
  if (present === rollout.to) return { kind: 'rollout' };
  if (draft.input.grown === true) return { kind: 'limited' };
  const direction = present === rollout.before ? 'rollback' : 'forward';
  stopRollout(draft, rollout, direction);
  if (direction === 'forward') return steady(draft, group, mergeHeld);
  const changed = changedBy(draft, group, 'rollback');
  if (changed.length === 0) return { kind: 'steady' };
  beginPersonal(draft, group, { direction, changed });
  return { kind: 'rollout' };
}

/** Personal changes go at once; more of them than the fleet allows at once are a rollout to a release of their own. */
function steady(draft: Draft, group: GroupDeclaration, mergeHeld: boolean): Stance {
  const { rollout } = historyOf(draft, group.name);
  const watched = rollout !== null;
  const personal = personalChanges(draft, group);
  if (personal.length <= draft.input.declared.fleet.limits.personal) return { kind: watched ? 'rollout' : 'steady' };
  if (mergeHeld) return { kind: 'limited' };
  const to = personalRelease(draft, group, personal);
  const blocked = historyOf(draft, group.name).blocked.filter((part) => part.id === PERSONAL_PART && part.digest === digest(to));
  if (blocked.length > 0) return { kind: 'blocked', parts: blocked };
  if (rollout !== null) stopRollout(draft, rollout, 'forward');
  beginPersonal(draft, group, { direction: 'forward', changed: personal });
  return { kind: 'rollout' };
}

function beginPersonal(
  draft: Draft,
  group: GroupDeclaration,
  { direction, changed }: { readonly direction: 'forward' | 'rollback'; readonly changed: readonly DeviceId[] },
): void {
  const to = personalRelease(draft, group, changed);
  const own = new Set(changed.map((device) => declaredOf(draft, device)?.rollout ?? group.rollout));
  const [rules = group.rollout] = own.size === 1 ? own : [group.rollout];
  begin(draft, group, {
    direction,
    from: group.release.id,
    to,
    before: personalReleaseBefore(draft, group, changed),
    changed,
    rules,
    parts: direction === 'rollback' ? [] : [{ id: PERSONAL_PART, digest: digest(to) }],
  });
}

/** Whether the merge changes or loses more than the fleet allows, and no Approval names it. */
function holdMerge(draft: Draft): boolean {
  const { declared, plan } = draft.input;
  const { limits } = declared.fleet;
  const changed = mergeChanges(draft);
  const left = plan.leavers.length;
  const share = declared.size === 0 ? 0 : changed / declared.size;
  const approvals = declared.approvals.filter((one) => one.merge !== null && namesMerge(draft, one.merge));
  const allowed = (count: number, of: 'change' | 'leave'): boolean => approvals.some((one) => (one[of] ?? -1) >= count);
  const tooMany = share > limits.change + 1e-9 && !allowed(changed, 'change');
  const tooFew = left > limits.leave && !allowed(left, 'leave');
  if (!tooMany && !tooFew) return false;
  const tree = (draft.input.approvalsTree ?? plan.revision.mergeTree ?? plan.revision.tree).slice(0, 7);
  draft.mergeHeld = {
    evidence: `the merge changes ${changed} of ${declared.size} devices and loses ${left}; the fleet allows ${Math.round(limits.change * 100)} % and ${limits.leave}`,
    person: `an Approval with merge: ${tree}${tooMany ? `, change: ${changed}` : ''}${tooFew ? `, leave: ${left}` : ''}`,
  };
  return true;
}

/** An Approval names the files outside approvals/ (itself made a new tree), or the tree that the ledger saw last. */
function namesMerge(draft: Draft, merge: string): boolean {
  const { approvalsTree, plan, view } = draft.input;
  const { tree, mergeTree } = plan.revision;
  return merge.length >= 7 && [approvalsTree, mergeTree, tree, view.tree].some((one) => one?.startsWith(merge) === true);
}

/**
 * Devices that this merge would begin to change: those of new forward rollouts. A first convergence (of what was only
 * reported so far), a way back, and devices that the ledger has not seen are no change of a merge.
 */
function mergeChanges(draft: Draft): number {
  let count = 0;
  for (const group of draft.input.declared.groups.values()) {
    const history = historyOf(draft, group.name);
    const top = history.lineage.at(-1);
    const release = group.release.id;
    if (top?.commit === null || top?.release === release || history.rollout?.declared === release || isRollback(history, release)) continue;
    count += changedBy(draft, group, 'forward').filter((device) => draft.input.view.devices.has(device)).length;
  }
  return count;
}
