import type { Condition } from '#model/declared.ts';
import type { DeviceId, GroupName, Instant, ReleaseId } from '#model/ids.ts';
import type { Closing, Confirmation, OpenOperation } from '#model/operation.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DownDevice } from '#model/rollout.ts';
import type { Family } from '#ports/family.ts';
import { backOffMs } from './backoff.ts';
import { close, deviceOfRow, emit, freezeOf, historyOf, reportOf, targetOf } from './draft.ts';
import type { Draft, Failure, Refusal, Settlement, StillOpen } from './draft.ts';
import { judgeHealth } from '#model/health.ts';
import { stoppedSince } from './reach.ts';
import { takeBackRefused } from './withdraw.ts';

/** What reports and time say of an open operation: it ends, it is to be tried again, or it goes on. */
export type Verdict =
  | { readonly kind: 'closed'; readonly closing: Closing; readonly code: string | null; readonly evidence: string }
  | {
      readonly kind: 'open';
      readonly taken: boolean;
      readonly alive: boolean;
      readonly refusal: Refusal;
      readonly againFrom: Instant | null;
    };

export interface OpenCase {
  readonly open: OpenOperation;
  readonly confirmation: Confirmation;
  readonly reported: ReportedDevice | undefined;
  readonly family: Family;
  readonly now: Instant;
  readonly maxAttempts: number;
  /** The release is one that the device may still be on its way to; an operation to another one is not repeated. */
  readonly wanted: boolean;
  /** Nobody means the device to keep what it tries: that it runs the old again is no verdict on the new. */
  readonly givenUp: boolean;
  /** Conditions that must hold before it counts as done: empty while other items of the device are still to change. */
  readonly health: readonly Condition[];
  readonly before: Readonly<Record<string, string>> | undefined;
}

/** Judges one open change operation: DESIGN.md §4, "Outcomes of a device". Pure; `now` is the only time it knows. */
export function settleOpen(input: OpenCase): Verdict {
  const { confirmation } = input;
  switch (confirmation.kind) {
    case 'confirmed':
      return confirmed(input, confirmation.evidence);
    case 'failed': {
      const { code, evidence, isBack } = confirmation;
      return { kind: 'closed', closing: isBack === true && input.givenUp ? 'superseded' : 'failed', code, evidence };
    }
    case 'trouble':
      return trouble(input, { code: confirmation.code, evidence: confirmation.evidence });
    default:
      return underWay(input, confirmation);
  }
}

function confirmed(input: OpenCase, evidence: string): Verdict {
  const { open, reported, health, before } = input;
  const since = open.reference ?? open.intendedAt;
  const judged = judgeHealth({ conditions: health, reported, since, before });
  if (judged.kind === 'good') return { kind: 'closed', closing: 'succeeded', code: null, evidence };
  if (judged.kind === 'bad') return { kind: 'closed', closing: 'failed', code: 'UNHEALTHY', evidence: judged.evidence };
  const refusal: Refusal = { reason: 'VERIFYING', evidence: `${evidence}; ${judged.evidence}`, until: null, person: null };
  return { kind: 'open', taken: true, alive: true, refusal, againFrom: null };
}

/** Tried again after a back-off counted from the last intent, until the attempts are spent. */
function trouble(input: OpenCase, met: { readonly code: string; readonly evidence: string }): Verdict {
  const { open, now, wanted, maxAttempts } = input;
  const evidence = `${met.code}: ${met.evidence}`;
  if (open.attempt >= maxAttempts) {
    const spent = `${evidence} (${open.attempt} attempts)`;
    return wanted
      ? { kind: 'closed', closing: 'quarantined', code: 'ATTEMPTS_SPENT', evidence: spent }
      : { kind: 'closed', closing: 'superseded', code: met.code, evidence: spent };
  }
  if (!wanted && open.operation.delivery === 'push') return { kind: 'closed', closing: 'superseded', code: met.code, evidence };
  const againFrom = open.retryAt ?? open.intendedAt + backOffMs(open.operation.id, open.attempt);
  const refusal: Refusal = {
    reason: 'RETRY_LATER',
    evidence: `attempt ${open.attempt} met ${evidence}`,
    until: Math.max(againFrom, now),
    person: null,
  };
  return { kind: 'open', taken: false, alive: false, refusal, againFrom };
}

function underWay(input: OpenCase, said: Extract<Confirmation, { kind: 'open' }>): Verdict {
  const { open, reported, now, wanted } = input;
  const { operation } = open;
  const takenAt = open.takenAt ?? said.takenAt;
  const taken = takenAt !== null;
  if (open.reference === null && !taken) {
    if (open.retryAt !== null) return trouble(input, splitTrouble(open.lastTrouble));
    if (operation.delivery === 'offer') return perhapsOffered(open);
  }
  const reference = open.reference ?? open.intendedAt;
  const heardAt = reported?.heardAt ?? null;
  const heardSince = heardAt !== null && heardAt > reference ? heardAt : null;
  const alive = taken || heardSince !== null;
  const lostFrom = lostAt(input, { takenAt, heardAt: heardSince });
  if (lostFrom !== null && now >= lostFrom) {
    const evidence = said.lost ?? `alive when it took ${operation.step}, silent since`;
    return { kind: 'closed', closing: 'failed', code: 'LOST', evidence };
  }
  const deadline = reference + operation.deadlineMs;
  if (operation.delivery === 'push' && now >= deadline) {
    if (said.oldValueSeenAt !== null) return trouble(input, { code: 'NO_EFFECT', evidence: said.evidence });
    if (!wanted && !taken) return { kind: 'closed', closing: 'superseded', code: null, evidence: 'nothing shows that the device took it' };
    if (!alive && reported?.problem == null) return waiting({ said, taken, alive, reason: 'OFFLINE', until: null });
  }
  const until = operation.delivery === 'push' && deadline > now ? deadline : lostFrom;
  if (reported?.problem != null) {
    const { reason, detail } = reported.problem;
    return waiting({ said: { ...said, evidence: detail }, taken, alive, reason, until });
  }
  return waiting({ said, taken, alive, reason: said.phase, until });
}

function waiting(what: {
  readonly said: Extract<Confirmation, { kind: 'open' }>;
  readonly taken: boolean;
  readonly alive: boolean;
  readonly reason: Refusal['reason'];
  readonly until: Instant | null;
}): Verdict {
  const { said, taken, alive, reason, until } = what;
  return { kind: 'open', taken, alive, refusal: { reason, evidence: said.evidence, until, person: null }, againFrom: null };
}

/** An offer of which no outcome was recorded is made again at once: the look before the act finds the one that lies there. */
function perhapsOffered(open: OpenOperation): Verdict {
  const refusal: Refusal = { reason: 'OFFERED', evidence: 'no outcome was recorded; it is looked for again', until: null, person: null };
  return { kind: 'open', taken: false, alive: false, refusal, againFrom: open.intendedAt };
}

/**
 * When silence becomes a verdict; null while there is none. A push counts from any life after delivery, an offer
 * only from the moment it was taken: a vehicle may drive past an offer, stop and sleep for weeks. Time in which nobody
 * listened, between two runs or after a crash, is no silence.
 */
function lostAt(input: OpenCase, life: { readonly takenAt: Instant | null; readonly heardAt: Instant | null }): Instant | null {
  const { open, reported, family, now } = input;
  // Other hardware answers at its address: whether it is silent is not known.
  if (reported?.online === true || reported?.problem?.reason === 'IDENTITY_MISMATCH') return null;
  const last = open.operation.delivery === 'offer' && life.takenAt === null ? null : latest(life.takenAt, life.heardAt);
  if (last === null) return null;
  const unheardMs = reported?.silentMs === undefined ? 0 : Math.max(0, now - (reported.heardAt ?? last) - reported.silentMs);
  return last + unheardMs + Math.max(family.lostAfterMs(open.operation), 3 * (reported?.gapMs ?? 0)) + 1;
}

function latest(a: Instant | null, b: Instant | null): Instant | null {
  return a === null ? b : b === null ? a : Math.max(a, b);
}

function splitTrouble(text: string | null): { readonly code: string; readonly evidence: string } {
  const [code = 'TROUBLE', ...rest] = (text ?? 'TROUBLE: no details were recorded').split(': ');
  return { code, evidence: rest.join(': ') };
}

/** Settles the open operations of every device of the plan: closes what has ended, notes what was taken. */
export function settleAll(draft: Draft): void {
  const down = new Map<GroupName, DownDevice[]>();
  const done = new Map<GroupName, DeviceId[]>();
  for (const plan of draft.plans.values()) {
    if (plan.open.length === 0 || plan.group === null) continue;
    const settlement = settleDevice(draft, plan, plan.group);
    draft.settled.set(plan.device, settlement);
    const fell = fellSilent(draft, plan, settlement.failure);
    if (fell !== null) push(down, plan.group, fell);
    const begun = historyOf(draft, plan.group).begun?.has(plan.device) === true && historyOf(draft, plan.group).rollout === null;
    if (begun && settlement.open.length === 0 && plan.converged) push(done, plan.group, plan.device);
  }
  for (const [group, devices] of sortedEntries(down)) emit(draft, { kind: 'devices-down', group, devices, at: draft.now });
  for (const [group, devices] of sortedEntries(done)) emit(draft, { kind: 'devices-settled', group, devices, at: draft.now });
}

function push<Value>(lists: Map<GroupName, Value[]>, group: GroupName, value: Value): void {
  const list = lists.get(group);
  if (list === undefined) lists.set(group, [value]);
  else list.push(value);
}

function sortedEntries<Value>(lists: ReadonlyMap<GroupName, Value>): readonly (readonly [GroupName, Value])[] {
  return [...lists].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Devices that went down in an earlier pass and were heard since count no longer. */
export function noteRisen(draft: Draft): void {
  for (const [group, history] of sortedEntries(draft.groups)) {
    const devices = [...(history.down?.values() ?? [])].filter((down) => hasRisen(draft, down)).map((down) => down.device);
    if (devices.length > 0) emit(draft, { kind: 'devices-up', group, devices, at: draft.now });
  }
}

function hasRisen(draft: Draft, down: DownDevice): boolean {
  if (draft.input.declared.rowOf(down.device) === undefined) return true;
  const reported = reportOf(draft, down.device);
  if (reported?.online === true) return true;
  return reported !== undefined && reported.heardAt !== null && reported.heardAt > (down.heardAt ?? Number.NEGATIVE_INFINITY);
}

/** A lost device is down; one that spent its attempts only when it was silent all the while it was alive for them. */
function fellSilent(draft: Draft, plan: DevicePlan, failure: Failure | null): DownDevice | null {
  if (failure === null || (failure.code !== 'LOST' && failure.closing !== 'quarantined')) return null;
  const reported = reportOf(draft, plan.device);
  const heardAt = reported?.heardAt ?? null;
  if (failure.code === 'LOST') return { device: plan.device, code: 'LOST', heardAt };
  const silenceMs = plan.group === null ? 0 : (draft.input.declared.groups.get(plan.group)?.silenceMs ?? 0);
  const silent = reported?.online === false || (reported?.online !== true && heardAt !== null && draft.now - heardAt > silenceMs);
  if (!silent || isSilentMember(draft, plan)) return null;
  return { device: plan.device, code: 'QUARANTINED', heardAt };
}

/** Silent before the rollout began and ever since: never counted. */
function isSilentMember(draft: Draft, plan: DevicePlan): boolean {
  const rollout = plan.group === null ? null : historyOf(draft, plan.group).rollout;
  if (rollout === null || !rollout.silent.includes(plan.device)) return false;
  const heardAt = reportOf(draft, plan.device)?.heardAt ?? null;
  return heardAt === null || heardAt < rollout.beganAt;
}

function settleDevice(draft: Draft, plan: DevicePlan, group: GroupName): Settlement {
  const declaration = draft.input.declared.groups.get(group);
  const history = historyOf(draft, group);
  const open: StillOpen[] = [];
  const withdrawals: OpenOperation[] = [];
  const succeeded: ReleaseId[] = [];
  let failure: Failure | null = null;
  const releases = new Set<string>();
  if (declaration !== undefined) releases.add(targetOf(draft, declaration)).add(declaration.release.id);
  const top = history.lineage.at(-1);
  if (top !== undefined) releases.add(top.release);
  const last = plan.converged && plan.operations.length === 0;
  for (const { open: one, confirmation } of plan.open) {
    const { operation } = one;
    if (operation.kind === 'withdraw') {
      withdrawals.push(one);
      continue;
    }
    const family = draft.input.families.get(operation.family);
    if (family === undefined) continue;
    const verdict = settleOpen({
      open: one,
      confirmation,
      reported: draft.input.reported.deviceAt(plan.row),
      family,
      now: draft.now,
      maxAttempts: draft.input.declared.fleet.limits.maxAttempts,
      wanted: releases.has(operation.release) || draft.stances.get(group)?.kind === 'limited',
      givenUp: isGivenUp(draft, plan, one.operation),
      health: last && history.rollout?.direction !== 'rollback' ? (declaration?.health ?? []) : [],
      before: history.begun?.get(plan.device),
    });
    if (verdict.kind === 'open') {
      const perhapsTaken = 'perhapsTaken' in confirmation ? (confirmation.perhapsTaken ?? null) : null;
      open.push({ open: one, ...verdict, perhapsTaken });
      noteTaken(draft, one, confirmation);
      continue;
    }
    close(draft, one, verdict);
    if (confirmation.kind === 'failed' && confirmation.takeBack === true) takeBackRefused(draft, one);
    if (verdict.closing === 'succeeded') succeeded.push(operation.release);
    if (verdict.closing === 'failed' || verdict.closing === 'quarantined') {
      failure = { code: verdict.code ?? 'FAILED', evidence: verdict.evidence, release: operation.release, closing: verdict.closing };
    }
  }
  return { open, withdrawals, failure, succeeded };
}

/**
 * We told it to go back ourselves, hold everything on it back by a freeze or a halt, or another release is declared and nothing
 * keeps the device on this one: nobody would have made final what it tried.
 */
function isGivenUp(
  draft: Draft,
  { device, row, group, open, upkeep }: DevicePlan,
  { item, step, release }: OpenOperation['operation'],
): boolean {
  const own = open.some(({ open: { operation } }) => operation.item === item && operation.completes?.step === step && isWayBack(operation));
  if (own || freezeOf(draft, deviceOfRow(draft, row)) !== null) return true;
  const declaration = group === null ? undefined : draft.input.declared.groups.get(group);
  if (declaration === undefined) return true;
  const history = historyOf(draft, declaration.name);
  const { rollout } = history;
  if (rollout?.phase === 'halted' && rollout.to === release) return true;
  if (release === targetOf(draft, declaration) || release === declaration.release.id) return false;
  return release !== history.lineage.at(-1)?.release || upkeep.length === 0 || stoppedSince(history).has(device);
}

function isWayBack({ completes }: OpenOperation['operation']): boolean {
  return completes !== undefined && completes.healthySince === null;
}

function noteTaken(draft: Draft, { operation, takenAt }: OpenOperation, confirmation: Confirmation): void {
  if (takenAt !== null || confirmation.kind !== 'open' || confirmation.takenAt === null) return;
  draft.taken.push({ operation: operation.id, at: confirmation.takenAt });
}
