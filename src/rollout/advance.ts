import { durationText } from '#kit/duration.ts';
import type { ApprovalDeclaration, DeclaredDevice, GroupDeclaration } from '#model/declared.ts';
import { shortDigest } from '#model/ids.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { LineageEntry, RolloutState, WaveState } from '#model/rollout.ts';
import { approvalKey, approvalsFor } from './approvals.ts';
import { declaredOf, emit, historyOf, settlementOf, takesPart, wakeAt } from './draft.ts';
import type { Draft, Refusal } from './draft.ts';
import { growthRefusal } from './growth.ts';
import { isBarred } from './impossible.ts';
import { cohortOf, gateOf } from './progress.ts';
import { sortedGroups } from './releases.ts';
import { countModels, drawWave, makePlaces, waveRules } from './waves.ts';
import type { PlaceOf } from './waves.ts';
import { windowsAt } from './opening.ts';

/** Meets gates, soaks, passes waves and opens the next ones until time or a device must come first. */
export function advanceAll(draft: Draft): void {
  endWatches(draft);
  for (let moved = true; moved;) {
    moved = false;
    for (const group of sortedGroups(draft)) moved = advance(draft, group) || moved;
  }
}

function endWatches(draft: Draft): void {
  for (const [group, { rollout }] of [...draft.groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (rollout?.phase !== 'watched' || rollout.watchUntil === null) continue;
    if (rollout.watchUntil <= draft.now) emit(draft, { kind: 'watch-ended', group, at: draft.now });
    else wakeAt(draft, rollout.watchUntil);
  }
}

/** One step of one group; true when something changed that may let another step follow. */
function advance(draft: Draft, group: GroupDeclaration): boolean {
  const { rollout } = historyOf(draft, group.name);
  if (rollout === null || rollout.phase !== 'rolling' || draft.stances.get(group.name)?.kind !== 'rollout') return false;
  const index = rollout.waves.findIndex((wave) => wave.passedAt === null);
  const wave = rollout.waves[index];
  if (wave === undefined) {
    complete(draft, group, rollout);
    return true;
  }
  if (wave.members === null) return open(draft, group, { rollout, wave, index });
  const passage = passageOf(draft, group, { rollout, wave, index });
  if (passage === null || !cohortIsReady(draft, rollout, index)) return false;
  emit(draft, { kind: 'wave-passed', group: group.name, wave: wave.name, at: draft.now, ...passage });
  return true;
}

interface AtWave {
  readonly rollout: RolloutState;
  readonly wave: WaveState;
  readonly index: number;
}

type Passage =
  | { readonly because: 'gate' | 'empty' | 'patience' }
  | { readonly because: 'approval'; readonly approval?: ReturnType<typeof approvalKey> };

/** Why the wave passes now; null while it does not, with what it waits for noted. */
function passageOf(draft: Draft, group: GroupDeclaration, at: AtWave): Passage | null {
  const { rollout, wave } = at;
  if (wave.members?.length === 0) return { because: 'empty' };
  const gate = gateOf(draft, rollout, wave);
  const approved = approvedPast(draft, group, { ...at, asks: gate.asks });
  if (approved !== null) return approved;
  if (!gate.met) {
    if (wave.metAt !== null) emit(draft, { kind: 'wave-unmet', group: group.name, wave: wave.name, at: draft.now });
    const next = rollout.waves[at.index + 1]?.name ?? wave.name;
    const text = `${wave.name}: ${gate.text}`;
    if (gate.asks) wait(draft, group, askFor(rollout, next, `${text}; its patience is over`));
    else wait(draft, group, { reason: 'WAVE_NOT_OPEN', evidence: text, until: gate.patienceUntil, person: null });
    return null;
  }
  const metAt = meet(draft, rollout, wave);
  const soaked = metAt + gate.soakMs;
  if (soaked <= draft.now) return { because: gate.byPatience ? 'patience' : 'gate' };
  const evidence = `${wave.name}: ${gate.text}; soaks ${durationText(gate.soakMs)}`;
  wait(draft, group, { reason: 'SOAKING', evidence, until: soaked, person: null });
  return null;
}

function askFor(rollout: RolloutState, wave: string, evidence: string): Refusal {
  const person = `an Approval for ${rollout.group} with release: ${shortDigest(rollout.to)}, wave: ${wave}`;
  return { reason: 'APPROVAL_NEEDED', evidence, until: null, person };
}

function wait(draft: Draft, group: GroupDeclaration, refusal: Refusal): void {
  draft.waits.set(group.name, refusal);
  wakeAt(draft, refusal.until);
}

/** When the soak began: now if the counts have just been met, or met again after a new failure. */
function meet(draft: Draft, { group, outcomes }: RolloutState, wave: WaveState): Instant {
  const { metAt } = wave;
  const failedSince = (wave.members ?? []).some((device) => {
    const outcome = outcomes.get(device);
    return outcome?.kind === 'failed' && metAt !== null && outcome.at > metAt;
  });
  if (metAt !== null && !failedSince) return metAt;
  emit(draft, { kind: 'wave-met', group, wave: wave.name, at: draft.now });
  return draft.now;
}

/** An Approval names a later wave, or the last one itself once its patience is over. */
function approvedPast(draft: Draft, group: GroupDeclaration, at: AtWave & { readonly asks: boolean }): Passage | null {
  const { rollout, wave, index } = at;
  if (draft.input.declared.approvals.length === 0) return null;
  const places = new Map(rollout.waves.map(({ name }, place) => [name, place]));
  const fits = (approval: ApprovalDeclaration): boolean => {
    const place = approval.wave === null ? -1 : (places.get(approval.wave) ?? -1);
    return place > index || (place === index && index === rollout.waves.length - 1 && at.asks);
  };
  const approval = approvalsFor(draft, group).find(fits);
  if (approval === undefined) return null;
  const opensNext = approval.wave === wave.name || approval.wave === rollout.waves[index + 1]?.name;
  // One that names a wave further on carries the group past all those between.
  return opensNext ? { because: 'approval', approval: approvalKey(approval) } : { because: 'approval' };
}

/** Groups that pass as one: none goes past a wave that another has not met. */
function cohortIsReady(draft: Draft, rollout: RolloutState, index: number): boolean {
  for (const other of cohortOf(draft, rollout)) {
    if (other.phase === 'watched') continue;
    const place = other.waves.findIndex((wave) => wave.passedAt === null);
    const wave = other.waves[place];
    if (wave === undefined || place > index) continue;
    const gate = wave.members === null ? null : gateOf(draft, other, wave);
    const ready = place === index && gate !== null && gate.met && (wave.members?.length === 0 || isSoaked(draft, wave, gate.soakMs));
    if (ready && other.phase === 'rolling') continue;
    const group = draft.input.declared.groups.get(rollout.group);
    const evidence = `passes as one with ${other.group}, which has not met ${wave.name}`;
    if (group !== undefined) wait(draft, group, { reason: 'WAITS_FOR_GROUP', evidence, until: null, person: null });
    return false;
  }
  return true;
}

function isSoaked(draft: Draft, { metAt }: WaveState, soakMs: number): boolean {
  return (metAt ?? draft.now) + soakMs <= draft.now;
}

/** Opens the wave: draws and records its members. Waits for the group it follows, and for a window of one of them. */
function open(draft: Draft, group: GroupDeclaration, { rollout, wave, index }: AtWave): boolean {
  const waits = index === 0 ? afterOther(draft, group, rollout) : null;
  if (waits !== null) {
    wait(draft, group, waits);
    return false;
  }
  const members = drawNow(draft, rollout, { wave, last: index === rollout.waves.length - 1 });
  const closed = members.length === 0 ? null : (growthRefusal(draft) ?? windowFor(draft, rollout, members));
  if (closed !== null) {
    wait(draft, group, closed);
    return false;
  }
  draft.waits.delete(group.name);
  emit(draft, { kind: 'wave-opened', group: group.name, wave: wave.name, members, at: draft.now });
  return true;
}

function drawNow(
  draft: Draft,
  rollout: RolloutState,
  { wave, last }: { readonly wave: WaveState; readonly last: boolean },
): readonly DeviceId[] {
  const gone = new Set(rollout.waves.flatMap((one) => one.members ?? []));
  const candidates = rollout.changed.flatMap((id) => {
    const device = gone.has(id) ? undefined : declaredOf(draft, id);
    return device !== undefined && isDrawable(draft, rollout, device) ? [device] : [];
  });
  return drawWave({
    rules: waveRules(draft.input.declared, rollout).get(wave.name) ?? null,
    last,
    group: rollout.group,
    release: rollout.to,
    candidates,
    changed: countModels(draft.input.declared, rollout.changed),
    placeOf: placesOf(draft, rollout),
  });
}

/** The order of a rollout's draws, worked out once per pass. */
export function placesOf(draft: Draft, { group, to }: RolloutState): PlaceOf {
  const places = draft.places.get(group) ?? makePlaces(group, to);
  draft.places.set(group, places);
  return places;
}

/** Still to change, and neither frozen nor barred. */
export function isDrawable(draft: Draft, rollout: RolloutState, device: DeclaredDevice): boolean {
  const plan = draft.plans.get(device.id);
  if (plan === undefined || isBarred(plan) || !takesPart(draft, rollout.group, device)) return false;
  return !plan.converged || settlementOf(draft, device.id).open.length > 0;
}

/** Null when a window is open for at least one of the members; the rest wait for theirs. */
function windowFor(draft: Draft, rollout: RolloutState, members: readonly DeviceId[]): Refusal | null {
  const rules = draft.input.declared.rollouts.get(rollout.rules);
  const names = (rollout.direction === 'rollback' ? rules?.rollback.windows : rules?.windows) ?? [];
  let soonest: Refusal | null = null;
  for (const id of members) {
    const state = windowsAt(draft, names, declaredOf(draft, id)?.zone ?? draft.input.declared.fleet.zone);
    if (state.open) return null;
    if (soonest === null || (state.opensAt ?? Infinity) < (soonest.until ?? Infinity)) {
      soonest = { reason: 'WINDOW_CLOSED', evidence: state.why, until: state.opensAt, person: null };
    }
  }
  return soonest;
}

function complete(draft: Draft, group: GroupDeclaration, rollout: RolloutState): void {
  const entry: LineageEntry = { release: rollout.declared, commit: rollout.commit, parts: group.release.parts, at: draft.now };
  // A release that was returned to has been through its watch; one that changed nobody leaves nothing to watch.
  const watched = rollout.direction === 'forward' && rollout.changed.length > 0 && group.watchMs > 0;
  const watchUntil = watched ? draft.now + group.watchMs : null;
  emit(draft, { kind: 'rollout-completed', group: group.name, entry, watchUntil });
  draft.waits.delete(group.name);
  wakeAt(draft, watchUntil);
}

const ARTIFACT_PART = /^\S+ [^/\s]+@\S+$/;

/** `after`: every artifact changed here must be in a release that the other group has completed, and kept so long. */
function afterOther(draft: Draft, group: GroupDeclaration, rollout: RolloutState): Refusal | null {
  const { after } = group;
  if (after === null || rollout.direction === 'rollback') return null;
  const other = historyOf(draft, after.group);
  let until: Instant = draft.now;
  for (const part of rollout.parts) {
    if (!ARTIFACT_PART.test(part.id)) continue;
    const since = keptSince(other.lineage, part);
    if (since === null || other.rollout?.phase === 'halted') {
      const evidence = `${after.group} has not completed ${part.id}`;
      return { reason: 'WAITS_FOR_GROUP', evidence, until: null, person: null };
    }
    until = Math.max(until, since + after.forMs);
  }
  if (until <= draft.now) return null;
  const evidence = `${after.group} has completed the change and must keep it for ${durationText(after.forMs)}`;
  return { reason: 'WAITS_FOR_GROUP', evidence, until, person: null };
}

/** Since when the newest releases of a lineage have all held the part; null when the newest does not. */
function keptSince(lineage: readonly LineageEntry[], part: { readonly id: string; readonly digest: string }): Instant | null {
  let since: Instant | null = null;
  for (const entry of lineage.toReversed()) {
    if (!entry.parts.some((one) => one.id === part.id && one.digest === part.digest)) break;
    since = entry.at;
  }
  return since;
}
