import { SECOND_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import { emptyReport, type ReportedDevice, type ReportedItem } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';
import { aged } from '#shadows/ages.ts';
import { mongooseOptions } from './options.ts';
import { firmwareSeen, identityOf, NOTHING_SEEN, ofBoard, standing, unknown, type FirmwareSeen } from './reports.ts';
import { firmwareText, onTrial, type BoardInfo, type BoardStatus, type FirmwareName } from './wire.ts';

/** What a board answered to the calls of one look. */
export interface Answers {
  readonly info: BoardInfo | null;
  readonly status: BoardStatus | null;
  /** Of what is behind it; null where it was not asked. */
  readonly host: FirmwareName | null;
}

/** What is kept of asking: when, and for how long it has been silent since. */
interface Asked {
  readonly at: Instant;
  readonly answered: boolean;
  readonly silentMs: number;
}

export function askedOf(report: ReportedDevice | undefined): Asked | null {
  const asked = report?.memo['asked'];
  if (!isJsonObject(asked)) return null;
  const { at, answered, silentMs } = asked;
  if (typeof at !== 'number') return null;
  return { at, answered: answered === true, silentMs: typeof silentMs === 'number' ? silentMs : 0 };
}

/** Between two questions this long counts as silence: longer ago nobody asked. */
const MOST_SILENCE_MS = 600 * SECOND_MS;

/**
 * A board that did not answer. Where calls are all that is known of it, it is not there.
 */
export function silentReport(
  device: DeclaredDevice,
  base: ReportedDevice | undefined,
  how: { readonly now: Instant; readonly alone: boolean },
): ReportedDevice {
  const { now, alone } = how;
  const report = base ?? emptyReport(device.id);
  const known = askedOf(base);
  const silentMs = known === null || known.answered ? 0 : known.silentMs + Math.min(MOST_SILENCE_MS, now - known.at);
  const memo = { ...report.memo, asked: { at: now, answered: false, silentMs } };
  if (!alone) return { ...report, memo };
  const items = Object.keys(report.items).length > 0 ? report.items : unansweredItems(device, 'the board does not answer calls');
  return { ...report, items, online: false, silentMs, memo };
}

/** A board that is there and lets nobody ask: what is known by other ways stays, and nothing is known where there is none. */
export function refusedReport(
  device: DeclaredDevice,
  base: ReportedDevice | undefined,
  { why, now, alone }: { readonly why: string; readonly now: Instant; readonly alone: boolean },
): ReportedDevice {
  const report = base ?? emptyReport(device.id);
  const { silentMs: _silent, ...rest } = report;
  const memo = { ...report.memo, asked: { at: now, answered: true, silentMs: 0 } };
  const items = alone ? unansweredItems(device, why) : report.items;
  return { ...rest, items, heardAt: now, online: alone ? true : report.online, memo };
}

function unansweredItems({ items }: DeclaredDevice, detail: string): ReportedDevice['items'] {
  return Object.fromEntries(items.map(({ item }) => [item, unknown('NEVER_REPORTED', detail, 'Sys.GetInfo')]));
}

/** What a board answered, over what was known of it by other ways. */
export function answeredReport(
  device: DeclaredDevice,
  base: ReportedDevice | undefined,
  { answers, now, alone }: { readonly answers: Answers; readonly now: Instant; readonly alone: boolean },
): ReportedDevice {
  const report = base ?? emptyReport(device.id);
  const { info, status, host } = answers;
  const known = ofBoard(base, info?.mac ?? null);
  const items: Partial<Record<ItemName, ReportedItem>> = { ...report.items };
  const firmware = answeredFirmware(answers, { base: known, now });
  // What a shadow has of it counts as long as the board itself says nothing better.
  if (alone || firmware.kind === 'value') items.firmware = standing(firmware, known?.items.firmware);
  const method = mongooseOptions(device.options).host?.method ?? null;
  if (method !== null) {
    const facts = answeredSeen(answers, { base: known?.items['firmware.host'], now }) as unknown as Json;
    const item: ReportedItem =
      host === null
        ? unknown('NEVER_REPORTED', `the module does not answer ${method} with fw_version and fw_id`, method)
        : { kind: 'value', value: firmwareText(host), facts, madeNotBefore: now, source: method };
    items['firmware.host'] = standing(item, known?.items['firmware.host']);
  }
  const { silentMs: _silent, ...rest } = report;
  return {
    ...rest,
    ...(info === null ? {} : identityOf(device, info.mac)),
    items,
    heardAt: now,
    online: alone ? true : report.online,
    measures: { ...report.measures, ...(info === null ? {} : measuresOf(info, now)) },
    memo: { ...report.memo, asked: { at: now, answered: true, silentMs: 0 }, ...(status === null ? {} : { partition: status.partition }) },
  };
}

interface Answered {
  readonly base: ReportedDevice | undefined;
  readonly now: Instant;
}

function answeredFirmware(answers: Answers, { base, now }: Answered): ReportedItem {
  const { info, status } = answers;
  const source = 'Sys.GetInfo';
  if (info === null) return unknown('REPORT_UNREADABLE', 'what the board answers to Sys.GetInfo cannot be read', source);
  if (info.firmware === null) return unknown('NEVER_REPORTED', 'the board does not say its fw_version and fw_id', source);
  if (status === null) return unknown('NEVER_REPORTED', 'the board does not say whether it is committed', 'OTA.Status');
  const text = firmwareText(info.firmware);
  const facts = answeredSeen(answers, { base: base?.items.firmware, now }) as unknown as Json;
  return { kind: 'value', value: status.isCommitted ? text : onTrial(text), facts, madeNotBefore: now, source };
}

/** What the shadow told of URLs stays: calls do not tell it. */
function answeredSeen(
  { info, status }: Answers,
  { base, now }: { readonly base: ReportedItem | undefined; readonly now: Instant },
): FirmwareSeen {
  const known = firmwareSeen(base) ?? NOTHING_SEEN;
  return {
    ...known,
    status: status === null ? known.status : answeredStatus(status, { known: known.status, now }),
    arch: info?.arch ?? known.arch,
    bootedAt: info?.uptime == null ? null : aged(now - info.uptime * SECOND_MS, now),
  };
}

/**
 * An answer says how it stands, not since when: an error of the last update stands there until the next, and a download may stand
 * still. What stood there before was said then; only being idle is news each time, because it is told of nothing.
 */
function answeredStatus(
  { state, message, progress }: BoardStatus,
  { known, now }: { readonly known: FirmwareSeen['status']; readonly now: Instant },
): FirmwareSeen['status'] {
  const moves = state === 'idle' || (state === 'progress' && (progress === null || progress !== known?.progress));
  const stands = !moves && known !== null && known.state === state && known.message === message;
  return { state, message, progress, at: stands ? known.at : now };
}

function measuresOf({ uptime, memory }: BoardInfo, now: Instant): ReportedDevice['measures'] {
  const values = { freeMemory: memory.free, leastFreeMemory: memory.least, freeStorage: memory.storage, uptime };
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, { value: String(value), madeNotBefore: now }]])),
  );
}
