import { shortDigest } from '#model/ids.ts';
import type { LedgerRecord } from '#model/records.ts';
import { closedText, eventText, metIn, outcomeText } from '#view/events.ts';
import { fieldTallies, tallyChange, tallyDevices } from '#view/field-changes.ts';
import type { PassReport, PassResult } from '#reconcile/report.ts';
import type { Stage } from './stage.ts';

/** `2026-11-23 08:10` in UTC. */
function timeText(at: number): string {
  return new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}

/** What a pass did: events, operations with their outcomes, and the counts. */
export function showPass(report: PassReport, options: { readonly quietWhenIdle?: boolean } = {}): readonly string[] {
  const head = `  ${timeText(report.at)}  exit ${report.exit}`;
  const problems = report.diagnostics
    .filter((diagnostic) => diagnostic.severity === 'error')
    .map((diagnostic) => `    ${diagnostic.code} ${diagnostic.place.file}:${diagnostic.place.line}:${diagnostic.place.column}`);
  if (report.refusal !== null) return [head, ...problems, `    refused: ${report.refusal.code}`];
  const { result } = report;
  if (result === null) return [head, ...problems];
  const met = metIn(result.plan);
  const lines = [
    ...result.troubles.map((trouble) => `    trouble ${trouble.connection}: ${trouble.code}`),
    ...result.decision.closed.map((closed) => `    ${closedText(closed)}`),
    ...result.decision.events.map((event) => `    ${eventText(event, 'UTC')}`),
    ...result.executed.map(({ admitted, result: outcome }) => `    ${outcomeText(admitted, outcome, met.get(admitted.operation.id))}`),
  ];
  if (lines.length === 0 && options.quietWhenIdle === true) return [];
  return [`${head}  ${countsText(result)}`, ...problems, ...lines];
}

function countsText(result: PassResult): string {
  const converged = result.plan.groups.reduce((sum, group) => sum + group.converged, 0);
  const devices = result.plan.groups.reduce((sum, group) => sum + group.devices, 0);
  return `${converged} of ${devices} converged`;
}

export function showRollout(report: PassReport | null): readonly string[] {
  const view = report?.result?.view;
  if (view === undefined) return ['  no pass yet'];
  const lines: string[] = [];
  for (const [name, group] of [...view.groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const { rollout } = group;
    lines.push(`  ${name}  lineage ${group.lineage.map((entry) => shortDigest(entry.release)).join(' ')}  blocked ${group.blocked.length}`);
    if (rollout === null) continue;
    lines.push(
      `    ${rollout.direction} ${rollout.from === null ? '-' : shortDigest(rollout.from)} → ${shortDigest(rollout.to)}  ${rollout.phase}`,
    );
    for (const wave of rollout.waves) {
      const state = wave.passedAt !== null ? 'passed' : wave.metAt !== null ? 'soaking' : wave.openedAt === null ? 'closed' : 'open';
      lines.push(`    ${wave.name}  ${state}  ${wave.members?.join(' ') ?? ''}`.trimEnd());
    }
  }
  return lines;
}

export function showHolds(report: PassReport | null): readonly string[] {
  const held = report?.result?.decision.held ?? [];
  if (held.length === 0) return ['  nothing is held'];
  return held.map((hold) => {
    const until = hold.until === null ? '' : ` until ${timeText(hold.until)}`;
    return `  ${hold.device}  ${hold.reason}${until}  ${hold.evidence}`;
  });
}

/** The fields that the last plan changes, over all devices. */
export function showChanges(report: PassReport | null): readonly string[] {
  const tallies = fieldTallies(report?.result?.plan.devices ?? []);
  if (tallies.length === 0) return ['  no field is known to change'];
  return tallies.map((tally) => `  ${tally.item}  ${tally.path}  ${tallyChange(tally)}  (${tallyDevices(tally)})`);
}

export function showDevice(stage: Stage, name: string): readonly string[] {
  const device = stage.sim?.devices.get(name);
  if (device === undefined) return [`  no simulated device ${name}`];
  const truth = Object.entries(device.truth()).map(([item, value]) => `  ${item}  ${value}`);
  const effects = device.effects.map((effect) => `  ${timeText(effect.at)}  ${effect.kind}  ${effect.detail}`.trimEnd());
  return [...truth, ...effects];
}

export function showLedger(records: readonly LedgerRecord[]): readonly string[] {
  return records.map(({ seq, body }) => {
    const detail = body.type === 'event' ? eventText(body.event, 'UTC') : 'operation' in body ? operationText(body.operation) : '';
    return `  ${String(seq).padStart(4)}  ${body.type}  ${detail}`.trimEnd();
  });
}

function operationText(operation: string | { readonly device: string; readonly step: string }): string {
  return typeof operation === 'string' ? shortDigest(operation) : `${operation.device} ${operation.step}`;
}
