import { digestOf } from '#kit/digest.ts';
import type { Json } from '#kit/canonical.ts';
import { startOfDay, isZone } from '#model/calendar.ts';
import type { DeclaredDevice, DeclaredItem, Freeze, Via } from '#model/declared.ts';
import { deviceId, digest, groupName, type Digest, type Instant } from '#model/ids.ts';
import type { DeviceFacts, Family } from '#ports/family.ts';
import { driftPolicy, type CompiledGroup } from './groups.ts';
import type { InventoryRow, TextMap, Texts } from './row.ts';
import { renderItems } from './items.ts';
import type { CompiledOverride } from './overrides.ts';
import type { Pins } from './pins.ts';
import { parseTemplate, resolve } from './references.ts';
import type { RenderWorld } from './render.ts';
import { typedOptions } from './typed.ts';

/** A device with everything that decides what it carries. */
export interface PlacedDevice {
  readonly row: InventoryRow;
  readonly family: Family;
  readonly group: CompiledGroup | null;
  /** The group that a retired device was in; null for all others. */
  readonly former: CompiledGroup | null;
  /** Those that hold now, in order of name. */
  readonly overrides: readonly CompiledOverride[];
}

export interface DeviceItems {
  readonly items: readonly DeclaredItem[];
  readonly hardware: Digest;
  readonly personal: Digest;
}

const EMPTY_PINS: Pins = new Map();
const NO_PINS: ReadonlySet<string> = new Set();

/** What the family is told of the device: values of group, device and override, options with their types. */
export function deviceFacts(placed: PlacedDevice, world: RenderWorld): DeviceFacts {
  const { row, family, group } = placed;
  return {
    id: row.id,
    model: row.model,
    serial: row.serial,
    address: row.address,
    labels: row.labels,
    values: valuesOf(placed, world),
    options: typedOptions(family, optionsOf(placed)).value as Readonly<Record<string, Json>>,
    connectionType: world.connections?.get(viaOfDevice(row, group).connection)?.type ?? null,
  };
}

/** Options: group, then the Devices document, its defaults, the device itself. */
export function optionsOf(placed: PlacedDevice): TextMap {
  const { row, group } = placed;
  return group === null || Object.keys(group.options).length === 0 ? row.options : { ...group.options, ...row.options };
}

function valuesOf(placed: PlacedDevice, world: RenderWorld): Texts {
  const { row, group, overrides } = placed;
  const plain = group === null || Object.keys(group.values).length === 0 ? row.values : { ...group.values, ...row.values };
  const values = overrides.length === 0 ? plain : Object.assign({}, plain, ...overrides.map((override) => override.values));
  return Object.values(values as Texts).some((value) => value.includes('${'))
    ? resolvedValues(values as Texts, placed, world)
    : (values as Texts);
}

/** A value may be made of what names the device (`${id}.CR1X`), not of other values. */
function resolvedValues(values: Texts, placed: PlacedDevice, world: RenderWorld): Texts {
  const { id, model, serial, labels } = placed.row;
  const resolved: [string, string][] = Object.entries(values).map(([name, value]) => {
    const made = resolve(parseTemplate(value).template, { id, model, serial, labels, series: null, values: {} });
    for (const missing of made.missing) {
      // Other references were told to have no meaning in a value.
      if (missing.kind !== 'label' && missing.kind !== 'serial') continue;
      world.mistake(id, {
        code: 'UNDEFINED_REFERENCE',
        place: placed.row.origin.placeOf(placed.row, `values.${name}`),
        words: {
          summary: `\`${missing.source}\` has no value for ${id}`,
          fix: `give ${id} ${missing.kind === 'label' ? `the label \`${missing.name}\`` : 'its serial'}`,
        },
      });
    }
    return [name, made.text];
  });
  return Object.fromEntries(resolved);
}

/** The items of a device, and the digest of what tells it apart in what it is told. */
export function deviceItems(placed: PlacedDevice, facts: DeviceFacts, world: RenderWorld): DeviceItems {
  const { row, family, group, overrides } = placed;
  const hardware = hardwareOf(row);
  if (group === null) return { items: [], hardware, personal: digest(digestOf([hardware])) };
  const pinned = overrides.filter((override) => override.pins.size > 0);
  const pins = pinned.length === 0 ? group.pins : new Map([...group.pins, ...pinned.flatMap((override) => [...override.pins])]);
  const settings = [group, ...overrides].flatMap((source) => (source.settings === null ? [] : [source.settings]));
  const { items, told } = renderItems({
    family,
    device: facts,
    world,
    pins: pins.size === 0 ? EMPTY_PINS : pins,
    settings,
    brokenPins: group.brokenPins,
    ownPins: pinned.length === 0 ? NO_PINS : new Set(pinned.flatMap((override) => [...override.pins.keys()])),
    driftOf: (item) => driftPolicy(group, item),
  });
  return { items, hardware, personal: personalOf(placed, { hardware, items, told }) };
}

function hardwareOf(row: InventoryRow): Digest {
  return digest(digestOf([row.family, row.serial, row.address]));
}

/** Hardware, model, the labels, values and own files that were used, and what overrides change for it. */
function personalOf(
  placed: PlacedDevice,
  made: { readonly hardware: Digest; readonly items: readonly DeclaredItem[]; readonly told: ReadonlyMap<string, string> },
): Digest {
  const { overrides, row, group } = placed;
  const own = new Map([...made.told].filter(([key]) => !isFromGroup(key, { row, group, overrides })));
  const overridden = overrides.flatMap((override) => [
    ...[...override.pins.keys()].map((name) => {
      const item = made.items.find((one) => one.item === name);
      // What holds secrets is told by its text without them and by their ciphertext, whether or not they can be opened here.
      if (made.told.has(`document ${name}`)) return [name, null, null];
      return [name, item?.value ?? null, item?.content?.digest ?? null];
    }),
    ...(override.settings === null ? [] : [['settings', digestOf(override.settings.tree)]]),
  ]);
  return digest(digestOf({ hardware: made.hardware, model: row.model, told: own, overridden }));
}

/** A value that only the group gives is told to all of it: it belongs to the release. */
function isFromGroup(key: string, placed: Pick<PlacedDevice, 'row' | 'group' | 'overrides'>): boolean {
  if (!key.startsWith('value ')) return false;
  const name = key.slice('value '.length);
  const isOwn = Object.hasOwn(placed.row.values, name) || placed.overrides.some((override) => Object.hasOwn(override.values, name));
  return !isOwn && placed.group !== null && Object.hasOwn(placed.group.values, name);
}

/** The device as the rest of Headgate sees it. */
export function deviceOf(
  placed: PlacedDevice,
  made: { readonly index: number; readonly zone: string; readonly facts: DeviceFacts; readonly rendered: DeviceItems },
): DeclaredDevice {
  const { row, group, overrides } = placed;
  const zone = row.zone !== null && isZone(row.zone) ? row.zone : made.zone;
  return {
    row: made.index,
    id: deviceId(row.id),
    place: row.origin.placeOf(row, null),
    family: row.family,
    via: viaOfDevice(row, group),
    model: row.model,
    serial: row.serial,
    address: row.address,
    site: row.site,
    zone,
    labels: row.labels,
    values: made.facts.values,
    options: made.facts.options,
    hardware: made.rendered.hardware,
    group: group === null ? null : groupName(group.name),
    retiredFrom: retiredFrom(row, zone),
    freeze: freezeOf(overrides),
    rollout: overrides.find((override) => override.rollout !== null)?.rollout ?? null,
    items: made.rendered.items,
    personal: made.rendered.personal,
  };
}

/** The device's own connection, else its group's, else that of its Devices document. */
function viaOfDevice(row: InventoryRow, group: CompiledGroup | null): Via {
  return (row.ownVia ? row.via : (group?.via ?? row.via)) ?? { connection: '', to: null };
}

export function retiredFrom(row: InventoryRow, zone: string): Instant | null {
  return row.retired === null ? null : startOfDay(row.retired, zone);
}

/** Of several freezes the one that lasts longest is shown: it is the one that must end. */
function freezeOf(overrides: readonly CompiledOverride[]): Freeze | null {
  const freezes = overrides.filter((override) => override.freeze);
  const [first, ...others] = freezes;
  if (first === undefined) return null;
  const last = others.reduce((longest, one) => (lasts(one) > lasts(longest) ? one : longest), first);
  return { override: last.name, reason: last.reason, until: last.until };
}

function lasts(override: CompiledOverride): number {
  return override.until ?? Number.POSITIVE_INFINITY;
}
