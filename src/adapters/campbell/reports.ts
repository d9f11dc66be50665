import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { ReportedDevice, ReportedItem, Sign } from '#model/reported.ts';
import { identify, type Claims } from './identity.ts';
import { liveWindowMs, type CampbellOptions } from './options.ts';
import { osVersionText, parseOsVersion } from './os-version.ts';
import type { FailureCode, ProgressCode } from './reasons.ts';
import { programText, type DeviceMessage } from './wire.ts';

const MOST_SIGNS = 32;
/** The reasons of an announced goodbye (docs/protocols/campbell-mqtt.md §3.1): all others are a state in transition. */
const GOODBYES = new Set(['lwt', 'Program requested disconnect']);

export interface Arrival {
  readonly receivedAt: Instant;
  /** False for retained and queued messages: nothing is known of their age. */
  readonly fresh: boolean;
  /** Since when nothing on this wire was missed: gaps across it say nothing of the device. */
  readonly since: Instant;
  /** The connection that it came over. */
  readonly connection?: string;
}

export interface Listener {
  readonly device: DeclaredDevice;
  readonly options: CampbellOptions;
}

/** What only this family reads back from a stored report. */
interface Memo {
  /** The last fresh message that shows the logger connected. */
  readonly onlineAt: Instant | null;
  /** The connection that it came over. */
  readonly onlineVia: string | null;
  /** The reason of an offline that announced a return, until the next online. */
  readonly transition: string | null;
  /** What spoke against the declared hardware, by the kind of message that said so. */
  readonly mismatches: Readonly<Record<string, string>>;
}

export function memoOf(report: ReportedDevice): Memo {
  const { onlineAt, onlineVia, transition, mismatches } = report.memo;
  const stored = typeof mismatches === 'object' && mismatches !== null && !Array.isArray(mismatches) ? Object.entries(mismatches) : [];
  return {
    onlineAt: typeof onlineAt === 'number' ? onlineAt : null,
    onlineVia: typeof onlineVia === 'string' ? onlineVia : null,
    transition: typeof transition === 'string' ? transition : null,
    mismatches: Object.fromEntries(stored.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
  };
}

/**
 * The report with one more message in it. A message of unknown age never replaces a value whose age is known, and is no
 * sign of life. What contradicts the declared hardware is kept as a problem, and none of its values are.
 */
export function foldMessage(
  report: ReportedDevice,
  message: DeviceMessage,
  context: Listener & { readonly arrival: Arrival },
): ReportedDevice {
  switch (message.kind) {
    case 'state':
      return foldState(report, message, context);
    case 'report':
      return foldReport(report, message, context);
    case 'measures':
      return heard(withMeasures(withCompileResults(report, message, context.arrival), message.measures, context.arrival), context.arrival);
    case 'reply':
      return foldReply(report, message, context.arrival);
    case 'unreadable':
      return message.source === 'state' ? report : unreadableItems(report, message);
  }
}

/** v2 loggers say how the program compiled beside its name, in a message of its own (§3.5): a fact of the program. */
function withCompileResults(
  report: ReportedDevice,
  message: Extract<DeviceMessage, { kind: 'measures' }>,
  arrival: Arrival,
): ReportedDevice {
  const { program } = report.items;
  const { compileResults } = message;
  if (compileResults === undefined || program?.kind !== 'value' || !arrival.fresh) return report;
  const compileErrors = /compiled in/i.test(compileResults) ? 0 : /fail|error/i.test(compileResults) ? 1 : null;
  const facts = { ...asRecord(program.facts), compileResults, ...(compileErrors === null ? {} : { compileErrors }) };
  return { ...report, items: { ...report.items, program: { ...program, facts } } };
}

/** After three missed state messages nobody knows: the same report when nothing changed. */
export function decayOnline(report: ReportedDevice, options: CampbellOptions, now: Instant): ReportedDevice {
  if (report.online !== true) return report;
  return isLive(report, options, now) ? report : { ...report, online: null };
}

/**
 * Counts the silence since the last sign of life: only the time in which we listened, over all passes. `since` is when we
 * began to listen without a break.
 */
export function countSilence(report: ReportedDevice, { since, now }: { readonly since: Instant; readonly now: Instant }): ReportedDevice {
  const { heardAt } = report;
  if (heardAt === null) return report;
  const { after, until } = silenceOf(report);
  const counted = after === heardAt && until !== null;
  const from = Math.max(counted ? until : heardAt, since);
  const silentMs = (counted ? (report.silentMs ?? 0) : 0) + Math.max(0, now - from);
  return { ...report, silentMs, memo: { ...report.memo, silence: { after: heardAt, until: now } } };
}

/** Up to when the silence after which sign of life is counted. */
function silenceOf(report: ReportedDevice): { readonly after: Instant | null; readonly until: Instant | null } {
  const { silence } = report.memo;
  const { after, until } = typeof silence === 'object' && silence !== null ? asRecord(silence) : {};
  return { after: typeof after === 'number' ? after : null, until: typeof until === 'number' ? until : null };
}

/** Known to be connected now: a fresh sign of it within three state intervals and no offline since. */
export function isLive(report: ReportedDevice, options: CampbellOptions, now: Instant): boolean {
  const { onlineAt } = memoOf(report);
  return report.online === true && onlineAt !== null && now - onlineAt <= liveWindowMs(options);
}

/** The value text of a program: a name that is reported with compile errors is no name that runs. */
function programValue(progName: string, compileErrors: number | null): string | null {
  const text = programText(progName);
  return text === null || text === 'none' || compileErrors === null || compileErrors === 0 ? text : `${text} (does not compile)`;
}

type Context = Listener & { readonly arrival: Arrival };

function foldState(report: ReportedDevice, message: Extract<DeviceMessage, { kind: 'state' }>, context: Context): ReportedDevice {
  const { arrival } = context;
  const claims: Claims = { clientId: message.clientId, model: null, serial: null, osVersion: null };
  const checked = withIdentity(report, 'state', { claims, context });
  if (checked.foreign || !arrival.fresh) return checked.report;
  const last = memoOf(checked.report);
  if (message.online === false && isElsewhere(last, context)) return checked.report;
  if (message.online === false && (message.reason === null || GOODBYES.has(message.reason)))
    return goodbye(checked.report, message.reason, arrival);
  const alive = heard(checked.report, arrival);
  const transfer = message.fileTransfer === null ? null : transferSign(message.fileTransfer);
  const sign = (code: ProgressCode | FailureCode, item: ItemName | null, text: string): Sign => ({
    code,
    item,
    at: arrival.receivedAt,
    text,
  });
  if (message.online === false) {
    const reason = message.reason ?? '';
    return withSign(withMemo({ ...alive, online: null }, { transition: reason }), sign('RESTARTING', itemOfReason(reason), reason));
  }
  const online = message.online === true ? withMemo({ ...alive, online: true }, { ...connectedNow(arrival), transition: null }) : alive;
  const returned = message.online === true && (last.transition !== null || checked.report.online === false);
  const back = returned ? withSign(online, sign('BACK', null, 'online')) : online;
  if (transfer === null) return back;
  const announced = sign(transfer.code, transfer.item, message.fileTransfer ?? '');
  const next = transfer.code === 'RESTARTING' ? withMemo({ ...back, online: null }, { transition: announced.text }) : back;
  return withSign(next, announced);
}

/** The last word of a session that the logger left for another broker comes late: when the old broker misses it. */
function isElsewhere({ onlineVia }: Memo, { device, arrival }: Context): boolean {
  return device.via.to !== null && onlineVia !== null && arrival.connection !== undefined && onlineVia !== arrival.connection;
}

function connectedNow({ receivedAt, connection }: Arrival): Pick<Memo, 'onlineAt'> & Partial<Memo> {
  return { onlineAt: receivedAt, ...(connection === undefined ? {} : { onlineVia: connection }) };
}

/** The will, or a logger that ends its session on purpose. A will is no sign of life. */
function goodbye(report: ReportedDevice, reason: string | null, arrival: Arrival): ReportedDevice {
  const alive = reason === 'Program requested disconnect' ? heard(report, arrival) : report;
  if (report.online === false) return alive;
  return withSign({ ...alive, online: false }, { code: 'GONE', item: null, at: arrival.receivedAt, text: reason ?? 'offline' });
}

/** `fileTransfer` texts of both dialects (§3.1); legacy loggers answer commands here too (§1.3). */
function transferSign(text: string): { readonly code: ProgressCode | FailureCode; readonly item: ItemName | null } | null {
  switch (text) {
    case 'OS file download':
      return { code: 'DOWNLOADING', item: 'firmware' };
    case 'Flashing OS':
      return { code: 'FLASHING', item: 'firmware' };
    case 'MQTT config file download':
      return { code: 'DOWNLOADING', item: 'identity' };
    case 'Program file download':
    case 'CRBasic file transfer started':
      return { code: 'DOWNLOADING', item: 'program' };
    case 'CRBasic file transfer error':
    case 'Program download failed':
      return { code: 'DOWNLOAD_FAILED', item: 'program' };
    case 'Loading CRBasic file':
      return { code: 'RESTARTING', item: 'program' };
    case 'OS Download Failed':
      return { code: 'DOWNLOAD_FAILED', item: 'firmware' };
    case 'OS File Check Failed':
      return { code: 'OS_REFUSED', item: 'firmware' };
    default:
      return null;
  }
}

function itemOfReason(reason: string): ItemName | null {
  switch (reason) {
    case 'OS update':
      return 'firmware';
    case 'Loading program':
      return 'program';
    case 'Loading MQTT Configuration':
      return 'identity';
    default:
      return null;
  }
}

function foldReply(report: ReportedDevice, message: Extract<DeviceMessage, { kind: 'reply' }>, arrival: Arrival): ReportedDevice {
  if (!arrival.fresh) return report;
  const item = itemOfCommand(message.command);
  // Answers to questions and to small commands are read by whoever asked; here they are signs of life.
  if (item === null) return heard(report, arrival);
  return withSign(heard(report, arrival), { code: replyCode(message, item), item, at: arrival.receivedAt, text: message.text });
}

/** What a configuration file brings is the identity of the logger (§6.2, §7). */
function itemOfCommand(command: string | null): ItemName | null {
  return command === 'OS' ? 'firmware' : command === 'program' ? 'program' : command === 'mqttConfig' ? 'identity' : null;
}

/** The key decides whether it is an error; of the errors only the refused file is a verdict (§5.1, §5.2). */
function replyCode(message: Extract<DeviceMessage, { kind: 'reply' }>, item: ItemName | null): ProgressCode | FailureCode {
  if (message.ok) return 'REPLIED';
  if (item === 'firmware' && message.text === 'OS File Check Failed') return 'OS_REFUSED';
  if (item === 'identity' && message.text === 'MQTT Config file parse failed') return 'CONFIG_REFUSED';
  return /download failed/i.test(message.text) ? 'DOWNLOAD_FAILED' : 'COMMAND_ERROR';
}

function foldReport(report: ReportedDevice, message: Extract<DeviceMessage, { kind: 'report' }>, context: Context): ReportedDevice {
  const { arrival } = context;
  const { report: checked, foreign } = withIdentity(report, message.source, { claims: message, context });
  if (foreign) return checked;
  const items: Partial<Record<ItemName, ReportedItem>> = { ...checked.items };
  const madeNotBefore = arrival.fresh ? arrival.receivedAt : null;
  const place = (
    item: ItemName,
    said: { readonly text: string; readonly value: string | null; readonly facts: Readonly<Record<string, Json>> },
  ): void => {
    const next: ReportedItem =
      said.value === null
        ? {
            kind: 'unknown',
            why: 'REPORT_UNREADABLE',
            detail: `${message.source} says ${JSON.stringify(said.text)}`,
            source: message.source,
          }
        : { kind: 'value', value: said.value, facts: said.facts, madeNotBefore, source: message.source };
    items[item] = newer(checked.items[item], next, arrival.fresh);
  };
  if (message.osVersion !== null) {
    const version = parseOsVersion(message.osVersion);
    place('firmware', {
      text: message.osVersion,
      value: version === null ? null : osVersionText(version),
      facts: { text: message.osVersion },
    });
  }
  if (message.progName !== null) {
    place('program', { text: message.progName, value: programValue(message.progName, message.compileErrors), facts: message.facts });
  }
  const filled = withMeasures({ ...checked, items }, message.measures, arrival);
  if (!arrival.fresh) return filled;
  const alive = heard(filled, arrival);
  const inTransition = memoOf(alive).transition !== null || alive.online === false;
  return inTransition ? alive : withMemo({ ...alive, online: true }, connectedNow(arrival));
}

/**
 * What is kept of two reports of one item. Of equal values the facts that only one message has are kept; `since` is the
 * instant of the first of a row of fresh reports of the same value.
 */
function newer(before: ReportedItem | undefined, next: ReportedItem, fresh: boolean): ReportedItem {
  if (!fresh && before?.kind === 'value' && (before.madeNotBefore !== null || next.kind === 'unknown')) return before;
  if (next.kind !== 'value') return next;
  const since = next.madeNotBefore === null ? {} : { since: next.madeNotBefore };
  if (before?.kind !== 'value' || before.value !== next.value) return { ...next, facts: { ...asRecord(next.facts), ...since } };
  return { ...next, facts: { ...since, ...asRecord(before.facts), ...asRecord(next.facts) } };
}

function asRecord(facts: Json): Readonly<Record<string, Json | undefined>> {
  return typeof facts === 'object' && facts !== null && !Array.isArray(facts) ? (facts as Readonly<Record<string, Json | undefined>>) : {};
}

/** What is known stays; only an item of which nothing was ever read becomes unreadable. */
function unreadableItems(report: ReportedDevice, message: Extract<DeviceMessage, { kind: 'unreadable' }>): ReportedDevice {
  const items: Partial<Record<ItemName, ReportedItem>> = { ...report.items };
  for (const item of ['firmware', 'program'] as const) {
    items[item] ??= { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: `${message.source}: ${message.detail}`, source: message.source };
  }
  return { ...report, items };
}

/** Each kind of message can only take back what it said itself, so that two that disagree do not alternate. */
function withIdentity(
  report: ReportedDevice,
  source: string,
  said: { readonly claims: Claims; readonly context: Context },
): { readonly report: ReportedDevice; readonly foreign: boolean } {
  const { device, options, arrival } = said.context;
  const found = identify(said.claims, device, options);
  const { mismatches } = memoOf(report);
  const known = report.serial !== null || report.model !== null;
  if (!arrival.fresh && known) return { report, foreign: found.mismatch !== null };
  const { [source]: _before, ...others } = mismatches;
  const left: Readonly<Record<string, string>> = found.mismatch === null ? others : { ...others, [source]: found.mismatch };
  const detail = Object.keys(left)
    .toSorted()
    .map((name) => left[name])[0];
  const next: ReportedDevice = {
    ...report,
    serial: found.serial ?? report.serial,
    model: found.model ?? report.model,
    problem: detail === undefined ? null : { reason: 'IDENTITY_MISMATCH', detail },
  };
  return { report: withMemo(next, { mismatches: left }), foreign: found.mismatch !== null };
}

function withMeasures(report: ReportedDevice, measures: Readonly<Record<string, string>>, arrival: Arrival): ReportedDevice {
  const merged = { ...report.measures };
  for (const [name, value] of Object.entries(measures)) {
    if (!arrival.fresh && merged[name]?.madeNotBefore !== null && merged[name] !== undefined) continue;
    merged[name] = { value, madeNotBefore: arrival.fresh ? arrival.receivedAt : null };
  }
  return { ...report, measures: merged };
}

/** A sign of life, and what it teaches of the usual gap. */
function heard(report: ReportedDevice, arrival: Arrival): ReportedDevice {
  if (!arrival.fresh) return report;
  const { heardAt, gapMs } = report;
  if (heardAt === null || arrival.receivedAt <= heardAt) return { ...report, heardAt: Math.max(heardAt ?? 0, arrival.receivedAt) };
  const gap = arrival.receivedAt - heardAt;
  return { ...report, heardAt: arrival.receivedAt, gapMs: heardAt < arrival.since ? gapMs : usualGap(gapMs, gap) };
}

/**
 * Rises half way to a longer gap and falls by half of the time that shorter ones take, so that a logger that wakes once
 * a day keeps a gap of about a day although it says much while it is awake.
 */
function usualGap(usual: number | null, gap: number): number {
  if (usual === null) return gap;
  return Math.round(gap > usual ? (usual + gap) / 2 : Math.max(gap, usual - gap / 2));
}

function withSign(report: ReportedDevice, sign: Sign): ReportedDevice {
  return { ...report, signs: [...report.signs, sign].slice(-MOST_SIGNS) };
}

function withMemo(report: ReportedDevice, memo: Partial<Memo>): ReportedDevice {
  return { ...report, memo: { ...report.memo, ...memo } };
}
