import type { Json } from '#kit/canonical.ts';
import type { OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import { readOperationFacts, readUndo } from './facts.ts';
import { at, textAt } from './json.ts';

/** §6.3: modules are updated after the new firmware runs, and heartbeats may be missing for up to an hour meanwhile. */
const MODULE_UPDATE_MS = 3_600_000;

export function lostAfterMs(operation: OperationRecord): number {
  return operation.step === 'firmware' ? operation.deadlineMs + MODULE_UPDATE_MS : operation.deadlineMs;
}

/** Steps of which the device takes nothing yet. */
const LAID_READY: ReadonlySet<string> = new Set(['config-next', 'config-there', 'trust-there']);

function placedAt(facts: Json): { readonly at?: string } {
  const place = textAt(facts, 'at');
  return place === undefined ? {} : { at: place };
}

const WITHDRAWALS: Readonly<Record<string, string>> = { firmware: 'withdraw-firmware', trust: 'withdraw-trust' };

/**
 * How an untaken offer is taken back: the image deleted, the config that it replaced put back (deleted where there was
 * none), each only while the object is still ours. The undo of the write is used where it was recorded, what the
 * operation said beforehand otherwise.
 */
export function withdrawalOf(open: OpenOperation): readonly OperationDraft[] {
  const { operation } = open;
  const facts = readOperationFacts(operation.facts);
  if (operation.kind !== 'change' || operation.delivery !== 'offer' || operation.content === null || facts === null) return [];
  const undo = readUndo(open.undo);
  const previous = undo === null ? (facts.object?.sha256 ?? null) : undo.previous;
  return [
    {
      item: operation.item,
      step: WITHDRAWALS[operation.item] ?? 'withdraw-config',
      kind: 'withdraw',
      delivery: 'push',
      declared: operation.expected ?? '',
      expected: null,
      facts: {
        series: facts.series,
        etag: undo?.etag ?? null,
        sha256: operation.content.digest,
        previous,
        offered: operation.declared,
        reference: open.reference,
        next: LAID_READY.has(operation.step),
        ...placedAt(operation.facts),
        ...(operation.item === 'trust' ? { want: at(operation.facts, 'want') ?? null } : {}),
      },
      content: null,
      deadlineMs: operation.deadlineMs,
      effects: [],
      disturbs: false,
    },
  ];
}
