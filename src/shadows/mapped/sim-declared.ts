import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { isJsonObject } from '#model/shadow.ts';
import { thingOf } from '#shadows/values.ts';
import { mappedOptions } from './options.ts';
import type { MappedSimOptions } from './sim.ts';
import { readWrites } from './values.ts';

/**
 * The hardware of a declared device, carrying what is declared. `written` says what it has instead: `firmware` as it says
 * it, `config=none`, `setting.NAME`, `measure.NAME`, and the timings by name (`flashMs=3000`).
 */
export function declaredMapped(device: DeclaredDevice, written: Readonly<Record<string, string>>): MappedSimOptions {
  const mapping = mappedOptions(device.options);
  const item = (name: string): DeclaredItem | undefined => device.items.find((one) => one.item === name);
  const below = (prefix: string): readonly (readonly [string, string])[] =>
    Object.entries(written).flatMap(([key, value]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : []));
  const timings = Object.fromEntries(
    (['flashMs', 'applyMs', 'reportMs'] as const).flatMap((name) => (written[name] === undefined ? [] : [[name, Number(written[name])]])),
  );
  return {
    id: thingOf(device),
    mapping,
    serial: device.serial,
    model: device.model,
    firmware: written['firmware'] ?? item('firmware')?.value ?? null,
    config: written['config'] === 'none' ? null : configOf(item('config'), mapping.config?.reports ?? 'document'),
    settings: { ...settingsOf(item('settings'), mapping.settings), ...Object.fromEntries(below('setting.')) },
    measures: Object.fromEntries(below('measure.')),
    timings,
  };
}

function configOf(item: DeclaredItem | undefined, reports: 'document' | 'sha256' | 'version'): Json | null {
  if (item === undefined) return null;
  if (reports !== 'document') return item.value;
  return item.content?.kind === 'bytes' ? (JSON.parse(new TextDecoder().decode(item.content.bytes)) as Json) : null;
}

function settingsOf(
  item: DeclaredItem | undefined,
  settings: ReadonlyMap<string, { readonly desired: string }>,
): Readonly<Record<string, Json>> {
  const writes = readWrites(isJsonObject(item?.facts) ? item.facts['writes'] : undefined) ?? [];
  const byPointer = new Map(writes.flatMap((write) => (write.kind === 'value' ? [[write.pointer, write.value] as const] : [])));
  return Object.fromEntries(
    [...settings].flatMap(([name, { desired }]) => (byPointer.has(desired) ? [[name, byPointer.get(desired) ?? null]] : [])),
  );
}
