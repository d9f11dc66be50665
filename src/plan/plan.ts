import { canonicalJson } from '#kit/canonical.ts';
import { sha256OfTexts } from '#kit/digest.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import type { DeviceId, Digest, GroupName } from '#model/ids.ts';
import type { DevicePlan, GroupPlan, Plan } from '#model/plan.ts';
import type { DeviceHistory, LedgerView } from '#model/records.ts';
import type { Reported } from '#model/reported.ts';
import type { Family } from '#ports/family.ts';
import { planDevice } from './device.ts';
import { shows } from './drift.ts';
import { againstPin } from './guards.ts';

export interface PlanInput {
  readonly declared: Declared;
  readonly reported: Reported;
  readonly view: LedgerView;
  readonly families: ReadonlyMap<string, Family>;
  /** Older revisions by commit, loaded for the present releases of groups that are on their way to another one. */
  readonly older: ReadonlyMap<string, Declared>;
}

/**
 * The operations that would close all drift, in order, and what stands against the others. A pure function of the
 * revision, the reports and the ledger: equal input gives equal bytes. Converged devices are counted, not listed.
 */
export function makePlan(input: PlanInput): Plan {
  const { declared, view } = input;
  const counts = new Map<GroupName, { devices: number; converged: number }>();
  for (const name of declared.groups.keys()) counts.set(name, { devices: 0, converged: 0 });
  const devices: DevicePlan[] = [];
  const unmanaged: DeviceId[] = [];
  const joiners: DeviceId[] = [];
  for (let row = 0; row < declared.size; row += 1) {
    const device = declared.deviceAt(row);
    const history = view.devices.get(device.id);
    if (history === undefined) joiners.push(device.id);
    const count = device.group === null ? undefined : counts.get(device.group);
    if (device.group === null || count === undefined) {
      unmanaged.push(device.id);
      continue;
    }
    count.devices += 1;
    if (isQuiet(input, device, history)) {
      count.converged += 1;
      continue;
    }
    const planned = planOf(input, device, device.group);
    if (planned.converged && planned.open.every(endsNow)) count.converged += 1;
    if (!planned.converged || planned.open.length > 0) devices.push(planned);
  }
  const groups = [...counts].map(([group, count]) => groupPlan(declared, group, count)).toSorted((a, b) => compareText(a.group, b.group));
  const leavers = [...view.devices.keys()].filter((id) => declared.rowOf(id) === undefined).toSorted(compareText);
  const body = { revision: declared.revision, groups, devices, leavers, joiners, unmanaged };
  return { ...body, digest: planDigest(body) };
}

/** Reports end it, with whatever verdict: the device is counted by what it shows. */
function endsNow({ confirmation }: DevicePlan['open'][number]): boolean {
  return confirmation.kind === 'confirmed' || confirmation.kind === 'failed';
}

/** The hot path: nothing is open and each item is reported as declared, in the same text, with nothing beside it that says otherwise. */
function isQuiet(input: PlanInput, device: DeclaredDevice, history: DeviceHistory | undefined): boolean {
  if (input.view.open.has(device.id)) return false;
  const reported = input.reported.deviceAt(device.row);
  if (reported === undefined || reported.problem !== null) return device.items.length === 0;
  if (device.serial !== null && reported.serial !== device.serial) return false;
  if (history?.pinned !== undefined && againstPin(input.families.get(device.family), { device, reported, history }) !== null) return false;
  const contradicts = input.families.get(device.family)?.contradicts;
  for (const item of device.items) {
    const value = reported.items[item.item];
    if (value === undefined || value.kind !== 'value' || value.value !== item.value || item.impossible !== undefined) return false;
    if (contradicts?.(item, value) === true) return false;
  }
  return true;
}

function planOf(input: PlanInput, device: DeclaredDevice, group: GroupName): DevicePlan {
  const family = input.families.get(device.family);
  if (family === undefined) throw new Error(`device ${device.id} is of a family that is not registered: ${device.family}`);
  const commit = input.view.groups.get(group)?.lineage.at(-1)?.commit ?? null;
  return planDevice({
    declared: input.declared,
    view: input.view,
    family,
    device,
    group,
    reported: input.reported.deviceAt(device.row),
    present: commit === null || commit === input.declared.revision.commit ? null : (input.older.get(commit) ?? null),
  });
}

function groupPlan(declared: Declared, group: GroupName, count: { devices: number; converged: number }): GroupPlan {
  const declaration = declared.groups.get(group);
  if (declaration === undefined) throw new Error(`group is not declared: ${group}`);
  return { group, release: declaration.release.id, devices: count.devices, converged: count.converged };
}

/** Commits whose declarations the plan needs beside the newest: those of the groups' present releases. */
export function presentCommits(declared: Declared, view: LedgerView): readonly string[] {
  const commits = new Set<string>();
  for (const [name, history] of view.groups) {
    const top = history.lineage.at(-1);
    const release = declared.groups.get(name)?.release.id;
    if (top?.commit != null && release !== undefined && top.release !== release) commits.add(top.commit);
  }
  return [...commits].toSorted(compareText);
}

/**
 * Whether a device shows all that it is told under its present release, in reports of known age; what `converged` records
 * are made of. A retained message may be older than what the device carries now, or may be somebody else's.
 */
export function isSettled(input: PlanInput, device: DeclaredDevice): boolean {
  const family = input.families.get(device.family);
  if (family === undefined || device.group === null || input.view.open.has(device.id)) return false;
  const reported = input.reported.deviceAt(device.row);
  if (reported === undefined || reported.problem !== null) return false;
  if (againstPin(family, { device, reported, history: input.view.devices.get(device.id) }) !== null) return false;
  return device.items.every((item) => {
    const value = reported.items[item.item];
    return value?.kind === 'value' && value.madeNotBefore !== null && shows(family, item, value);
  });
}

function planDigest(plan: Omit<Plan, 'digest'>): Digest {
  return digest(sha256OfTexts(digestTexts(plan)));
}

function* digestTexts(plan: Omit<Plan, 'digest'>): Generator<string> {
  yield canonicalJson({ tree: plan.revision.tree, groups: plan.groups, leavers: plan.leavers, unmanaged: plan.unmanaged });
  for (const device of plan.devices) {
    yield canonicalJson({
      device: device.device,
      operations: device.operations.map((operation) => operation.id),
      upkeep: device.upkeep.map((operation) => operation.id),
      impossible: device.impossible,
      open: device.open.map((one) => [one.open.operation.id, one.open.attempt, one.confirmation.kind]),
    });
  }
}
