import type { Place } from '#kit/diagnostics.ts';
import type { Via } from '#model/declared.ts';
import type { Device, DevicesDocument, Via as ViaData } from '#model/generated/fleet-repo.ts';
import { at, nodeAt, type SourceDocument } from './nodes.ts';

/** Text as written, or a mapping or list of it: what `options` and `settings` hold before a family's schema types it. */
export type TextTree = string | readonly TextTree[] | { readonly [key: string]: TextTree };
export type TextMap = Readonly<Record<string, TextTree>>;
export type Texts = Readonly<Record<string, string>>;

/** Knows where the fields of the devices of one document or sheet stand. `field` is `serial`, `labels.ring`, … */
export interface Origin {
  readonly document: SourceDocument<DevicesDocument>;
  placeOf(row: InventoryRow, field: string | null): Place;
}

/** A device as the inventory has it, with the defaults of its document, before groups and overrides are looked at. */
export interface InventoryRow {
  readonly id: string;
  /** The line of a sheet; 0 for a device in YAML. */
  readonly line: number;
  readonly origin: Origin;
  readonly family: string;
  readonly model: string;
  readonly serial: string | null;
  readonly address: string | null;
  readonly site: string | null;
  readonly zone: string | null;
  readonly via: Via | null;
  /** Whether `via` is the device's own, which a group's does not change. */
  readonly ownVia: boolean;
  readonly labels: Texts;
  readonly values: Texts;
  readonly options: TextMap;
  readonly retired: string | null;
  /** A part of it could not be read, which was reported: what it lacks is not told again. */
  readonly damaged: boolean;
}

/** Where the document says what all its devices have of a field; undefined when it does not. */
export function defaultPlace(document: SourceDocument<DevicesDocument>, field: string): Place | undefined {
  const path = fieldPath(field);
  const found = [['defaults', ...path], path].find((one) => nodeAt(document.node, one) !== undefined);
  return found === undefined ? undefined : at(document, ...found);
}

/** `labels.ring` → labels, ring: the rest of a name may have dots of its own. */
export function fieldPath(field: string): string[] {
  const dot = field.indexOf('.');
  return dot < 0 ? [field] : [field.slice(0, dot), field.slice(dot + 1)];
}

/** A row out of what is written for the device and the defaults of its document. */
export function rowOf(input: { id: string; line: number; origin: Origin; device: Device; damaged: boolean }): InventoryRow {
  const { id, line, origin, device, damaged } = input;
  const { data } = origin.document;
  const defaults = data.defaults ?? {};
  const via = device.via ?? defaults.via ?? data.via;
  return {
    id,
    line,
    origin,
    family: data.family,
    model: device.model ?? defaults.model ?? '',
    serial: device.serial ?? null,
    address: device.address ?? null,
    site: device.site ?? defaults.site ?? null,
    zone: device.zone ?? defaults.zone ?? null,
    via: via === undefined ? null : viaOf(via),
    ownVia: device.via !== undefined,
    labels: joined(defaults.labels, device.labels),
    values: joined(defaults.values, device.values),
    options: { ...asTree(data.options), ...asTree(defaults.options), ...asTree(device.options) },
    retired: device.retired ?? null,
    damaged,
  };
}

const NOTHING: Texts = Object.freeze({});

function joined(defaults: Texts | undefined, own: Texts | undefined): Texts {
  if (defaults === undefined) return own ?? NOTHING;
  return own === undefined ? defaults : { ...defaults, ...own };
}

export function viaOf(via: ViaData): Via {
  return typeof via === 'string' ? { connection: via, to: null } : { connection: via.from, to: via.to };
}

/** The generated type of an open mapping says nothing of its values; in YAML read as text they can only be these. */
export function asTree(map: Readonly<Record<string, unknown>> | undefined): TextMap {
  return (map ?? NOTHING) as TextMap;
}
