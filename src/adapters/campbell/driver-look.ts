import { durationText } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { ReportedDevice, Sign } from '#model/reported.ts';
import type { Precheck } from '#ports/driver.ts';
import { isBusy, sameValue, standsSince } from './confirm.ts';
import { COMMAND_EXPIRY_MS } from './driver-converse.ts';
import { filesOrder } from './files.ts';
import { moveOrder } from './move.ts';
import { campbellOptions, liveWindowMs } from './options.ts';
import { isLive, memoOf } from './reports.ts';
import { settingsOrder } from './settings-operations.ts';

export type Refusal = Extract<Precheck, { kind: 'refused' }>;

/** When a logger is looked at, and when it was last sent a command whose answer is not seen yet. */
export interface Moment {
  readonly now: Instant;
  readonly sentAt: Instant | null;
}

/** What its report says of an operation: done already, still what it expects, or why not. */
export function lookAt(operation: Operation, open: OpenOperation | null, report: ReportedDevice): Precheck {
  if (report.problem !== null) return { kind: 'refused', reason: report.problem.reason, evidence: report.problem.detail };
  const item = report.items[operation.item];
  if (item?.kind !== 'value') {
    const reason = item?.kind === 'unknown' ? item.why : 'NEVER_REPORTED';
    return { kind: 'refused', reason, evidence: `the logger has not said which ${operation.item} it runs` };
  }
  const reference = open === null ? null : (open.reference ?? open.intendedAt);
  const shown = item.madeNotBefore;
  if (reference !== null && shown !== null && shown > reference && sameValue(operation.item, item.value, operation.declared)) {
    return { kind: 'already', reference, undo: null };
  }
  if (operation.expected === null || !sameValue(operation.item, item.value, operation.expected)) {
    const evidence = `runs ${item.value}, the operation expects ${operation.expected ?? 'nothing known'}`;
    return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence };
  }
  const waits = reference !== null && (shown === null || shown <= reference) && isAskedItem(operation);
  if (waits) return { kind: 'refused', reason: 'IN_FLIGHT', evidence: `${operation.item} was not read back since the last attempt` };
  return { kind: 'clear' };
}

/** Why no command can be sent to a logger now: it is not there, or not done with the one before. Null when one can. */
export function closedTo(device: DeclaredDevice, report: ReportedDevice, moment: Moment): Refusal | null {
  return unreachable(device, report, moment.now) ?? takenUp(device, report, moment);
}

function unreachable(device: DeclaredDevice, report: ReportedDevice, now: Instant): Refusal | null {
  const options = campbellOptions(device.options);
  if (isLive(report, options, now)) return null;
  const { onlineAt, transition } = memoOf(report);
  const since = onlineAt === null ? 'has not been heard online' : `was last heard online ${durationText(now - onlineAt)} ago`;
  const how = transition === null ? (report.online === false ? 'is offline' : since) : `announced ${transition} and is not back`;
  const evidence = `the logger ${how}; a command is sent only within ${durationText(liveWindowMs(options))} of an online`;
  return { kind: 'refused', reason: 'OFFLINE', evidence };
}

/** Commands to one logger cannot be told apart, so the one before must be over (docs/protocols/campbell-mqtt.md §4). */
export function takenUp(device: DeclaredDevice, report: ReportedDevice, { now, sentAt }: Moment): Refusal | null {
  const options = campbellOptions(device.options);
  const last = report.signs.findLast((sign) => sign.code !== 'REPLIED');
  if (
    last !== undefined &&
    isBusy(last) &&
    last.at !== null &&
    now - last.at < options.osDeadlineMs &&
    !hasChangedSince(report, last, last.at)
  ) {
    return { kind: 'refused', reason: 'IN_FLIGHT', evidence: `the logger is busy: ${last.text}, ${durationText(now - last.at)} ago` };
  }
  const answered = sentAt !== null && report.signs.some((sign) => sign.at !== null && sign.at >= sentAt);
  if (sentAt === null || answered || now - sentAt >= COMMAND_EXPIRY_MS) return null;
  const evidence = `a command was sent ${durationText(now - sentAt)} ago and is not answered yet`;
  return { kind: 'refused', reason: 'IN_FLIGHT', evidence };
}

/** Items that a logger tells when it is asked, and never by itself. */
function isAskedItem(operation: Operation): boolean {
  return [settingsOrder, filesOrder, moveOrder].some((order) => order(operation.facts) !== null);
}

/** A new value of the item ends what the sign began, though its restart was not heard. */
function hasChangedSince(report: ReportedDevice, sign: Sign, at: Instant): boolean {
  const item = sign.item === null ? undefined : report.items[sign.item];
  return item?.kind === 'value' && (standsSince(item) ?? 0) > at;
}
