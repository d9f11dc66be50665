import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { Answer } from './driver-converse.ts';
import { filesFacts } from './files.ts';
import type { CampbellOptions } from './options.ts';
import { parseOsVersion, osVersionText } from './os-version.ts';
import { answersOf, checksumKey, withAnswers } from './readings.ts';
import { digestOfSecret, settingsFacts, type SettingsSecret } from './settings.ts';
import type { CommandRequest, Dialect } from './wire-commands.ts';
import { programText } from './wire.ts';

/** What was answered is asked for again after this; while something is open, after a minute. */
const READ_AGAIN_MS = 6 * HOUR_MS;
const READ_AGAIN_OPEN_MS = 20 * SECOND_MS;
const SUM_AGAIN_MS = DAY_MS;
/** A probe that was met with silence may have been lost: a logger that speaks v2 is not taken for another for ever. */
const PROBE_AGAIN_MS = DAY_MS;
/** A question that was met with silence is not repeated before. */
const SILENCE_MS = 30 * MINUTE_MS;
/** The same while something is open, which waits for the answer. */
const SILENCE_OPEN_MS = 4 * MINUTE_MS;

/** What a logger is to be asked; `key` names the question in what is kept of silence. */
export interface Question {
  readonly key: string;
  readonly request: CommandRequest;
}

export interface AskContext {
  readonly device: DeclaredDevice;
  readonly options: CampbellOptions;
  readonly report: ReportedDevice;
  /** When the newest open operation was intended; null for none. */
  readonly openSince: Instant | null;
  readonly now: Instant;
}

/** The dialect as declared, or as the probe found it. */
export function dialectOf(options: CampbellOptions, report: ReportedDevice): Dialect {
  if (!options.probe) return options.dialect;
  return answersOf(report).dialect?.v2 === true ? 'v2' : 'os80';
}

/**
 * What must be asked of a logger to say whether it carries what is declared: settings, constants, the list of CPU:,
 * checksums, and its versions where it says them too seldom by itself. Nothing that is known and young enough.
 */
export function questionsFor(context: AskContext): readonly Question[] {
  const { report, options, now } = context;
  const answers = answersOf(report);
  const { dialect: found } = answers;
  const mayBeOther = found === null || found.at < lastStart(report) || (!found.v2 && now - found.at >= PROBE_AGAIN_MS);
  if (options.probe && mayBeOther) {
    return askable([{ key: 'ping', request: { kind: 'ping', data: 'headgate' } }], context);
  }
  const dialect = dialectOf(options, report);
  const questions = [...versionQuestions(context, dialect), ...settingQuestions(context), ...fileQuestions(context, dialect)];
  return askable(questions, context);
}

function askable(questions: readonly Question[], { report, openSince, now }: AskContext): readonly Question[] {
  const { silent } = answersOf(report);
  const leaveMs = openSince === null ? SILENCE_MS : SILENCE_OPEN_MS;
  return questions.filter(({ key }) => {
    const last = silent[key];
    return last === undefined || now - last >= leaveMs;
  });
}

/** The last sign that the logger began anew, after which nothing that was read before holds for sure. */
function lastStart(report: ReportedDevice): Instant {
  return report.signs.findLast((sign) => sign.code === 'RESTARTING' || sign.code === 'BACK')?.at ?? 0;
}

function isOld(at: Instant | undefined, context: AskContext, againMs: number): boolean {
  const { openSince, now, report } = context;
  if (at === undefined || at < lastStart(report)) return true;
  if (openSince !== null) return at <= openSince || now - at >= READ_AGAIN_OPEN_MS;
  return now - at >= againMs;
}

/** v2 loggers say their versions at start-up only (§3.4); others with each status message, if they say them at all. */
function versionQuestions(context: AskContext, dialect: Dialect): readonly Question[] {
  const { device, report, options, now, openSince } = context;
  const wanted = device.items.filter(({ item }) => item === 'firmware' || item === 'program').map(({ item }) => report.items[item]);
  const reading = (item: ReportedItem | undefined): Instant | null => (item?.kind === 'value' ? item.madeNotBefore : null);
  const oldest = wanted.length === 0 ? now : Math.min(...wanted.map((item) => reading(item) ?? 0));
  const since = Math.max(lastStart(report), openSince ?? 0);
  if (dialect === 'v2') {
    const due = oldest < since || now - oldest >= options.statusIntervalMs;
    return due ? [{ key: 'metadata', request: { kind: 'askMetadata' } }] : [];
  }
  // Whether older systems have these names is not documented (§5.9): asked only where the passive reports fail.
  if (wanted.length === 0 || options.statusIntervalMs === 0 || now - oldest < 2 * options.statusIntervalMs + MINUTE_MS) return [];
  const listening = report.heardAt !== null && oldest > 0;
  return listening ? STATUS_VARIABLES.map(({ name }): Question => ({ key: name, request: { kind: 'readVariable', name } })) : [];
}

const STATUS_VARIABLES = [
  { name: 'Status.OSVersion', item: 'firmware' },
  { name: 'Status.ProgName', item: 'program' },
] as const;

function settingQuestions(context: AskContext): readonly Question[] {
  const { device, report } = context;
  const answers = answersOf(report);
  const declared = device.items.find(({ item }) => item === 'settings');
  const facts = declared === undefined ? null : settingsFacts(declared.facts);
  const exact = filesFacts(device.items.find(({ item }) => item === 'files')?.facts ?? null)?.exact === true;
  const names = new Set([...Object.keys(facts?.settings ?? {}), ...Object.keys(facts?.secrets ?? {}), ...(exact ? ['IncludeFile'] : [])]);
  const settings = [...names]
    .toSorted()
    .filter((name) => isOld(answers.settings[name]?.at, context, READ_AGAIN_MS))
    .map((name): Question => ({ key: `setting ${name}`, request: { kind: 'readSetting', name } }));
  const constants = Object.keys(facts?.constants ?? {}).length > 0 && isOld(answers.constants?.at, context, READ_AGAIN_MS);
  return [...settings, ...(constants ? [{ key: 'constTable', request: { kind: 'readConstants' } } as const] : [])];
}

function fileQuestions(context: AskContext, dialect: Dialect): readonly Question[] {
  const { device, report, options } = context;
  const answers = answersOf(report);
  const declared = filesFacts(device.items.find(({ item }) => item === 'files')?.facts ?? null);
  const lists = declared !== null || options.hazard === 'switched-modem';
  const list: Question[] =
    lists && isOld(answers.files?.at, context, READ_AGAIN_MS) ? [{ key: 'list', request: { kind: 'listFiles', drive: 'CPU' } }] : [];
  if (dialect !== 'v2') return list;
  const program = programToSum(device, report);
  const names = [
    ...(program === null ? [] : [program]),
    ...Object.keys(declared?.files ?? {}).filter((name) => answers.files?.names.includes(name)),
  ];
  const sums = [...new Set(names)].toSorted().filter((name) => isOld(answers.checksums[name]?.at, context, SUM_AGAIN_MS));
  return [
    ...list,
    ...sums.map((name): Question => ({ key: checksumKey(name), request: { kind: 'checksum', fileName: name, algorithm: 'SHA256' } })),
  ];
}

/** The file of the declared program once the logger names it as the running one. */
function programToSum(device: DeclaredDevice, report: ReportedDevice): string | null {
  const declared = device.items.find(({ item }) => item === 'program');
  const item = report.items.program;
  if (declared?.content == null || item?.kind !== 'value' || !item.value.startsWith(declared.value)) return null;
  return declared.value.slice(declared.value.indexOf(':') + 1);
}

/** The report with one answer in it. Silence is kept too, so that the same is not asked again at once. */
export function foldAnswer(context: AskContext, question: Question, answer: Answer): ReportedDevice {
  const { report, now } = context;
  const answers = answersOf(report);
  const { request, key } = question;
  if (answer.kind !== 'reply') {
    const probed = request.kind === 'ping' ? { dialect: { v2: false, at: now } } : {};
    return withAnswers(report, { ...probed, silent: { ...answers.silent, [key]: now } });
  }
  const { [key]: _heard, ...silent } = answers.silent;
  const { reply } = answer;
  const refused = reply.kind === 'error';
  switch (request.kind) {
    case 'ping':
      return withAnswers(report, { dialect: { v2: reply.kind === 'echo', at: now }, silent });
    case 'readSetting': {
      const value = reply.kind === 'setting' ? keptSetting(context.device, request.name, reply.value) : null;
      return withAnswers(report, { settings: { ...answers.settings, [request.name]: { value, at: now } }, silent });
    }
    case 'readConstants':
      return withAnswers(report, { constants: { values: reply.kind === 'constants' ? reply.values : {}, at: now }, silent });
    case 'listFiles':
      if (reply.kind !== 'files') return withAnswers(report, { silent: { ...silent, [key]: now } });
      return withAnswers(report, { files: { names: reply.names, complete: reply.complete, at: now }, silent });
    case 'checksum': {
      const sha256 = reply.kind === 'checksum' ? reply.checksum : null;
      return withAnswers(report, { checksums: { ...answers.checksums, [request.fileName]: { sha256, at: now } }, silent });
    }
    case 'readVariable': {
      const asked = withAnswers(report, { silent: refused ? { ...silent, [key]: now } : silent });
      return reply.kind === 'variable' ? withStatus(asked, request.name, { text: reply.value, at: now }) : asked;
    }
    default:
      return withAnswers(report, { silent });
  }
}

/** What may be kept of a reading: of a secret its keyed digest. Without the key nothing is. */
function keptSetting(device: DeclaredDevice, name: string, value: string): string | null {
  const declared = device.items.find(({ item }) => item === 'settings');
  const facts = declared === undefined ? null : settingsFacts(declared.facts);
  if (facts?.secrets[name] === undefined) return value;
  const secret = declared?.secret?.reveal() as SettingsSecret | undefined;
  return secret === undefined ? null : digestOfSecret(secret.key, name, value);
}

function withStatus(report: ReportedDevice, name: string, said: { readonly text: string; readonly at: Instant }): ReportedDevice {
  const item = STATUS_VARIABLES.find((one) => one.name === name)?.item;
  if (item === undefined) return report;
  const version = item === 'firmware' ? parseOsVersion(said.text) : null;
  const value = item === 'firmware' ? (version === null ? null : osVersionText(version)) : programText(said.text);
  if (value === null) return report;
  const before = report.items[item];
  const facts = before?.kind === 'value' && before.value === value ? before.facts : { since: said.at };
  return {
    ...report,
    items: { ...report.items, [item]: { kind: 'value', value, facts, madeNotBefore: said.at, source: `getVar ${name}` } },
  };
}
