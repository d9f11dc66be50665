import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { commandTopic, LARGEST_COMMAND, LARGEST_PACKET, LONGEST_FILE_NAME, packetBytes } from './wire.ts';

/** How a logger speaks (docs/protocols/campbell-mqtt.md §1.3): documented long ago, observed, documented now. */
export const DIALECTS = ['legacy', 'os80', 'v2'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** The last segment of a command's topic (§5). */
export const COMMAND_NAMES = [
  'OS',
  'SetSettings',
  'constTable',
  'editConst',
  'fileControl',
  'getVar',
  'historicData',
  'metadata',
  'mqttConfig',
  'ping',
  'program',
  'public',
  'reboot',
  'setVar',
  'setting',
  'status',
  'variable',
] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];

/** §5.5; `CSI_SIG` is the signature of §8.4. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CSI_SIG', 'MD5', 'SHA256', 'SHA512'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** Everything that can be asked of a logger. Values are texts, as loggers want them (§4). */
export type CommandRequest =
  /** §5.1. Null where it is left out; `minVersion` and `version` only in v2. `minVersion` forbids a way back. */
  | { readonly kind: 'os'; readonly url: string; readonly version: string | null; readonly minVersion: string | null }
  /** §5.2. */
  | { readonly kind: 'program'; readonly url: string; readonly fileName: string }
  /** §5.3. */
  | { readonly kind: 'mqttConfig'; readonly url: string }
  /** §5.5. Drives without a colon: `CPU`, `USR`, `CRD`, `USB`. Files are on CPU:. */
  | { readonly kind: 'listFiles'; readonly drive: string }
  | { readonly kind: 'checksum'; readonly fileName: string; readonly algorithm: ChecksumAlgorithm }
  | { readonly kind: 'deleteFile'; readonly fileName: string }
  | { readonly kind: 'stopProgram' }
  | { readonly kind: 'runProgram'; readonly fileName: string }
  /** §5.6. `writeSettings` is v2's SetSettings; its names may be numeric ids. */
  | { readonly kind: 'readSetting'; readonly name: string }
  | { readonly kind: 'writeSetting'; readonly name: string; readonly value: string; readonly apply: boolean }
  | { readonly kind: 'applySettings' }
  | { readonly kind: 'writeSettings'; readonly settings: Readonly<Record<string, string>> }
  /** §5.7. `reconnect` is v2's. */
  | { readonly kind: 'reboot' }
  | { readonly kind: 'reconnect' }
  /** §5.8. `readConstants` is v2's constTable. */
  | { readonly kind: 'editConstants'; readonly constants: Readonly<Record<string, string>> }
  | { readonly kind: 'readConstants' }
  /** §5.9. `writeVariables` is v2's variable. */
  | { readonly kind: 'readVariable'; readonly name: string }
  | { readonly kind: 'writeVariable'; readonly name: string; readonly value: string }
  | { readonly kind: 'writeVariables'; readonly assignments: Readonly<Record<string, string>> }
  /** §5.10. UTC, `2025-04-01T03:16:51`; null for all, which is v2's. */
  | { readonly kind: 'history'; readonly table: string; readonly range: { readonly start: string; readonly end: string } | null }
  /** §5.11, v2. */
  | { readonly kind: 'ping'; readonly data: string }
  | { readonly kind: 'askStatus' }
  | { readonly kind: 'askMetadata' }
  | { readonly kind: 'readPublic' };

export type CommandKind = CommandRequest['kind'];

/** Kinds that only loggers of dialect v2 know (§1.3); to others they are unknown commands, met with silence (§4). */
const V2_ONLY: ReadonlySet<CommandKind> = new Set<CommandKind>([
  'checksum',
  'writeSettings',
  'reconnect',
  'readConstants',
  'writeVariables',
  'ping',
  'askStatus',
  'askMetadata',
  'readPublic',
]);

export function knowsCommand(dialect: Dialect, request: CommandRequest): boolean {
  if (dialect === 'v2') return true;
  if (request.kind === 'os') return request.version === null && request.minVersion === null;
  if (request.kind === 'history') return request.range !== null;
  return !V2_ONLY.has(request.kind);
}

export interface CommandProblem {
  readonly code: 'NOT_IN_DIALECT' | 'FILE_NAME' | 'TRAN_ID' | 'COMMAND_TOO_LONG';
  /** Without the URL, which is a secret. */
  readonly text: string;
}

export interface CommandPlace {
  readonly baseTopic: string;
  readonly address: string;
  readonly dialect: Dialect;
  /** Names the reply (§4), v2 only: left out for others. Null for none. */
  readonly tranId: string | null;
}

export interface EncodedCommand {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly command: CommandName;
  /** As it was sent; null where the dialect has none. */
  readonly tranId: string | null;
}

/** §4: at most 39 ASCII characters; no slash and no wildcard, because it becomes part of a topic. */
const LONGEST_TRAN_ID = 39;

/**
 * The message that asks for it: topic `<base>/cc/<id>/<command>` without a slash at the end (§1.2), to be published at
 * QoS 0 and never retained (§12). Refused when the dialect does not know it, or when it breaks a limit of §10.
 */
export function encodeCommand(request: CommandRequest, place: CommandPlace): Result<EncodedCommand, CommandProblem> {
  const { dialect, baseTopic, address } = place;
  const { command, body } = commandOf(request, dialect);
  if (!knowsCommand(dialect, request)) {
    return err({ code: 'NOT_IN_DIALECT', text: `a logger of dialect ${dialect} does not know ${command} in this form` });
  }
  const problem = 'fileName' in request ? fileNameProblem(request.fileName) : null;
  if (problem !== null) return err({ code: 'FILE_NAME', text: problem });
  const tranId = dialect === 'v2' ? place.tranId : null;
  if (tranId !== null && !isTranId(tranId)) {
    return err({ code: 'TRAN_ID', text: `a tranID is 1 to ${LONGEST_TRAN_ID} ASCII characters without / + #` });
  }
  const topic = commandTopic(baseTopic, address, command);
  const payload = new TextEncoder().encode(JSON.stringify(tranId === null ? body : { ...body, tranID: tranId }));
  if (payload.length >= LARGEST_COMMAND || packetBytes(topic, payload) > LARGEST_PACKET) {
    return err({ code: 'COMMAND_TOO_LONG', text: `the command has ${payload.length} bytes; a logger takes fewer than ${LARGEST_COMMAND}` });
  }
  return ok({ topic, payload, command, tranId });
}

export function isTranId(text: string): boolean {
  return text.length <= LONGEST_TRAN_ID && /^[\x21-\x7e]+$/.test(text) && !/[/+#]/.test(text);
}

/** Why a name cannot be that of a file on a logger (§8.3, §10); null when it can. */
export function fileNameProblem(name: string): string | null {
  if (name.length > LONGEST_FILE_NAME) {
    return `file name ${JSON.stringify(name)} has ${name.length} characters, a logger takes ${LONGEST_FILE_NAME}`;
  }
  if (!/^[\x20-\x7e]+$/.test(name) || /[/\\:"*?<>|]/.test(name) || name.trim() !== name) {
    return `${JSON.stringify(name)} cannot be a file name on a logger`;
  }
  return null;
}

interface Command {
  readonly command: CommandName;
  readonly body: Readonly<Record<string, Json>>;
}

function commandOf(request: CommandRequest, dialect: Dialect): Command {
  switch (request.kind) {
    case 'os':
    case 'program':
    case 'mqttConfig':
      return downloadCommand(request);
    case 'listFiles':
    case 'checksum':
    case 'deleteFile':
    case 'stopProgram':
    case 'runProgram':
      return { command: 'fileControl', body: fileBody(request, dialect) };
    case 'readSetting':
    case 'writeSetting':
    case 'applySettings':
    case 'writeSettings':
      return settingCommand(request);
    case 'reboot':
    case 'reconnect':
      // The action word is a safety catch (§5.7).
      return { command: 'reboot', body: { action: request.kind } };
    case 'editConstants':
      return { command: 'editConst', body: request.constants };
    case 'readVariable':
      return { command: 'getVar', body: { name: request.name } };
    case 'writeVariable':
      return { command: 'setVar', body: { name: request.name, value: request.value } };
    case 'writeVariables':
      return { command: 'variable', body: { action: 'set', assignments: request.assignments } };
    case 'history':
      return { command: 'historicData', body: { table: request.table, ...(request.range ?? { all: 'true' }) } };
    case 'ping':
      return { command: 'ping', body: { data: request.data } };
    case 'askMetadata':
      return { command: 'metadata', body: { action: 'get' } };
    case 'askStatus':
      return { command: 'status', body: {} };
    case 'readPublic':
      return { command: 'public', body: {} };
    case 'readConstants':
      return { command: 'constTable', body: {} };
  }
}

type Request<K extends CommandKind> = Extract<CommandRequest, { readonly kind: K }>;

function downloadCommand(request: Request<'os' | 'program' | 'mqttConfig'>): Command {
  if (request.kind === 'mqttConfig') return { command: 'mqttConfig', body: { url: request.url } };
  if (request.kind === 'program') return { command: 'program', body: { url: request.url, fileName: request.fileName } };
  const { url, version, minVersion } = request;
  return { command: 'OS', body: { url, ...(version === null ? {} : { version }), ...(minVersion === null ? {} : { minVersion }) } };
}

function fileBody(
  request: Request<'listFiles' | 'checksum' | 'deleteFile' | 'stopProgram' | 'runProgram'>,
  dialect: Dialect,
): Command['body'] {
  switch (request.kind) {
    case 'listFiles':
      return dialect === 'v2' ? { action: 'list', path: `${request.drive}:` } : { action: 'list', drive: request.drive };
    case 'checksum':
      return { action: 'checksum', path: `CPU:${request.fileName}`, algo: request.algorithm };
    case 'deleteFile':
      return { action: 'delete', fileName: request.fileName };
    case 'stopProgram':
      return { action: 'stop' };
    case 'runProgram':
      return { action: 'run', fileName: request.fileName };
  }
}

function settingCommand(request: Request<'readSetting' | 'writeSetting' | 'applySettings' | 'writeSettings'>): Command {
  switch (request.kind) {
    case 'readSetting':
      return { command: 'setting', body: { action: 'publish', name: request.name } };
    case 'writeSetting': {
      const { name, value } = request;
      return { command: 'setting', body: { action: 'set', name, value, ...(request.apply ? { apply: 'true' } : {}) } };
    }
    case 'applySettings':
      return { command: 'setting', body: { action: 'apply', apply: 'true' } };
    case 'writeSettings':
      // Names take texts; numeric ids take native types (§5.6), so that a number must go out as one.
      return { command: 'SetSettings', body: { settings: Object.fromEntries(Object.entries(request.settings).map(nativeById)) } };
  }
}

function nativeById([name, value]: readonly [string, string]): readonly [string, Json] {
  return [name, /^\d+$/.test(name) && /^-?\d+(\.\d+)?$/.test(value) && String(Number(value)) === value ? Number(value) : value];
}
