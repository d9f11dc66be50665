import { err, ok, type Result } from '#kit/result.ts';

/** A setting of the binary MQTT configuration file (docs/protocols/campbell-mqtt.md §6.2). */
export interface MqttConfigSetting {
  readonly id: number;
  readonly name: string;
  /** The name of the same setting in the command `setting` (§2.1); null where none is known. */
  readonly setting: string | null;
  /** The longest value, in bytes (§10); where none is given, that of key and certificate. */
  readonly longest: number;
  /** Lowest and highest value of a setting whose value is a number, written as ASCII digits (§6.1). */
  readonly range: readonly [number, number] | null;
  /** Private key and password: never shown. */
  readonly secret: boolean;
}

const UNLIMITED = 4096;

function text(id: number, name: string, more: Partial<MqttConfigSetting> = {}): MqttConfigSetting {
  return { id, name, setting: null, longest: UNLIMITED, range: null, secret: false, ...more };
}

function number(
  id: number,
  name: string,
  more: { readonly setting: string | null; readonly range: readonly [number, number] },
): MqttConfigSetting {
  return { id, name, longest: 5, secret: false, ...more };
}

/** By id. Id 17 is listed nowhere (§6.2). */
export const MQTT_CONFIG_SETTINGS: readonly MqttConfigSetting[] = [
  text(1, 'account id'),
  text(2, 'private key', { secret: true }),
  text(3, 'client certificate'),
  text(4, 'root CA'),
  text(5, 'endpoint', { setting: 'MQTTEndpoint' }),
  number(6, 'port', { setting: 'MQTTPortNumber', range: [1, 65_535] }),
  text(7, 'user name', { setting: 'MQTTUserName', longest: 256 }),
  text(8, 'password', { setting: 'MQTTPassword', secret: true }),
  number(9, 'keep alive', { setting: 'MQTTKeepAlive', range: [0, 65_535] }),
  text(10, 'client id', { setting: 'MQTTClientID', longest: 64 }),
  text(11, 'will topic', { setting: 'MQTTWillTopic', longest: 64 }),
  text(12, 'will message', { setting: 'MQTTWillMessage', longest: 256 }),
  number(13, 'will QoS', { setting: 'MQTTWillQoS', range: [0, 2] }),
  number(14, 'will retain', { setting: 'MQTTWillRetain', range: [0, 1] }),
  number(15, 'enable', { setting: 'MQTTEnable', range: [0, 3] }),
  text(16, 'base topic', { setting: 'MQTTBaseTopic' }),
  number(18, 'state interval', { setting: 'MQTTStateInterval', range: [0, 1440] }),
  number(19, 'status interval', { setting: 'MQTTStatusInterval', range: [0, 1440] }),
  number(20, 'clean session', { setting: 'MQTTCleanSession', range: [0, 1] }),
];

const BY_ID: ReadonlyMap<number, MqttConfigSetting> = new Map(MQTT_CONFIG_SETTINGS.map((one) => [one.id, one]));

/** The ids that a rotation sends (§6.2, §7). */
export const CONFIG_ID = { privateKey: 2, certificate: 3, rootCa: 4, endpoint: 5, port: 6, clientId: 10, baseTopic: 16 } as const;

export interface MqttConfigEntry {
  readonly id: number;
  readonly value: string;
}

/** What is wrong with entries or a file. Says which setting and where, never a value: it may be a key. */
export interface MqttConfigProblem {
  readonly code:
    | 'HEADER'
    | 'CUT_SHORT'
    | 'UNKNOWN_ID'
    | 'REPEATED_ID'
    | 'VALUE_TOO_LONG'
    | 'VALUE_CHARACTERS'
    | 'VALUE_RANGE'
    | 'TRAILING_BYTES';
  readonly id: number | null;
  /** Of the byte in the file; null while a file is built. */
  readonly offset: number | null;
  readonly text: string;
}

const HEADER = 0x0020;
const ENTRY_HEAD = 6;

/**
 * Builds mqttCfg.bin byte for byte as §6.1 says: header 00 20, per entry a 2-byte id, a 4-byte length and ASCII, then
 * 00 00. Entries stand in the order given. Refuses ids that are not listed, repeated ids and values beyond their limits.
 */
export function buildMqttConfig(entries: readonly MqttConfigEntry[]): Result<Uint8Array, MqttConfigProblem> {
  const seen = new Set<number>();
  for (const { id, value } of entries) {
    const problem = entryProblem(id, value) ?? (seen.has(id) ? problemOf('REPEATED_ID', id, null) : null);
    if (problem !== null) return err(problem);
    seen.add(id);
  }
  const values = entries.map(({ id, value }) => ({ id, bytes: new TextEncoder().encode(value) }));
  const length = values.reduce((sum, { bytes }) => sum + ENTRY_HEAD + bytes.length, 2) + 2;
  const file = new Uint8Array(length);
  const view = new DataView(file.buffer);
  view.setUint16(0, HEADER);
  let at = 2;
  for (const { id, bytes } of values) {
    view.setUint16(at, id);
    view.setUint32(at + 2, bytes.length);
    file.set(bytes, at + ENTRY_HEAD);
    at += ENTRY_HEAD + bytes.length;
  }
  return ok(file);
}

/** Whether a file with these entries must be read by nobody but the logger: private key, password. */
export function holdsSecret(entries: readonly MqttConfigEntry[]): boolean {
  return entries.some(({ id }) => BY_ID.get(id)?.secret === true);
}

export interface MqttConfigManner {
  /** Whether entries with ids that are not listed are passed over; refused by default (§6.2: unknown). */
  readonly passUnknownIds?: boolean;
  /** Whether a file may end without 00 00; it may by default (§6.1: the trial files had none). */
  readonly terminatorOptional?: boolean;
}

/** Reads mqttCfg.bin strictly: every byte belongs to the header, to an entry of a listed setting, or to the end. */
export function parseMqttConfig(bytes: Uint8Array, manner: MqttConfigManner = {}): Result<readonly MqttConfigEntry[], MqttConfigProblem> {
  const { passUnknownIds = false, terminatorOptional = true } = manner;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 2 || view.getUint16(0) !== HEADER) return err(problemOf('HEADER', null, 0));
  const entries: MqttConfigEntry[] = [];
  let at = 2;
  while (at < bytes.length) {
    if (at + 2 > bytes.length) return err(problemOf('CUT_SHORT', null, at));
    const id = view.getUint16(at);
    if (id === 0) return at + 2 === bytes.length ? ok(entries) : err(problemOf('TRAILING_BYTES', null, at + 2));
    const known = BY_ID.has(id);
    if (!known && !passUnknownIds) return err(problemOf('UNKNOWN_ID', id, at));
    if (at + ENTRY_HEAD > bytes.length) return err(problemOf('CUT_SHORT', id, at));
    const end = at + ENTRY_HEAD + view.getUint32(at + 2);
    if (end > bytes.length) return err(problemOf('CUT_SHORT', id, at));
    const value = new TextDecoder('latin1').decode(bytes.subarray(at + ENTRY_HEAD, end));
    const problem = known
      ? (entryProblem(id, value) ?? (entries.some((one) => one.id === id) ? problemOf('REPEATED_ID', id, at) : null))
      : null;
    if (problem !== null) return err({ ...problem, offset: at });
    if (known) entries.push({ id, value });
    at = end;
  }
  return terminatorOptional ? ok(entries) : err(problemOf('CUT_SHORT', null, at));
}

function entryProblem(id: number, value: string): MqttConfigProblem | null {
  const setting = BY_ID.get(id);
  if (setting === undefined) return problemOf('UNKNOWN_ID', id, null);
  // PEM has line ends; a null byte or anything beyond ASCII has no place in a setting (§6.1).
  if (!/^[\t\n\r\x20-\x7e]*$/.test(value)) return problemOf('VALUE_CHARACTERS', id, null);
  if (setting.range !== null) {
    const [lowest, highest] = setting.range;
    return /^\d{1,5}$/.test(value) && Number(value) >= lowest && Number(value) <= highest ? null : problemOf('VALUE_RANGE', id, null);
  }
  return value.length > setting.longest ? problemOf('VALUE_TOO_LONG', id, null) : null;
}

function problemOf(code: MqttConfigProblem['code'], id: number | null, offset: number | null): MqttConfigProblem {
  const setting = id === null ? undefined : BY_ID.get(id);
  const where = offset === null ? '' : ` at byte ${offset}`;
  return {
    code,
    id,
    offset,
    text: `${setting === undefined ? (id === null ? 'the file' : `id ${id}`) : setting.name}${where} ${PROBLEMS[code](setting)}`,
  };
}

const PROBLEMS: Readonly<Record<MqttConfigProblem['code'], (setting: MqttConfigSetting | undefined) => string>> = {
  HEADER: () => 'does not begin with 00 20',
  CUT_SHORT: () => 'is cut short',
  UNKNOWN_ID: () => 'is no listed setting',
  REPEATED_ID: () => 'is there twice',
  VALUE_TOO_LONG: (setting) => `is longer than ${setting?.longest ?? UNLIMITED} bytes`,
  VALUE_CHARACTERS: () => 'has characters that are not ASCII',
  VALUE_RANGE: (setting) => `is not a number from ${setting?.range?.[0] ?? 0} to ${setting?.range?.[1] ?? 0}`,
  TRAILING_BYTES: () => 'goes on after its end',
};
