import { durationText, MINUTE_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Confirmation, OpenOperation } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { readShadowUndo } from '#shadows/undo.ts';
import { perhapsWritten, waits } from '#shadows/drafts.ts';
import { isOverwritten, readOperationFacts, restoresRecord, settingsSeen, stillOurs, type OperationFacts } from './operations.ts';
import { itemFacts, type ItemFacts } from './reports.ts';

/** A value that is neither the old nor the new one must have stood so long before it is believed: some pass by. */
const STANDS_AFTER_MS = 5 * MINUTE_MS;

interface Look {
  readonly open: OpenOperation;
  readonly reported: ReportedDevice;
  readonly reference: Instant;
  readonly facts: OperationFacts;
  readonly value: Extract<ReportedItem, { kind: 'value' }>;
  readonly seen: ItemFacts;
  /** The device named the item after the write. */
  readonly fresh: boolean;
}

/**
 * By what the device reported after the version that we wrote, by the service's own times: never by desired, by a delta or
 * by one that does not come (docs/protocols/aws-iot.md §19.6, §19.7).
 */
export function confirmationOf(open: OpenOperation, reported: ReportedDevice): Confirmation {
  const { operation, reference } = open;
  if (reference === null) return perhapsWritten(open);
  if (operation.kind === 'withdraw') return { kind: 'confirmed', evidence: 'desired no longer holds what was offered' };
  const facts = readOperationFacts(operation.facts);
  const value = reported.items[operation.item];
  const seen = itemFacts(value);
  if (facts === null || value?.kind !== 'value' || seen === null)
    return waits(open, { phase: 'OFFERED', evidence: 'nothing readable was reported since' });
  const fresh = value.madeNotBefore !== null && value.madeNotBefore > reference;
  const look: Look = { open, reported, reference, facts, value, seen, fresh };
  return restoredBy(look) ?? confirmedBy(look) ?? failedBy(look) ?? troubledBy(look) ?? waiting(look);
}

/** The record is as it was written, as somebody who read it since has seen it; the device was as declared before. */
function restoredBy({ open, facts, value, seen }: Look): Confirmation | null {
  const { operation } = open;
  if (!restoresRecord(operation) || value.value !== operation.declared) return null;
  const undo = readShadowUndo(open.undo);
  const readSince = undo === null || (seen.version !== null && seen.version >= undo.version);
  if (!readSince || facts.writes.some((write) => isOverwritten(write, seen.desired))) return null;
  return { kind: 'confirmed', evidence: `desired says ${operation.declared} again` };
}

function confirmedBy({ open, reported, reference, facts, value, fresh }: Look): Confirmation | null {
  const { operation } = open;
  if (operation.item === 'settings') {
    const seen = settingsSeen(operation.item, facts, reported);
    const done = seen.length > 0 && seen.every(({ wanted, text, at }) => text === wanted && at !== null && at > reference);
    return done ? { kind: 'confirmed', evidence: `reports ${seen.map(({ name, wanted }) => `${name}=${wanted}`).join(' ')}` } : null;
  }
  return fresh && value.value === operation.declared ? { kind: 'confirmed', evidence: `reports ${value.value}` } : null;
}

/** A verdict takes back what is offered: a device must not meet it again after its next restart. */
function failedBy(look: Look): Confirmation | null {
  const { open, reported, reference, facts, value, seen, fresh } = look;
  const { operation } = open;
  if (seen.failed !== null && seen.failed.at !== null && seen.failed.at > reference)
    return { kind: 'failed', code: 'REFUSED', evidence: `reports ${seen.failed.text}`, takeBack: true };
  const isOld = value.value === operation.expected;
  const stoodMs = (reported.heardAt ?? reference) - Math.max(seen.since ?? reference, reference);
  const stands = stoodMs >= Math.min(STANDS_AFTER_MS, facts.patienceMs);
  if (operation.item !== 'settings' && fresh && !isOld && value.value !== operation.declared && stands)
    return { kind: 'failed', code: 'WRONG_RESULT', evidence: `reports ${value.value} in place of ${operation.declared}`, takeBack: true };
  const since = Math.max(reference, open.takenAt ?? reference);
  const aliveMs = (reported.heardAt ?? since) - since;
  if (aliveMs <= facts.patienceMs || value.value === operation.declared) return null;
  const evidence = `still reports ${value.value}, ${durationText(aliveMs)} after it was told`;
  return { kind: 'failed', code: 'NOT_APPLIED', evidence, takeBack: true };
}

function troubledBy({ open, reported, facts, seen, fresh }: Look): Confirmation | null {
  const undo = readShadowUndo(open.undo);
  // A lower version with something newer in it: the shadow was deleted and made again, and what was offered went with it.
  const readAfter = undo !== null && seen.version !== null && (seen.version > undo.version || (fresh && seen.version < undo.version));
  if (readAfter && !stillOurs(facts.writes, seen.desired))
    return { kind: 'trouble', code: 'OFFER_REPLACED', evidence: 'desired holds something else: somebody else writes it' };
  if (undo?.expires != null && reported.heardAt !== null && reported.heardAt > undo.expires)
    return { kind: 'trouble', code: 'URL_EXPIRED', evidence: 'the device was heard after the URL had expired' };
  return null;
}

function waiting({ open, reference, value, seen, fresh }: Look): Confirmation {
  const { operation } = open;
  const begun = seen.taken?.at ?? null;
  const takenAt = open.takenAt ?? (begun !== null && begun > reference ? begun : null);
  const isOld = value.value === operation.expected;
  const evidence =
    seen.taken !== null && takenAt !== null
      ? `reports ${seen.taken.text}`
      : fresh
        ? `still reports ${value.value}`
        : 'it has not reported since';
  return {
    kind: 'open',
    phase: takenAt === null ? 'OFFERED' : 'VERIFYING',
    takenAt,
    oldValueSeenAt: fresh && isOld ? value.madeNotBefore : null,
    evidence,
  };
}
