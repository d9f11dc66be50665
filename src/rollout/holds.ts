import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { DeviceId, GroupName } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { DevicePlan, Impossible } from '#model/plan.ts';
import type { Hold } from '#model/rollout.ts';
import { declaredOf, historyOf, isRetired, wakeAt } from './draft.ts';
import type { Draft, Failure, Refusal } from './draft.ts';
import { reachOf } from './reach.ts';

/** Gives the device its one reason; the last word in a pass counts. */
export function hold(draft: Draft, plan: DevicePlan, why: Refusal & { readonly item?: ItemName | null }): void {
  const { reason, evidence, until, person } = why;
  const group = plan.group === null ? undefined : draft.input.declared.groups.get(plan.group);
  const wave = group === undefined ? null : (reachOf(draft, group).waveOf(plan.device)?.name ?? null);
  draft.holds.set(plan.device, { device: plan.device, group: plan.group, item: why.item ?? null, reason, evidence, until, person, wave });
}

export function unmanaged(device: DeclaredDevice | undefined): Refusal {
  const evidence = device?.retiredFrom === null || device === undefined ? 'no group selects it' : 'retired';
  return { reason: 'UNMANAGED', evidence, until: null, person: null };
}

/** What a person must do about a change that must not be made. */
export function impossibleRefusal(draft: Draft, plan: DevicePlan, one: Impossible): Refusal & { readonly item: ItemName | null } {
  const down = plan.group === null ? undefined : historyOf(draft, plan.group).down?.get(plan.device);
  const lost = down?.code === 'LOST' && one.reason === 'FAILED';
  return {
    reason: lost ? 'LOST' : one.reason,
    evidence: one.evidence,
    until: null,
    person: one.reason === 'FAILED' || one.reason === 'QUARANTINED' ? againText(plan.device) : null,
    item: one.item,
  };
}

function againText(device: DeviceId): string {
  return `look at the device; then an Approval with again: [${device}], or another release`;
}

export function failureRefusal(device: DeviceId, failure: Pick<Failure, 'code' | 'evidence' | 'closing'>): Refusal {
  const reason = failure.code === 'LOST' ? 'LOST' : failure.closing === 'quarantined' ? 'QUARANTINED' : 'FAILED';
  return { reason, evidence: `${failure.code}: ${failure.evidence}`, until: null, person: againText(device) };
}

/** Reasons of devices that the plan does not list: unmanaged, unhealthy though as declared, lost though last seen so. */
export function holdUnlisted(draft: Draft): void {
  for (const id of draft.input.plan.unmanaged) {
    const { reason, evidence, until, person } = unmanaged(undefined);
    if (!draft.holds.has(id)) draft.holds.set(id, { device: id, group: null, item: null, reason, evidence, until, person, wave: null });
  }
  const going = new Set(draft.admitted.map((admitted) => admitted.operation.device));
  for (const [group, history] of draft.groups) {
    for (const down of history.down?.values() ?? []) {
      if (down.code === 'LOST')
        holdIn(draft, { group, id: down.device, going, failure: { code: 'LOST', evidence: 'silent since', closing: 'failed' } });
    }
    for (const [id, outcome] of history.rollout?.outcomes ?? []) {
      if (outcome.kind !== 'failed' || outcome.code !== 'UNHEALTHY') continue;
      holdIn(draft, { group, id, going, failure: { code: outcome.code, evidence: outcome.evidence, closing: 'failed' } });
    }
  }
}

function holdIn(
  draft: Draft,
  what: {
    readonly group: GroupName;
    readonly id: DeviceId;
    readonly going: ReadonlySet<DeviceId>;
    readonly failure: Pick<Failure, 'code' | 'evidence' | 'closing'>;
  },
): void {
  const { group, id, going, failure } = what;
  if (draft.holds.has(id) || going.has(id)) return;
  const device = declaredOf(draft, id);
  if (device === undefined || device.group !== group || isRetired(draft, device)) return;
  const { reason, evidence, until, person } = failureRefusal(id, failure);
  draft.holds.set(id, { device: id, group, item: null, reason, evidence, until, person, wave: null });
}

/** All holds in order of the device; each instant at which one can change wakes the engine. */
export function sortedHolds(draft: Draft): readonly Hold[] {
  for (const one of draft.holds.values()) wakeAt(draft, one.until);
  return [...draft.holds.values()].toSorted((a, b) => compareText(a.device, b.device));
}
