import { canonicalJson, type Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import { emptyReport, type Reading, type ReportedDevice, type ReportedItem } from '#model/reported.ts';
import { isJsonObject, namedAt, valueAt, type ShadowDocument } from '#model/shadow.ts';
import { aged, agedAt, newest } from '#shadows/ages.ts';
import { shadowReport, type Glance, type ShadowContents, type ShadowRead } from '#shadows/report.ts';
import { isSilent } from '#shadows/values.ts';
import { mongooseOptions, type MongooseOptions } from './options.ts';
import { readOta, type OtaReport } from './shadow-wire.ts';
import { appliesNothing, firmwareText, isSameFirmware, macText, onTrial, readNamed, triedIn, urlDigest } from './wire.ts';
import type { BoardInfo, BoardStatus, FirmwareName } from './wire.ts';

/** What a report of a firmware keeps for `confirm` and for operations, apart from its value. No URL stands in it. */
export interface FirmwareSeen {
  /** Version of the document that it was read of; null for what was answered to a call, or an index had. */
  readonly version: number | null;
  /** How the last update stood, and when the board said so. */
  readonly status: {
    readonly state: 'idle' | 'progress' | 'error' | 'success';
    readonly message: string | null;
    readonly progress: number | null;
    readonly at: Instant | null;
  } | null;
  /** Digest of the URL that the board took last, and when it said so. */
  readonly url: { readonly digest: string; readonly at: Instant | null } | null;
  /** Digest of the URL that lies in desired. */
  readonly offered: string | null;
  readonly arch: string | null;
  /** Since when this very value is reported; null where that is not known. */
  readonly since: Instant | null;
  /** What was committed before the trial that is under way, or was the last. */
  readonly before: string | null;
  /** What was seen on trial last. */
  readonly tried: { readonly value: string; readonly at: Instant | null } | null;
  /** When it last said that a new firmware is written. */
  readonly appliedAt: Instant | null;
  /** When it started, by the uptime that it answers; null where it was not asked. */
  readonly bootedAt: Instant | null;
}

/** The shadow as the family reads it. */
const CONTENTS: ShadowContents = { readAs, absent, read };

/** What a document says of a board, over what was known; undefined when it says nothing new. What calls brought stays. */
export function reportOf(device: DeclaredDevice, last: ReportedDevice | undefined, glance: Glance): ReportedDevice | undefined {
  const report = shadowReport(CONTENTS, device, { ...glance, last });
  if (report === undefined || last === undefined) return report;
  const { asked } = last.memo;
  return {
    ...report,
    heardAt: newest([report.heardAt, last.heardAt]),
    measures: newerOf(last.measures, report.measures),
    ...(asked === undefined ? {} : { memo: { ...report.memo, asked } }),
  };
}

/** What a report is read by: other options read it otherwise. */
export function readAs({ options }: Pick<DeclaredDevice, 'options'>): string {
  const { shadow, host } = mongooseOptions(options);
  return sha256(canonicalJson({ shadow: { ...shadow }, host: host === null ? null : { ...host } })).slice(0, 16);
}

function absent({ items }: DeclaredDevice): ReturnType<ShadowContents['absent']> {
  const names = items.map(({ item }) => item);
  return { items: names.length > 0 ? names : ['firmware'], detail: 'it has no shadow: the board has never reported' };
}

function read(device: DeclaredDevice, { document, last, now }: ShadowRead): ReturnType<ShadowContents['read']> {
  const options = mongooseOptions(device.options);
  const ota = otaOf(options, document);
  const from: Source = { document, ota, options, now };
  const host = options.host?.reported ?? null;
  const items: Partial<Record<ItemName, ReportedItem>> = {
    firmware: standing(firmwareOf(from, last?.items.firmware), last?.items.firmware),
    ...(host === null ? {} : { 'firmware.host': standing(hostOf(from, host), last?.items['firmware.host']) }),
  };
  return { ...identityOf(device, ota.mac), model: null, items, measures: statsOf(document, now) };
}

interface Source {
  readonly document: ShadowDocument;
  readonly ota: OtaReport;
  readonly options: MongooseOptions;
  readonly now: Instant;
}

/** The object under the declared pointer, or the flat members of 2017, as the wire reads them. */
function otaOf({ shadow }: MongooseOptions, { reported }: ShadowDocument): OtaReport {
  const whole = shadow.generation === 'flat' ? undefined : valueAt(reported, shadow.at);
  const flat = Object.fromEntries(Object.entries(reported.state).filter(([name]) => name.startsWith('ota_')));
  return readOta(whole === undefined ? flat : { ota: whole });
}

function unknown(why: 'NEVER_REPORTED' | 'REPORT_UNREADABLE', detail: string, source: string): ReportedItem {
  return { kind: 'unknown', why, detail, source };
}

/** `name` of the update, as a pointer into a section. */
export function otaPointer({ shadow }: MongooseOptions, name: string): string {
  return shadow.generation === 'flat' ? `/ota_${name}` : `${shadow.at}/${name}`;
}

function firmwareOf(from: Source, last: ReportedItem | undefined): ReportedItem {
  const { document, ota, options, now } = from;
  const source = `reported${options.shadow.at}`;
  if (isSilent(document)) return unknown('NEVER_REPORTED', 'the board has reported nothing yet', source);
  const [flaw] = ota.problems;
  if (flaw !== undefined) return unknown('REPORT_UNREADABLE', flaw, source);
  if (ota.fwVersion === null || ota.isCommitted === null) {
    const detail = ota.fwVersion === null ? 'the board does not say its fw_version' : 'the board does not say whether it is committed';
    return unknown('NEVER_REPORTED', detail, source);
  }
  const running = runningOf(from, last);
  if (running === null) return unknown('NEVER_REPORTED', 'the board does not say the fw_id that belongs to its fw_version', source);
  const at = (name: string): Instant | null => agedAt(document.reported, otaPointer(options, name), now);
  const value = ota.isCommitted ? running : onTrial(running);
  // The value is true since the last of what it is made of was named.
  const ages = [at('fw_version'), at('is_committed')];
  const madeNotBefore = ages.every((age) => age !== null) ? newest(ages) : null;
  return { kind: 'value', value, facts: seenIn(from) as unknown as Json, madeNotBefore, source };
}

/**
 * A board that went back says its old fw_version again, and perhaps not its fw_id (docs/protocols/shadow-devices.md §3.6, B2):
 * what is left of the other firmware is not taken for its own.
 */
function runningOf({ document, ota, options }: Source, last: ReportedItem | undefined): string | null {
  const { fwVersion, fwId } = ota;
  if (fwVersion === null) return null;
  const [versionAt, idAt] = ['fw_version', 'fw_id'].map((name) => namedAt(document.reported, otaPointer(options, name)));
  const isOwn = fwId !== null && (versionAt === null || idAt === null || (idAt ?? 0) >= (versionAt ?? 0));
  if (isOwn) return firmwareText({ version: fwVersion, buildId: fwId });
  const seen = firmwareSeen(last);
  const known = [last?.kind === 'value' ? (triedIn(last.value) ?? last.value) : null, seen?.before ?? null];
  return known.find((one) => one?.startsWith(`${fwVersion} `) === true) ?? null;
}

function seenIn({ document, ota, options, now }: Source): FirmwareSeen {
  const at = (name: string): Instant | null => agedAt(document.reported, otaPointer(options, name), now);
  const offered = valueAt(document.desired, otaPointer(options, 'url'));
  return {
    ...NOTHING_SEEN,
    version: document.version,
    status: ota.status === null ? null : { state: ota.status, message: ota.message, progress: ota.progressPercent, at: at('status') },
    url: ota.url === null ? null : { digest: urlDigest(ota.url), at: at('url') },
    // All of it was written, even where the word for that was overwritten since.
    appliedAt: ota.progressPercent === 100 ? at('progress_percent') : null,
    offered: typeof offered === 'string' ? urlDigest(offered) : null,
    arch: ota.arch,
  };
}

const NOTHING_SEEN: FirmwareSeen = {
  version: null,
  status: null,
  url: null,
  offered: null,
  arch: null,
  since: null,
  before: null,
  tried: null,
  appliedAt: null,
  bootedAt: null,
};

function hostOf(from: Source, pointer: string): ReportedItem {
  const { document, now } = from;
  const source = `reported${pointer}`;
  const told = valueAt(document.reported, pointer);
  if (told === undefined) return unknown('NEVER_REPORTED', `the module reports nothing at ${pointer}`, source);
  const name = readNamed(told);
  if (name === null) return unknown('REPORT_UNREADABLE', `no fw_version and fw_id at ${pointer}`, source);
  const facts = seenIn(from) as unknown as Json;
  return { kind: 'value', value: firmwareText(name), facts, madeNotBefore: agedAt(document.reported, pointer, now), source };
}

/** What is known from before of the same board, carried on: since when a value stands, and what was on trial. */
function standing(item: ReportedItem, last: ReportedItem | undefined): ReportedItem {
  const seen = firmwareSeen(item);
  if (item.kind !== 'value' || seen === null) return item;
  const known = firmwareSeen(last);
  const old = last?.kind === 'value' ? last.value : null;
  const tried = triedIn(item.value);
  const wasCommitted = old !== null && triedIn(old) === null;
  const appliedNow = seen.status?.state === 'success' && !appliesNothing(seen.status.message) ? seen.status.at : null;
  const facts: FirmwareSeen = {
    ...seen,
    since: old === item.value ? (known?.since ?? item.madeNotBefore) : item.madeNotBefore,
    before: tried !== null && wasCommitted && !isSameFirmware(old, tried) ? old : (known?.before ?? null),
    tried: tried === null ? (known?.tried ?? null) : { value: tried, at: item.madeNotBefore },
    appliedAt: newest([appliedNow, seen.appliedAt, known?.appliedAt ?? null]),
  };
  return { ...item, facts: facts as unknown as Json };
}

function identityOf(device: Pick<DeclaredDevice, 'serial'>, mac: string | null): Pick<ReportedDevice, 'serial' | 'problem'> {
  const strange = mac !== null && device.serial !== null && macText(mac) !== macText(device.serial);
  const detail = `reports MAC ${mac}, ${device.serial} is declared`;
  return { serial: mac, problem: strange ? { reason: 'IDENTITY_MISMATCH', detail } : null };
}

/** `stats`, which some backends report (docs/protocols/shadow-devices.md §3.2). */
function statsOf(document: ShadowDocument, now: Instant): Readonly<Record<string, Reading>> {
  const names = { freeMemory: 'ram_free', leastFreeMemory: 'ram_lwm' };
  const readings = Object.entries(names).flatMap(([measure, name]): readonly (readonly [string, Reading])[] => {
    const pointer = `/stats/${name}`;
    const value = valueAt(document.reported, pointer);
    return typeof value === 'number' ? [[measure, { value: String(value), madeNotBefore: agedAt(document.reported, pointer, now) }]] : [];
  });
  return Object.fromEntries(readings);
}

function newerOf(a: ReportedDevice['measures'], b: ReportedDevice['measures']): ReportedDevice['measures'] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].toSorted();
  return Object.fromEntries(
    names.flatMap((name) => {
      const [first, second] = [a[name], b[name]];
      const newer = (first?.madeNotBefore ?? 0) > (second?.madeNotBefore ?? 0) ? first : (second ?? first);
      return newer === undefined ? [] : [[name, newer]];
    }),
  );
}

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
  const items: Partial<Record<ItemName, ReportedItem>> = { ...report.items };
  const firmware = answeredFirmware(answers, { base, now });
  // What a shadow has of it counts as long as the board itself says nothing better.
  if (alone || firmware.kind === 'value') items.firmware = standing(firmware, base?.items.firmware);
  const method = mongooseOptions(device.options).host?.method ?? null;
  if (method !== null) {
    const facts = answeredSeen(answers, { base: base?.items['firmware.host'], now }) as unknown as Json;
    const item: ReportedItem =
      host === null
        ? unknown('NEVER_REPORTED', `the module does not answer ${method} with fw_version and fw_id`, method)
        : { kind: 'value', value: firmwareText(host), facts, madeNotBefore: now, source: method };
    items['firmware.host'] = standing(item, base?.items['firmware.host']);
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
    status: status === null ? known.status : { state: status.state, message: status.message, progress: status.progress, at: now },
    arch: info?.arch ?? known.arch,
    bootedAt: info?.uptime == null ? null : aged(now - info.uptime * SECOND_MS, now),
  };
}

function measuresOf({ uptime, memory }: BoardInfo, now: Instant): ReportedDevice['measures'] {
  const values = { freeMemory: memory.free, leastFreeMemory: memory.least, freeStorage: memory.storage, uptime };
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, { value: String(value), madeNotBefore: now }]])),
  );
}

/** What a report keeps of a firmware; null for one that another family or version wrote. */
export function firmwareSeen(item: ReportedItem | undefined): FirmwareSeen | null {
  if (item?.kind !== 'value' || !isJsonObject(item.facts) || item.facts['appliedAt'] === undefined) return null;
  return item.facts as unknown as FirmwareSeen;
}

/** Whether a document is of another board than the declared one. */
export function identityIn(device: DeclaredDevice, seen: ShadowRead): ReportedDevice['problem'] {
  return read(device, seen).problem;
}

/** What a look at one document says of an item, for whoever is about to write it. */
export function itemIn(item: ItemName, device: DeclaredDevice, seen: ShadowRead): ReportedItem | undefined {
  return read(device, seen).items[item];
}
