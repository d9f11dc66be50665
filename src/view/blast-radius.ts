import type { BudgetRule, Declared, DeclaredDevice } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { PlanView } from './pass.ts';

/** What a merge can have down at the same time, at worst, if every device that is changing fails at once. */
export interface BlastRadius {
  /** Devices whose change takes them down for a while. */
  readonly disturbed: number;
  /** Upper bound of those that may be down or changing at one moment, by the budgets. */
  readonly atOnce: number;
  /** How many sites can be hit at one moment; a device without one stands for its own. */
  readonly sitesAtOnce: number;
  /** Share of the whole fleet that may be down at one moment, 0 to 1. */
  readonly share: number;
  /** No budget holds some of the disturbed devices back. */
  readonly unbounded: number;
  /** What cannot be undone: effects that say so, and floors below which a version is never taken again. */
  readonly noReturn: readonly { readonly text: string; readonly devices: number; readonly examples: readonly DeviceId[] }[];
}

/** Guards a share of a population against its last binary digit before it is rounded down. */
const EPSILON = 1e-9;
const MOST_EXAMPLES = 5;

export function blastRadius(view: PlanView): BlastRadius {
  const { declared, plan } = view;
  const disturbed = plan.devices.filter(disturbs).map(({ row }) => declared.deviceAt(row));
  const populations = new Map<string, ReadonlyMap<string, number>>();
  let [atOnce, unbounded] = [0, 0];
  for (const devices of byBudget(view, disturbed).values()) {
    const rules = devices.rules;
    if (rules.length === 0) unbounded += devices.members.length;
    atOnce += Math.min(devices.members.length, ...rules.map((rule) => mostUnder(rule, { ...devices, declared, populations })));
  }
  const sites = new Set(disturbed.map(({ site, id }) => site ?? `\n${id}`)).size;
  return {
    disturbed: disturbed.length,
    atOnce,
    sitesAtOnce: Math.min(sites, atOnce),
    share: declared.size === 0 ? 0 : atOnce / declared.size,
    unbounded,
    noReturn: noReturnOf(view),
  };
}

function disturbs({ operations, upkeep }: DevicePlan): boolean {
  return operations.some((one) => one.disturbs) || upkeep.some((one) => one.disturbs);
}

interface BudgetGroup {
  readonly group: DeclaredDevice['group'];
  readonly rules: readonly BudgetRule[];
  readonly members: DeclaredDevice[];
}

/** Devices that share a budget: those of a group under the same rollout. */
function byBudget({ declared, decision }: PlanView, devices: readonly DeclaredDevice[]): ReadonlyMap<string, BudgetGroup> {
  const found = new Map<string, BudgetGroup>();
  for (const device of devices) {
    const group = device.group === null ? undefined : declared.groups.get(device.group);
    const running = device.group === null ? null : (decision.groups.get(device.group)?.rollout?.rules ?? null);
    const name = device.rollout ?? running ?? group?.rollout ?? '';
    const key = `${device.group}\n${name}`;
    const entry = found.get(key) ?? { group: device.group, rules: declared.rollouts.get(name)?.budget ?? [], members: [] };
    entry.members.push(device);
    found.set(key, entry);
  }
  return found;
}

interface RuleContext extends BudgetGroup {
  readonly declared: Declared;
  readonly populations: Map<string, ReadonlyMap<string, number>>;
}

/** How many of the members this rule lets be down at once. */
function mostUnder({ max, by }: BudgetRule, context: RuleContext): number {
  const { declared, members, group } = context;
  const slots = (population: number): number =>
    max.kind === 'count' ? Math.max(1, Math.floor(max.count)) : Math.max(1, Math.floor(max.share * population + EPSILON));
  if (by === null) return slots(group === null ? 0 : (declared.groups.get(group)?.rows.length ?? 0));
  const counts = new Map<string, number>();
  for (const device of members) counts.set(keyOf(by, device), (counts.get(keyOf(by, device)) ?? 0) + 1);
  const population = max.kind === 'count' ? null : populationBy(by, context);
  let most = 0;
  for (const [key, count] of counts) most += Math.min(count, slots(population?.get(key) ?? 1));
  return most;
}

function keyOf(by: string, device: DeclaredDevice): string {
  const value =
    by === 'site'
      ? device.site
      : by === 'model'
        ? device.model
        : (device.labels[by.startsWith('label:') ? by.slice('label:'.length) : by] ?? null);
  return value ?? `\n${device.id}`;
}

function populationBy(by: string, { declared, populations }: RuleContext): ReadonlyMap<string, number> {
  const known = populations.get(by);
  if (known !== undefined) return known;
  const counts = new Map<string, number>();
  for (let row = 0; row < declared.size; row += 1) {
    const key = keyOf(by, declared.deviceAt(row));
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  populations.set(by, counts);
  return counts;
}

const NO_RETURN = /^(cannot|never)\b/;

/** An effect after which a revert does not bring the device back: families begin it so. */
export function isNoReturn(effect: string): boolean {
  return NO_RETURN.test(effect);
}

function noReturnOf({ declared, plan }: PlanView): BlastRadius['noReturn'] {
  const found = new Map<string, DeviceId[]>();
  for (const device of plan.devices) {
    const said = new Set<string>();
    for (const operation of [...device.operations, ...device.upkeep]) {
      for (const effect of operation.effects) if (isNoReturn(effect)) said.add(effect);
      const declaredItem = declared.deviceAt(device.row).items.find(({ item }) => item === operation.item);
      const floor = declaredItem?.needs.neverBelow ?? null;
      if (floor !== null) said.add(`never takes ${operation.item} below ${floor} again`);
    }
    for (const text of said) {
      const devices = found.get(text);
      if (devices === undefined) found.set(text, [device.device]);
      else devices.push(device.device);
    }
  }
  return [...found]
    .map(([text, devices]) => ({ text, devices: devices.length, examples: devices.slice(0, MOST_EXAMPLES) }))
    .toSorted((a, b) => b.devices - a.devices || (a.text < b.text ? -1 : 1));
}
