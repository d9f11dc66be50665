import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice, GroupDeclaration } from '#model/declared.ts';
import type { DeviceId, GroupName } from '#model/ids.ts';
import type { Operation } from '#model/operation.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { DeviceBeginning } from '#model/rollout.ts';
import { letAgain } from './approvals.ts';
import { backOffMs } from './backoff.ts';
import { makeBudget } from './budget.ts';
import type { Budget } from './budget.ts';
import { deviceOf, emit, freezeOf, historyOf, isRetired, operationAgain, reportOf, settlementOf, targetOf, wakeAt } from './draft.ts';
import type { Draft, Refusal, StillOpen } from './draft.ts';
import { growthRefusal } from './growth.ts';
import { guard } from './guards.ts';
import { failureRefusal, hold, impossibleRefusal, unmanaged } from './holds.ts';
import { barrierTo } from './impossible.ts';
import { makeRate } from './rates.ts';
import type { Rate } from './rates.ts';
import { isUpkeep, personalBeside, reachOf, releaseRefusal } from './reach.ts';
import { recall } from './withdraw.ts';

/** An operation that only budget and rate can still hold. */
interface Candidate {
  readonly plan: DevicePlan;
  readonly device: DeclaredDevice;
  readonly operation: Operation;
  readonly attempt: number;
  /** Lower goes first: what is half done before what is not begun, earlier waves before later ones. */
  readonly rank: number;
}

/**
 * Admits what releases, waves, windows, conditions, budget and rate allow, and gives every other device that is not
 * converged its one reason. Pushes come before offers, so that an offer is only made where a slot is left.
 */
export function admitAll(draft: Draft): void {
  const again = letAgain(draft);
  const candidates: Candidate[] = [];
  for (const plan of draft.plans.values()) {
    const answer = consider(draft, plan, again);
    if (answer === null) continue;
    if ('operation' in answer) candidates.push(answer);
    else hold(draft, plan, answer);
  }
  candidates.sort((a, b) => a.rank - b.rank || compareText(a.plan.device, b.plan.device));
  const budget = makeBudget(draft);
  const rate = rateOf(draft);
  for (const one of candidates) if (one.operation.delivery === 'push') admit(draft, one, { budget, rate });
  for (const one of candidates) if (one.operation.delivery === 'offer') admit(draft, one, { budget, rate });
  recallOverflow(draft, budget);
  noteBeginnings(draft);
}

function rateOf(draft: Draft): Rate {
  const { limits } = draft.input.declared.fleet;
  const rate = makeRate({
    now: draft.now,
    perMinute: limits.operationsPerMinute,
    passLimitMs: limits.passLimitMs,
    recent: draft.input.view.recentIntents,
  });
  for (const _ of draft.withdrawn) rate.spend();
  return rate;
}

/** The one operation that may be next for the device, or why there is none; null for a device that is converged. */
function consider(draft: Draft, plan: DevicePlan, again: ReadonlySet<DeviceId>): Candidate | Refusal | null {
  const device = deviceOf(draft, plan);
  const group = plan.group === null ? undefined : draft.input.declared.groups.get(plan.group);
  const { open, failure } = settlementOf(draft, plan.device);
  if (plan.converged && open.length === 0) return null;
  if (device === undefined || group === undefined || isRetired(draft, device)) return unmanaged(device);
  const freeze = freezeOf(draft, device);
  if (freeze !== null) {
    return {
      reason: 'FROZEN',
      evidence: `${freeze.override}: ${freeze.reason}`,
      until: freeze.until,
      person: `end the override ${freeze.override}`,
    };
  }
  const [first] = open;
  if (first !== undefined) return goOn(draft, { plan, device, group }, first);
  if (failure !== null) return failureRefusal(plan.device, failure);
  if (again.has(plan.device)) {
    return { reason: 'RETRY_LATER', evidence: 'approved to try again; planned with the next pass', until: draft.now, person: null };
  }
  return begin(draft, { plan, device, group });
}

interface Subject {
  readonly plan: DevicePlan;
  readonly device: DeclaredDevice;
  readonly group: GroupDeclaration;
}

/** A device with an open operation: it waits for it, or tries it again where that is allowed. */
function goOn(draft: Draft, { plan, device, group }: Subject, first: StillOpen): Candidate | Refusal {
  const open = settlementOf(draft, plan.device).open;
  for (const one of open) {
    const why = draft.recalled.get(one.open.operation.id);
    if (why !== undefined) return why;
  }
  const repeated = open.find((one) => one.againFrom !== null);
  if (repeated === undefined) return completion(draft, { plan, device, group }, open) ?? first.refusal;
  const refused = releaseRefusal(draft, group, plan);
  if (refused !== null && !isUpkeep(historyOf(draft, group.name), repeated.open.operation)) return refused;
  const problem = reportOf(draft, plan.device)?.problem ?? null;
  if (problem !== null) return { reason: problem.reason, evidence: problem.detail, until: null, person: null };
  if (repeated.againFrom !== null && repeated.againFrom > draft.now) return repeated.refusal;
  const operation = operationAgain(repeated.open);
  const against = guard(draft, { group, device, operation });
  return against ?? { plan, device, operation, attempt: repeated.open.attempt + 1, rank: 0 };
}

/**
 * The step that ends what the open one tried out, where the plan has one: it goes beside it. What keeps a device on its present
 * release is ended so too, whatever its group's rollout does.
 */
function completion(draft: Draft, { plan, device, group }: Subject, open: readonly StillOpen[]): Candidate | Refusal | null {
  const refused = releaseRefusal(draft, group, plan);
  const ending = (operation: Operation | undefined): boolean =>
    operation?.completes !== undefined && open.every((one) => one.open.operation.step === operation.completes?.step);
  const [operation] = refused === null ? plan.operations : keepsUp(draft, group, plan) ? plan.upkeep : [];
  if (operation === undefined || !ending(operation)) return ending(plan.operations[0]) ? refused : null;
  const against = guard(draft, { group, device, operation });
  return against ?? { plan, device, operation, attempt: 1 + spentOn(draft, operation), rank: 0 };
}

function begin(draft: Draft, { plan, device, group }: Subject): Candidate | Refusal {
  const refused = releaseRefusal(draft, group, plan);
  const outcome = historyOf(draft, group.name).rollout?.outcomes.get(plan.device);
  const failed =
    outcome?.kind === 'failed'
      ? failureRefusal(plan.device, { code: outcome.code ?? 'FAILED', evidence: outcome.evidence, closing: 'failed' })
      : null;
  const toDeclared = refused === null && failed === null;
  const [operation] = toDeclared ? plan.operations : keepsUp(draft, group, plan) ? plan.upkeep : [];
  if (operation === undefined) return nothingToDo(draft, plan, failed ?? refused);
  const barrier = barrierTo(plan, operation, device);
  if (barrier !== null) return impossibleRefusal(draft, plan, barrier);
  const beside = toDeclared ? null : personalBeside(draft, group, operation);
  const against = beside ?? guard(draft, { group, device, operation }) ?? refusedBefore(draft, operation) ?? growthRefusal(draft);
  return against ?? { plan, device, operation, attempt: 1 + spentOn(draft, operation), rank: rankOf(draft, group, plan) };
}

/**
 * The driver refused the same again and again, for a reason that no report shows (a board at somebody else's update): it is asked
 * with the next pass once more, and then ever more seldom, or each pass would leave its intent in the ledger.
 */
function refusedBefore(draft: Draft, { id, device, item, step, declared, expected }: Operation): Refusal | null {
  const last = draft.input.view.devices.get(device)?.refused?.[item];
  if (last === undefined || last.times < 2 || last.step !== step || last.declared !== declared || last.expected !== expected) return null;
  const heardAt = reportOf(draft, device)?.heardAt ?? null;
  if (last.reason === 'OFFLINE' && heardAt !== null && heardAt > last.at) return null;
  const until = last.at + backOffMs(id, last.times - 1);
  return until <= draft.now ? null : { reason: last.reason, evidence: last.evidence, until, person: null };
}

/** Attempts at the same change that ended without a verdict: whoever undoes what we do must not be fought for ever. */
function spentOn(draft: Draft, { device, item, release }: Operation): number {
  const spent = draft.input.view.devices.get(device)?.spent?.[item];
  return spent?.release === release ? spent.attempts : 0;
}

/**
 * Whether the plan's upkeep is what the device should have until its wave opens. A device that last showed another
 * release than the group's present one (an overtaken one, or one before it as a straggler) is not taken there first; and
 * personal changes that roll out in waves are in no device's present release.
 */
function keepsUp(draft: Draft, group: GroupDeclaration, plan: DevicePlan): boolean {
  const { rollout, lineage } = historyOf(draft, group.name);
  const shown = draft.input.view.devices.get(plan.device)?.releaseDone ?? null;
  if (reachOf(draft, group).touched(plan.device) || (shown !== null && shown !== lineage.at(-1)?.release)) return false;
  return rollout === null || rollout.before === undefined || !reachOf(draft, group).changes(plan.device);
}

function nothingToDo(draft: Draft, plan: DevicePlan, refused: Refusal | null): Refusal {
  const [impossible] = plan.impossible;
  if (impossible !== undefined) return impossibleRefusal(draft, plan, impossible);
  if (refused !== null) return refused;
  return {
    reason: 'WAITS_FOR_ITEM',
    evidence: 'one step has ended; the next is planned with the next pass',
    until: draft.now,
    person: null,
  };
}

function rankOf(draft: Draft, group: GroupDeclaration, plan: DevicePlan): number {
  if (historyOf(draft, group.name).begun?.has(plan.device) === true) return 1;
  return 2 + (reachOf(draft, group).waveOf(plan.device)?.index ?? 0);
}

function admit(draft: Draft, one: Candidate, { budget, rate }: { readonly budget: Budget; readonly rate: Rate }): void {
  const { plan, device, operation, attempt } = one;
  const spent = operation.disturbs ? budget.full(device) : null;
  if (spent !== null) {
    hold(draft, plan, { reason: 'BUDGET_SPENT', evidence: spent, until: null, person: null, item: operation.item });
    return;
  }
  const token = rate.take();
  if (token.kind === 'limited') {
    const perMinute = draft.input.declared.fleet.limits.operationsPerMinute;
    const evidence = `${perMinute} operations a minute are under way`;
    hold(draft, plan, { reason: 'RATE_LIMITED', evidence, until: token.until, person: null, item: operation.item });
    return;
  }
  if (operation.disturbs && (operation.delivery === 'push' || operation.prompt === true)) budget.take(device);
  const release = releaseFor(draft, plan, operation);
  draft.admitted.push({
    operation: release === operation.release ? operation : { ...operation, release },
    attempt,
    notBefore: token.notBefore,
  });
  wakeAt(draft, token.notBefore + operation.deadlineMs);
}

/** The plan was made before this pass turned the group: its operations lead to the release that the group has now. */
function releaseFor(draft: Draft, plan: DevicePlan, operation: Operation): Operation['release'] {
  const group = plan.group === null ? undefined : draft.input.declared.groups.get(plan.group);
  if (group === undefined || !plan.operations.includes(operation)) return operation.release;
  const beside = historyOf(draft, group.name).rollout?.before !== undefined && !reachOf(draft, group).changes(plan.device);
  return beside ? group.release.id : targetOf(draft, group);
}

/** Where no slot is free, the untaken offers that would need one are withdrawn, and made again when one is. */
function recallOverflow(draft: Draft, budget: Budget): void {
  const going = new Set(draft.admitted.map((admitted) => admitted.operation.device));
  for (const plan of draft.plans.values()) {
    const device = deviceOf(draft, plan);
    if (device === undefined || going.has(plan.device)) continue;
    for (const { open, taken, alive } of settlementOf(draft, plan.device).open) {
      const { operation } = open;
      if (operation.delivery !== 'offer' || !operation.disturbs || taken || alive || draft.recalled.has(operation.id)) continue;
      const spent = budget.full(device);
      if (spent === null) continue;
      const why: Refusal = { reason: 'BUDGET_SPENT', evidence: spent, until: null, person: null };
      recall(draft, { open, why });
      hold(draft, plan, { ...why, item: operation.item });
    }
  }
}

/** What `no rise` compares with later is written down with the first intent of a change. */
function noteBeginnings(draft: Draft): void {
  const groups = new Map<GroupName, DeviceBeginning[]>();
  for (const { operation, attempt } of draft.admitted) {
    const { device, group } = operation;
    if (attempt > 1 || historyOf(draft, group).begun?.has(device) === true) continue;
    const list = groups.get(group);
    const beginning = { device, measures: measuresOf(draft, group, device) };
    if (list === undefined) groups.set(group, [beginning]);
    else list.push(beginning);
  }
  for (const [group, devices] of [...groups].toSorted(([a], [b]) => compareText(a, b))) {
    const sorted = devices.toSorted((a, b) => compareText(a.device, b.device));
    emit(draft, { kind: 'devices-began', group, devices: sorted, at: draft.now });
  }
}

function measuresOf(draft: Draft, group: GroupName, device: DeviceId): Readonly<Record<string, string>> {
  const measures: Record<string, string> = {};
  for (const { measure, test } of draft.input.declared.groups.get(group)?.health ?? []) {
    const reading = test === 'no-rise' ? reportOf(draft, device)?.measures[measure] : undefined;
    if (reading !== undefined) measures[measure] = reading.value;
  }
  return measures;
}
