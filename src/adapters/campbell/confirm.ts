import { SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Confirmation, OpenOperation, OperationRecord } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem, Sign } from '#model/reported.ts';
import { confirmFiles, filesOrder } from './files.ts';
import { confirmMove, moveOrder } from './move.ts';
import { commandFacts } from './operations.ts';
import { OS_DEADLINE_MS } from './options.ts';
import { sameOsVersion } from './os-version.ts';
import { REASONS_OF_FAILURE, type FailureCode } from './reasons.ts';
import { answersOf, checksumKey } from './readings.ts';
import { confirmRotation } from './rotation-confirm.ts';
import { rotationFacts } from './rotation.ts';
import { confirmSettings, settingsOrder } from './settings-operations.ts';
import { confirmTrust, loadTrust } from './trust-operations.ts';
import { sameProgram } from './wire.ts';

/**
 * A report that speaks against the operation must have stood so long before it is believed: one that was made before the
 * restart and sent after it is followed by the right one within seconds.
 */
const STANDS_AFTER_MS = 30 * SECOND_MS;

type Value = Extract<ReportedItem, { kind: 'value' }>;

/** Whether two values of an item are the same version in different spellings. */
export function sameValue(item: string, a: string, b: string): boolean {
  if (a === b || item === 'settings' || item === 'files' || item === 'identity' || item === 'trust') return a === b;
  return item === 'firmware' ? sameOsVersion(a, b) : sameProgram(a, b);
}

/**
 * Reads what the reports made after the reference say. An intent without an outcome is judged from the instant of the
 * intent. Only a reported value confirms: "Program loaded successfully" is never looked at (docs/protocols/campbell-mqtt.md
 * §5.2). A reply that is missing changes nothing.
 */
export function confirm(open: OpenOperation, reported: ReportedDevice): Confirmation {
  const { operation } = open;
  const rotation = rotationFacts(operation.facts);
  if (rotation !== null) return confirmRotation(open, reported, rotation);
  const roots = loadTrust(operation);
  if (roots !== null) return confirmTrust(open, reported, roots);
  const move = moveOrder(operation.facts);
  if (move !== null) return confirmMove(open, reported, move);
  const settings = settingsOrder(operation.facts);
  if (settings !== null) return confirmSettings(open, reported, settings);
  const files = filesOrder(operation.facts);
  if (files !== null) return confirmFiles(open, reported, files);
  const reference = open.reference ?? open.intendedAt;
  const item = reported.items[operation.item];
  const value = item?.kind === 'value' && item.madeNotBefore !== null && item.madeNotBefore > reference ? item : null;
  if (value !== null && sameValue(operation.item, value.value, operation.declared)) {
    const sum = summedSince(open, value, reported);
    if (sum !== 'awaited') return { kind: 'confirmed', evidence: `${value.source} reports ${value.value}${sum}` };
    const evidence = `${value.source} reports ${value.value}; the checksum of its file was not told yet`;
    return { kind: 'open', phase: 'VERIFYING', takenAt: open.takenAt ?? value.madeNotBefore, oldValueSeenAt: null, evidence };
  }
  const signs = signsSince(open.intendedAt, operation.item, reported.signs);
  const refused = failureReply(signs);
  if (refused !== null) return refused;
  const wrong = value === null ? null : wrongResult(open, { value, signs, heardAt: reported.heardAt });
  if (wrong !== null) return wrong;
  const takenAt = signs.find((sign) => isTaking(sign))?.at ?? null;
  const last = signs.findLast((sign) => sign.code !== 'REPLIED');
  const oldSeen =
    value !== null &&
    operation.expected !== null &&
    sameValue(operation.item, value.value, operation.expected) &&
    !isBusyAt(last, value.madeNotBefore ?? 0, operation);
  return {
    kind: 'open',
    phase: last !== undefined && ['RESTARTING', 'GONE', 'BACK'].includes(last.code) && takenAt !== null ? 'VERIFYING' : 'IN_FLIGHT',
    takenAt: open.takenAt ?? takenAt,
    oldValueSeenAt: oldSeen ? value.madeNotBefore : null,
    evidence: progressText(operation.declared, last, reported),
  };
}

/**
 * Where the logger can tell the SHA-256 of the file, it is the proof; where it then answers that it cannot, or is still
 * silent to that question when its deadline is over, the name is.
 */
function summedSince(open: OpenOperation, value: Value, reported: ReportedDevice): string {
  const facts = commandFacts(open.operation.facts);
  if (facts?.summed !== true) return '';
  const reference = open.reference ?? open.intendedAt;
  const summedAt = factOf(value, 'summedAt');
  if (summedAt === null || summedAt <= reference) {
    const silentAt = answersOf(reported).silent[checksumKey(facts.fileName ?? '')];
    return silentAt !== undefined && silentAt - reference >= facts.lostAfterMs ? ', and does not answer for its checksum' : 'awaited';
  }
  const sum = (value.facts as Readonly<Record<string, unknown>>)['sha256'];
  return sum === open.operation.content?.digest ? ', SHA-256 as sent' : ', and tells no checksum';
}

/** From the intent on: the first announcement may overtake the instant that is taken for the reference after sending. */
function signsSince(intendedAt: Instant, item: string, signs: readonly Sign[]): readonly Sign[] {
  return signs.filter((sign) => sign.at !== null && sign.at >= intendedAt && (sign.item ?? item) === item);
}

/** A logger that still downloads runs what it ran before: that says nothing of the command. */
function isBusyAt(last: Sign | undefined, at: Instant, operation: OperationRecord): boolean {
  return isBusy(last) && at - (last?.at ?? at) < Math.max(OS_DEADLINE_MS, commandFacts(operation.facts)?.lostAfterMs ?? 0);
}

/** Whether the last sign, replies left out, is that of a logger that is not done with a command. */
export function isBusy(last: Sign | undefined): boolean {
  return last !== undefined && ['DOWNLOADING', 'FLASHING', 'RESTARTING'].includes(last.code);
}

function isTaking(sign: Sign): boolean {
  return sign.code === 'DOWNLOADING' || sign.code === 'FLASHING' || (sign.code === 'RESTARTING' && sign.item !== null);
}

/** The last error reply, unless the logger began anew after it. */
function failureReply(signs: readonly Sign[]): Extract<Confirmation, { kind: 'failed' | 'trouble' }> | null {
  const index = signs.findLastIndex((sign) => sign.item !== null && Object.hasOwn(REASONS_OF_FAILURE, sign.code));
  const sign = signs[index];
  if (sign === undefined || signs.slice(index + 1).some(isTaking)) return null;
  const { class: kind, text } = REASONS_OF_FAILURE[sign.code as FailureCode];
  return { kind: kind === 'verdict' ? 'failed' : 'trouble', code: sign.code, evidence: `${text}: ${sign.text}` };
}

interface Seen {
  readonly value: Value;
  readonly signs: readonly Sign[];
  readonly heardAt: Instant | null;
}

/** A value that is not the declared one is a verdict once the logger came back with it, or when it is a third one. */
function wrongResult(open: OpenOperation, seen: Seen): Extract<Confirmation, { kind: 'failed' }> | null {
  const { operation } = open;
  const made = seen.value.madeNotBefore ?? 0;
  const isOld = operation.expected !== null && sameValue(operation.item, seen.value.value, operation.expected);
  const back = cameBackAt(seen.signs);
  if (back === null ? isOld : made < back) return null;
  const since = Math.max(standsSince(seen.value) ?? made, back ?? open.reference ?? open.intendedAt);
  if (seen.heardAt === null || seen.heardAt - since < STANDS_AFTER_MS) return null;
  const shown = `${seen.value.source} reports ${seen.value.value} in place of ${operation.declared}`;
  return { kind: 'failed', code: wrongCode(operation.item, isOld, seen.value), evidence: shown };
}

/** The first online after the restart that this operation brings about. */
function cameBackAt(signs: readonly Sign[]): Instant | null {
  const restart = signs.findIndex((sign) => sign.code === 'RESTARTING' && sign.item !== null);
  if (restart < 0) return null;
  const back = signs.slice(restart + 1).findLast((sign) => sign.code === 'BACK' || sign.code === 'REPLIED');
  return back?.at ?? null;
}

function wrongCode(item: string, isOld: boolean, value: Value): FailureCode {
  if (item === 'firmware') return isOld ? 'BOOTED_BACK' : 'WRONG_VERSION';
  if (value.value.endsWith('(other bytes)')) return 'OTHER_BYTES';
  if ((factOf(value, 'compileErrors') ?? 0) > 0) return 'COMPILE_FAILED';
  // What runs after a failed compile, where the logger has one (§9.4).
  return /^[A-Z]{3}:default\./i.test(value.value) ? 'DEFAULT_RUNS' : 'PROGRAM_NOT_RUNNING';
}

/** The instant of the first of a row of fresh reports of this value; null for one whose age is not known. */
export function standsSince(value: Value): Instant | null {
  return factOf(value, 'since');
}

function factOf(value: Value, name: 'since' | 'compileErrors' | 'summedAt'): number | null {
  const { facts } = value;
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const fact = (facts as Readonly<Record<string, unknown>>)[name];
  return typeof fact === 'number' ? fact : null;
}

function progressText(declared: string, last: Sign | undefined, reported: ReportedDevice): string {
  if (last === undefined)
    return reported.online === true ? `sent; the logger has not announced ${declared} yet` : 'sent; nothing heard since';
  switch (last.code) {
    case 'RESTARTING':
      return `announced ${last.text} and has not come back yet`;
    case 'GONE':
      return 'disconnected since';
    case 'BACK':
      return `back online; has not reported whether it runs ${declared}`;
    default:
      return last.text;
  }
}
