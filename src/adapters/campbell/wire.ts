import type { Json } from '#kit/canonical.ts';

/** §1.1: what stands between the base topic and the device id. */
export const MESSAGE_TYPES = ['state', 'cr', 'data', 'metadata', 'status'] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

/** The longest MQTT packet that a logger sends or takes, in bytes (§2, §10); a file list is cut at as many characters (§5.5). */
export const LARGEST_PACKET = 4800;
/** Far above what loggers send; what is longer is not from one. */
export const LARGEST_PAYLOAD = 65_536;
/** The limit for inbound commands is not documented; below this they are known to work (§2). */
export const LARGEST_COMMAND = 4000;
/** §8.3, name and extension together. */
export const LONGEST_FILE_NAME = 59;
/** §8.4: the CSI signature of nothing marks "no program". */
export const EMPTY_SIGNATURE = 0xaaaa;
/** The value of the program item while nothing runs. */
export const NO_PROGRAM = 'none';

/** The setting may be written with a trailing slash (§1.1); topics never have two in a row. */
export function cleanBaseTopic(baseTopic: string): string {
  return baseTopic.replace(/\/+$/, '');
}

export function isUid(address: string): boolean {
  return /^[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}$/.test(address);
}

/**
 * Cuts a topic of the given base into message type and what follows, without the empty last segment that some OS
 * versions write (§1.2). Null for anything else, our own `cc` included.
 */
export function splitTopic(baseTopic: string, topic: string): { readonly type: MessageType; readonly path: readonly string[] } | null {
  if (!topic.startsWith(`${baseTopic}/`)) return null;
  const [type, ...path] = topic.slice(baseTopic.length + 1).split('/');
  if (path.at(-1) === '') path.pop();
  const known = MESSAGE_TYPES.find((name) => name === type);
  return known === undefined || path.length === 0 ? null : { type: known, path };
}

/** The filters of §1.2: those of each device, or one per message type when there are too many for that. */
export function topicFilters(baseTopic: string, addresses: readonly string[] | 'all'): readonly string[] {
  if (addresses === 'all') return MESSAGE_TYPES.map((type) => `${baseTopic}/${type}/#`);
  return addresses.flatMap((address) => MESSAGE_TYPES.map((type) => `${baseTopic}/${type}/${address}/#`));
}

export function commandTopic(baseTopic: string, address: string, command: string): string {
  return `${baseTopic}/cc/${address}/${command}`;
}

/** The length of a PUBLISH at QoS 1 with that topic and payload, in bytes (MQTT 3.1.1 §3.3). */
export function packetBytes(topic: string, payload: Uint8Array): number {
  const rest = 2 + new TextEncoder().encode(topic).length + 2 + payload.length;
  return 1 + (rest < 128 ? 1 : rest < 16_384 ? 2 : 3) + rest;
}

/** §5.1 flat form, §5.2. The key is `fileName`: the other spelling in the vendor's pages is answered with an error (§4). */
export function commandPayload(command: { readonly url: string; readonly fileName: string | null }): Uint8Array {
  const body = command.fileName === null ? { url: command.url } : { url: command.url, fileName: command.fileName };
  return new TextEncoder().encode(JSON.stringify(body));
}

/** What a logger said, with the spelling of its dialect taken off. Texts are shortened and printable. */
export type DeviceMessage =
  | {
      readonly kind: 'state';
      readonly clientId: string | null;
      /** Null for the legacy acknowledgements that sit in the same key (§3.1). */
      readonly online: boolean | null;
      readonly fileTransfer: string | null;
      readonly reason: string | null;
    }
  | {
      /** statusInfo (§3.3), head.environment of CSIJSON data (§3.6), metadata (§3.4): who it is and what it runs. */
      readonly kind: 'report';
      readonly source: 'statusInfo' | 'data' | 'metadata';
      readonly clientId: string | null;
      readonly model: string | null;
      readonly serial: string | null;
      readonly osVersion: string | null;
      readonly progName: string | null;
      readonly compileErrors: number | null;
      readonly facts: Readonly<Record<string, Json>>;
      readonly measures: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'measures';
      readonly measures: Readonly<Record<string, string>>;
      /** The compiler's last words of the program (§3.5), where the message has them. */
      readonly compileResults?: string;
    }
  | { readonly kind: 'reply'; readonly command: string | null; readonly ok: boolean; readonly text: string }
  | { readonly kind: 'unreadable'; readonly source: 'state' | 'statusInfo' | 'data' | 'metadata'; readonly detail: string };

/** `rest` is the topic after the device id. Null for what says nothing that this family reads. */
export function readMessage(type: MessageType, rest: readonly string[], payload: Uint8Array): DeviceMessage | null {
  if (payload.length > LARGEST_PAYLOAD) return null;
  const said = readBody(type, rest, parseObject(payload));
  return said === null ? null : withContent(said);
}

function readBody(type: MessageType, rest: readonly string[], body: Fields | null): DeviceMessage | null {
  switch (type) {
    case 'state':
      return readStateTopic(rest, body);
    case 'cr':
      return body === null ? null : readReply(rest, body);
    case 'data':
      return readData(body);
    case 'metadata':
      return readMetadata(rest, body);
    case 'status':
      return body === null ? null : readStatus(observationsOf(body));
  }
}

/** What has the form of a report and names nothing is none, and no sign of life: who garbles may not keep a logger online. */
function withContent(said: DeviceMessage): DeviceMessage | null {
  if (said.kind === 'measures') return Object.keys(said.measures).length === 0 && said.compileResults === undefined ? null : said;
  if (said.kind !== 'report') return said;
  const { clientId, model, serial, osVersion, progName, measures } = said;
  const named = [clientId, model, serial, osVersion, progName].some((value) => value !== null) || Object.keys(measures).length > 0;
  return named ? said : { kind: 'unreadable', source: said.source, detail: 'names nothing of a logger' };
}

function readStatus(observations: Fields): DeviceMessage {
  const compileResults = textOf(observations, 'CompileResults');
  const measures = numericMeasures(observations, STATUS_MEASURES);
  return { kind: 'measures', measures, ...(compileResults === null ? {} : { compileResults }) };
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(payload: Uint8Array): Fields | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return asFields(value);
  } catch {
    return null;
  }
}

function asFields(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

/** A scalar member as printable text of at most 200 characters; numbers and booleans may come as such (§12 rule 8). */
function textOf(fields: Fields, ...names: readonly string[]): string | null {
  for (const name of names) {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      return String(value)
        .slice(0, 200)
        .replaceAll(/\p{Cc}+/gu, ' ')
        .trim();
    }
  }
  return null;
}

/** A name or version: text and nothing else. A number in its place says nothing: 8.10 would be read as 8.1. */
function nameOf(fields: Fields, ...names: readonly string[]): string | null {
  return textOf(Object.fromEntries(Object.entries(fields).filter(([, value]) => typeof value === 'string')), ...names);
}

function readStateTopic(rest: readonly string[], body: Fields | null): DeviceMessage | null {
  const [name] = rest;
  if (name === undefined) return body === null ? unreadable('state') : readState(body);
  if (name === 'statusInfo') return body === null ? unreadable('statusInfo') : readStatusInfo(body);
  if (name !== 'watchdogEvent' || body === null) return null;
  return { kind: 'measures', measures: numericMeasures(body, { count: 'watchdogEvents' }) };
}

function unreadable(source: Extract<DeviceMessage, { kind: 'unreadable' }>['source']): DeviceMessage {
  return { kind: 'unreadable', source, detail: 'no JSON object' };
}

function readState(body: Fields): DeviceMessage {
  const state = textOf(body, 'state');
  if (state === null) return { kind: 'unreadable', source: 'state', detail: 'no member state' };
  return {
    kind: 'state',
    clientId: textOf(body, 'clientId', 'clientID'),
    online: state === 'online' ? true : state === 'offline' ? false : null,
    fileTransfer: textOf(body, 'fileTransfer') ?? (state === 'online' || state === 'offline' ? null : state),
    reason: textOf(body, 'reason'),
  };
}

/** Our names of the status fields worth watching (§8.5), by the name in each message. */
const STATUS_INFO_MEASURES = {
  Battery: 'battery',
  Watchdog_Errors: 'watchdogErrors',
  Low_12volt: 'low12V',
  Skipped_Scan: 'skippedScans',
} as const;
const STATUS_MEASURES = {
  Battery: 'battery',
  WatchdogErrors: 'watchdogErrors',
  Low12VCount: 'low12V',
  SkippedScan: 'skippedScans',
} as const;

function numericMeasures(fields: Fields, names: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [wireName, name] of Object.entries(names)) {
    const text = textOf(fields, wireName);
    if (text !== null && text !== '' && Number.isFinite(Number(text))) found[name] = text;
  }
  return found;
}

function readStatusInfo(body: Fields): DeviceMessage {
  const reported = asFields(asFields(body['state'])?.['reported']);
  if (reported === null) return { kind: 'unreadable', source: 'statusInfo', detail: 'no member state.reported' };
  const errorsText = textOf(reported, 'Compile_Errors');
  const compileErrors = errorsText !== null && /^\d{1,9}$/.test(errorsText) ? Number(errorsText) : null;
  const signature = textOf(reported, 'Program_Signature');
  return {
    kind: 'report',
    source: 'statusInfo',
    clientId: textOf(reported, 'clientId', 'clientID'),
    model: null,
    serial: null,
    osVersion: nameOf(reported, 'OS_Version'),
    progName: nameOf(reported, 'Program_Name'),
    compileErrors,
    facts: present({ signature, compileResults: textOf(reported, 'Compile_Results'), compileErrors }),
    measures: numericMeasures(reported, STATUS_INFO_MEASURES),
  };
}

/** Only CSIJSON data has `head.environment`; other data messages are no report and no mistake (§3.6). */
function readData(body: Fields | null): DeviceMessage | null {
  if (body === null) return unreadable('data');
  const environment = asFields(asFields(body['head'])?.['environment']);
  if (environment === null) return null;
  return {
    kind: 'report',
    source: 'data',
    clientId: null,
    model: nameOf(environment, 'model'),
    serial: textOf(environment, 'serial_no'),
    osVersion: nameOf(environment, 'os_version'),
    progName: nameOf(environment, 'prog_name'),
    compileErrors: null,
    facts: {},
    measures: {},
  };
}

/** §3.4: GeoJSON with parallel arrays on `metadata/<id>`, plain members on `metadata/<id>/metadata`; table schemas are not read. */
function readMetadata(rest: readonly string[], body: Fields | null): DeviceMessage | null {
  if (rest.length > 1 || (rest.length === 1 && rest[0] !== 'metadata')) return null;
  if (body === null) return unreadable('metadata');
  const fields = rest.length === 0 ? observationsOf(body) : body;
  return {
    kind: 'report',
    source: 'metadata',
    clientId: null,
    model: nameOf(fields, 'model'),
    serial: textOf(fields, 'SerialNumber', 'serial_no'),
    osVersion: nameOf(fields, 'OSVersion', 'os_version'),
    progName: nameOf(fields, 'ProgName', 'prog_name'),
    compileErrors: null,
    facts: present({ signature: textOf(fields, 'ProgSignature'), startTime: textOf(fields, 'StartTime') }),
    measures: {},
  };
}

/** The values of the last instant by their names, never by place (§3.4). */
function observationsOf(body: Fields): Fields {
  const properties = asFields(body['properties']);
  const names = properties?.['observationNames'];
  const last = Object.entries(asFields(properties?.['observations']) ?? {}).at(-1)?.[1];
  if (!Array.isArray(names) || !Array.isArray(last)) return {};
  return Object.fromEntries(names.map((name, index): [string, unknown] => [String(name), last[index]]));
}

function present(facts: Readonly<Record<string, string | number | null>>): Readonly<Record<string, Json>> {
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== null));
}

/** Replies sit at `<cmd>`, `<cmd>/<tranID>`, `fileControl/list` or `<tranID>` alone (§1.2): only a known command is named. */
function readReply(rest: readonly string[], body: Fields): DeviceMessage | null {
  const command = rest[0] ?? null;
  const error = textOf(body, 'error');
  if (error !== null) return { kind: 'reply', command, ok: false, text: error };
  const success = textOf(body, 'success');
  return success === null ? null : { kind: 'reply', command, ok: true, text: success };
}

/**
 * `CPU:AWS.CR1X` in one spelling: drive in upper case, name as written (§8.3); `none` for the empty name; null when it
 * cannot be a file name. A name without a drive stays without one.
 */
export function programText(progName: string): string | null {
  const text = progName.trim();
  if (text === '') return NO_PROGRAM;
  if (text.length > LONGEST_FILE_NAME + 5) return null;
  const [, drive, name] = /^([A-Za-z]{3}):(.+)$/.exec(text) ?? [];
  if (drive === undefined || name === undefined) return text.includes(':') ? null : text;
  return `${drive.toUpperCase()}:${name}`;
}

/** Equal names on equal drives; a report that names no drive is taken at its name. */
export function sameProgram(a: string, b: string): boolean {
  if (a === b) return true;
  const left = programText(a);
  const right = programText(b);
  if (left === null || right === null || left === NO_PROGRAM || right === NO_PROGRAM) return false;
  if (left.includes(':') === right.includes(':')) return left === right;
  return left.split(':').at(-1) === right.split(':').at(-1);
}

/** The 16-bit CSI signature of §8.4 over bytes. */
export function csiSignature(bytes: Uint8Array): number {
  let signature = EMPTY_SIGNATURE;
  for (const byte of bytes) {
    const low = signature & 0xff;
    const high = signature >> 8;
    const turned = ((signature << 1) & 0x1ff) + (((signature << 1) & 0x1ff) >= 0x100 ? 1 : 0);
    signature = (low << 8) | ((turned + high + byte) & 0xff);
  }
  return signature;
}
