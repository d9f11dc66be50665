import { digestOf } from '#kit/digest.ts';
import type { DeclaredDevice, GroupDeclaration } from '#model/declared.ts';
import { operationId } from '#model/ids.ts';
import type { OpenOperation, Operation, OperationDraft } from '#model/operation.ts';
import type { DevicePlan } from '#model/plan.ts';
import { close, deviceOf, freezeOf, historyOf, isRetired, operationAgain, settlementOf, targetOf, wakeAt } from './draft.ts';
import type { Draft, Refusal, StillOpen } from './draft.ts';
import { isUpkeep, releaseRefusal } from './reach.ts';

/** Changes when the members of the identity change, so that ids of two engines are never confused. */
const IDENTITY_VERSION = 1;

/**
 * Withdraws untaken offers that no longer lead where the device should go, and ends withdrawals that are done:
 * DESIGN.md §4, "Offers are withdrawn".
 */
export function withdrawStopped(draft: Draft): void {
  for (const plan of draft.plans.values()) {
    const { open, withdrawals } = settlementOf(draft, plan.device);
    for (const one of open.toReversed()) {
      if (one.open.operation.delivery !== 'offer') continue;
      const own = withdrawals.filter((withdrawal) => withdrawal.operation.withdraws === one.open.operation.id);
      if (takenUnwithdrawn(one, own)) endMoot(draft, own);
      else if (own.length > 0) goOn(draft, plan, { one, own });
      else {
        const why = obsolete(draft, plan, one.open);
        if (why !== null) recall(draft, { open: one.open, why });
      }
    }
    const offers = new Set(open.map((one) => one.open.operation.id));
    const alone = withdrawals.filter(({ operation }) => operation.withdraws === undefined || !offers.has(operation.withdraws));
    for (const one of alone) {
      if (isUnfinished(draft, one)) repeat(draft, one);
      else endMoot(draft, [one]);
    }
  }
  if (draft.mergeHeld === null) withdrawFromLeavers(draft);
}

/**
 * Taken before anything of it was withdrawn. That the offer is gone afterwards is our own doing and no sign of the device;
 * should it have fetched it all the same, its next report shows drift.
 */
function takenUnwithdrawn(one: StillOpen, own: readonly OpenOperation[]): boolean {
  return one.open.takenAt !== null || (one.taken && own.every((withdrawal) => withdrawal.reference === null));
}

/** What was refused is taken back after its own end, until the attempts are spent. */
function isUnfinished(draft: Draft, { operation, reference, attempt }: OpenOperation): boolean {
  return operation.cause === 'refusal' && reference === null && attempt < draft.input.declared.fleet.limits.maxAttempts;
}

/** The offer was taken or came to its end otherwise: what was done of its withdrawal is done, the rest is not needed. */
function endMoot(draft: Draft, withdrawals: readonly OpenOperation[]): void {
  for (const withdrawal of withdrawals) {
    const done = withdrawal.reference !== null;
    close(draft, withdrawal, {
      closing: done ? 'succeeded' : 'superseded',
      code: null,
      evidence: done ? 'withdrawn' : 'nothing is left to withdraw',
    });
  }
}

interface UnderWithdrawal {
  readonly one: StillOpen;
  readonly own: readonly OpenOperation[];
}

/** What we removed ourselves is proven by our own store or shadow; what the device holds is still proven by its reports. */
function goOn(draft: Draft, plan: DevicePlan, { one, own }: UnderWithdrawal): void {
  const why = obsolete(draft, plan, one.open) ?? withdrawnFirst(draft);
  if (own.every((withdrawal) => withdrawal.reference !== null)) {
    if (one.perhapsTaken !== null) {
      draft.recalled.set(one.open.operation.id, refusal('OFFLINE', one.perhapsTaken));
      return;
    }
    endMoot(draft, own);
    endOffer(draft, one.open, 'withdrawn before it was taken');
    return;
  }
  draft.recalled.set(one.open.operation.id, why);
  for (const withdrawal of own) repeat(draft, withdrawal);
}

function repeat(draft: Draft, withdrawal: OpenOperation): void {
  if (withdrawal.reference !== null) return;
  if (withdrawal.retryAt !== null && withdrawal.retryAt > draft.now) {
    wakeAt(draft, withdrawal.retryAt);
    return;
  }
  draft.withdrawn.push({ operation: operationAgain(withdrawal), attempt: withdrawal.attempt + 1, notBefore: draft.now });
}

function endOffer(draft: Draft, open: OpenOperation, evidence: string): void {
  close(draft, open, { closing: 'withdrawn', code: null, evidence });
  const { device, id } = open.operation;
  const settlement = settlementOf(draft, device);
  draft.settled.set(device, { ...settlement, open: settlement.open.filter((one) => one.open.operation.id !== id) });
}

/** Admits the operations that take an untaken offer back, in the family's order, in this very pass. */
export function recall(draft: Draft, what: { readonly open: OpenOperation; readonly why: Refusal }): void {
  const { open, why } = what;
  const { operation } = open;
  const lastClosed = draft.input.view.devices.get(operation.device)?.lastClosed[operation.item] ?? 0;
  if (lastClosed > operation.occasion) {
    // Since this offer was made only its own withdrawal can have ended on this item: the driver refused it.
    endOffer(draft, open, 'what lies there is no longer the offer that was made');
    return;
  }
  const drafts = draft.input.families.get(operation.family)?.withdrawal(open) ?? [];
  if (drafts.length === 0) {
    endOffer(draft, open, 'nothing to take back');
    return;
  }
  draft.recalled.set(operation.id, why);
  for (const one of drafts) draft.withdrawn.push({ operation: withdrawalOf(open, one, 'withdrawal'), attempt: 1, notBefore: draft.now });
}

/** An offer that was refused and lies there still: a device must not meet it again after its next restart. */
export function takeBackRefused(draft: Draft, open: OpenOperation): void {
  const drafts = draft.input.families.get(open.operation.family)?.withdrawal(open) ?? [];
  for (const one of drafts) draft.withdrawn.push({ operation: withdrawalOf(open, one, 'refusal'), attempt: 1, notBefore: draft.now });
}

/** The identity of a withdrawal is made of that of its offer, which holds fleet, device, hardware and occasion. */
function withdrawalOf({ operation: offer }: OpenOperation, draft: OperationDraft, cause: 'withdrawal' | 'refusal'): Operation {
  const { item, step, declared, expected } = draft;
  const id = operationId(digestOf({ version: IDENTITY_VERSION, withdraws: offer.id, item, step, declared, expected }));
  const { device, family, connection, hardware, group, release, occasion } = offer;
  return { ...draft, id, device, family, connection, hardware, group, release, occasion, cause, withdraws: offer.id };
}

/** Why an untaken offer must not be taken any more; null while it may. */
function obsolete(draft: Draft, plan: DevicePlan, open: OpenOperation): Refusal | null {
  const device = deviceOf(draft, plan);
  if (device === undefined) return null;
  if (open.operation.hardware !== device.hardware)
    return refusal('IDENTITY_MISMATCH', 'the hardware was replaced after the offer was made');
  const group = device.group === null ? undefined : draft.input.declared.groups.get(device.group);
  if (group === undefined || isRetired(draft, device)) return refusal('UNMANAGED', 'no longer managed');
  const freeze = freezeOf(draft, device);
  if (freeze !== null) return { ...refusal('FROZEN', `${freeze.override}: ${freeze.reason}`), until: freeze.until };
  const stance = draft.stances.get(group.name)?.kind;
  if (stance === 'genesis') return null;
  // A merge that waits takes nothing back; the rollout before it does, when it halts.
  if (stance === 'limited' && historyOf(draft, group.name).rollout?.phase !== 'halted') return null;
  const refused = releaseRefusal(draft, group, plan);
  if (!leadsWhereWanted(draft, { group, open, allowed: refused === null })) return refused ?? withdrawnFirst(draft);
  return isOutdated(draft, { plan, device, group, open }) ? withdrawnFirst(draft) : null;
}

function refusal(reason: Refusal['reason'], evidence: string): Refusal {
  return { reason, evidence, until: null, person: null };
}

function withdrawnFirst(draft: Draft): Refusal {
  return { ...refusal('WAITS_FOR_ITEM', 'the earlier offer is withdrawn first'), until: draft.now };
}

/** The declared release where the device may have it, its present one where it may not. */
function leadsWhereWanted(
  draft: Draft,
  { group, open, allowed }: { readonly group: GroupDeclaration; readonly open: OpenOperation; readonly allowed: boolean },
): boolean {
  const { release } = open.operation;
  const { rollout, past } = historyOf(draft, group.name);
  const last = past.at(-1);
  if (allowed) {
    const finished = last !== undefined && last.to === release && last.end === 'completed' && last.declared === group.release.id;
    if (release === targetOf(draft, group) || finished) return true;
    // Personal changes and corrections beside a rollout of personal changes lead to the group's own release.
    return rollout?.before !== undefined && release === group.release.id;
  }
  return isUpkeep(historyOf(draft, group.name), open.operation);
}

/** The same step is wanted with another value: a later commit changed what the device is told under the same release. */
function isOutdated(
  draft: Draft,
  what: { readonly plan: DevicePlan; readonly device: DeclaredDevice; readonly group: GroupDeclaration; readonly open: OpenOperation },
): boolean {
  const { plan, device, group, open } = what;
  const { operation } = open;
  const reported = draft.input.reported.deviceAt(plan.row);
  if (operation.release !== targetOf(draft, group) || reported === undefined) return false;
  const drifted = new Set([...plan.drifts.map((drift) => drift.item), operation.item]);
  const answer = draft.input.families.get(operation.family)?.operations({
    device,
    items: device.items,
    reported,
    drifted: device.items.map((one) => one.item).filter((item) => drifted.has(item)),
  });
  const same = (answer?.drafts ?? []).filter((one) => one.item === operation.item && one.step === operation.step);
  return same.length > 0 && same.every((one) => one.declared !== operation.declared);
}

/** A row that disappears sends nothing: its offers are withdrawn, and what was pushed is no longer watched. */
function withdrawFromLeavers(draft: Draft): void {
  for (const [device, open] of draft.input.view.open) {
    if (draft.input.declared.rowOf(device) !== undefined) continue;
    for (const one of open) {
      const { operation } = one;
      if (operation.kind === 'withdraw') continue;
      const own = open.filter((other) => other.operation.withdraws === operation.id);
      if (operation.delivery === 'push' || one.takenAt !== null) {
        close(draft, one, { closing: 'superseded', code: null, evidence: 'no longer watched' });
        endMoot(draft, own);
      } else if (own.length === 0) recall(draft, { open: one, why: refusal('UNMANAGED', 'no longer in the inventory') });
      else if (own.every((withdrawal) => withdrawal.reference !== null)) {
        endMoot(draft, own);
        endOffer(draft, one, 'withdrawn: no longer in the inventory');
      } else for (const withdrawal of own) repeat(draft, withdrawal);
    }
    const offers = new Set(open.map((one) => one.operation.id));
    endMoot(
      draft,
      open.filter(
        ({ operation }) => operation.kind === 'withdraw' && (operation.withdraws === undefined || !offers.has(operation.withdraws)),
      ),
    );
  }
}
