import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import { COMMAND_EXPIRY_MS, makeConversation, type Answer, type Conversation, type SayOptions } from './driver-converse.ts';
import { fileNameProblem, knowsCommand, type CommandRequest, type Dialect } from './wire-commands.ts';
import { readMessage, splitTopic, topicFilters } from './wire.ts';

/** What somebody beside a logger may want of it: the sub-commands of `headgate campbell`. */
export type BenchAction =
  | { readonly kind: 'ls'; readonly drive: string }
  | { readonly kind: 'get'; readonly file: string }
  | { readonly kind: 'put'; readonly file: string; readonly bytes: Uint8Array }
  | { readonly kind: 'rm' | 'run'; readonly file: string }
  | { readonly kind: 'setting'; readonly name: string; readonly value: string | null }
  | { readonly kind: 'getvar'; readonly name: string }
  | { readonly kind: 'setvar'; readonly name: string; readonly value: string }
  | { readonly kind: 'reboot' }
  | { readonly kind: 'history'; readonly table: string; readonly range: { readonly start: string; readonly end: string } | null }
  | { readonly kind: 'watch' };

export interface BenchParts {
  readonly bus: MessageBus;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly baseTopic: string;
  readonly address: string;
  readonly dialect: Dialect;
  /** A URL at which the logger may fetch these bytes; for `put` alone. */
  offer(name: string, bytes: Uint8Array): Promise<string>;
  /** A line of the answer. */
  tell(line: string): void;
  /** A line of what goes on meanwhile. */
  note(line: string): void;
}

/** What the protocol has no command for, said before anything is sent. */
const NO_GET =
  "no command of the protocol brings a file from a logger (docs/protocols/campbell-mqtt.md §5.5): fetch it with the vendor's software over a cable or PakBus";

const NO_ANSWER = 'the logger did not answer; is it online, and is this its dialect?';

/** No history of a logger takes longer to be sent. */
const HISTORY_MS = 6 * HOUR_MS;
const RESTART_MS = 5 * MINUTE_MS;
const REPORT_MS = MINUTE_MS;
/** Chunks of a history come one after the other; so long after the last there are no more. */
const QUIET_MS = 5 * SECOND_MS;

/**
 * Carries out one action on one logger over its own wire: the same commands, one in flight, never retained. Answers
 * whether the logger did as it was told, as far as it says so. Throws WireError.
 */
export async function runBench(action: BenchAction, parts: BenchParts): Promise<boolean> {
  const { bus, signal, baseTopic, address } = parts;
  if (action.kind === 'get') return failed(parts, NO_GET);
  await bus.subscribe(topicFilters(baseTopic, [address]), 1);
  await bus.settle(signal);
  if (action.kind === 'watch') return await watch(parts);
  const talk = conversation(parts);
  switch (action.kind) {
    case 'ls':
      return await list(action.drive, talk, parts);
    case 'put':
      return await put(action, talk, parts);
    case 'setting':
      return await setting(action, talk, parts);
    case 'history':
      return await history(action, parts);
    default:
      return await simple(requestOf(action), talk, parts);
  }
}

function conversation({ bus, clock, signal, baseTopic, address, dialect }: BenchParts): Conversation {
  let said = 0;
  const tranId = (): string => {
    said += 1;
    return `bench-${clock.now().toString(36)}-${said}`;
  };
  return makeConversation({ bus, clock, place: { baseTopic, address, dialect }, tranId, signal });
}

function failed(parts: BenchParts, why: string): boolean {
  parts.tell(why);
  return false;
}

function requestOf(action: Extract<BenchAction, { kind: 'rm' | 'run' | 'getvar' | 'setvar' | 'reboot' }>): CommandRequest {
  switch (action.kind) {
    case 'rm':
      return { kind: 'deleteFile', fileName: action.file };
    case 'run':
      return { kind: 'runProgram', fileName: action.file };
    case 'getvar':
      return { kind: 'readVariable', name: action.name };
    case 'setvar':
      return { kind: 'writeVariable', name: action.name, value: action.value };
    case 'reboot':
      return { kind: 'reboot' };
  }
}

/** What is heard before the answer is progress; a restart may take minutes. */
function withProgress(parts: BenchParts, waitMs?: number): SayOptions {
  return {
    ...(waitMs === undefined ? {} : { waitMs }),
    returnAnswers: parts.dialect === 'legacy',
    heard: (heard) => {
      if (heard.kind === 'progress') parts.note(heard.text);
      if (heard.kind === 'transition') parts.note(`offline: ${heard.reason}`);
      if (heard.kind === 'online') parts.note('online');
    },
  };
}

async function simple(request: CommandRequest, talk: Conversation, parts: BenchParts): Promise<boolean> {
  const restarts = request.kind === 'reboot' || request.kind === 'runProgram';
  return tellAnswer(await talk.say(request, withProgress(parts, restarts ? RESTART_MS : undefined)), parts);
}

function tellAnswer(answer: Answer, parts: BenchParts): boolean {
  switch (answer.kind) {
    case 'silent':
      return failed(parts, NO_ANSWER);
    case 'unfit':
      return failed(parts, answer.problem.text);
    case 'leaving':
      parts.tell(`the logger announces: ${answer.reason}`);
      return true;
    case 'back':
      parts.tell('the logger is back online');
      return true;
    case 'reply':
      return tellReply(answer.reply, parts);
  }
}

function tellReply(reply: Extract<Answer, { kind: 'reply' }>['reply'], parts: BenchParts): boolean {
  switch (reply.kind) {
    case 'error':
      return failed(parts, `error: ${reply.text}`);
    case 'success':
      parts.tell(reply.text);
      return true;
    case 'setting':
    case 'variable':
      parts.tell(`${reply.name} = ${reply.value}`);
      return true;
    case 'files':
      for (const name of reply.names) parts.tell(`${reply.drive}:${name}`);
      if (!reply.complete) parts.note('the list was cut at 4800 characters, as loggers do: there may be more files');
      return true;
    default:
      parts.tell(JSON.stringify(reply));
      return true;
  }
}

function list(drive: string, talk: Conversation, parts: BenchParts): Promise<boolean> {
  return simple({ kind: 'listFiles', drive: drive.replace(/:$/, '') }, talk, parts);
}

/** The only command that brings a file also runs it; what it answers is no proof, the next report is (§5.2). */
async function put(action: Extract<BenchAction, { kind: 'put' }>, talk: Conversation, parts: BenchParts): Promise<boolean> {
  const problem = fileNameProblem(action.file);
  if (problem !== null) return failed(parts, problem);
  const url = await parts.offer(action.file, action.bytes);
  const reported = Promise.withResolvers<string>();
  let answered = false;
  const stop = parts.bus.listen((message) => {
    const name = answered ? programIn(message, parts) : null;
    if (name !== null) reported.resolve(name);
  });
  const over = new AbortController();
  try {
    const answer = await talk.say({ kind: 'program', url, fileName: action.file }, withProgress(parts, RESTART_MS));
    if (!tellAnswer(answer, parts)) return false;
    answered = true;
    if (parts.dialect === 'v2') await talk.say({ kind: 'askMetadata' });
    const late = parts.clock.sleep(REPORT_MS, AbortSignal.any([parts.signal, over.signal])).then(nothing, nothing);
    const name = await Promise.race([reported.promise, late]);
    over.abort();
    if (name === null) parts.note('which program runs was not reported within a minute: the answer alone proves nothing');
    else parts.tell(`it reports ${name === '' ? 'that no program runs' : name}`);
    return name === null || name.toLowerCase().endsWith(action.file.toLowerCase());
  } finally {
    over.abort();
    stop();
  }
}

function nothing(): null {
  return null;
}

function programIn(message: BusMessage, { baseTopic, address }: BenchParts): string | null {
  const rest = restOf(message, { baseTopic, address });
  const said = rest === null || !message.fresh || message.retained ? null : readMessage(rest.type, rest.path, message.payload);
  return said?.kind === 'report' ? said.progName : null;
}

function restOf(message: BusMessage, place: { readonly baseTopic: string; readonly address: string }) {
  const topic = splitTopic(place.baseTopic, message.topic);
  const own = place.address.split('/');
  if (topic === null || !own.every((segment, index) => topic.path[index] === segment)) return null;
  return { type: topic.type, path: topic.path.slice(own.length) };
}

/** A value that cannot be is answered with success and ignored: it is read back (§5.6). */
async function setting(action: Extract<BenchAction, { kind: 'setting' }>, talk: Conversation, parts: BenchParts): Promise<boolean> {
  const { name, value } = action;
  if (value === null) return await simple({ kind: 'readSetting', name }, talk, parts);
  const options = { ...withProgress(parts), leavingAnswers: true };
  if (!tellAnswer(await talk.say({ kind: 'writeSetting', name, value, apply: true }, options), parts)) return false;
  const read = await talk.say({ kind: 'readSetting', name });
  if (read.kind !== 'reply' || read.reply.kind !== 'setting') {
    parts.note('the logger does not read it back now; it may be restarting');
    return true;
  }
  parts.tell(`${name} = ${read.reply.value}`);
  return read.reply.value.trim() === value.trim() || failed(parts, 'it took the value and ignored it');
}

/** One line a chunk, as it came, the newest first (§5.10); the end is silence. */
async function history(action: Extract<BenchAction, { kind: 'history' }>, parts: BenchParts): Promise<boolean> {
  const { clock, signal, dialect } = parts;
  const request: CommandRequest = { kind: 'history', table: action.table, range: action.range };
  if (!knowsCommand(dialect, request)) return failed(parts, `a logger of dialect ${dialect} needs --start and --end`);
  const began = clock.now();
  const seen = { chunks: 0, lastAt: began, refused: false };
  const over = new AbortController();
  const talk = conversation({ ...parts, signal: AbortSignal.any([signal, over.signal]) });
  const heard: SayOptions['heard'] = (one) => {
    if (one.kind !== 'reply') return;
    seen.lastAt = clock.now();
    if (one.reply.kind === 'records') {
      seen.chunks += 1;
      parts.tell(JSON.stringify(one.reply.body));
    } else seen.refused = !tellReply(one.reply, parts);
  };
  // The conversation is kept open for the chunks after the first.
  const asking = talk.say(request, { waitMs: HISTORY_MS, heard, goesOn: true });
  while (!signal.aborted && !seen.refused) {
    await clock.sleep(SECOND_MS, signal).catch(nothing);
    const now = clock.now();
    if (seen.chunks > 0 ? now - seen.lastAt >= QUIET_MS : now - began >= COMMAND_EXPIRY_MS) break;
  }
  over.abort();
  await asking;
  if (seen.chunks === 0 && !seen.refused) return failed(parts, NO_ANSWER);
  return !seen.refused;
}

/** Everything the logger says, a line each, until the signal. */
async function watch(parts: BenchParts): Promise<boolean> {
  const stop = parts.bus.listen((message) => {
    if (restOf(message, parts) === null) return;
    const age = message.retained || !message.fresh ? ' (of unknown age)' : '';
    const text = new TextDecoder().decode(message.payload.subarray(0, 1000)).replaceAll(/[\p{Cc}]+/gu, ' ');
    parts.tell(`${new Date(message.receivedAt).toISOString()}  ${message.topic}${age}  ${text}`);
  });
  await new Promise<void>((resolve) => {
    if (parts.signal.aborted) resolve();
    else parts.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  stop();
  return true;
}
