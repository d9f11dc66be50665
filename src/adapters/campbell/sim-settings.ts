import { isNumber } from './sim-crbasic.ts';

/** A named setting of a simulated logger (docs/protocols/campbell-mqtt.md §2, §2.1). */
interface Setting {
  readonly name: string;
  /** Its numeric id, where one is known. */
  readonly id?: string;
  readonly initial: string;
  readonly range?: readonly [number, number];
  readonly longest?: number;
  readonly readOnly?: true;
  /** Not told to anybody who asks: whether a logger tells is not known (§5.6). */
  readonly secret?: true;
  /** Takes effect with a restart. */
  readonly restarts?: true;
}

const SETTINGS: readonly Setting[] = [
  { name: 'CampbellCloudEnable', id: '430', initial: '0', range: [0, 1], restarts: true },
  { name: 'IncludeFile', initial: '', longest: 63 },
  { name: 'MQTTBaseTopic', initial: 'cs/v2', restarts: true },
  { name: 'MQTTCleanSession', initial: '1', range: [0, 1], restarts: true },
  { name: 'MQTTClientID', initial: '', longest: 64, restarts: true },
  { name: 'MQTTEnable', id: '410', initial: '3', range: [0, 3], restarts: true },
  { name: 'MQTTEndpoint', initial: '', restarts: true },
  { name: 'MQTTKeepAlive', initial: '300', range: [0, 65_535], restarts: true },
  { name: 'MQTTPassword', initial: '', secret: true, restarts: true },
  { name: 'MQTTPortNumber', initial: '', range: [1, 65_535], restarts: true },
  { name: 'MQTTState', initial: '52', readOnly: true },
  { name: 'MQTTStateInterval', initial: '1', range: [0, 1440] },
  { name: 'MQTTStatusInterval', initial: '30', range: [0, 1440] },
  { name: 'MQTTUserName', initial: '', longest: 256, restarts: true },
  { name: 'MQTTWillMessage', initial: '', longest: 256, restarts: true },
  { name: 'MQTTWillQoS', initial: '0', range: [0, 2], restarts: true },
  { name: 'MQTTWillRetain', initial: '0', range: [0, 1], restarts: true },
  { name: 'MQTTWillTopic', initial: '', longest: 64, restarts: true },
  { name: 'PakBusAddress', id: '3', initial: '1', range: [1, 4094] },
  { name: 'StationName', initial: '', longest: 64 },
  { name: 'UID', id: '399', initial: '', readOnly: true },
];

/** Key, certificate and root CA have no setting name that is known (§5.6): only the binary file reaches them. */
export interface LinkKeys {
  readonly cert: string | null;
  readonly key: string | null;
  readonly ca: string | null;
}

/** The settings in flash, and those that wait to be applied. */
export class SettingsTable {
  readonly #values = new Map(SETTINGS.map(({ name, initial }) => [name, initial]));
  readonly #waiting = new Map<string, string>();
  keys: LinkKeys = { cert: null, key: null, ca: null };

  constructor(initial: Readonly<Record<string, string>>, keys: LinkKeys) {
    for (const [name, value] of Object.entries(initial)) this.#values.set(name, value);
    this.keys = keys;
  }

  value(name: string): string {
    return this.#values.get(name) ?? '';
  }

  /** By name or numeric id; null for none that a logger tells. */
  read(nameOrId: string): { readonly name: string; readonly value: string } | null {
    const setting = find(nameOrId);
    return setting === undefined || setting.secret === true ? null : { name: setting.name, value: this.value(setting.name) };
  }

  /** Keeps a value for `apply`. `ignored` for one that the setting cannot have (§5.6). */
  stage(nameOrId: string, value: string): 'unknown' | 'ignored' | 'kept' {
    const setting = find(nameOrId);
    if (setting === undefined) return 'unknown';
    const text = value.trim();
    if (!fits(setting, text)) return 'ignored';
    this.#waiting.set(setting.name, text);
    return 'kept';
  }

  /** Commits what waits to flash: what changed, and whether it needs a restart. */
  apply(): { readonly changed: readonly string[]; readonly restarts: boolean } {
    const changed = [...this.#waiting].filter(([name, value]) => this.value(name) !== value);
    this.#waiting.clear();
    for (const [name, value] of changed) this.#values.set(name, value);
    return {
      changed: changed.map(([name, value]) => `${name} = ${find(name)?.secret === true ? '***' : value}`),
      restarts: changed.some(([name]) => find(name)?.restarts === true),
    };
  }

  /** All that a logger tells, for those who look past its wire. */
  shown(): Readonly<Record<string, string>> {
    return Object.fromEntries(SETTINGS.filter(({ secret }) => secret !== true).map(({ name }) => [name, this.value(name)]));
  }
}

function find(nameOrId: string): Setting | undefined {
  return SETTINGS.find(({ name, id }) => name === nameOrId || id === nameOrId);
}

function fits({ range, longest, readOnly }: Setting, value: string): boolean {
  if (readOnly === true || value.length > (longest ?? 4096)) return false;
  if (range === undefined) return true;
  return isNumber(value) && Number.isInteger(Number(value)) && Number(value) >= range[0] && Number(value) <= range[1];
}
