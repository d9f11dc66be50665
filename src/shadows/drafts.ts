import type { Json } from '#kit/canonical.ts';
import { HOUR_MS } from '#kit/duration.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { Confirmation, OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';

/** How long a device may take, and how long it may be silent: from its options, kept with each operation. */
export interface Patience {
  readonly patienceMs: number;
  readonly lostAfterMs: number;
}

/** What an operation keeps of it; an hour where it keeps nothing. */
export function patienceIn(facts: Json): Patience {
  const { patienceMs, lostAfterMs } = isJsonObject(facts) ? facts : {};
  return {
    patienceMs: typeof patienceMs === 'number' ? patienceMs : HOUR_MS,
    lostAfterMs: typeof lostAfterMs === 'number' ? lostAfterMs : HOUR_MS,
  };
}

export interface Offer {
  readonly reported: ReportedDevice;
  /** What the driver needs; patienceMs is the deadline too. Plain JSON, no URL. */
  readonly facts: Patience;
  readonly effects: readonly string[];
  readonly disturbs: boolean;
}

/** A write of desired that lies there until the device takes it. */
export function offerDraft(item: DeclaredItem, { reported, facts, effects, disturbs }: Offer): OperationDraft {
  const now = reported.items[item.item];
  return {
    item: item.item,
    step: item.item,
    kind: 'change',
    delivery: 'offer',
    declared: item.value,
    expected: now?.kind === 'value' ? now.value : null,
    facts: facts as unknown as Json,
    content: item.content,
    deadlineMs: facts.patienceMs,
    effects,
    disturbs,
  };
}

/** Takes back what `operation` offered. `facts`: where it lies, `inverse`, and `offered`, what the device must not have taken. */
export function withdrawalDraft(operation: OperationRecord, facts: Json): OperationDraft {
  return {
    item: operation.item,
    step: `withdraw-${operation.item}`,
    kind: 'withdraw',
    delivery: 'push',
    declared: operation.expected ?? '',
    expected: null,
    facts,
    content: null,
    deadlineMs: operation.deadlineMs,
    effects: [],
    disturbs: false,
  };
}

/** Intended, and no outcome of it is recorded. */
export function perhapsWritten(open: OpenOperation): Confirmation {
  return waits(open, { phase: 'IN_FLIGHT', evidence: 'not known whether it was written: looked for before it is repeated' });
}

/** Nothing new: it goes on. */
export function waits(open: OpenOperation, seen: { readonly phase: 'IN_FLIGHT' | 'OFFERED'; readonly evidence: string }): Confirmation {
  return { kind: 'open', phase: seen.phase, takenAt: open.takenAt, oldValueSeenAt: null, evidence: seen.evidence };
}
