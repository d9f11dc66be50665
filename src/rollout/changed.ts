import { digestOf } from '#kit/digest.ts';
import type { GroupDeclaration } from '#model/declared.ts';
import type { DeviceId, ReleaseId } from '#model/ids.ts';
import { releaseId } from '#model/ids.ts';
import type { DevicePlan } from '#model/plan.ts';
import { declaredOf, deviceOf, freezeOf, isRetired, reportOf, takesPart } from './draft.ts';
import type { Draft } from './draft.ts';
import { isBarred } from './impossible.ts';

/**
 * Devices that the release changes, sorted: those with an operation that their present release does not ask for, those
 * on their way to another release, and those of which too little is known to say. The ones that must not have it are
 * left out.
 */
export function changedBy(draft: Draft, group: GroupDeclaration, direction: 'forward' | 'rollback'): readonly DeviceId[] {
  const changed: DeviceId[] = [];
  for (const plan of draft.byGroup.get(group.name) ?? []) {
    if (!takesPart(draft, group.name, deviceOf(draft, plan)) || isBarred(plan)) continue;
    if (direction === 'rollback' ? returns(plan, group.release.id) : goesForward(plan, group.release.id)) changed.push(plan.device);
  }
  return changed;
}

function goesForward(plan: DevicePlan, release: ReleaseId): boolean {
  if (plan.impossible.length > 0 || isUnderWay(plan, release)) return true;
  const upkeep = new Set(plan.upkeep.map((operation) => operation.id));
  if (plan.operations.some((operation) => !upkeep.has(operation.id))) return true;
  return plan.operations.length === 0 && plan.drifts.length > 0 && plan.open.length > 0;
}

/** A device that never took the bad release and reports the old one needs nothing. */
function returns(plan: DevicePlan, release: ReleaseId): boolean {
  return plan.operations.length > 0 || isUnderWay(plan, release);
}

/** It has, or may have, taken an operation that leads elsewhere: what it will report next is not known. */
function isUnderWay(plan: DevicePlan, release: ReleaseId): boolean {
  return plan.open.some(({ open, confirmation }) => {
    const { operation, takenAt } = open;
    if (operation.kind !== 'change' || operation.release === release) return false;
    return operation.delivery === 'push' || takenAt !== null || (confirmation.kind === 'open' && confirmation.takenAt !== null);
  });
}

/** Whether devices that are not as declared may not be changed now: then there may be nothing to begin with. */
export function hasBarred(draft: Draft, group: GroupDeclaration): boolean {
  return (draft.byGroup.get(group.name) ?? []).some((plan) => {
    const device = deviceOf(draft, plan);
    if (device === undefined || isRetired(draft, device)) return false;
    return plan.impossible.length > 0 || (!plan.converged && freezeOf(draft, device) !== null);
  });
}

/**
 * Devices with a personal change: what tells them apart is not what it was when they were last seen converged, or the
 * box was replaced in this revision. A member of the tail, or who has just joined, is none.
 */
export function personalChanges(draft: Draft, group: GroupDeclaration): readonly DeviceId[] {
  const changes: DeviceId[] = [];
  for (const plan of draft.byGroup.get(group.name) ?? []) {
    const wanted =
      plan.operations.some(isPersonal) || plan.upkeep.some(isPersonal) || plan.open.some(({ open }) => isPersonal(open.operation));
    const device = wanted ? deviceOf(draft, plan) : undefined;
    if (device === undefined || !takesPart(draft, group.name, device) || isBarred(plan)) continue;
    const known = draft.input.view.devices.get(plan.device);
    const replaced = known !== undefined && known.hardware !== device.hardware;
    const differs = known !== undefined && known.personalDone !== null && known.personalDone !== device.personal;
    if (replaced || differs) changes.push(plan.device);
  }
  return changes;
}

function isPersonal({ cause }: { readonly cause: string }): boolean {
  return cause === 'personal';
}

/** The release of its own that many personal changes make: the group's, joined by the personal parts of the devices. */
export function personalRelease(draft: Draft, group: GroupDeclaration, devices: readonly DeviceId[]): ReleaseId {
  return joined(group.release.id, devices, (device) => declaredOf(draft, device)?.personal ?? null);
}

/** The same, of the personal parts that were last seen converged: what their revert leads back to. */
export function personalReleaseBefore(draft: Draft, group: GroupDeclaration, devices: readonly DeviceId[]): ReleaseId {
  return joined(group.release.id, devices, (device) => draft.input.view.devices.get(device)?.personalDone ?? null);
}

function joined(release: ReleaseId, devices: readonly DeviceId[], personal: (device: DeviceId) => string | null): ReleaseId {
  return releaseId(digestOf({ release, personal: devices.map((device) => [device, personal(device)]) }));
}

/** Devices of which nothing was heard for longer than the group's silence: they were down before anything was done. */
export function silentAmong(draft: Draft, group: GroupDeclaration, devices: readonly DeviceId[]): readonly DeviceId[] {
  return devices.filter((device) => {
    const reported = reportOf(draft, device);
    if (reported?.online === true) return false;
    return (
      reported === undefined || reported.heardAt === null || reported.online === false || draft.now - reported.heardAt > group.silenceMs
    );
  });
}
