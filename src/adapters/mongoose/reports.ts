import { canonicalJson, type Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { Reading, ReportedDevice, ReportedItem } from '#model/reported.ts';
import { isJsonObject, namedAt, valueAt, type ShadowDocument } from '#model/shadow.ts';
import { agedAt, newest } from '#shadows/ages.ts';
import { shadowReport, type Glance, type ShadowContents, type ShadowRead } from '#shadows/report.ts';
import { isSilent } from '#shadows/values.ts';
import { isFlat, mongooseOptions, type MongooseOptions } from './options.ts';
import { readOta, type OtaReport } from './shadow-wire.ts';
import { appliesNothing, firmwareText, isApplied, isSameFirmware, macText, onTrial, readNamed, triedIn, urlDigest } from './wire.ts';

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
    items: glance.sight.document === 'missing' ? { ...report.items, ...calledItems(device, last, null) } : report.items,
    heardAt: newest([report.heardAt, last.heardAt]),
    measures: newerOf(last.measures, report.measures),
    ...(isFlat(mongooseOptions(device.options)) ? presenceOf(last) : {}),
    ...(asked === undefined ? {} : { memo: { ...report.memo, asked } }),
  };
}

/** Whether it answers is all that is known of its being there. */
function presenceOf({ online, silentMs }: ReportedDevice): Pick<ReportedDevice, 'online' | 'silentMs'> {
  return { online, ...(silentMs === undefined ? {} : { silentMs }) };
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
  const mac = ota.mac ?? (isFlat(options) ? (last?.serial ?? null) : null);
  const known = ofBoard(last, mac);
  const items: Partial<Record<ItemName, ReportedItem>> = {
    firmware: standing(firmwareOf(from, known?.items.firmware), known?.items.firmware),
    ...(host === null ? {} : { 'firmware.host': standing(hostOf(from, host), known?.items['firmware.host']) }),
    ...calledItems(device, known, from),
  };
  return { ...identityOf(device, mac), model: null, items, measures: statsOf(document, now) };
}

/** What is known of this very board: what another one did under its name is none of its history. */
export function ofBoard(last: ReportedDevice | undefined, mac: string | null): ReportedDevice | undefined {
  const isAnother = last?.serial != null && mac !== null && macText(last.serial) !== macText(mac);
  return isAnother ? undefined : last;
}

/** What no shadow tells, as calls told it last: a shadow that was written since says nothing else of it. Null: there is none. */
function calledItems(
  device: Pick<DeclaredDevice, 'options'>,
  last: ReportedDevice | undefined,
  from: Source | null,
): ReportedDevice['items'] {
  const options = mongooseOptions(device.options);
  const names: readonly ItemName[] = [
    ...(isFlat(options) ? (['firmware'] as const) : []),
    ...(options.host?.method != null && options.host.reported === null ? (['firmware.host'] as const) : []),
  ];
  return Object.fromEntries(
    names.flatMap((name): readonly (readonly [ItemName, ReportedItem])[] => {
      const item = last?.items[name];
      return item?.kind === 'value' ? [[name, from === null ? item : withShadow(item, from)]] : [];
    }),
  );
}

/** With the URLs that the shadow tells of. */
function withShadow(item: ReportedItem, from: Source): ReportedItem {
  const seen = firmwareSeen(item);
  if (item.kind !== 'value' || seen === null) return item;
  const { version, url, offered, appliedAt } = seenIn(from);
  const facts: FirmwareSeen = { ...seen, version, url, offered, appliedAt: newest([seen.appliedAt, appliedAt]) };
  return { ...item, facts: facts as unknown as Json };
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

export function unknown(why: 'NEVER_REPORTED' | 'REPORT_UNREADABLE', detail: string, source: string): ReportedItem {
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
  const { fwVersion, fwId, isCommitted } = ota;
  if (fwVersion === null) return null;
  const [versionAt, idAt] = ['fw_version', 'fw_id'].map((name) => namedAt(document.reported, otaPointer(options, name)));
  const isOwn = fwId !== null && (versionAt === null || idAt === null || (idAt ?? 0) >= (versionAt ?? 0));
  if (isOwn) return firmwareText({ version: fwVersion, buildId: fwId });
  const before = firmwareSeen(last)?.before ?? null;
  const value = last?.kind === 'value' ? last.value : null;
  const tried = value === null ? null : triedIn(value);
  const known = [...new Set([tried ?? value, before])].filter((one) => one?.startsWith(`${fwVersion} `) === true);
  // It keeps what it tried, or is back from that: nobody can say which of two builds of one version it is.
  if (known.length !== 1 || (isCommitted === true && tried !== null && before === null)) return null;
  return known[0] ?? null;
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
    appliedAt: ota.progressPercent === 100 ? at('progress_percent') : isApplied(ota.message) ? at('message') : null,
    offered: typeof offered === 'string' ? urlDigest(offered) : null,
    arch: ota.arch,
  };
}

export const NOTHING_SEEN: FirmwareSeen = {
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
export function standing(item: ReportedItem, last: ReportedItem | undefined): ReportedItem {
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

/** A MAC that is the declared one is told as it is declared, with or without separators. */
export function identityOf(device: Pick<DeclaredDevice, 'serial'>, mac: string | null): Pick<ReportedDevice, 'serial' | 'problem'> {
  if (mac === null || device.serial === null) return { serial: mac, problem: null };
  if (macText(mac) === macText(device.serial)) return { serial: device.serial, problem: null };
  return { serial: mac, problem: { reason: 'IDENTITY_MISMATCH', detail: `reports MAC ${mac}, ${device.serial} is declared` } };
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
