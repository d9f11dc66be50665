import { canonicalJson, type Json } from '#kit/canonical.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { filesItem } from './files.ts';
import { answersOf } from './readings.ts';
import { settingsItem } from './settings.ts';

/** Stands behind the name of a program whose bytes on the logger are not the declared ones. */
const OTHER_BYTES = ' (other bytes)';

/**
 * The report with those items in it that a logger is asked for: settings and files against what is declared for it, and
 * the program with what the checksum of its file says. The same report where nothing is different.
 */
export function withAskedItems(report: ReportedDevice, device: DeclaredDevice): ReportedDevice {
  const items: Partial<Record<ItemName, ReportedItem>> = { ...report.items };
  for (const declared of device.items) {
    const item = askedItem(declared, report, device);
    if (item !== undefined) items[declared.item] = item;
  }
  return canonicalJson(items) === canonicalJson(report.items) ? report : { ...report, items };
}

function askedItem(declared: DeclaredItem, report: ReportedDevice, device: DeclaredDevice): ReportedItem | undefined {
  if (declared.impossible !== undefined) return undefined;
  switch (declared.item) {
    case 'settings':
      return settingsItem(declared, answersOf(report));
    case 'files':
      return filesItem(declared, { report, items: device.items });
    case 'program':
      return programItem(declared, report);
    default:
      return undefined;
  }
}

/** The name proves the version only as long as nobody put other bytes under it: where a checksum was told, it decides. */
function programItem(declared: DeclaredItem, report: ReportedDevice): ReportedItem | undefined {
  const item = report.items.program;
  if (item?.kind !== 'value' || declared.content === null) return undefined;
  const name = item.value.endsWith(OTHER_BYTES) ? item.value.slice(0, -OTHER_BYTES.length) : item.value;
  if (name !== declared.value) return name === item.value ? undefined : { ...item, value: name };
  const sum = answersOf(report).checksums[declared.value.slice(declared.value.indexOf(':') + 1)];
  const facts: Readonly<Record<string, Json | undefined>> =
    typeof item.facts === 'object' && item.facts !== null && !Array.isArray(item.facts)
      ? (item.facts as Readonly<Record<string, Json>>)
      : {};
  if (sum === undefined) return { ...item, value: name };
  const value = sum.sha256 === null || sum.sha256 === declared.content.digest ? name : `${name}${OTHER_BYTES}`;
  return { ...item, value, facts: { ...facts, sha256: sum.sha256, summedAt: sum.at } };
}
