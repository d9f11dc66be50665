import type { DeclaredDevice, Selector } from './declared.ts';

/** What a selector may look at: declared facts only, so that ownership never depends on a report. */
export type Selectable = Pick<DeclaredDevice, 'id' | 'family' | 'model' | 'labels' | 'group'>;

/**
 * Whether every member of the selector holds for the device; `not` must not hold. A selector without any member matches
 * nobody: declare refuses it, and this is the safe side.
 */
export function matches(selector: Selector, device: Selectable): boolean {
  if (!hasMembers(selector)) return false;
  if (selector.family !== null && selector.family !== device.family) return false;
  if (selector.model !== null && !selector.model.includes(device.model)) return false;
  if (selector.ids !== null && !selector.ids.includes(device.id)) return false;
  if (selector.groups !== null && (device.group === null || !selector.groups.includes(device.group))) return false;
  for (const [label, values] of Object.entries(selector.labels)) {
    const own = device.labels[label];
    if (own === undefined || !values.includes(own)) return false;
  }
  return selector.not === null || !matches(selector.not, device);
}

/** Whether the selector says anything at all. */
export function hasMembers(selector: Selector): boolean {
  return (
    selector.all ||
    selector.family !== null ||
    selector.model !== null ||
    selector.ids !== null ||
    selector.groups !== null ||
    selector.not !== null ||
    Object.keys(selector.labels).length > 0
  );
}
