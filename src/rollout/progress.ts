import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice, GroupDeclaration, WaveRules } from '#model/declared.ts';
import type { DeviceId, GroupName } from '#model/ids.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { DeviceOutcome, RolloutState, WaveState } from '#model/rollout.ts';
import { declaredOf, emit, historyOf, reportOf, settlementOf, takesPart } from './draft.ts';
import type { Draft } from './draft.ts';
import { judgeGate } from './gates.ts';
import type { Counts, GateState } from './gates.ts';
import { judgeHealth } from '#model/health.ts';
import { isOutsideCounts } from './impossible.ts';
import { waveRules } from './waves.ts';

/** Gate of a wave that the declared rules no longer know: nothing is taken for proven without all of it. */
const STRICT_GATE: WaveRules['gate'] = {
  success: 1,
  minimum: 1,
  quorum: 1,
  patienceMs: 14 * 86_400_000,
  then: 'ask',
  soakMs: 0,
};

interface Noted {
  readonly device: DeviceId;
  readonly outcome: DeviceOutcome;
}

/** Records what became of the devices of each rollout in this pass: verdicts, proofs, and health that did not hold. */
export function recordOutcomes(draft: Draft): void {
  for (const group of draft.input.declared.groups.values()) {
    const { rollout } = historyOf(draft, group.name);
    if (rollout === null) continue;
    const noted = new Map<DeviceId, DeviceOutcome>();
    for (const one of [...byOperations(draft, group, rollout), ...byReports(draft, group, rollout), ...byHealth(draft, group, rollout)]) {
      if (!noted.has(one.device)) noted.set(one.device, one.outcome);
    }
    if (noted.size === 0) continue;
    const outcomes = [...noted].map(([device, outcome]) => ({ device, outcome })).toSorted((a, b) => compareText(a.device, b.device));
    emit(draft, { kind: 'device-outcomes', group: group.name, outcomes });
  }
}

/** What operations of this release ended with. A failure stands; a success is noted once everything is in place. */
function byOperations(draft: Draft, group: GroupDeclaration, rollout: RolloutState): readonly Noted[] {
  const noted: Noted[] = [];
  for (const plan of draft.byGroup.get(group.name) ?? []) {
    const { failure, open, succeeded } = settlementOf(draft, plan.device);
    const known = rollout.outcomes.get(plan.device);
    if (failure !== null && failure.release === rollout.to && known?.kind !== 'failed') {
      const { code, evidence } = failure;
      noted.push({ device: plan.device, outcome: { kind: 'failed', code, evidence, at: draft.now } });
    } else if (known === undefined && plan.converged && open.length === 0 && succeeded.includes(rollout.to) && agesKnown(draft, plan)) {
      noted.push({ device: plan.device, outcome: success(draft, 'reported after the operation') });
    }
  }
  return noted;
}

/** No item is known from a retained message alone: that one may be older than what the device carries now. */
function agesKnown(draft: Draft, plan: DevicePlan): boolean {
  const { items } = draft.input.declared.deviceAt(plan.row);
  const reported = draft.input.reported.deviceAt(plan.row);
  return items.every(({ item }) => {
    const value = reported?.items[item];
    return value?.kind === 'value' && value.madeNotBefore !== null;
  });
}

function success(draft: Draft, evidence: string): DeviceOutcome {
  return { kind: 'succeeded', code: null, evidence, at: draft.now };
}

/** Members that show the release without an operation of ours: counted when the report is good and not old. */
function byReports(draft: Draft, group: GroupDeclaration, rollout: RolloutState): readonly Noted[] {
  if (rollout.declared !== group.release.id || draft.stances.get(group.name)?.kind !== 'rollout') return [];
  const noted: Noted[] = [];
  for (const wave of rollout.waves) {
    for (const id of wave.members ?? []) {
      if (rollout.outcomes.has(id)) continue;
      const plan = draft.plans.get(id);
      if (plan !== undefined && (!plan.converged || isStillBusy(draft, id))) continue;
      const device = declaredOf(draft, id);
      if (device === undefined || !takesPart(draft, group.name, device) || !isFresh(draft, group, device)) continue;
      noted.push({ device: id, outcome: success(draft, 'shows the release without an operation') });
    }
  }
  return noted;
}

function isStillBusy(draft: Draft, device: DeviceId): boolean {
  const { open, withdrawals, failure } = settlementOf(draft, device);
  return open.length > 0 || withdrawals.length > 0 || failure !== null;
}

/** Every item is of known age, and the newest sign of it is younger than the group's silence. */
function isFresh(draft: Draft, group: GroupDeclaration, device: DeclaredDevice): boolean {
  const reported = draft.input.reported.deviceAt(device.row);
  if (reported === undefined) return device.items.length === 0;
  let newest = reported.heardAt ?? Number.NEGATIVE_INFINITY;
  for (const { item } of device.items) {
    const value = reported.items[item];
    if (value?.kind !== 'value' || value.madeNotBefore === null) return false;
    newest = Math.max(newest, value.madeNotBefore);
  }
  return draft.now - newest <= group.silenceMs;
}

/**
 * Health of those that succeeded: through soak and watch, by readings made since. Not on the way back: what made the
 * release be taken back must not stop its being taken back.
 */
function byHealth(draft: Draft, group: GroupDeclaration, rollout: RolloutState): readonly Noted[] {
  if (group.health.length === 0 || rollout.direction === 'rollback') return [];
  const { begun } = historyOf(draft, group.name);
  const noted: Noted[] = [];
  for (const [id, outcome] of rollout.outcomes) {
    if (outcome.kind !== 'succeeded' || !takesPart(draft, group.name, declaredOf(draft, id))) continue;
    const judged = judgeHealth({
      conditions: group.health,
      reported: reportOf(draft, id),
      since: outcome.at,
      before: begun?.get(id),
    });
    if (judged.kind === 'bad')
      noted.push({ device: id, outcome: { kind: 'failed', code: 'UNHEALTHY', evidence: judged.evidence, at: draft.now } });
  }
  return noted;
}

/** Counts the members of a wave as they stand now: FLEET-REPO.md, "Rollouts"; DESIGN.md §4, "Waves". */
function countWave(draft: Draft, rollout: RolloutState, wave: WaveState): Counts & { readonly pardoned: number } {
  let size = 0;
  let succeeded = 0;
  let failed = 0;
  let lost = 0;
  let pardoned = 0;
  for (const id of wave.members ?? []) {
    const device = declaredOf(draft, id);
    const outcome = rollout.outcomes.get(id);
    const frozen = device !== undefined && device.group === rollout.group && !takesPart(draft, rollout.group, device);
    if (frozen) continue;
    if (outcome === undefined) {
      const plan = draft.plans.get(id);
      if (takesPart(draft, rollout.group, device) && (plan === undefined || !isOutsideCounts(plan))) size += 1;
    } else if (outcome.kind === 'succeeded') {
      size += 1;
      succeeded += 1;
    } else if (rollout.resumedAt !== undefined && outcome.at <= rollout.resumedAt) {
      pardoned += 1;
    } else {
      size += 1;
      failed += 1;
      if (outcome.code === 'LOST') lost += 1;
    }
  }
  return { size, succeeded, failed, lost, pardoned };
}

/** How the gate of an opened wave stands. */
export function gateOf(draft: Draft, rollout: RolloutState, wave: WaveState): GateState & { readonly soakMs: number } {
  const gate = waveRules(draft.input.declared, rollout).get(wave.name)?.gate ?? STRICT_GATE;
  const counts = countWave(draft, rollout, wave);
  const last = rollout.waves.at(-1) === wave;
  const emptied = !last && counts.size === 0 && counts.pardoned === 0 && (wave.members?.length ?? 0) > 0;
  const openedAt = wave.openedAt ?? draft.now;
  return { ...judgeGate({ gate, counts, openedAt, now: draft.now, emptied }), soakMs: gate.soakMs };
}

/**
 * Halts rollouts of which a gate can no longer be met: the open wave's, or that of an earlier one of which a straggler
 * failed. What the release changed is blocked for the group. `together`: one failure halts all.
 */
export function haltDoomed(draft: Draft): void {
  for (const group of draft.input.declared.groups.values()) {
    const { rollout } = historyOf(draft, group.name);
    if (rollout === null || rollout.phase === 'halted') continue;
    const failed = newFailures(draft, group.name);
    for (const wave of rollout.waves) {
      if (wave.members === null) continue;
      if (wave.passedAt !== null && !wave.members.some((device) => failed.has(device))) continue;
      const { doomed } = gateOf(draft, rollout, wave);
      if (doomed === null) continue;
      const evidence = `${doomed}: ${failuresText(rollout, wave)}`;
      halt(draft, rollout, { wave: wave.name, evidence });
      for (const other of cohortOf(draft, rollout)) {
        if (other.phase !== 'halted') halt(draft, other, { wave: null, evidence: `together with ${group.name}: ${evidence}` });
      }
      break;
    }
  }
}

function newFailures(draft: Draft, group: GroupName): ReadonlySet<DeviceId> {
  const failed = new Set<DeviceId>();
  for (const event of draft.events) {
    if (event.kind !== 'device-outcomes' || event.group !== group) continue;
    for (const { device, outcome } of event.outcomes) if (outcome.kind === 'failed') failed.add(device);
  }
  return failed;
}

function failuresText(rollout: RolloutState, wave: WaveState): string {
  const failed = (wave.members ?? []).flatMap((device) => {
    const outcome = rollout.outcomes.get(device);
    return outcome?.kind === 'failed' ? [`${device} ${outcome.code ?? 'FAILED'}`] : [];
  });
  const shown = failed.slice(0, 3).join(', ');
  return failed.length > 3 ? `${shown} and ${failed.length - 3} more` : shown;
}

function halt(draft: Draft, rollout: RolloutState, why: { readonly wave: string | null; readonly evidence: string }): void {
  const blocked = rollout.parts.map((part) => ({ ...part, release: rollout.to, why: why.evidence, at: draft.now }));
  emit(draft, { kind: 'rollout-halted', group: rollout.group, reason: 'GATE_FAILED', ...why, blocked, at: draft.now });
}

/** Other groups that pass as one with this: the same rollout that says `together`, begun by the same merge. */
export function cohortOf(draft: Draft, rollout: RolloutState): readonly RolloutState[] {
  const rules = draft.input.declared.rollouts.get(rollout.rules);
  if (rules === undefined || !rules.together) return [];
  return [...draft.groups.values()].flatMap(({ rollout: other }) =>
    other !== null &&
    other.group !== rollout.group &&
    other.rules === rollout.rules &&
    other.commit === rollout.commit &&
    other.direction === rollout.direction
      ? [other]
      : [],
  );
}
