import { durationText, SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice, GroupDeclaration } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { Operation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { historyOf, reportOf, rulesOf } from './draft.ts';
import type { Draft, Refusal } from './draft.ts';
import { judgeBefore, judgeHealth } from '#model/health.ts';
import { windowsAt } from './opening.ts';
import { unproven } from './proven.ts';
import { changeLimit } from './reach.ts';

export interface Guarded {
  readonly group: GroupDeclaration;
  readonly device: DeclaredDevice;
  readonly operation: Operation;
}

/** What holds for every change, whatever release it leads to, apart from budget and rate. Null when nothing is against it. */
export function guard(draft: Draft, guarded: Guarded): Refusal | null {
  const { operation, device, group } = guarded;
  const reported = draft.input.reported.deviceAt(device.row);
  if (operation.cause === 'personal' && draft.mergeHeld !== null) return changeLimit(draft);
  return (
    leftToAnother(draft, operation) ??
    unattended(draft, operation) ??
    unreachable(draft, { operation, group, reported }) ??
    unproven(draft, operation, group) ??
    (operation.completes === undefined
      ? (conditions(draft, group, reported) ?? windowClosed(draft, guarded))
      : unhealthy(draft, { group, operation, healthySince: operation.completes.healthySince }))
  );
}

/** It is not begun where nobody could carry it out: a wave opens with devices that can be told. */
function leftToAnother(draft: Draft, operation: Operation): Refusal | null {
  const evidence = draft.input.elsewhere?.(operation) ?? null;
  return evidence === null ? null : { reason: 'UNSUPPORTED', evidence, until: null, person: 'run the daemon' };
}

/** A second step must follow in time, and no pass is sure to come by then. */
function unattended(draft: Draft, operation: Operation): Refusal | null {
  const { attentionMs = draft.input.families.get(operation.family)?.attention?.withinMs ?? null } = operation;
  if (attentionMs === null || !operation.disturbs) return null;
  const { nextPassMs } = draft.input;
  if (nextPassMs !== null && nextPassMs <= attentionMs / 3) return null;
  const evidence = `the device needs a second step from us within ${durationText(attentionMs)}`;
  if (nextPassMs === null) {
    const person = 'run the daemon or apply --watch';
    return { reason: 'UNSUPPORTED', evidence: `${evidence}: needs the daemon or apply --watch`, until: null, person };
  }
  const mostMs = Math.floor(attentionMs / 3 / SECOND_MS) * SECOND_MS;
  const often = `passes come every ${durationText(nextPassMs)}, and must come every ${durationText(mostMs)} at least`;
  return { reason: 'UNSUPPORTED', evidence: `${evidence}: ${often}`, until: null, person: 'let passes come more often' };
}

/** A push reaches the device at once or not at all, so it is not sent to one that is not there. */
function unreachable(
  draft: Draft,
  what: { readonly operation: Operation; readonly group: GroupDeclaration; readonly reported: ReportedDevice | undefined },
): Refusal | null {
  const { operation, group, reported } = what;
  const { delivery, heardWithinMs } = operation;
  if (delivery === 'offer' || heardWithinMs === null || reported?.online === true) return null;
  const heardAt = reported?.heardAt ?? null;
  // A logger that speaks each minute is gone long before its reports are old.
  const patience = heardWithinMs ?? (reported?.gapMs == null ? group.silenceMs : 3 * reported.gapMs);
  if (reported?.online !== false && heardAt !== null && draft.now - heardAt <= patience) return null;
  const evidence = heardAt === null ? 'no sign of life with a known age' : `last heard ${durationText(draft.now - heardAt)} ago`;
  return { reason: 'OFFLINE', evidence, until: null, person: null };
}

function conditions(draft: Draft, group: GroupDeclaration, reported: ReportedDevice | undefined): Refusal | null {
  if (group.before.length === 0) return null;
  const judged = judgeBefore({ conditions: group.before, reported, now: draft.now, silenceMs: group.silenceMs });
  return judged.kind === 'good' ? null : { reason: 'CONDITIONS_NOT_MET', evidence: judged.evidence, until: null, person: null };
}

/** What is on trial is not made final on a device that is not well. Not on the way back: progress.ts, `byHealth`. */
function unhealthy(
  draft: Draft,
  what: { readonly group: GroupDeclaration; readonly operation: Operation; readonly healthySince: Instant | null },
): Refusal | null {
  const { group, operation, healthySince } = what;
  const { rollout, begun } = historyOf(draft, group.name);
  const isWayBack = rollout?.direction === 'rollback' && rollout.to === operation.release;
  if (healthySince === null || isWayBack) return null;
  const judged = judgeHealth({
    conditions: group.health,
    reported: reportOf(draft, operation.device),
    since: healthySince,
    before: begun?.get(operation.device),
  });
  if (judged.kind === 'good') return null;
  return { reason: 'CONDITIONS_NOT_MET', evidence: `on trial, and ${judged.evidence}`, until: null, person: null };
}

function windowClosed(draft: Draft, { group, device, operation }: Guarded): Refusal | null {
  const state = windowsAt(draft, windowNames(draft, { group, device, operation }), device.zone);
  return state.open ? null : { reason: 'WINDOW_CLOSED', evidence: state.why, until: state.opensAt, person: null };
}

/** On the way back the rollback's windows hold, otherwise those of the device's own rollout. */
function windowNames(draft: Draft, { group, device, operation }: Guarded): readonly string[] {
  const { rollout } = historyOf(draft, group.name);
  if (rollout?.direction === 'rollback' && rollout.to === operation.release) {
    return draft.input.declared.rollouts.get(rollout.rules)?.rollback.windows ?? [];
  }
  return rulesOf(draft, group, device)?.windows ?? [];
}
