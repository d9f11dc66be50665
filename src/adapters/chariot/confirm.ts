import { canonicalJson } from '#kit/canonical.ts';
import { durationText, MINUTE_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Confirmation, OpenOperation } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { keptOf } from '#shadows/values.ts';
import { perhapsWritten, waits } from '#shadows/drafts.ts';
import { readOperationFacts, readUndo, type OperationFacts, type Undo } from './operations.ts';
import { confirmRotation } from './rotation-confirm.ts';
import { rotationFacts } from './rotation.ts';
import { holdsFile, itemFacts, type ItemFacts } from './reports.ts';
import { aliveMs, mustBeAsked } from './unsaid.ts';

/** A nudge makes chariotd fetch, compare and report: that takes seconds. */
const NUDGE_MS = MINUTE_MS;
/** A device that was heard so long after the write, and has not emptied its mailbox, has missed the delta (F14). */
const DELTA_MS = 5 * MINUTE_MS;

interface Look {
  readonly open: OpenOperation;
  readonly reported: ReportedDevice;
  readonly reference: Instant;
  readonly facts: OperationFacts;
  readonly undo: Undo | null;
  readonly value: Extract<ReportedItem, { kind: 'value' }>;
  readonly seen: ItemFacts;
  /** The device's file holds what was written. */
  readonly written: boolean;
}

/**
 * By what the device reported after the version that we wrote: its own key where it has one, because a reported file says no
 * more than that it was written (docs/protocols/shadow-devices.md §2.4). That the mailbox is empty says nothing by itself.
 */
export function confirmationOf(open: OpenOperation, reported: ReportedDevice): Confirmation {
  const { operation, reference } = open;
  const rotation = rotationFacts(operation.facts);
  if (rotation !== null) return confirmRotation(open, reported, rotation);
  if (reference === null) return perhapsWritten(open);
  if (operation.kind === 'withdraw') return { kind: 'confirmed', evidence: 'the mailbox no longer holds what was offered' };
  const facts = readOperationFacts(operation.facts);
  const value = reported.items[operation.item];
  const seen = itemFacts(value);
  if (facts === null || value?.kind !== 'value' || seen === null)
    return waits(open, { phase: 'OFFERED', evidence: 'nothing readable was reported since' });
  const written = operation.item === 'config' ? seen.file['digest'] === operation.declared : holdsFile(seen, facts.leaves, reference);
  const look: Look = { open, reported, reference, facts, undo: readUndo(open.undo), value, seen, written };
  return confirmedBy(look) ?? saidBy(look) ?? (seen.pending ? pendingBy(look) : consumedBy(look));
}

function confirmedBy({ open, reference, value, seen }: Look): Confirmation | null {
  const fresh = value.madeNotBefore !== null && value.madeNotBefore > reference && !seen.gone;
  return fresh && value.value === open.operation.declared ? { kind: 'confirmed', evidence: `reports ${value.value}` } : null;
}

/** What the device itself says of how it went. */
function saidBy({ open, reference, value, seen, facts, undo }: Look): Confirmation | null {
  const { operation } = open;
  if (!facts.proven || operation.item === 'config') return null;
  if (seen.state?.at != null && seen.state.at > reference && failedStates(open).includes(seen.state.text)) {
    if (undo?.expires != null && seen.state.at > undo.expires)
      return { kind: 'trouble', code: 'URL_EXPIRED', evidence: `reports ${seen.state.text} after the URL had expired` };
    const code = seen.state.text === 'rolled-back' ? 'ROLLED_BACK' : 'INSTALL_FAILED';
    return failed(code, `reports ${seen.state.text}, runs ${value.value}`, seen);
  }
  const fresh = value.madeNotBefore !== null && value.madeNotBefore > reference && !seen.gone;
  if (fresh && value.value !== operation.expected && value.value !== operation.declared)
    return failed('WRONG_RESULT', `runs ${value.value} in place of ${operation.declared}`, seen);
  return null;
}

function failedStates(open: OpenOperation): readonly string[] {
  return readOperationFacts(open.operation.facts)?.failed ?? [];
}

/** The mailbox holds it still: the device is away, or it is there and has not heard of it. */
function pendingBy({ open, reported, reference }: Look): Confirmation {
  const heardAt = reported.heardAt ?? 0;
  if (heardAt <= reference + DELTA_MS) return waits(open, { phase: 'OFFERED', evidence: 'chariotd has not come for it' });
  const evidence = `it was heard ${durationText(heardAt - reference)} after the write, and its mailbox is not emptied: a lost delta, or WEDGED until it restarts`;
  return { kind: 'trouble', code: 'DELTA_LOST', evidence };
}

/** The device took it from the mailbox. */
function consumedBy(look: Look): Confirmation {
  const { open, reported, reference, facts, value, seen, written, undo } = look;
  if (undo !== null && (seen.version === null || seen.version <= undo.version))
    return waits(open, { phase: 'OFFERED', evidence: 'nothing was read since it was written' });
  if (written) return installing(look);
  const adjusted = `its file says ${textOf(look)} in place of ${wantedText(look)}`;
  const isConfig = open.operation.item === 'config';
  if (seen.fileAt !== null && seen.fileAt > reference) {
    // Of what is stale and what is new at one fetch only the new is reported (F6): a fetch tells the two apart.
    if (isConfig && seen.file['members'] !== undefined && facts.agent !== null && undo?.nudged !== true)
      return { kind: 'trouble', code: 'PARTLY_REPORTED', evidence: `${adjusted}: it is told to fetch its shadow again` };
    return failed('ADJUSTED_BY_DEVICE', adjusted, seen);
  }
  if (undo?.nudged === true) {
    if (seen.lookedAt - reference < NUDGE_MS) return waits(open, { phase: 'OFFERED', evidence: 'it was told to fetch its shadow again' });
    if (isConfig && seen.known && value.value !== open.operation.expected) return failed('ADJUSTED_BY_DEVICE', adjusted, seen);
    return seen.known
      ? failed('REJECTED_BY_DEVICE', `taken from the mailbox three times, and ${value.value} is what it keeps`, seen)
      : failed('UNKNOWN_SERVICE', `taken from the mailbox three times, and nothing is reported at ${facts.key}`, seen);
  }
  if ((undo?.tries ?? 1) < 2)
    return { kind: 'trouble', code: 'SWALLOWED', evidence: `taken from the mailbox, and nothing of it reported at ${facts.key}` };
  if (facts.agent !== null)
    return { kind: 'trouble', code: 'LIVELOCK', evidence: 'taken twice, and nothing of it reported: it is told to fetch its shadow again' };
  const evidence = reported.items[open.operation.item] === undefined ? facts.key : value.value;
  return failed('UNANSWERED', `taken from the mailbox twice, still reports ${evidence}`, seen);
}

function installing(look: Look): Confirmation {
  const { open, reference, facts, value, seen, undo } = look;
  const heardMs = aliveMs(look);
  const patienceMs = undo?.asked === true && !seen.gone ? NUDGE_MS : facts.patienceMs;
  const takenAt = open.takenAt ?? (seen.fileAt !== null && seen.fileAt > reference ? seen.fileAt : reference);
  if (heardMs > facts.patienceMs && seen.gone)
    return { kind: 'trouble', code: 'UNREPORTED', evidence: 'the file is written, and the device says no more what runs' };
  if (mustBeAsked(look))
    return { kind: 'trouble', code: 'UNREPORTED', evidence: 'the file is written, and the device has not said since what runs' };
  if (heardMs > patienceMs && value.value === open.operation.declared && !seen.gone)
    return { kind: 'confirmed', evidence: `its file is back, and it has said nothing but ${value.value}` };
  if (heardMs > patienceMs)
    return failed('NOT_INSTALLED', `${toldText(look)} ${durationText(heardMs)} before it was last heard, and it runs ${value.value}`, seen);
  const evidence = `the file is written; runs ${value.value}`;
  return { kind: 'open', phase: 'VERIFYING', takenAt, oldValueSeenAt: null, evidence };
}

function toldText({ undo }: Look): string {
  return undo?.asked === true ? 'the file is written, it was asked what runs' : 'the file was written';
}

function textOf({ seen, open }: Look): string {
  return open.operation.item === 'config' ? digestOf(seen) : pairs(seen.file);
}

function digestOf({ file }: ItemFacts): string {
  const { digest } = file;
  return typeof digest === 'string' ? digest : 'nothing';
}

function wantedText({ facts, open }: Look): string {
  return open.operation.item === 'config' ? open.operation.declared : pairs(keptOf(facts.leaves));
}

function pairs(file: ItemFacts['file']): string {
  return Object.entries(file)
    .map(([name, value]) => `${name}=${canonicalJson(value).slice(0, 40)}`)
    .join(' ');
}

/** What still lies in the mailbox must not be met after the next restart. */
function failed(code: string, evidence: string, { pending }: ItemFacts): Confirmation {
  return { kind: 'failed', code, evidence, ...(pending ? { takeBack: true as const } : {}) };
}
