import type { PassResult } from './report.ts';
import { SETTLED_REASONS } from '#model/reasons.ts';
import type { Reason } from '#model/reasons.ts';
import { unreadDevices } from '#model/unread.ts';

/** Counts of a fleet as a pass left it. */
export interface FleetStatus {
  readonly devices: number;
  readonly converged: number;
  readonly held: ReadonlyMap<Reason, number>;
  readonly open: number;
  readonly halted: readonly string[];
}

/** The one place in which a pass is summed up. */
export function statusOf(result: Pick<PassResult, 'declared' | 'plan' | 'decision' | 'view'>): FleetStatus {
  const held = new Map<Reason, number>();
  for (const hold of result.decision.held) held.set(hold.reason, (held.get(hold.reason) ?? 0) + 1);
  const halted = [...result.view.groups].filter(([, group]) => group.rollout?.phase === 'halted').map(([name]) => name);
  return {
    devices: result.declared.size,
    converged: result.plan.groups.reduce((sum, group) => sum + group.converged, 0),
    held,
    open: [...result.view.open.values()].reduce((sum, open) => sum + open.length, 0),
    halted: halted.toSorted(),
  };
}

/** Exit codes are a contract: DESIGN.md §8. */
export function exitCode(mode: 'plan' | 'apply', result: PassResult): number {
  const status = statusOf(result);
  if (mode === 'plan') return isDark(result) ? 1 : changes(result) ? 2 : 0;
  if (result.fellBack) return 1;
  if (status.halted.length > 0) return 3;
  const unsettled = [...status.held.keys()].filter((reason) => !SETTLED_REASONS.has(reason));
  return status.open > 0 || unsettled.length > 0 || hasRefused(result) ? 2 : 0;
}

/** What was begun and refused at once is neither open nor held: the next pass says which. */
function hasRefused({ executed }: PassResult): boolean {
  return executed.some(({ admitted, result }) => admitted.operation.kind === 'change' && result.kind === 'refused');
}

/** The plan says nothing of some devices: their connection broke before they were ever read. */
function isDark({ declared, reported, troubles }: PassResult): boolean {
  return unreadDevices(declared, reported, troubles).length > 0;
}

function changes(result: PassResult): boolean {
  const { plan } = result;
  return plan.devices.some((device) => device.operations.length > 0 || device.upkeep.length > 0) || plan.leavers.length > 0;
}
