import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { Impossible } from '#model/plan.ts';
import type { DeviceHistory } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Family } from '#ports/family.ts';

/** Nothing is sent to hardware that is not the declared one, or whose reports cannot be read. */
export function guardIdentity(
  device: DeclaredDevice,
  reported: ReportedDevice | undefined,
  known: { readonly history: DeviceHistory | undefined; readonly family: Family | undefined },
): Impossible | null {
  const { history, family } = known;
  if (reported === undefined) return null;
  if (reported.problem !== null) return { item: null, reason: reported.problem.reason, evidence: reported.problem.detail };
  const alarm = againstPin(family, { device, reported, history });
  if (alarm !== null) return { item: null, reason: 'IDENTITY_MISMATCH', evidence: alarm };
  if (device.serial === null) return null;
  const said = reported.serial;
  if (said !== null && !sameSerial(said, device.serial)) {
    return { item: null, reason: 'IDENTITY_MISMATCH', evidence: `reports serial ${said}, declared is ${device.serial}` };
  }
  if (said === null && history !== undefined && history.hardware !== device.hardware) {
    return { item: null, reason: 'IDENTITY_MISMATCH', evidence: `replaced hardware has not yet reported serial ${device.serial}` };
  }
  return null;
}

/** What the hardware was first seen with, and the ledger keeps, it must still have. Null when it does. */
export function againstPin(
  family: Family | undefined,
  seen: { readonly device: DeclaredDevice; readonly reported: ReportedDevice; readonly history: DeviceHistory | undefined },
): string | null {
  const { device, reported, history } = seen;
  if (history?.pinned === undefined || family?.pin === undefined || history.hardware !== device.hardware) return null;
  return family.pin.contradiction(history.pinned, reported, device);
}

function sameSerial(a: string, b: string): boolean {
  return a.toUpperCase() === b.toUpperCase();
}

const RANGE = /^(>=|>|<=|<|=)?\s*(.+)$/;

/** What an artifact needs of the firmware must hold now, or be brought about by the firmware that comes first. */
export function guardNeeds(request: {
  readonly family: Family;
  readonly items: readonly DeclaredItem[];
  readonly reported: ReportedDevice;
  readonly wanted: readonly ItemName[];
}): readonly Impossible[] {
  const { family, items, reported, wanted } = request;
  const running = reported.items.firmware;
  const version = running?.kind === 'value' ? running.value : null;
  const firmware = items.find((item) => item.item === 'firmware');
  return items
    .filter((item) => wanted.includes(item.item))
    .flatMap((item) => {
      const before = item.item !== 'firmware' && firmware !== undefined && wanted.includes('firmware') ? firmware.version : version;
      return [unmetNeed(family, item, before), belowFloor(family, item)].filter((one) => one !== null);
    });
}

function unmetNeed(family: Family, item: DeclaredItem, firmware: string | null): Impossible | null {
  if (item.needs.firmware === null) return null;
  const [, sign = '>=', wanted = ''] = RANGE.exec(item.needs.firmware.trim()) ?? [];
  const order = firmware === null ? null : family.compareVersions(firmware, wanted);
  if (order !== null && holds(sign, order)) return null;
  const has = firmware === null ? 'is not known' : `is ${firmware}`;
  return { item: item.item, reason: 'NO_UPGRADE_PATH', evidence: `${item.version} needs firmware ${item.needs.firmware}; it ${has}` };
}

function belowFloor(family: Family, item: DeclaredItem): Impossible | null {
  const floor = item.needs.neverBelow;
  if (floor === null) return null;
  const order = family.compareVersions(item.version, floor);
  if (order !== null && order >= 0) return null;
  return { item: item.item, reason: 'INCOMPATIBLE', evidence: `${item.version} is below ${floor}, the lowest version allowed` };
}

function holds(sign: string, order: number): boolean {
  switch (sign) {
    case '>':
      return order > 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '=':
      return order === 0;
    default:
      return order >= 0;
  }
}
