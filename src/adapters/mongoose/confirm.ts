import { durationText, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Confirmation, OpenOperation } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { newest } from '#shadows/ages.ts';
import { waits } from '#shadows/drafts.ts';
import { readOperationFacts, readUndo, trialValue, type OperationFacts, type Undo } from './operations.ts';
import { firmwareSeen, type FirmwareSeen } from './reports.ts';
import { appliesNothing, isSameFirmware, toldBy, triedIn } from './wire.ts';

/** A board that was heard so long after the write, and has not taken the URL, has missed the delta. */
const DELTA_MS = 5 * MINUTE_MS;
/** Boards tell their uptime in whole seconds, some time after they were asked. */
const UPTIME_MS = 5 * SECOND_MS;

interface Look {
  readonly open: OpenOperation;
  readonly reported: ReportedDevice;
  readonly reference: Instant;
  readonly facts: OperationFacts;
  readonly undo: Undo | null;
  readonly value: Extract<ReportedItem, { kind: 'value' }>;
  readonly seen: FirmwareSeen;
  readonly fresh: boolean;
  /** The first sign that the board took this attempt. */
  readonly takenAt: Instant | null;
}

/**
 * By the firmware that the board says it runs and keeps, never by the URL that it says it took, nor by an answer
 * `error.code 0` (docs/protocols/shadow-devices.md §3.4, rules 4 and 5).
 */
export function confirmationOf(open: OpenOperation, reported: ReportedDevice): Confirmation {
  const { operation } = open;
  // A call goes out at once or not at all; what lies in a shadow is looked for there.
  const isCalled = operation.kind === 'change' && operation.delivery === 'push';
  const reference = open.reference ?? (isCalled || isBegun(open, reported) ? open.intendedAt : null);
  if (reference === null)
    return waits(open, { phase: 'IN_FLIGHT', evidence: 'not known whether it was sent: looked for before it is repeated' });
  if (operation.kind === 'withdraw') return { kind: 'confirmed', evidence: 'desired no longer holds what was offered' };
  const facts = readOperationFacts(operation.facts);
  const value = reported.items[operation.item];
  const seen = firmwareSeen(value);
  const undo = readUndo(open.undo);
  const early = undo?.said === undefined || undo.said === null ? null : refusedAtOnce(undo.said);
  if (facts?.step === 'update' && early !== null) return early;
  if (facts === null || value?.kind !== 'value' || seen === null)
    return waits(open, {
      phase: operation.delivery === 'offer' ? 'OFFERED' : 'IN_FLIGHT',
      evidence: 'nothing readable was reported since',
    });
  const fresh = value.madeNotBefore !== null && value.madeNotBefore > reference;
  const bare = { open, reported, reference, facts, undo, value, seen, fresh };
  const look: Look = { ...bare, takenAt: open.takenAt ?? takenIn(bare) };
  if (fresh && value.value === operation.declared) return { kind: 'confirmed', evidence: `reports ${value.value}` };
  if (facts.step === 'commit') return committing(look);
  if (facts.step === 'revert') return reverting(look);
  return onTrialIn(look) ?? isBack(look) ?? wrongIn(look) ?? saidOf(look) ?? missedBy(look) ?? waiting(look);
}

/** Where no outcome was recorded: what is under way, or was tried, since we meant to begin it is what we began. */
function isBegun({ operation, intendedAt, takenAt }: OpenOperation, { items }: ReportedDevice): boolean {
  if (operation.kind !== 'change' || takenAt !== null) return takenAt !== null;
  const item = items[operation.item];
  const { status = null, tried = null, appliedAt = null } = firmwareSeen(item) ?? {};
  const signs = [
    status !== null && (status.state === 'progress' || status.state === 'success') ? status.at : null,
    tried !== null && isSameFirmware(tried.value, operation.declared) ? tried.at : null,
    appliedAt,
    item?.kind === 'value' && item.value === trialValue(operation) ? item.madeNotBefore : null,
  ];
  return signs.some((at) => at !== null && at > intendedAt);
}

/** What the board answered right away, where no second attempt with the same bytes can change it. */
function refusedAtOnce({ ok, message }: NonNullable<Undo['said']>): Confirmation | null {
  const told = ok ? null : toldBy(message);
  return told?.class === 'verdict' ? { kind: 'failed', code: told.code, evidence: `answers ${message ?? 'an error'}` } : null;
}

/** A URL of ours that it reports, progress, a firmware on trial: the board has it. */
function takenIn(look: Omit<Look, 'takenAt'>): Instant | null {
  const { open, seen, undo, reference, value } = look;
  const after = (at: Instant | null | undefined): Instant | null => (at != null && at > reference ? at : null);
  const { status } = seen;
  const signs = [
    undo?.url != null && seen.url?.digest === undo.url ? (after(seen.url.at) ?? reference + 1) : null,
    status !== null && status.state !== 'idle' && !isStale(look) ? after(status.at) : null,
    undo?.said?.ok === true ? undo.said.at : null,
    triedHere(open, seen) && seen.tried !== null ? after(seen.tried.at) : null,
    value.value === trialValue(open.operation) ? after(value.madeNotBefore) : null,
  ].filter((at) => at !== null);
  return signs.length === 0 ? null : Math.min(...signs);
}

/** An error that stood there before the attempt, and stands there as long as nothing shows that it was taken, says nothing of it. */
function isStale({ open, seen, undo }: Omit<Look, 'takenAt'>): boolean {
  const isTaken = open.takenAt !== null || (undo?.url != null && seen.url?.digest === undo.url);
  return undo !== null && undo.stale !== null && undo.stale === seen.status?.message && !isTaken;
}

function triedHere({ operation }: OpenOperation, { tried }: FirmwareSeen): boolean {
  return tried !== null && isSameFirmware(tried.value, operation.declared);
}

function onTrialIn({ open, value, takenAt, facts, fresh }: Look): Confirmation | null {
  if (!fresh || value.value !== trialValue(open.operation)) return null;
  const whose = facts.commitTimeoutMs === null ? 'the board commits it by itself, or goes back' : 'it is to be committed, or it goes back';
  const evidence = `runs ${open.operation.declared} on trial: ${whose}`;
  return { kind: 'open', phase: 'VERIFYING', takenAt: takenAt ?? value.madeNotBefore, oldValueSeenAt: null, evidence };
}

/** Runs the old firmware again after it wrote, or tried, the new one: it tried it (§3.6, B2), whatever its URL says. */
function isBack(look: Look): Confirmation | null {
  const { open, reference, value, seen, undo } = look;
  const { expected } = open.operation;
  if (expected === null || value.value !== expected || open.operation.item !== 'firmware') return null;
  const said = undo?.said?.ok === true && !appliesNothing(undo.said.message) ? undo.said.at : null;
  const tried = newest([triedHere(open, seen) ? (seen.tried?.at ?? null) : null, seen.appliedAt, said]);
  const restarted = seen.bootedAt === null || tried === null || seen.bootedAt + UPTIME_MS > tried;
  const later = tried !== null && tried > reference && value.madeNotBefore !== null && value.madeNotBefore > tried && restarted;
  if (!later) return null;
  const evidence = triedHere(open, seen)
    ? `tried ${open.operation.declared}, and runs ${value.value} again: it was not committed in time, or did not last`
    : `wrote ${open.operation.declared}, and runs ${value.value} again`;
  return { kind: 'failed', code: 'ROLLED_BACK', evidence, isBack: true };
}

function wrongIn({ open, value, fresh }: Look): Confirmation | null {
  const { declared, expected } = open.operation;
  // The old one on trial is half of a report: what it tries was not said yet.
  if (!fresh || isSameFirmware(value.value, declared) || (expected !== null && isSameFirmware(value.value, expected))) return null;
  const evidence = `runs ${value.value} in place of ${declared}`;
  return { kind: 'failed', code: 'WRONG_RESULT', evidence };
}

/** The board's own word on this attempt. */
function saidOf(look: Look): Confirmation | null {
  const { open, reported, reference, seen, facts, takenAt, value } = look;
  const { status } = seen;
  if (status === null || status.at === null || status.at <= reference || isOfAnother(look)) return null;
  if (status.state === 'error' && !isStale(look)) {
    const told = toldBy(status.message);
    const evidence = `reports ${status.message ?? 'an error'}, runs ${value.value}`;
    if (told.class === 'verdict') return { kind: 'failed', code: told.code, evidence };
    return { kind: 'trouble', code: told.code, evidence };
  }
  if (status.state === 'success' && appliesNothing(status.message))
    return { kind: 'trouble', code: 'NOTHING_APPLIED', evidence: `reports ${status.message ?? ''}, runs ${value.value}` };
  if (status.state === 'success')
    return neverBegun(look) ?? doing(look, 'VERIFYING', 'the new firmware is written; the board starts again');
  if (status.state === 'progress') {
    const stoodMs = (reported.heardAt ?? status.at) - status.at;
    if (stoodMs > 2 * facts.updateTimeoutMs)
      return { kind: 'trouble', code: 'STALLED', evidence: `${percentOf(status.progress)} for ${durationText(stoodMs)}` };
    return doing(look, 'IN_FLIGHT', `downloads, ${percentOf(status.progress)}`);
  }
  // It had begun, and is at nothing any more: neither an error, nor a new firmware.
  const over = open.takenAt ?? takenAt;
  if (status.state === 'idle' && over !== null && status.at > over && open.operation.item === 'firmware')
    return { kind: 'trouble', code: 'INTERRUPTED', evidence: `runs ${value.value}, and is at no update any more` };
  return null;
}

/** Over the shadow the board names the URL that its status is of. */
function isOfAnother({ undo, seen, open }: Look): boolean {
  if (open.operation.delivery !== 'offer' || undo?.url == null) return false;
  // A board that reports its URL only with success names none, or an older one, until then.
  return seen.url !== null && seen.url.digest !== undo.url && seen.status?.state !== 'error' && seen.status?.state !== 'progress';
}

function percentOf(progress: number | null): string {
  return progress === null ? 'under way' : `${progress} %`;
}

function doing({ takenAt, seen }: Look, phase: 'IN_FLIGHT' | 'VERIFYING', evidence: string): Confirmation {
  return { kind: 'open', phase, takenAt: takenAt ?? seen.status?.at ?? null, oldValueSeenAt: null, evidence };
}

/** An offer that lies there no more, is good no more, or was missed. */
function missedBy({ open, reported, reference, seen, undo, takenAt }: Look): Confirmation | null {
  if (open.operation.delivery !== 'offer' || takenAt !== null || undo === null) return null;
  const readAfter = undo.shadow !== null && seen.version !== null && seen.version > undo.shadow.version;
  if (readAfter && undo.url !== null && seen.offered !== undo.url)
    return { kind: 'trouble', code: 'OFFER_REPLACED', evidence: 'desired holds another URL, or none: somebody else writes it' };
  if (undo.expires !== null && reported.heardAt !== null && reported.heardAt > undo.expires)
    return { kind: 'trouble', code: 'URL_EXPIRED', evidence: 'the board was heard after the URL had expired' };
  if (reported.heardAt === null || reported.heardAt <= reference + DELTA_MS) return null;
  const evidence = `it was heard ${durationText(reported.heardAt - reference)} after the URL was offered, and has not taken it`;
  return { kind: 'trouble', code: 'NOT_TAKEN', evidence };
}

/** Alive for long since it took the update, and nothing came of it, whatever it said. */
function neverBegun({ open, fresh, value, takenAt, reported, reference, facts }: Look): Confirmation | null {
  const begun = open.takenAt ?? takenAt;
  const aliveMs = begun === null ? 0 : (reported.heardAt ?? begun) - Math.max(begun, reference);
  if (!fresh || value.value !== open.operation.expected || aliveMs <= 2 * facts.updateTimeoutMs) return null;
  const evidence = `still runs ${value.value}, ${durationText(aliveMs)} after it took the update`;
  return { kind: 'trouble', code: 'NOTHING_APPLIED', evidence };
}

function waiting(look: Look): Confirmation {
  const { open, fresh, value, takenAt } = look;
  const isOld = value.value === open.operation.expected;
  // What is behind a module says nothing of how it goes.
  const nothing = neverBegun(look);
  if (nothing !== null) return nothing;
  const phase = takenAt !== null ? 'VERIFYING' : open.operation.delivery === 'offer' ? 'OFFERED' : 'IN_FLIGHT';
  const evidence = fresh ? `still reports ${value.value}` : 'it has not reported since';
  return { kind: 'open', phase, takenAt, oldValueSeenAt: fresh && isOld && takenAt === null ? value.madeNotBefore : null, evidence };
}

function committing({ open, value, fresh }: Look): Confirmation {
  const { declared, expected } = open.operation;
  if (fresh && value.value !== expected && triedIn(value.value) === null)
    return {
      kind: 'failed',
      code: 'ROLLED_BACK',
      evidence: `runs ${value.value} again: the commit of ${declared} came too late`,
      isBack: true,
    };
  const oldValueSeenAt = fresh && value.value === expected ? value.madeNotBefore : null;
  const evidence = oldValueSeenAt === null ? 'it has not reported since' : 'still on trial';
  return { kind: 'open', phase: 'IN_FLIGHT', takenAt: open.takenAt, oldValueSeenAt, evidence };
}

function reverting({ open, value, fresh }: Look): Confirmation {
  const { expected } = open.operation;
  if (fresh && value.value !== expected)
    return { kind: 'trouble', code: 'NOT_REVERTED', evidence: `runs ${value.value} in place of ${open.operation.declared}` };
  const oldValueSeenAt = fresh ? value.madeNotBefore : null;
  return {
    kind: 'open',
    phase: 'IN_FLIGHT',
    takenAt: open.takenAt,
    oldValueSeenAt,
    evidence: fresh ? 'still on trial' : 'it starts again',
  };
}
