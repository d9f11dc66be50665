import type { Json } from '#kit/canonical.ts';
import { AWS_IOT } from '#model/aws-quotas.ts';
import type { Content } from '#model/declared.ts';
import type { Operation, OperationRecord } from '#model/operation.ts';
import type { DevicePlan, Drift, Plan } from '#model/plan.ts';
import type { RevisionRef } from '#model/revision.ts';
import type { Decision, Hold, RolloutEvent } from '#model/rollout.ts';
import type { PlanView } from './pass.ts';
import { linePlace, summarise } from './plan-summary.ts';
import type { GroupSummary, PlanSummary } from './plan-summary.ts';
import { isoInstant } from './time.ts';

const PLAN_FORMAT = 'headgate-plan/1';

/** What is written by `plan --out`: no ages, no now, no URLs. The digest is what `apply FILE` compares. */
export function savedPlanJson(plan: Plan): Json {
  return {
    format: PLAN_FORMAT,
    digest: plan.digest,
    revision: { commit: plan.revision.commit, tree: plan.revision.tree },
    groups: plan.groups.map((group) => ({ ...group })),
    joiners: plan.joiners,
    leavers: plan.leavers,
    unmanaged: plan.unmanaged,
    devices: plan.devices.map(deviceJson),
  };
}

/** The plan and the decision for the time that was asked for. Equal input gives equal bytes. */
export function planJson(view: PlanView): Json {
  const { plan, decision } = view;
  return {
    format: PLAN_FORMAT,
    at: isoInstant(decision.at),
    digest: plan.digest,
    revision: revisionJson(plan.revision),
    summary: summaryJson(summarise(view)),
    plan: savedPlanJson(plan),
    decision: decisionJson(decision),
  };
}

/** The digest of a saved plan; undefined when the text is not one of ours. */
export function readSavedPlan(text: string): { readonly digest: string; readonly commit: string | null } | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof document !== 'object' || document === null) return undefined;
  const { format, digest, revision } = document as { format?: unknown; digest?: unknown; revision?: { commit?: unknown } };
  if (format !== PLAN_FORMAT || typeof digest !== 'string') return undefined;
  return { digest, commit: typeof revision?.commit === 'string' ? revision.commit : null };
}

export function revisionJson(revision: RevisionRef): Json {
  return {
    commit: revision.commit,
    tree: revision.tree,
    subject: revision.subject,
    author: revision.author,
    committedAt: isoInstant(revision.committedAt),
  };
}

function deviceJson(device: DevicePlan): Json {
  return {
    device: device.device,
    group: device.group,
    model: device.model,
    converged: device.converged,
    drifts: device.drifts.map(driftJson),
    operations: device.operations.map(operationJson),
    upkeep: device.upkeep.map(operationJson),
    impossible: device.impossible.map((one) => ({ ...one })),
    open: device.open.map(({ open, confirmation }) => ({
      operation: open.operation.id,
      item: open.operation.item,
      attempt: open.attempt,
      confirmation: confirmation.kind === 'open' ? confirmation.phase : confirmation.kind,
    })),
  };
}

export function driftJson({ fields, ...drift }: Drift): Json {
  return fields === undefined ? drift : { ...drift, fields: fields.map((field) => ({ ...field })) };
}

/** An operation without the bytes of its content and without the address they come from. */
export function operationJson(operation: Operation | OperationRecord): Json {
  return {
    id: operation.id,
    device: operation.device,
    item: operation.item,
    step: operation.step,
    kind: operation.kind,
    delivery: operation.delivery,
    declared: operation.declared,
    expected: operation.expected,
    release: operation.release,
    cause: operation.cause,
    occasion: operation.occasion,
    effects: operation.effects,
    disturbs: operation.disturbs,
    content: contentJson(operation.content),
  };
}

function contentJson(content: Pick<Content, 'name' | 'digest' | 'size'> | null): Json {
  return content === null ? null : { name: content.name, digest: content.digest, size: content.size };
}

export function holdJson(hold: Hold): Json {
  return { ...hold, until: isoInstant(hold.until) };
}

function decisionJson(decision: Decision): Json {
  return {
    admitted: decision.admitted.map(({ operation, attempt, notBefore }) => ({
      operation: operation.id,
      device: operation.device,
      item: operation.item,
      attempt,
      notBefore: isoInstant(notBefore),
    })),
    held: decision.held.map(holdJson),
    closed: decision.closed.map((closed) => ({ ...closed })),
    events: decision.events.map(eventJson),
    wakeAt: isoInstant(decision.wakeAt),
  };
}

/** The kind, the group and the little that tells events of a kind apart. */
function eventJson(event: RolloutEvent): Json {
  switch (event.kind) {
    case 'rollout-began':
      return { kind: event.kind, group: event.rollout.group, to: event.rollout.to, direction: event.rollout.direction, waves: event.waves };
    case 'adopted':
      return { kind: event.kind, group: event.group, release: event.entry.release };
    case 'rollout-completed':
      return { kind: event.kind, group: event.group, release: event.entry.release, watchUntil: isoInstant(event.watchUntil) };
    case 'wave-opened':
      return { kind: event.kind, group: event.group, wave: event.wave, members: event.members };
    case 'wave-passed':
      return { kind: event.kind, group: event.group, wave: event.wave, because: event.because };
    case 'wave-met':
    case 'wave-unmet':
      return { kind: event.kind, group: event.group, wave: event.wave };
    case 'device-outcomes':
      return {
        kind: event.kind,
        group: event.group,
        outcomes: event.outcomes.map(({ device, outcome }) => ({ device, outcome: outcome.kind, code: outcome.code })),
      };
    case 'devices-began':
    case 'devices-down':
      return { kind: event.kind, group: event.group, devices: event.devices.map((one) => one.device) };
    case 'devices-settled':
    case 'devices-up':
      return { kind: event.kind, group: event.group, devices: event.devices };
    case 'device-again':
      return { kind: event.kind, group: event.group, device: event.device };
    case 'rollout-halted':
      return { kind: event.kind, group: event.group, reason: event.reason, wave: event.wave, evidence: event.evidence };
    case 'rollout-resumed':
      return { kind: event.kind, group: event.group, unblocked: event.unblocked.map((part) => part.id) };
    case 'rollout-stopped':
      return { kind: event.kind, group: event.group, because: event.because };
    case 'watch-ended':
      return { kind: event.kind, group: event.group };
  }
}

function summaryJson(summary: PlanSummary): Json {
  return {
    devices: summary.devices,
    changing: summary.changing,
    admitted: summary.admitted,
    mergeHeld: summary.mergeHeld,
    refused: summary.refused.map((one) => ({ ...one })),
    frozen: summary.frozen,
    leaving: summary.leaving,
    joining: summary.joining,
    replaced: summary.replaced,
    moving: summary.moving.map((one) => ({ ...one })),
    unmanaged: summary.unmanaged,
    first: summary.first === null ? null : { devices: summary.first.devices, at: isoInstant(summary.first.at) },
    effects: summary.effects.map((one) => ({ ...one })),
    groups: summary.groups.map(groupJson),
    held: summary.held.map((one) => ({ ...one, until: isoInstant(one.until) })),
    soon: summary.soon.map(({ at, text }) => ({ at: isoInstant(at), text })),
    ...(summary.unread.length === 0 ? {} : { unread: summary.unread.map((one) => ({ ...one })) }),
    ...(summary.aws.length === 0
      ? {}
      : {
          aws: {
            prices: AWS_IOT.prices.at,
            quotas: AWS_IOT.quotas.at,
            connections: summary.aws.map((one) => ({ ...one, look: { ...one.look }, tell: one.tell === null ? null : { ...one.tell } })),
          },
        }),
  };
}

function groupJson({ group, from, to, rollout, direction, phase, halt, items, fields, waves }: GroupSummary): Json {
  return {
    group,
    from,
    to,
    rollout,
    direction,
    phase,
    halt,
    items: items.map((item) => ({
      item: item.item,
      from: item.from,
      to: item.to,
      place: item.at === null ? null : linePlace(item.at),
      models: Object.fromEntries(item.models),
    })),
    fields: fields.map(({ item, path, devices, first, several }) => ({ item, path, devices, from: first.from, to: first.to, several })),
    waves: waves.map(({ name, devices, state, opensAt, notes, proves }) => ({
      name,
      devices,
      state,
      opensAt: isoInstant(opensAt),
      notes,
      proves,
    })),
  };
}
