import type { Instant } from '#model/ids.ts';
import type { BusMessage } from '#ports/message-bus.ts';
import { COMMAND_NAMES, type CommandKind, type CommandName, type CommandRequest } from './wire-commands.ts';
import { LARGEST_PACKET, LARGEST_PAYLOAD, LONGEST_FILE_NAME, readMessage, splitTopic } from './wire.ts';

/** What a logger answers on `cr` (docs/protocols/campbell-mqtt.md §4, §5). The key tells, never the text. */
export type LoggerReply =
  | { readonly kind: 'success'; readonly text: string }
  | { readonly kind: 'error'; readonly text: string }
  /** `complete` is false where the list was, or may have been, cut at 4800 characters (§5.5). */
  | { readonly kind: 'files'; readonly drive: string; readonly names: readonly string[]; readonly complete: boolean }
  | { readonly kind: 'checksum'; readonly checksum: string }
  /** Values come left-padded and are trimmed here (§5.6). */
  | { readonly kind: 'setting'; readonly name: string; readonly value: string }
  | { readonly kind: 'variable'; readonly name: string; readonly value: string }
  | { readonly kind: 'constants'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'observations'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'echo'; readonly data: string }
  /** One chunk of historicData; `csijson` from a topic that ends in `/cj` (§5.10). */
  | { readonly kind: 'records'; readonly table: string; readonly format: 'csijson' | 'geojson'; readonly body: Fields };

type Fields = Readonly<Record<string, unknown>>;

export interface ReplyMessage {
  readonly command: CommandName | null;
  readonly tranId: string | null;
  readonly reply: LoggerReply;
}

/** What was sent, for telling its answers from all else that a logger says. */
export interface SentCommand {
  readonly request: CommandRequest;
  readonly command: CommandName;
  readonly tranId: string | null;
  readonly baseTopic: string;
  readonly address: string;
  readonly sentAt: Instant;
}

export type Heard =
  | { readonly kind: 'reply'; readonly reply: LoggerReply }
  /** `fileTransfer` of an online state, in the logger's words (§3.1). */
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'transition'; readonly reason: string }
  | { readonly kind: 'online' };

/**
 * What a message says of a command that was sent: its answer, or how far the logger is. Null for what is retained, older
 * than the command, of another logger, or the answer to another command. By tranID where the answer names one; an answer
 * that names none counts for the one command in flight (§4). Legacy loggers answer on `state` (§1.3).
 */
export function hearOf(sent: SentCommand, message: BusMessage): Heard | null {
  if (message.retained || !message.fresh || message.receivedAt < sent.sentAt) return null;
  const topic = splitTopic(sent.baseTopic, message.topic);
  const rest = topic === null ? null : restOf(topic.path, sent.address);
  if (topic === null || rest === null) return null;
  if (topic.type === 'state') return rest.length === 0 ? hearState(sent, message.payload) : null;
  if (topic.type !== 'cr') return null;
  const said = readReply(rest, message.payload);
  if (said === null || (said.command !== null && said.command !== sent.command)) return null;
  if (said.tranId === null ? said.command === null : said.tranId !== sent.tranId) return null;
  return answers(sent.request, said.reply) ? { kind: 'reply', reply: said.reply } : null;
}

function restOf(path: readonly string[], address: string): readonly string[] | null {
  const own = address.split('/');
  return own.every((segment, index) => path[index] === segment) ? path.slice(own.length) : null;
}

/**
 * Reads `cr/<id>/<rest>`: `<cmd>`, `<cmd>/<tranID>`, `<tranID>`, `fileControl/list`, `historicData/<table>[/cj]` (§1.2).
 * Null for what is no answer, or longer than any.
 */
export function readReply(rest: readonly string[], payload: Uint8Array): ReplyMessage | null {
  if (payload.length > LARGEST_PAYLOAD) return null;
  const [first, second] = rest;
  const command = COMMAND_NAMES.find((name) => name === first) ?? null;
  const text = decode(payload);
  if (first === undefined || text === null) return null;
  const body = parseFields(text);
  // The table stands where others have the tranID; what is no record there is an error that names its tranID.
  const records = command === 'historicData' && second !== undefined && (body === null || !Object.hasOwn(body, 'error'));
  if (records) return body === null ? null : readRecords(second, rest.at(-1) === 'cj', body);
  const listed = command === 'fileControl' && second === 'list';
  const tranId = command === null ? first : ((listed ? rest[2] : second) ?? null);
  const reply = body === null ? (command === 'fileControl' ? cutList(text) : null) : replyOf(body, payload.length);
  return reply === null ? null : { command, tranId, reply };
}

function decode(payload: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(payload);
  } catch {
    return null;
  }
}

function parseFields(text: string): Fields | null {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return null;
  }
}

function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function scalar(fields: Fields, name: string): string | null {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return null;
  return String(value)
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim();
}

function readRecords(table: string, csi: boolean, body: Fields): ReplyMessage {
  return { command: 'historicData', tranId: null, reply: { kind: 'records', table, format: csi ? 'csijson' : 'geojson', body } };
}

function replyOf(body: Fields, bytes: number): LoggerReply | null {
  const error = scalar(body, 'error');
  if (error !== null) return { kind: 'error', text: error.slice(0, 200) };
  const success = scalar(body, 'success');
  if (success !== null) return { kind: 'success', text: success.slice(0, 200) };
  if (Array.isArray(body['fileList'])) return wholeList(body['fileList'], scalar(body, 'drive') ?? '', bytes);
  const value = scalar(body, 'value');
  const [setting, name] = [scalar(body, 'setting'), scalar(body, 'name')];
  if (setting !== null && value !== null) return { kind: 'setting', name: setting, value };
  if (name !== null && value !== null) return { kind: 'variable', name, value };
  const checksum = scalar(body, 'checksum');
  if (checksum !== null && /^[0-9a-fA-F]+$/.test(checksum)) return { kind: 'checksum', checksum: checksum.toLowerCase() };
  const constants = fieldsOf(body['constants']);
  if (constants !== null) return { kind: 'constants', values: scalars(constants) };
  const observations = observationsOf(body);
  if (observations !== null) return { kind: 'observations', values: observations };
  const data = scalar(body, 'data');
  return data === null ? null : { kind: 'echo', data };
}

function scalars(fields: Fields): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.keys(fields).flatMap((name) => (scalar(fields, name) === null ? [] : [[name, scalar(fields, name) ?? '']])),
  );
}

/** §3.4: parallel arrays of names and values; the last instant counts. */
function observationsOf(body: Fields): Readonly<Record<string, string>> | null {
  const properties = fieldsOf(body['properties']);
  const names = properties?.['observationNames'];
  const last = Object.values(fieldsOf(properties?.['observations']) ?? {}).at(-1);
  if (!Array.isArray(names) || !Array.isArray(last)) return null;
  return scalars(Object.fromEntries(names.map((name, index): [string, unknown] => [String(name), last[index]])));
}

/** As long as the limit, less a longest name with its quotes and comma: more files may not have fit. */
const MAY_BE_CUT = LARGEST_PACKET - LONGEST_FILE_NAME - 3;

function wholeList(list: readonly unknown[], drive: string, bytes: number): LoggerReply {
  const names = list.filter((name): name is string => typeof name === 'string');
  return { kind: 'files', drive: drive.replace(/:$/, ''), names, complete: bytes < MAY_BE_CUT };
}

/** A list that was cut in the middle of its JSON: the names that are whole (§5.5). */
function cutList(text: string): LoggerReply | null {
  const [, head, list] = /^\s*\{([^[\]]*)"fileList"\s*:\s*\[(.*)$/s.exec(text) ?? [];
  if (head === undefined || list === undefined) return null;
  const [, drive = ''] = /"drive"\s*:\s*"([^"]*)"/.exec(head) ?? [];
  const names: string[] = [];
  const item = /\s*("(?:[^"\\]|\\.)*")\s*(?:,|$)/y;
  for (let found = item.exec(list); found !== null; found = item.exec(list)) {
    const name = parseName(found[1] ?? '');
    if (name !== null) names.push(name);
  }
  return { kind: 'files', drive: drive.replace(/:$/, ''), names, complete: false };
}

function parseName(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

/** Whether a reply is of the kind that the request is answered with; `success` and `error` answer every one. */
function answers(request: CommandRequest, reply: LoggerReply): boolean {
  switch (reply.kind) {
    case 'success':
    case 'error':
      return true;
    case 'setting':
      return request.kind === 'readSetting' && sameName(request.name, reply.name);
    case 'variable':
      return request.kind === 'readVariable' && sameName(request.name, reply.name);
    case 'records':
      return request.kind === 'history' && request.table === reply.table;
    case 'echo':
      return request.kind === 'ping' && request.data === reply.data;
    case 'files':
    case 'checksum':
    case 'constants':
    case 'observations':
      return ANSWERED_BY[reply.kind] === request.kind;
  }
}

const ANSWERED_BY = { files: 'listFiles', checksum: 'checksum', constants: 'readConstants', observations: 'readPublic' } as const;

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** Acknowledgements of legacy loggers: what stands on `state` in place of a reply (§1.3, §3.1). */
const ON_STATE: Readonly<Record<string, { readonly ok: boolean; readonly of: readonly CommandKind[] }>> = {
  'CRBasic file transfer error': { ok: false, of: ['program'] },
  'Program download failed': { ok: false, of: ['program'] },
  'OS Download Failed': { ok: false, of: ['os'] },
  'OS File Check Failed': { ok: false, of: ['os'] },
  'File Does Not Exist': { ok: false, of: ['deleteFile', 'runProgram'] },
  'File Has Been Deleted': { ok: true, of: ['deleteFile'] },
  'Set Setting Succeeded': { ok: true, of: ['writeSetting'] },
  'Applying Settings': { ok: true, of: ['applySettings', 'writeSetting'] },
};

function hearState(sent: SentCommand, payload: Uint8Array): Heard | null {
  const said = readMessage('state', [], payload);
  if (said?.kind !== 'state') return null;
  if (said.online === false) return { kind: 'transition', reason: said.reason ?? '' };
  const text = said.fileTransfer;
  if (text === null) return said.online === true ? { kind: 'online' } : null;
  const known = Object.hasOwn(ON_STATE, text) ? ON_STATE[text] : undefined;
  if (known === undefined) return { kind: 'progress', text };
  if (!known.of.includes(sent.request.kind)) return null;
  return { kind: 'reply', reply: known.ok ? { kind: 'success', text } : { kind: 'error', text } };
}
