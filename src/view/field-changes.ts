import type { DevicePlan, FieldChange } from '#model/plan.ts';
import { counted } from './words.ts';

/** One field that a group's change touches, over all devices whose family could tell it. */
export interface FieldTally {
  readonly item: string;
  readonly path: string;
  readonly devices: number;
  /** What it changes from and to on the first of them, and how many different changes there are; `several` is 1 when all agree. */
  readonly first: FieldChange;
  readonly several: number;
}

/** Different fields that are kept apart; a plan of a large fleet must not grow with what its devices say. */
const MOST_PATHS = 256;
const MOST_VARIANTS = 64;

interface Gathered {
  readonly item: string;
  readonly first: FieldChange;
  readonly variants: Set<string>;
  devices: number;
}

/** The fields of all drifts, those of one item together, in the order in which they are met. */
export function fieldTallies(devices: readonly DevicePlan[]): readonly FieldTally[] {
  const found = new Map<string, Gathered>();
  for (const { drifts } of devices) {
    for (const { item, fields } of drifts) {
      for (const field of fields ?? []) gather(found, item, field);
    }
  }
  return [...found.values()].map(({ item, first, variants, devices: count }) => ({
    item,
    path: first.path,
    devices: count,
    first,
    several: variants.size,
  }));
}

function gather(found: Map<string, Gathered>, item: string, field: FieldChange): void {
  const key = `${item}\n${field.path}`;
  let entry = found.get(key);
  if (entry === undefined) {
    if (found.size >= MOST_PATHS) return;
    entry = { item, first: field, variants: new Set(), devices: 0 };
    found.set(key, entry);
  }
  entry.devices += 1;
  if (entry.variants.size < MOST_VARIANTS) entry.variants.add(`${field.from ?? ''}\n${field.to ?? ''}`);
}

/** `600 → 300`, `"depot" taken out`, `"home" added`; nothing for a line that only counts. */
export function changeText({ from, to }: Pick<FieldChange, 'from' | 'to'>): string {
  if (from === null && to === null) return '';
  if (from === null) return `${to ?? ''} added`;
  return to === null ? `${from} taken out` : `${from} → ${to}`;
}

/** What a field changes on the devices of a group: the change itself where all make the same. */
export function tallyChange({ first, several }: FieldTally): string {
  return several === 1
    ? changeText(first)
    : `${several}${several === MOST_VARIANTS ? ' and more' : ''} different changes, such as ${changeText(first)}`;
}

/** `8 devices`. */
export function tallyDevices({ devices }: FieldTally): string {
  return counted(devices, 'device');
}
