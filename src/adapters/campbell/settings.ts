import { createHmac } from 'node:crypto';
import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { durationText, MINUTE_MS } from '#kit/duration.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { Secret, SECRET_TEXT, secretText } from '#kit/secret.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { MQTT_CONFIG_SETTINGS } from './mqtt-config.ts';
import { campbellOptions } from './options.ts';
import type { Answers, Reading } from './readings.ts';
import { encodeCommand, type CommandRequest } from './wire-commands.ts';

/** What a device is told of its settings. Of a secret only the keyed digest stands here. */
export interface SettingsFacts {
  readonly settings: Readonly<Record<string, string>>;
  /** By name: HMAC of the text under the fleet's render key. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly constants: Readonly<Record<string, string>>;
}

/** Secret settings in the clear, and the key under which what a logger answers of them is digested. */
export interface SettingsSecret {
  readonly key: Uint8Array;
  readonly texts: ReadonlyMap<string, string>;
}

/** Read-only, or known to no logger: declaring it could never be made true. */
const READ_ONLY = new Set(['MQTTState', 'UID']);

/** What must be reported when the declared settings are there (docs/protocols/campbell-mqtt.md §5.6, §5.8). */
export function expectedSettings(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const { constants, ...settings } = asTexts(pin.document);
  const texts = new Map<string, string>();
  for (const [pointer, secret] of pin.secrets ?? []) {
    const name = pointer.slice(1);
    if (name.includes('/')) {
      return problem(
        'SECRET_CONSTANT',
        `constant ${name.slice(name.indexOf('/') + 1)} is a secret`,
        'a program can be read: keep secrets out of it',
      );
    }
    const text = secretText(secret);
    if (text === null) return problem('SETTING_VALUE', `the secret of setting ${name} is no text`, 'seal a text');
    texts.set(name, text);
  }
  const key = pin.renderKey?.reveal() ?? null;
  if (texts.size > 0 && key === null) {
    return problem(
      'NO_RENDER_KEY',
      'a secret setting is compared by a keyed digest, and fleet.yaml names no render key',
      'add `secrets: { render: "${age:secrets/render.age}" }`',
    );
  }
  const facts: SettingsFacts = {
    settings: Object.fromEntries(Object.entries(settings).filter(([name]) => !texts.has(name))) as Record<string, string>,
    secrets: Object.fromEntries([...texts].map(([name, text]) => [name, digestOfSecret(key ?? new Uint8Array(), name, text)])),
    constants: constants ?? {},
  };
  const wrong = settingsProblem(device, facts, texts);
  if (wrong !== null) return err(wrong);
  const names = [...Object.keys(settings), ...Object.keys(facts.constants)];
  return ok({
    value: settingsText(facts),
    version: `${names.length} setting${names.length === 1 ? '' : 's'}`,
    facts: { settings: facts.settings, secrets: facts.secrets, constants: facts.constants },
    content: null,
    ...withWarnings(intervalWarnings(device, facts)),
    ...(key === null || texts.size === 0 ? {} : { secret: new Secret<SettingsSecret>({ key, texts }) }),
  });
}

function withWarnings(warnings: readonly FamilyProblem[]): Pick<ExpectedItem, 'warnings'> {
  return warnings.length === 0 ? {} : { warnings };
}

/** A logger that says its state less often than its options say would count as offline between two of them. */
function intervalWarnings(device: DeviceFacts, { settings }: SettingsFacts): readonly FamilyProblem[] {
  const { stateIntervalMs, statusIntervalMs } = campbellOptions(device.options);
  const pairs = [
    ['MQTTStateInterval', 'stateInterval', stateIntervalMs],
    ['MQTTStatusInterval', 'statusInterval', statusIntervalMs],
  ] as const;
  return pairs.flatMap(([setting, option, ms]): FamilyProblem[] => {
    const declared = settings[setting];
    if (declared === undefined || Number(declared) * MINUTE_MS <= ms) return [];
    const summary = `setting ${setting} is ${declared} min, and options.${option} says ${durationText(ms)}: what is rarer than that counts as silence`;
    return [{ severity: 'warning', code: 'INTERVAL_LONGER', summary, fix: `write options: { ${option}: ${declared}m }` }];
  });
}

function problem(code: string, summary: string, fix: string): Result<never, FamilyProblem> {
  return err({ code, summary, fix });
}

interface Texts {
  readonly constants?: Readonly<Record<string, string>>;
  readonly [name: string]: string | Readonly<Record<string, string>> | undefined;
}

/** The schema has held names and texts already. */
function asTexts(document: Json): Texts {
  return typeof document === 'object' && document !== null && !Array.isArray(document) ? (document as unknown as Texts) : {};
}

/** A secret as it may be kept and shown: nobody without the render key can try passwords against it. */
export function digestOfSecret(key: Uint8Array, name: string, text: string): string {
  return createHmac('sha256', key).update(`headgate campbell setting ${name}\n${text}`).digest('hex').slice(0, 16);
}

function settingsProblem(device: DeviceFacts, facts: SettingsFacts, secrets: ReadonlyMap<string, string>): FamilyProblem | null {
  const options = campbellOptions(device.options);
  for (const [name, value] of [...Object.entries(facts.settings), ...secrets]) {
    const shown = secrets.has(name) ? SECRET_TEXT : JSON.stringify(value);
    if (READ_ONLY.has(name)) return { code: 'SETTING_READ_ONLY', summary: `setting ${name} can only be read`, fix: 'take it out' };
    if (!/^[\x20-\x7e]*$/.test(value) || value.trim() !== value) {
      const fix = 'a logger gives values back trimmed; write printable ASCII without blanks at the ends';
      return { code: 'SETTING_VALUE', summary: `${shown} cannot be the value of setting ${name}`, fix };
    }
    const limits = MQTT_CONFIG_SETTINGS.find((one) => one.setting === name);
    if (limits?.range != null && !(/^\d{1,5}$/.test(value) && Number(value) >= limits.range[0] && Number(value) <= limits.range[1])) {
      return {
        code: 'SETTING_VALUE',
        summary: `setting ${name} is ${shown}`,
        fix: `write a whole number from ${limits.range[0]} to ${limits.range[1]}`,
      };
    }
    if (limits !== undefined && value.length > limits.longest) {
      return { code: 'SETTING_VALUE', summary: `setting ${name} has ${value.length} characters`, fix: `a logger takes ${limits.longest}` };
    }
  }
  if (Object.keys(facts.constants).length > 0 && options.dialect !== 'v2' && !options.probe) {
    const summary = `constants cannot be read back from a logger of dialect ${options.dialect}, so that no change of them could be proven`;
    return { code: 'UNSUPPORTED_ITEM', summary, fix: 'write them into the program, or `options: { dialect: v2 }` where the OS speaks it' };
  }
  return commandProblem(device, facts, secrets);
}

/** Each command must fit a packet: 4,000 bytes of payload, 4,800 in all (§2, §10). */
function commandProblem(device: DeviceFacts, facts: SettingsFacts, secrets: ReadonlyMap<string, string>): FamilyProblem | null {
  const { baseTopic } = campbellOptions(device.options);
  const place = { baseTopic, address: device.address ?? '', dialect: 'v2', tranId: '0'.repeat(39) } as const;
  const requests: CommandRequest[] = [...Object.entries(facts.settings), ...secrets].map(([name, value]): CommandRequest => ({
    kind: 'writeSetting',
    name,
    value,
    apply: false,
  }));
  if (Object.keys(facts.constants).length > 0) requests.push({ kind: 'editConstants', constants: facts.constants });
  for (const request of requests) {
    const encoded = encodeCommand(request, place);
    if (!encoded.ok) return { code: 'COMMAND_TOO_LONG', summary: encoded.error.text, fix: 'declare shorter values, or fewer constants' };
  }
  return null;
}

/** `MQTTStatusInterval=5 StationName="Moor House" constants.TIP_MM=0.2`, sorted; a secret by its keyed digest. */
function settingsText(facts: SettingsFacts): string {
  const lines = [
    ...Object.entries(facts.settings).map(([name, value]) => [name, shownValue(value)] as const),
    ...Object.entries(facts.secrets).map(([name, digest]) => [name, `${SECRET_TEXT}${digest}`] as const),
    ...Object.entries(facts.constants).map(([name, value]) => [`constants.${name}`, shownValue(value)] as const),
  ];
  return lines
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function shownValue(value: string): string {
  return /^[!#-<>-~]+$/.test(value) ? value : JSON.stringify(value);
}

/** The same setting in two spellings: loggers give numbers back in their own (§5.6). */
function sameSetting(declared: string, said: string): boolean {
  const [a, b] = [declared.trim(), said.trim()];
  return a === b || (isDecimal(a) && isDecimal(b) && Number(a) === Number(b));
}

function isDecimal(text: string): boolean {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text);
}

export function settingsFacts(facts: Json): SettingsFacts | null {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const { settings, secrets, constants } = facts as Readonly<Record<string, Json | undefined>>;
  const [a, b, c] = [textsOf(settings), textsOf(secrets), textsOf(constants)];
  return a === null || b === null || c === null ? null : { settings: a, secrets: b, constants: c };
}

function textsOf(value: Json | undefined): Readonly<Record<string, string>> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** What differs, with what the logger answered; settings and constants apart because other commands carry them. */
export interface SettingsDifference {
  readonly settings: readonly string[];
  readonly constants: readonly string[];
  /** Names that the logger was not asked for yet. */
  readonly unread: readonly string[];
}

/** What a report of this item holds for `agrees` and `confirm`: the plain readings, secrets by digest. */
export function settingsDifference(declared: SettingsFacts, reported: SettingsFacts): SettingsDifference {
  const unread: string[] = [];
  const differing = (wanted: Readonly<Record<string, string>>, said: Readonly<Record<string, string>>, what: string): string[] =>
    Object.entries(wanted)
      .filter(([name, value]) => {
        const reading = said[name];
        if (reading === undefined) unread.push(`${what}${name}`);
        return reading !== undefined && !sameSetting(value, reading);
      })
      .map(([name]) => name);
  const plain = differing(declared.settings, reported.settings, '');
  const secret = Object.entries(declared.secrets).filter(([name, digest]) => {
    const reading = reported.secrets[name];
    if (reading === undefined) unread.push(name);
    return reading !== undefined && reading !== digest;
  });
  const constants = differing(declared.constants, reported.constants, 'constants.');
  return {
    settings: [...plain, ...secret.map(([name]) => name)].toSorted(compareText),
    constants: constants.toSorted(compareText),
    unread,
  };
}

/** Whether a report shows what is declared: every declared name was read, and reads as declared. */
export function settingsAgree(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean {
  const [wanted, said] = [settingsFacts(declared.facts), settingsFacts(reported.facts)];
  if (wanted === null || said === null) return false;
  const { settings, constants, unread } = settingsDifference(wanted, said);
  return settings.length + constants.length + unread.length === 0;
}

/** The item as it is reported, made of what the logger was asked for; unknown until each declared name was answered. */
export function settingsItem(declared: DeclaredItem, answers: Answers): ReportedItem {
  const source = 'setting';
  const wanted = settingsFacts(declared.facts);
  if (wanted === null) return { kind: 'unknown', why: 'NEVER_REPORTED', detail: 'what is declared cannot be opened here', source };
  const names = [...Object.keys(wanted.settings), ...Object.keys(wanted.secrets)].toSorted(compareText);
  const unread = names.find((name) => answers.settings[name] === undefined);
  if (unread !== undefined || (Object.keys(wanted.constants).length > 0 && answers.constants === null)) {
    const what = unread === undefined ? 'the constants were not read yet' : `setting ${unread} was not read yet`;
    return { kind: 'unknown', why: 'NEVER_REPORTED', detail: `${what}: an apply asks the logger while it is online`, source };
  }
  const refused = names.find((name) => answers.settings[name]?.value === null);
  const missing = Object.keys(wanted.constants).find((name) => answers.constants?.values[name] === undefined);
  if (refused !== undefined || missing !== undefined) {
    const detail =
      refused === undefined ? `the running program has no constant ${missing ?? ''}` : `the logger does not tell setting ${refused}`;
    return { kind: 'unknown', why: 'REPORT_UNREADABLE', detail, source };
  }
  const said: SettingsFacts = {
    settings: readingsOf(answers.settings, (name) => wanted.secrets[name] === undefined),
    secrets: readingsOf(answers.settings, (name) => wanted.secrets[name] !== undefined),
    constants: answers.constants?.values ?? {},
  };
  return {
    kind: 'value',
    value: settingsText(inWords(wanted, said)),
    facts: { settings: said.settings, secrets: said.secrets, constants: said.constants },
    madeNotBefore: oldest(names, answers, Object.keys(wanted.constants).length > 0),
    source,
  };
}

function readingsOf(readings: Readonly<Record<string, Reading>>, wanted: (name: string) => boolean): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(readings).flatMap(([name, { value }]) => (value === null || !wanted(name) ? [] : [[name, value] as const])),
  );
}

/** What is really on a logger, in the words of what is declared for it; for simulators and their tests. */
export function settingsTruth(
  facts: Json,
  has: { readonly settings: Readonly<Record<string, string>>; readonly constants: Readonly<Record<string, string>> },
): string {
  const wanted = settingsFacts(facts);
  return wanted === null ? '' : settingsText(inWords(wanted, { ...has, secrets: {} }));
}

/** The declared names only, each in its declared spelling where it reads as declared. */
function inWords(wanted: SettingsFacts, said: SettingsFacts): SettingsFacts {
  const spelt = (declared: Readonly<Record<string, string>>, readings: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(declared).map(([name, value]) => {
        const reading = readings[name] ?? '';
        return [name, sameSetting(value, reading) ? value : reading];
      }),
    );
  return {
    settings: spelt(wanted.settings, said.settings),
    secrets: Object.fromEntries(Object.keys(wanted.secrets).map((name) => [name, said.secrets[name] ?? ''])),
    constants: spelt(wanted.constants, said.constants),
  };
}

function oldest(names: readonly string[], answers: Answers, constants: boolean): Instant | null {
  const instants = names.flatMap((name) => answers.settings[name]?.at ?? []);
  if (constants && answers.constants !== null) instants.push(answers.constants.at);
  return instants.length === 0 ? null : Math.min(...instants);
}
