import type { OpenOperation } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { keptOf } from '#shadows/values.ts';
import type { OperationFacts, Undo } from './operations.ts';
import { itemFacts } from './reports.ts';

/** An open operation whose file is written, and what is known of its device. */
export interface Written {
  readonly open: OpenOperation;
  readonly reported: ReportedDevice | undefined;
  readonly value: ReportedItem;
  readonly facts: OperationFacts;
  readonly undo: Undo | null;
}

/** How long after its file was written the device was last heard, in ms. */
export function aliveMs({ open, reported, value }: Pick<Written, 'open' | 'reported' | 'value'>): number {
  const reference = open.reference ?? open.intendedAt;
  const since = Math.max(reference, open.takenAt ?? reference, itemFacts(value)?.fileAt ?? reference);
  return (reported?.heardAt ?? since) - since;
}

/**
 * Whether the agent is to let the device say what runs. One that lost its power between an installation and its report runs
 * the new and says the old: it is asked once before it is judged. Not where the file is known by its time alone, which the
 * asking moves.
 */
export function mustBeAsked(written: Written): boolean {
  const { open, value, facts, undo } = written;
  if (undo === null || undo.nudged || facts.agent === null || value.kind !== 'value') return false;
  if (Object.keys(keptOf(facts.leaves)).length === 0 || aliveMs(written) <= facts.patienceMs) return false;
  return (value.madeNotBefore ?? 0) <= (open.reference ?? open.intendedAt);
}
