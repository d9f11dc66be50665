import { canonicalJson, type Json } from '#kit/canonical.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import { emptyReport } from '#model/reported.ts';
import type { Reading, ReportedDevice, ReportedItem, Sign } from '#model/reported.ts';
import { DEFAULT_HEARTBEAT_SECONDS, DEFAULT_OTA_SECONDS, type ConnectSummary } from './connect.ts';
import type { ComparedConfig } from './config-difference.ts';
import type { DeviceFile } from './device-file.ts';
import { sameVersion } from './expectation.ts';
import {
  readConfigFacts,
  readDeclaredConfig,
  readDeclaredFirmware,
  readOptions,
  type ConfigFacts,
  type DeclaredConfigFacts,
  type DriftClass,
  type FirmwareFacts,
  type SchemaCheck,
} from './facts.ts';
import { homeOf, type Journey } from './journey.ts';
import { readMemo, writeMemo, type DeviceMemo, type ReadObject } from './memo.ts';
import { rhythmOf, type Rhythm } from './rhythm.ts';
import { trustItem, type TrustObject, type TrustPlace } from './trust.ts';
import { configValue, deviceFileKey, firmwareValue } from './wire.ts';

/** What one look at a device's folder found. Instants are in the bucket's clock, in whole seconds. */
export interface FolderLook {
  readonly folder: string;
  readonly etag: string;
  readonly lastModified: Instant;
  /** The device file, or why it cannot be read. */
  readonly file: { readonly kind: 'good'; readonly file: DeviceFile } | { readonly kind: 'bad'; readonly why: string };
  /** The config object of the running series; `undefined` when it was not looked at. */
  readonly object: ReadObject | null | undefined;
  readonly next: ReadObject | null | undefined;
  readonly offer: { readonly etag: string; readonly size: number } | null;
  readonly bootedAt: Instant | null;
  readonly checked: SchemaCheck | null;
  /** `undefined`: the object is no longer what the device runs, so an earlier comparison stands. */
  readonly compared: ComparedConfig | null | undefined;
  /** The bundle of certificates; `undefined` when it was not looked at. */
  readonly bundle: TrustObject | null | undefined;
  /** In a move, before the device reports there: the bundle in the other bucket. */
  readonly there: TrustObject | null;
  readonly objectThere: ReadObject | null;
  readonly place: TrustPlace;
  readonly journey: Journey;
  /** When the folder was looked at closer (our clock), null when only the heartbeat was. */
  readonly sweptAt: Instant | null;
  /** Digest of what was declared at that look, null when something was open. */
  readonly sweptFor: string | null;
}

export interface ReportRequest {
  readonly device: DeclaredDevice;
  readonly last: ReportedDevice | undefined;
  readonly look: FolderLook;
  /** Our clock. */
  readonly now: Instant;
  readonly open: boolean;
}

/**
 * The report of a device after a look at its folder, merged over the last one; undefined when nothing new is known. A
 * heartbeat that cannot be read leaves the items as they were and says so (failure F13); one of other hardware makes
 * them unknown (F9, F15).
 */
export function reportOf(request: ReportRequest): ReportedDevice | undefined {
  const { device, last, look, now, open } = request;
  const before = readMemo(last);
  const rhythm = rhythmOf(before, look, now);
  const report = look.file.kind === 'bad' ? unreadable(request, before, rhythm) : readable(request, look.file.file, { before, rhythm });
  if (!open && last !== undefined && canonicalJson(report) === canonicalJson({ ...last, device: device.id })) return undefined;
  const seen = { ...report, silentMs: Math.max(0, now - look.lastModified) };
  // Beside a heartbeat that cannot be read nothing else was looked at.
  return look.file.kind === 'bad' ? seen : withLookedAt(seen, now);
}

/** A device that has no folder, or a folder without device.json: listed, never touched. What was known before stays. */
export function unreportedOf(device: DeclaredDevice, last: ReportedDevice | undefined, detail: string): ReportedDevice | undefined {
  if (last !== undefined && (last.heardAt !== null || last.problem?.detail === detail)) return undefined;
  const unknown: ReportedItem = { kind: 'unknown', why: 'NEVER_REPORTED', detail, source: 'bucket' };
  const report = { ...emptyReport(device.id), items: unknownItems(device, unknown) };
  return last !== undefined && canonicalJson(report) === canonicalJson(last) ? undefined : report;
}

function unknownItems(device: DeclaredDevice, unknown: ReportedItem): ReportedDevice['items'] {
  return { firmware: unknown, config: unknown, ...(declaresTrust(device) ? { trust: unknown } : {}) };
}

/** Only then is the bundle looked at, and are certificates told of. */
function declaresTrust(device: DeclaredDevice): boolean {
  return device.items.some((item) => item.item === 'trust');
}

/** What lies where the device is declared to be is older than what it last reported elsewhere: nothing of it is believed. */
export function elsewhereOf(device: DeclaredDevice, last: ReportedDevice | undefined, detail: string): ReportedDevice | undefined {
  if (last?.problem?.detail === detail) return undefined;
  return { ...(last ?? emptyReport(device.id)), problem: { reason: 'REPORT_UNREADABLE', detail } };
}

/** Two folders that differ in case only: which one is the device's cannot be told. */
export function ambiguousOf(device: DeclaredDevice, last: ReportedDevice | undefined, detail: string): ReportedDevice | undefined {
  const report: ReportedDevice = { ...(last ?? emptyReport(device.id)), problem: { reason: 'IDENTITY_MISMATCH', detail } };
  return last?.problem?.detail === detail ? undefined : report;
}

function unreadable({ device, last, look }: ReportRequest, before: DeviceMemo, rhythm: Rhythm): ReportedDevice {
  const base = last ?? emptyReport(device.id);
  const why = look.file.kind === 'bad' ? look.file.why : '';
  const unknown: ReportedItem = { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: why, source: deviceFileKey(look.folder) };
  return {
    ...base,
    heardAt: look.lastModified,
    gapMs: rhythm.gapMs,
    problem: { reason: 'REPORT_UNREADABLE', detail: why },
    items: base.items.firmware === undefined ? unknownItems(device, unknown) : base.items,
    memo: writeMemo(last, {
      ...before,
      folder: look.folder,
      etag: look.etag,
      lastModified: look.lastModified,
      file: null,
      fileProblem: why,
      ...rhythm.memo,
    }),
  };
}

interface Past {
  readonly before: DeviceMemo;
  readonly rhythm: Rhythm;
}

function readable(request: ReportRequest, file: DeviceFile, past: Past): ReportedDevice {
  const { device, last, look } = request;
  const { before, rhythm } = past;
  const problem = identityProblem(device, { folder: look.folder, file, pinned: before.kpub });
  const state = stateOf(request, file, past);
  const memo: DeviceMemo = {
    ...before,
    folder: look.folder,
    etag: look.etag,
    lastModified: look.lastModified,
    file,
    fileProblem: null,
    object: look.object === undefined ? before.object : look.object,
    next: look.next === undefined ? before.next : look.next,
    bundle: look.bundle === undefined ? before.bundle : look.bundle,
    bundleThere: look.there,
    objectThere: look.objectThere,
    sweptAt: look.sweptAt ?? before.sweptAt,
    sweptFor: look.sweptAt === null ? before.sweptFor : look.sweptFor,
    place: look.place,
    home: homeOf(look.journey, look.place),
    towards: look.journey.to,
    ...(problem === null ? { ...state.memo, kpub: before.kpub ?? keyPin(file) } : {}),
    ...rhythm.memo,
  };
  return {
    device: device.id,
    serial: spelled(file.id, device.serial),
    model: file.model?.name ?? `type ${file.type}`,
    heardAt: look.lastModified,
    online: null,
    ...(last?.silentMs === undefined ? {} : { silentMs: last.silentMs }),
    gapMs: rhythm.gapMs,
    problem: problem === null ? null : { reason: 'IDENTITY_MISMATCH', detail: problem },
    items: problem === null ? state.items : foreignItems(device, problem, look),
    measures: measuresOf(file, look.lastModified),
    signs: problem === null ? signsOf(last, state.signs) : (last?.signs ?? []),
    memo: writeMemo(last, memo),
  };
}

/** Why the hardware behind this heartbeat is not the declared one (§3.3, F9, F15), or null. */
export function identityProblem(
  device: DeclaredDevice,
  seen: { readonly folder: string; readonly file: DeviceFile; readonly pinned: DeviceMemo['kpub'] },
): string | null {
  const { folder, file, pinned } = seen;
  if (file.id.toUpperCase() !== folder.toUpperCase())
    return `folder ${folder} holds the report of ${file.id}: a card was swapped or a folder copied`;
  if (file.model === null) return `reports type ${file.type}, which is no known CANedge`;
  if (file.model.name !== device.model) return `reports a ${file.model.name}, declared is a ${device.model}`;
  const declared = readOptions(device.options).kpub;
  const known = declared ?? (pinned?.id === file.id.toUpperCase() ? pinned.kpub : null);
  if (known === null || file.kpub === known) return null;
  return `its public key is not the one ${declared === null ? 'seen first' : 'declared'}: ALARM, somebody may be asking for its secrets`;
}

function keyPin(file: DeviceFile): DeviceMemo['kpub'] {
  return file.kpub === null ? null : { id: file.id.toUpperCase(), kpub: file.kpub };
}

/** The declared spelling where the two differ in case only, so that a serial in the other case is no other hardware. */
function spelled(id: string, serial: string | null): string {
  return serial !== null && serial.toUpperCase() === id.toUpperCase() ? serial : id;
}

function foreignItems(device: DeclaredDevice, detail: string, look: FolderLook): ReportedDevice['items'] {
  const unknown: ReportedItem = { kind: 'unknown', why: 'REPORT_UNREADABLE', detail, source: deviceFileKey(look.folder) };
  return unknownItems(device, unknown);
}

interface DeviceState {
  readonly items: ReportedDevice['items'];
  readonly signs: readonly Sign[];
  readonly memo: Pick<DeviceMemo, 'running' | 'converged' | 'versions'>;
}

/** Items of a heartbeat of the declared hardware. */
function stateOf({ device, last, look }: ReportRequest, file: DeviceFile, { before, rhythm }: Past): DeviceState {
  const object = look.object === undefined ? before.object : look.object;
  const declared = readDeclaredConfig(device.items.find((item) => item.item === 'config'));
  const running = withSecretsOf(declared, before, runningOf(before, file, object));
  const config = configItem(request(), running);
  const versions = before.versions.at(-1) === file.firmware ? before.versions : [...before.versions, file.firmware].slice(-3);
  const back = versions !== before.versions && versions.length === 3 && versions[0] === versions[2];
  const inSync = object !== null && declared !== null && file.crc === declared.crc && object.crc === declared.crc;
  return {
    items: {
      firmware: firmwareItem({ device, last, look, file, rhythm, running }),
      config,
      ...(look.bundle === undefined || !declaresTrust(device) ? {} : { trust: trustOf(look, look.bundle, file) }),
    },
    signs: back
      ? [{ code: 'BOOTED_BACK', item: 'firmware', at: look.lastModified, text: `ran ${versions[1] ?? ''}, runs ${file.firmware} again` }]
      : [],
    memo: { running, converged: inSync ? file.crc : before.converged, versions },
  };

  function request(): ConfigRequest {
    return { last, look, file, object, declared: declared?.series === file.series ? declared.crc : null, before };
  }
}

function trustOf(look: FolderLook, bundle: TrustObject | null, file: DeviceFile): ReportedItem {
  return trustItem({
    certificates: file.certificates,
    object: bundle,
    there: look.there,
    place: look.place,
    madeNotBefore: look.lastModified,
    source: deviceFileKey(look.folder),
  });
}

interface ConfigRequest {
  readonly last: ReportedDevice | undefined;
  readonly look: FolderLook;
  readonly file: DeviceFile;
  readonly object: ReadObject | null;
  /** CRC of the declared config when it is of the running series. */
  readonly declared: string | null;
  readonly before: DeviceMemo;
}

function configItem(request: ConfigRequest, running: DeviceMemo['running']): ReportedItem {
  const { look, file, object, before } = request;
  const next = look.next === undefined ? before.next : look.next;
  const facts: ConfigFacts = {
    series: file.series,
    crc: file.crc,
    object: object === null ? null : { crc: object.crc, sha256: object.sha256, etag: object.etag },
    next: next === null || next.series === file.series ? null : { series: next.series, crc: next.crc, sha256: next.sha256 },
    there: look.objectThere === null ? null : { crc: look.objectThere.crc, sha256: look.objectThere.sha256, etag: look.objectThere.etag },
    running: running?.summary ?? unproven(object),
    drift: driftClass(request),
    checked: look.checked,
    compared: look.compared === undefined ? (readConfigFacts(request.last?.items.config)?.compared ?? null) : look.compared,
  };
  return {
    kind: 'value',
    value: configValue(file.series, file.crc, object?.crc ?? null),
    facts: facts as unknown as Json,
    madeNotBefore: look.lastModified,
    source: deviceFileKey(look.folder),
  };
}

/** Nothing shows that a device can work with this config: its flaws excuse nothing. */
function unproven(object: ReadObject | null): ConnectSummary | null {
  return object?.summary == null ? null : { ...object.summary, flaws: [] };
}

/** F10 to F12: who changed what, as far as two looks can tell. */
function driftClass({ last, file, object, declared, before }: ConfigRequest): DriftClass {
  if (object === null) return 'object-missing';
  if (object.crc === file.crc)
    return declared !== null && declared !== file.crc && before.converged === declared ? 'object-edited' : 'none';
  if (declared !== null && object.crc !== declared && before.converged === declared) return 'object-edited';
  const earlier = readConfigFacts(last?.items.config);
  const unmoved = before.object?.etag === object.etag;
  const wasInSync = earlier?.crc === object.crc || earlier?.drift === 'device-edited';
  return unmoved && wasInSync ? 'device-edited' : 'pending';
}

/** The object that the device reports to run, or what was known when it last reported this CRC. */
function runningOf(before: DeviceMemo, file: DeviceFile, object: ReadObject | null): DeviceMemo['running'] {
  if (file.crc === null) return null;
  if (object !== null && object.crc === file.crc && object.summary !== null) return { crc: file.crc, summary: object.summary };
  return before.running?.crc === file.crc ? before.running : null;
}

/** A device that runs the very bytes that we rendered has the secrets that are in them, as long as it runs those bytes. */
function withSecretsOf(declared: DeclaredConfigFacts | null, before: DeviceMemo, running: DeviceMemo['running']): DeviceMemo['running'] {
  if (running === null) return null;
  const known = before.running?.crc === running.crc ? before.running.summary.secrets : null;
  const secrets = declared?.crc === running.crc ? declared.secrets : known;
  return { ...running, summary: { ...running.summary, secrets } };
}

interface FirmwareRequest {
  readonly device: DeclaredDevice;
  readonly last: ReportedDevice | undefined;
  readonly look: FolderLook;
  readonly file: DeviceFile;
  readonly rhythm: Rhythm;
  readonly running: { readonly summary: ConnectSummary } | null;
}

function firmwareItem(request: FirmwareRequest): ReportedItem {
  const { device, last, look, file, rhythm, running } = request;
  const declared = readDeclaredFirmware(device.items.find((item) => item.item === 'firmware'));
  const runsIt = declared !== null && sameVersion(declared.version, file.firmware);
  const ours = look.offer !== null && (declared?.size ?? look.offer.size) === look.offer.size;
  const left = runsIt && ours && readOptions(device.options).cleanup === 'delete';
  const facts: FirmwareFacts = {
    version: file.firmware,
    series: file.series,
    offer: look.offer,
    link: {
      online: rhythm.memo.online,
      ota: running?.summary.ota ?? DEFAULT_OTA_SECONDS,
      heartbeat: running?.summary.heartbeat ?? DEFAULT_HEARTBEAT_SECONDS,
      steadySince: rhythm.steadySince,
      bootedAt: look.bootedAt ?? readMemo(last).bootedAt,
      lookedAt: readMemo(last).lookedAt,
    },
  };
  return {
    kind: 'value',
    value: firmwareValue(file.firmware, left),
    facts: facts as unknown as Json,
    madeNotBefore: look.lastModified,
    source: deviceFileKey(look.folder),
  };
}

function withLookedAt(report: ReportedDevice, now: Instant): ReportedDevice {
  const firmware = report.items.firmware;
  if (firmware?.kind !== 'value') return report;
  const facts = firmware.facts as { readonly link: Record<string, Json> } & Record<string, Json>;
  return { ...report, items: { ...report.items, firmware: { ...firmware, facts: { ...facts, link: { ...facts.link, lookedAt: now } } } } };
}

const MAX_SIGNS = 32;

function signsOf(last: ReportedDevice | undefined, signs: readonly Sign[]): readonly Sign[] {
  return [...(last?.signs ?? []), ...signs].slice(-MAX_SIGNS);
}

function measuresOf(file: DeviceFile, at: Instant): Readonly<Record<string, Reading>> {
  return {
    ...(file.space === null ? {} : { spaceUsed: reading(file.space.used, at), spaceTotal: reading(file.space.total, at) }),
    ...(file.lifespan === null ? {} : { sdLifespanUsed: reading(file.lifespan, at) }),
  };
}

function reading(value: number, at: Instant): Reading {
  return { value: String(value), madeNotBefore: at };
}
