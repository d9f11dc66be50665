import { canonicalJson } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { crc32Hex, digestOf, sha256 } from '#kit/digest.ts';
import { MINUTE_MS, parseDuration } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { GetOptions, ObjectFacts, ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { MAX_BUNDLE_BYTES } from './bundle.ts';
import { MAX_CONFIG_BYTES } from './config.ts';
import { configFields, type ComparedConfig } from './config-difference.ts';
import { MAX_DEVICE_FILE_BYTES, parseDeviceFile } from './device-file.ts';
import { openFolder, type Folder } from './driver-folder.ts';
import { readConfigFacts, readDeclaredConfig, readFirmwareFacts, type SchemaCheck } from './facts.ts';
import { homeOf, type Journey } from './journey.ts';
import { flipGuards, linkSummary, secretGuards } from './guards.ts';
import { objectOf, parseJson, textAt } from './json.ts';
import { readMemo, type DeviceMemo, type ReadObject } from './memo.ts';
import type { FolderLook } from './report.ts';
import { compileRuleSchema, MAX_SCHEMA_BYTES } from './schema.ts';
import { withConfigFor } from './secrets-config.ts';
import { wholeSeconds } from './driver-store.ts';
import { trustObjectOf, type TrustObject, type TrustPlace } from './trust.ts';
import { bundleKey, configKey, deviceFileKey, firmwareKey, schemaKey } from './wire.ts';

export interface LookRequest {
  readonly store: ObjectStore;
  /** The bucket to which the device is to move, null when it stays. */
  readonly to: ObjectStore | null;
  readonly journey: Journey;
  readonly device: DeclaredDevice;
  readonly folder: string;
  readonly last: ReportedDevice | undefined;
  readonly open: boolean;
  /** Our clock. */
  readonly now: Instant;
  readonly signal: AbortSignal;
}

/** Where the device reports, and the objects beside its logs there. */
interface Site {
  readonly store: ObjectStore;
  readonly place: TrustPlace;
  readonly folder: Folder;
  /** The heartbeat, where it was read just now. */
  readonly heard: Heard | null;
}

type Heard = Pick<FolderLook, 'etag' | 'lastModified' | 'file'>;

/**
 * Reads a device's folder, as little of it as is needed: its heartbeat with a HEAD (equal bytes with a newer Last-Modified
 * are a new one), and, where something is open, differs, or was not looked at for a sweep, the rest by one listing.
 * Unchanged objects are not read again. `missing` when there is no device.json, `elsewhere` when it is older than what the
 * device last said at a connection that is no longer declared. Throws WireError.
 */
export async function lookAtFolder(request: LookRequest): Promise<FolderLook | 'missing' | 'elsewhere'> {
  const { folder, last } = request;
  const before = readMemo(last?.memo['folder'] === folder ? last : undefined);
  const home = await whereItReports(request);
  if (await isOutdated(request, before, home)) return 'elsewhere';
  let heard: Heard | null = null;
  if (mayBeQuiet(request, before, home.place)) {
    const heartbeat = await heartbeatSince({ ...request, store: home.store }, before);
    if (heartbeat !== 'missing' && isAsBefore(heartbeat.file, before)) return quietLook(request, heartbeat, before);
    if (heartbeat !== 'missing') heard = heartbeat;
  }
  const site: Site = { ...home, folder: await openFolder(home.store, folder, request.signal), heard };
  return lookCloser({ ...request, store: site.store }, before, site);
}

async function lookCloser(
  request: LookRequest,
  before: DeviceMemo,
  { folder: objects, place, heard }: Site,
): Promise<FolderLook | 'missing'> {
  const { folder } = request;
  const heartbeat = heard ?? (await readHeartbeat(request, before, await objects.facts(deviceFileKey(folder))));
  if (heartbeat === 'missing') return 'missing';
  const bare: FolderLook = { ...heartbeat, folder, place, journey: request.journey, ...NOT_LOOKED_AT };
  if (heartbeat.file.kind === 'bad') return bare;
  const { file } = heartbeat.file;
  if (file.id.toUpperCase() !== folder.toUpperCase()) return bare;
  // What is encrypted to the device can be told only now that it says its key.
  const device = withConfigFor(request.device, file.kpub);
  const declared = readDeclaredConfig(device.items.find((item) => item.item === 'config'));
  const read = async (series: string, known: ReadObject | null): Promise<ReadObject | null> =>
    readConfigObject(request, { series, known, facts: await objects.facts(configKey(folder, series)) });
  const object = await read(file.series, before.object);
  const other = declared !== null && declared.series !== file.series ? declared.series : null;
  const next = other === null ? null : await read(other, before.next);
  const offer = await objects.facts(firmwareKey(folder));
  const schema = await objects.facts(schemaKey(folder, file.series));
  const bytes = declared?.series === file.series && declared.crc !== object?.crc ? declaredBytes(device) : null;
  const trusts = device.items.some((item) => item.item === 'trust');
  return {
    ...bare,
    object,
    next,
    compared: await compareDeclared(request, { bytes: declaredBytes(device), crc: declared?.crc ?? null, runs: file.crc, object }),
    offer: offer === null ? null : { etag: offer.etag, size: offer.size },
    bootedAt: schema === null ? null : wholeSeconds(schema.lastModified),
    checked: bytes === null ? null : await checkDeclared(request, { ...bytes, series: file.series, etag: schema?.etag ?? null }),
    bundle: trusts ? await readBundle(request, await objects.facts(bundleKey(folder)), before.bundle) : undefined,
    ...(place === 'from' ? await lookThere(request, { before, series: file.series, trusts }) : NOTHING_THERE),
    sweptAt: request.now,
    // What was open may have ended since, in a way that only another look shows.
    sweptFor: request.open ? null : declaredDigest(request.device, file.kpub),
  };
}

const NOT_LOOKED_AT = {
  object: undefined,
  next: undefined,
  offer: null,
  bootedAt: null,
  checked: null,
  compared: undefined,
  bundle: undefined,
  there: null,
  objectThere: null,
  sweptAt: null,
  sweptFor: null,
} as const;

/**
 * In a move the device reports where its newer device.json lies: from its first contact with the new bucket on, that is
 * the new one (§7.3 C).
 */
async function whereItReports({ store, to, folder, signal }: LookRequest): Promise<Pick<Site, 'store' | 'place'>> {
  if (to === null) return { store, place: 'only' };
  const [old, fresh] = [await headed(store, deviceFileKey(folder), signal), await headed(to, deviceFileKey(folder), signal)];
  const moved = fresh !== null && (old === null || fresh.lastModified >= old.lastModified);
  return moved ? { store: to, place: 'to' } : { store, place: 'from' };
}

/** A connection that vanished, or a bucket that was copied long ago: only what is as new as the last report counts. */
async function isOutdated(
  { folder, journey, signal }: LookRequest,
  before: DeviceMemo,
  { store, place }: Pick<Site, 'store' | 'place'>,
): Promise<boolean> {
  const { home, lastModified } = before;
  if (home === null || lastModified === null || home === journey.from || home === journey.to || place !== 'only') return false;
  const facts = await headed(store, deviceFileKey(folder), signal);
  return facts !== null && wholeSeconds(facts.lastModified) < lastModified;
}

async function headed(store: ObjectStore, key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
  const facts = await store.head(key, signal);
  return facts === 'missing' ? null : facts;
}

/** Nothing is open, and the last closer look was at what is declared now, and is younger than a sweep. */
function mayBeQuiet({ device, last, open, now, journey }: LookRequest, before: DeviceMemo, place: TrustPlace): boolean {
  const sweepMs = parseDuration(textAt(device.options, 'sweep') ?? '') ?? DEFAULT_SWEEP_MS;
  if (open || last === undefined || last.problem !== null || before.file === null || before.place !== place) return false;
  if (before.home !== homeOf(journey, place) || before.towards !== journey.to) return false;
  if (before.sweptAt === null || now < before.sweptAt || now - before.sweptAt >= sweepMs) return false;
  return before.sweptFor === declaredDigest(device, before.file.kpub);
}

/** Of all that a look compares with what lies in the folder. */
function declaredDigest(device: DeclaredDevice, kpub: string | null): string {
  const items = withConfigFor(device, kpub).items.map(({ item, value, content }) => [item, value, content?.digest ?? null]);
  return digestOf([items, Object.entries(device.options).toSorted(([a], [b]) => compareText(a, b))]);
}

const DEFAULT_SWEEP_MS = 10 * MINUTE_MS;

/** Apart from what changes with each heartbeat: the space on its card. */
function isAsBefore(read: FolderLook['file'], before: DeviceMemo): boolean {
  if (read.kind === 'bad' || before.file === null) return false;
  const { space: _now, lifespan: _nowLife, ...now } = read.file;
  const { space: _then, lifespan: _thenLife, ...then } = before.file;
  return canonicalJson(now) === canonicalJson(then);
}

/** A new heartbeat of a device of which all else is taken to be as it was. */
function quietLook(request: LookRequest, heartbeat: Pick<FolderLook, 'etag' | 'lastModified' | 'file'>, before: DeviceMemo): FolderLook {
  const { last, folder } = request;
  return {
    ...heartbeat,
    folder,
    place: before.place,
    journey: request.journey,
    object: before.object,
    next: before.next,
    offer: readFirmwareFacts(last?.items.firmware)?.offer ?? null,
    bootedAt: null,
    checked: readConfigFacts(last?.items.config)?.checked ?? null,
    compared: undefined,
    bundle: before.bundle,
    there: before.bundleThere,
    objectThere: before.objectThere,
    sweptAt: before.sweptAt,
    sweptFor: before.sweptFor,
  };
}

/** One conditional GET: by the time of the object, because equal bytes may be a new heartbeat. */
async function heartbeatSince(request: LookRequest, before: DeviceMemo): Promise<Heard | 'missing'> {
  const { etag, lastModified, file } = before;
  if (etag === null || lastModified === null || file === null) return 'missing';
  const found = await getBounded(request, deviceFileKey(request.folder), { maxBytes: MAX_DEVICE_FILE_BYTES, since: lastModified });
  if (found === 'missing') return 'missing';
  if (found === 'unchanged') return { etag, lastModified, file: { kind: 'good', file } };
  // Its ETag comes with what is listed.
  if (found === 'too-large') return 'missing';
  return heardIn(found);
}

async function readHeartbeat(request: LookRequest, before: DeviceMemo, facts: ObjectFacts | null): Promise<Heard | 'missing'> {
  if (facts === null) return 'missing';
  const key = deviceFileKey(request.folder);
  const lastModified = wholeSeconds(facts.lastModified);
  if (facts.etag === before.etag && before.file !== null)
    return { etag: facts.etag, lastModified, file: { kind: 'good', file: before.file } };
  if (facts.etag === before.etag && before.fileProblem !== null) {
    return { etag: facts.etag, lastModified, file: { kind: 'bad', why: before.fileProblem } };
  }
  const found = await getBounded(request, key, { maxBytes: MAX_DEVICE_FILE_BYTES });
  if (found === 'missing' || found === 'unchanged') return 'missing';
  if (found === 'too-large')
    return { etag: facts.etag, lastModified, file: { kind: 'bad', why: 'device.json is larger than any device writes' } };
  return heardIn(found);
}

function heardIn(found: ObjectFacts & { readonly bytes: Uint8Array }): Heard {
  const parsed = parseDeviceFile(found.bytes);
  const file = parsed.ok ? ({ kind: 'good', file: parsed.value } as const) : ({ kind: 'bad', why: parsed.error.message } as const);
  return { etag: found.etag, lastModified: wholeSeconds(found.lastModified), file };
}

/** The bundle of certificates under a key; read again only when it changed. */
async function readBundle(request: LookRequest, facts: ObjectFacts | null, known: TrustObject | null): Promise<TrustObject | null> {
  if (facts === null) return null;
  if (known?.etag === facts.etag) return known;
  const found = await getBounded(request, bundleKey(request.folder), { maxBytes: MAX_BUNDLE_BYTES });
  if (found === 'missing' || found === 'unchanged') return null;
  if (found === 'too-large') return { etag: facts.etag, crc: 'oversize', sha256: 'oversize', certificates: null };
  return trustObjectOf({ etag: found.etag, crc: crc32Hex(found.bytes), sha256: sha256(found.bytes) }, found.bytes);
}

const NOTHING_THERE = { there: null, objectThere: null } as const;

/** What lies ready where the device is to go, and would be taken on its arrival. */
async function lookThere(
  request: LookRequest,
  { before, series, trusts }: { readonly before: DeviceMemo; readonly series: string; readonly trusts: boolean },
): Promise<Pick<FolderLook, 'there' | 'objectThere'>> {
  const { to, folder, signal } = request;
  if (to === null) return NOTHING_THERE;
  const objects = await openFolder(to, folder, signal);
  const elsewhere = { ...request, store: to };
  const config = await objects.facts(configKey(folder, series));
  return {
    there: trusts ? await readBundle(elsewhere, await objects.facts(bundleKey(folder)), before.bundleThere) : null,
    objectThere: await readConfigObject(elsewhere, { series, known: before.objectThere, facts: config }),
  };
}

/** The CRC is over the bytes as they are stored (§5.2), whatever they say. */
async function readConfigObject(
  request: LookRequest,
  of: { readonly series: string; readonly known: ReadObject | null; readonly facts: ObjectFacts | null },
): Promise<ReadObject | null> {
  const { series, known, facts } = of;
  const key = configKey(request.folder, series);
  if (facts === null) return null;
  if (known !== null && known.series === series && known.etag === facts.etag) return known;
  const found = await getBounded(request, key, { maxBytes: 2 * MAX_CONFIG_BYTES });
  if (found === 'missing' || found === 'unchanged') return null;
  // Longer than any config: no CRC that a device could report, so it can never look converged.
  if (found === 'too-large') return { series, etag: facts.etag, crc: 'oversize', sha256: 'oversize', summary: null };
  const document = parseJson(found.bytes);
  return {
    series,
    etag: found.etag,
    crc: crc32Hex(found.bytes),
    sha256: sha256(found.bytes),
    summary: document === undefined || objectOf(document) === undefined ? null : linkSummary(document, request.device.model),
  };
}

async function getBounded(
  { store, signal }: LookRequest,
  key: string,
  how: GetOptions,
): Promise<(ObjectFacts & { readonly bytes: Uint8Array }) | 'missing' | 'unchanged' | 'too-large'> {
  try {
    return await store.get(key, how, signal);
  } catch (error) {
    if (error instanceof WireError && error.code === 'TOO_LARGE') return 'too-large';
    throw error;
  }
}

function declaredBytes(device: DeclaredDevice): { readonly digest: string; readonly bytes: Uint8Array } | null {
  const content = device.items.find((item) => item.item === 'config')?.content;
  return content?.kind === 'bytes' ? { digest: content.digest, bytes: content.bytes } : null;
}

/**
 * What the declared config changes, field by field, against the object: read once more for it, only when one of the two is
 * another than at the last look. The object that was just written says nothing of what the device still runs.
 */
async function compareDeclared(
  request: LookRequest,
  seen: {
    readonly bytes: ReturnType<typeof declaredBytes>;
    readonly crc: string | null;
    readonly runs: string | null;
    readonly object: ReadObject | null;
  },
): Promise<ComparedConfig | null | undefined> {
  const { bytes, crc, runs, object } = seen;
  if (bytes === null || object === null || (crc === runs && crc === object.crc)) return null;
  if (crc === object.crc) return undefined;
  const earlier = readConfigFacts(request.last?.items.config)?.compared ?? null;
  if (earlier?.digest === bytes.digest && earlier.etag === object.etag) return earlier;
  const found = await getBounded(request, configKey(request.folder, object.series), { maxBytes: 2 * MAX_CONFIG_BYTES });
  if (typeof found === 'string') return null;
  const [running, wanted] = [parseJson(found.bytes), parseJson(bytes.bytes)];
  if (running === undefined || wanted === undefined) return null;
  const guards = [...flipGuards(running, wanted), ...secretGuards(running, wanted)];
  return { digest: bytes.digest, etag: object.etag, fields: configFields(running, wanted), guards };
}

/** What the device's own Rule Schema says of the declared config: read again only when one of the two changed. */
async function checkDeclared(
  request: LookRequest,
  declared: { readonly digest: string; readonly bytes: Uint8Array; readonly series: string; readonly etag: string | null },
): Promise<SchemaCheck> {
  const earlier = readConfigFacts(request.last?.items.config)?.checked ?? null;
  const same = earlier?.digest === declared.digest && declared.etag !== null && request.last?.memo['schemaEtag'] === declared.etag;
  if (same) return earlier;
  const schema = declared.etag === null ? null : await readRuleSchema(request, declared.series);
  return checkConfig(schema, declared);
}

export interface SchemaSource {
  readonly store: ObjectStore;
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** The bytes of the device's own Rule Schema: null when there is none, `too-large` when it is none that a device writes. */
export async function readRuleSchema(source: SchemaSource, series: string): Promise<Uint8Array | 'too-large' | null> {
  try {
    const found = await source.store.get(schemaKey(source.folder, series), { maxBytes: MAX_SCHEMA_BYTES }, source.signal);
    return found === 'missing' || found === 'unchanged' ? null : found.bytes;
  } catch (error) {
    if (error instanceof WireError && error.code === 'TOO_LARGE') return 'too-large';
    throw error;
  }
}

/** Draft-07 and the limits of §4.2, by the schema that counts. */
export function checkConfig(
  schema: Uint8Array | 'too-large' | null,
  config: { readonly digest: string; readonly bytes: Uint8Array; readonly series: string },
): SchemaCheck {
  const { digest } = config;
  if (schema === null) {
    return {
      digest,
      schema: 'missing',
      problems: [`the folder has no schema-${config.series}.json: the device writes it when it is restarted`],
    };
  }
  const compiled = schema === 'too-large' ? null : compileRuleSchema(schema);
  if (compiled === null) return { digest, schema: 'unusable', problems: ['the Rule Schema is larger than any device writes'] };
  if (!compiled.ok) return { digest, schema: 'unusable', problems: [compiled.error.message] };
  const document = parseJson(config.bytes);
  return { digest, schema: 'ok', problems: document === undefined ? ['the config is no JSON'] : compiled.value.check(document) };
}
