import type { Json } from '#kit/canonical.ts';
import { HOUR_MS, parseDuration } from '#kit/duration.ts';
import { isJsonObject } from '#model/shadow.ts';

export interface StateMapping {
  readonly at: string;
  readonly when: readonly string[];
  readonly why: string | null;
}

/** Where an item that comes as an artifact or a document lies. `desired` is sorted by pointer. */
export interface ItemMapping {
  readonly reported: string;
  readonly reports: 'document' | 'sha256' | 'version';
  readonly desired: readonly (readonly [string, string])[];
  readonly taken: StateMapping | null;
  readonly failed: StateMapping | null;
}

export interface SettingMapping {
  readonly reported: string;
  readonly desired: string;
  readonly type: 'text' | 'number' | 'boolean';
}

/** What `options:` of a device say of its mapping, with the defaults of the families' schemas filled in. */
export interface MappedOptions {
  readonly firmware: ItemMapping | null;
  readonly config: ItemMapping | null;
  readonly settings: ReadonlyMap<string, SettingMapping>;
  readonly measures: ReadonlyMap<string, string>;
  readonly serial: string | null;
  readonly model: string | null;
  readonly among: string | null;
  readonly patienceMs: number;
  readonly lostAfterMs: number;
  readonly urlLifeMs: number;
}

/** Reads options that passed the schema; anything else counts as not written. */
export function mappedOptions(options: Readonly<Record<string, Json>>): MappedOptions {
  const text = (name: string): string | null => textOf(options[name]);
  const duration = (name: string, otherwise: number): number => parseDuration(text(name) ?? '') ?? otherwise;
  return {
    firmware: itemOf(options['firmware'], { reports: 'version', template: '{version}' }),
    config: itemOf(options['config'], { reports: 'document', template: '{document}' }),
    settings: new Map(entriesOf(options['settings']).flatMap(([name, value]) => settingOf(name, value))),
    measures: new Map(entriesOf(options['measures']).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : []))),
    serial: text('serial'),
    model: text('model'),
    among: text('among'),
    patienceMs: duration('patience', HOUR_MS),
    lostAfterMs: duration('lostAfter', HOUR_MS),
    urlLifeMs: duration('urlLife', 6 * HOUR_MS),
  };
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function entriesOf(value: Json | undefined): readonly (readonly [string, Json])[] {
  if (!isJsonObject(value)) return [];
  const entries = Object.entries(value).flatMap(([key, member]) => (member === undefined ? [] : [[key, member] as const]));
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function itemOf(
  value: Json | undefined,
  usual: { readonly reports: ItemMapping['reports']; readonly template: string },
): ItemMapping | null {
  if (!isJsonObject(value)) return null;
  const reported = textOf(value['reported']);
  if (reported === null) return null;
  const { reports } = value;
  const desired = entriesOf(value['desired']).flatMap(([pointer, template]) =>
    typeof template === 'string' ? [[pointer, template] as const] : [],
  );
  return {
    reported,
    reports: reports === 'sha256' || reports === 'version' ? reports : usual.reports,
    desired: desired.length > 0 ? desired : [[reported, usual.template]],
    taken: stateOf(value['taken']),
    failed: stateOf(value['failed']),
  };
}

function stateOf(value: Json | undefined): StateMapping | null {
  if (!isJsonObject(value) || typeof value['at'] !== 'string' || !Array.isArray(value['when'])) return null;
  return { at: value['at'], when: value['when'].filter((one) => typeof one === 'string'), why: textOf(value['why']) };
}

function settingOf(name: string, value: Json): readonly (readonly [string, SettingMapping])[] {
  if (!isJsonObject(value)) return [];
  const reported = textOf(value['reported']);
  if (reported === null) return [];
  const { type } = value;
  return [
    [name, { reported, desired: textOf(value['desired']) ?? reported, type: type === 'number' || type === 'boolean' ? type : 'text' }],
  ];
}
