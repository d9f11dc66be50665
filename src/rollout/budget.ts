import type { BudgetRule, DeclaredDevice } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import { declaredOf, reportOf, rulesOf } from './draft.ts';
import type { Draft, StillOpen } from './draft.ts';

/** Guards a share of a population against its last binary digit before it is rounded down. */
const EPSILON = 1e-9;

/** Who is changing or down, and where a slot is free: DESIGN.md §4, "Budget". */
export interface Budget {
  readonly busy: ReadonlySet<DeviceId>;
  /** The rule without a free slot for this device, in words; null when it may begin. One that counts already needs none. */
  full(device: DeclaredDevice): string | null;
  take(device: DeclaredDevice): void;
}

/** `${by}` and the value that a device has there: its own where it has none, so that it shares the slot with nobody. */
function keyOf(by: string | null, device: DeclaredDevice): string {
  if (by === null) return `group\n${device.group ?? ''}`;
  return `${by}\n${valueBy(by, device) ?? `\n${device.id}`}`;
}

function valueBy(by: string, device: DeclaredDevice): string | null {
  if (by === 'site') return device.site;
  if (by === 'model') return device.model;
  return device.labels[by.startsWith('label:') ? by.slice('label:'.length) : by] ?? null;
}

export function makeBudget(draft: Draft): Budget {
  const { declared } = draft.input;
  const bys = new Set<string | null>([null]);
  for (const rules of declared.rollouts.values()) for (const { by } of rules.budget) bys.add(by);
  const busy = new Set<DeviceId>();
  const counts = new Map<string, number>();
  const populations = new Map<string, ReadonlyMap<string, number>>();
  const take = (device: DeclaredDevice): void => {
    if (busy.has(device.id)) return;
    busy.add(device.id);
    for (const by of bys) {
      const key = keyOf(by, device);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  };
  const capacity = ({ max, by }: BudgetRule, device: DeclaredDevice): number => {
    if (max.kind === 'count') return Math.max(1, Math.floor(max.count));
    const population = by === null ? groupSize(draft, device) : (populationBy(draft, by, populations).get(keyOf(by, device)) ?? 1);
    return Math.max(1, Math.floor(max.share * population + EPSILON));
  };
  const full = (device: DeclaredDevice): string | null => {
    if (busy.has(device.id)) return null;
    const group = device.group === null ? undefined : declared.groups.get(device.group);
    const rules = group === undefined ? undefined : rulesOf(draft, group, device);
    for (const rule of rules?.budget ?? []) {
      const slots = capacity(rule, device);
      const taken = counts.get(keyOf(rule.by, device)) ?? 0;
      if (taken >= slots)
        return `${taken} of ${slots} ${rule.by === null ? 'in the group' : `per ${nameOf(rule.by)}`} are changing or down`;
    }
    return null;
  };
  for (const device of busyDevices(draft)) take(device);
  return { busy, full, take };
}

function nameOf(by: string): string {
  return by.startsWith('label:') ? by.slice('label:'.length) : by;
}

function groupSize(draft: Draft, device: DeclaredDevice): number {
  return device.group === null ? 0 : (draft.input.declared.groups.get(device.group)?.rows.length ?? 0);
}

/** One sweep over the inventory, and only for a share per value. */
function populationBy(draft: Draft, by: string, known: Map<string, ReadonlyMap<string, number>>): ReadonlyMap<string, number> {
  const ready = known.get(by);
  if (ready !== undefined) return ready;
  const counts = new Map<string, number>();
  const { declared } = draft.input;
  for (let row = 0; row < declared.size; row += 1) {
    const key = keyOf(by, declared.deviceAt(row));
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  known.set(by, counts);
  return counts;
}

function busyDevices(draft: Draft): readonly DeclaredDevice[] {
  const found: DeclaredDevice[] = [];
  for (const [id, { open }] of draft.settled) {
    const device = open.some((one) => isDisturbing(one) || perhapsTakes(draft, one)) ? declaredOf(draft, id) : undefined;
    if (device !== undefined) found.push(device);
  }
  for (const { down } of draft.groups.values()) {
    for (const id of down?.keys() ?? []) {
      const device = declaredOf(draft, id);
      if (device !== undefined) found.push(device);
    }
  }
  return found;
}

/** Pushes from admission until confirmed, offers from the first sign of life; a device that took nothing blocks nobody. */
function isDisturbing({ open, alive, refusal }: StillOpen): boolean {
  const { operation } = open;
  if (!operation.disturbs) return false;
  return operation.delivery === 'push' ? refusal.reason !== 'OFFLINE' : alive;
}

/** No outcome of it was recorded, and the device is there: it would have taken it at once. */
function perhapsTakes(draft: Draft, { open }: StillOpen): boolean {
  const { operation, reference, retryAt } = open;
  if (operation.prompt !== true || !operation.disturbs || reference !== null || retryAt !== null) return false;
  const reported = reportOf(draft, operation.device);
  const heardAt = reported?.heardAt ?? null;
  const silenceMs = draft.input.declared.groups.get(operation.group)?.silenceMs ?? 0;
  return reported?.online !== false && heardAt !== null && draft.now - heardAt <= silenceMs;
}
