import type { Json } from '#kit/canonical.ts';
import { HOUR_MS, MINUTE_MS, parseDuration } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';

export const CHARIOT_ITEMS = ['firmware', 'program', 'config'] as const;
export type ChariotItem = (typeof CHARIOT_ITEMS)[number];
export type Format = 'JSON' | 'SHELL' | 'PLAINTEXT';

/** A service whose notify command installs something. `write` is sorted by name. */
export interface InstalledKey {
  readonly key: string;
  readonly format: Format;
  readonly write: readonly (readonly [string, string])[];
  readonly running: string;
  readonly state: string;
  readonly failed: readonly string[];
}

/** A service whose file is the config. */
export interface ConfigKey {
  readonly key: string;
  readonly format: Format;
  readonly shell: 'sh' | 'bash';
  /** Null: a written file counts. */
  readonly running: string | null;
  readonly want: string;
}

/** `options:` of a device with the defaults of options.schema.json filled in. */
export interface ChariotOptions {
  readonly firmware: InstalledKey;
  readonly program: InstalledKey;
  readonly config: ConfigKey;
  readonly agent: string | null;
  readonly emptyArrayDeletes: boolean;
  readonly measures: ReadonlyMap<string, string>;
  readonly serial: string | null;
  readonly model: string | null;
  readonly patienceMs: number;
  readonly lostAfterMs: number;
  readonly urlLifeMs: number;
  readonly documentBytes: number;
}

const USUAL_WRITE: JsonObject = { want: '{version}', url: '{url}', sha256: '{sha256}' };

/** Reads options that passed the schema; anything else counts as not written. */
export function chariotOptions(options: Readonly<Record<string, Json>>): ChariotOptions {
  const text = (name: string): string | null => textOf(options[name]);
  const duration = (name: string, otherwise: number): number => parseDuration(text(name) ?? '') ?? otherwise;
  const bytes = options['documentBytes'];
  return {
    firmware: installedOf('firmware', options['firmware']),
    program: installedOf('program', options['program']),
    config: configOf(options['config']),
    agent: text('agent'),
    emptyArrayDeletes: options['emptyArrayDeletes'] === true,
    measures: new Map(textsOf(options['measures'])),
    serial: text('serial'),
    model: text('model'),
    patienceMs: duration('patience', 30 * MINUTE_MS),
    lostAfterMs: duration('lostAfter', HOUR_MS),
    urlLifeMs: duration('urlLife', 6 * HOUR_MS),
    documentBytes: typeof bytes === 'number' ? bytes : 8192,
  };
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function textsOf(value: Json | undefined): readonly (readonly [string, string])[] {
  if (!isJsonObject(value)) return [];
  const texts = Object.entries(value).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text] as const] : []));
  return texts.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function installedOf(item: string, value: Json | undefined): InstalledKey {
  const given = isJsonObject(value) ? value : {};
  const { failed } = given;
  return {
    key: textOf(given['key']) ?? item,
    format: given['format'] === 'SHELL' ? 'SHELL' : 'JSON',
    write: textsOf(given['write'] ?? USUAL_WRITE),
    running: textOf(given['running']) ?? 'running',
    state: textOf(given['state']) ?? 'state',
    failed: Array.isArray(failed) ? failed.filter((one) => typeof one === 'string') : ['failed', 'rolled-back'],
  };
}

function configOf(value: Json | undefined): ConfigKey {
  const given = isJsonObject(value) ? value : {};
  const { format } = given;
  return {
    key: textOf(given['key']) ?? 'config',
    format: format === 'SHELL' || format === 'PLAINTEXT' ? format : 'JSON',
    shell: given['shell'] === 'bash' ? 'bash' : 'sh',
    running: textOf(given['running']),
    want: textOf(given['want']) ?? 'want',
  };
}

/** Keys of a service that are no part of a config: the device's own, and what is written for it. */
export function ownKeys(config: ConfigKey): readonly string[] {
  return config.running === null ? [] : [config.running, config.want];
}
