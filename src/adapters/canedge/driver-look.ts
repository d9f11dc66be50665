import { crc32Hex, sha256 } from '#kit/digest.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { MAX_CONFIG_BYTES } from './config.ts';
import { configFields, type ComparedConfig } from './config-difference.ts';
import { MAX_DEVICE_FILE_BYTES, parseDeviceFile } from './device-file.ts';
import { readConfigFacts, readDeclaredConfig, type SchemaCheck } from './facts.ts';
import { linkSummary } from './guards.ts';
import { objectOf, parseJson } from './json.ts';
import { readMemo, type DeviceMemo, type ReadObject } from './memo.ts';
import type { FolderLook } from './report.ts';
import { compileRuleSchema, MAX_SCHEMA_BYTES } from './schema.ts';
import { withConfigFor } from './secrets-config.ts';
import { wholeSeconds } from './driver-store.ts';
import { configKey, deviceFileKey, firmwareKey, schemaKey } from './wire.ts';

export interface LookRequest {
  readonly store: ObjectStore;
  readonly device: DeclaredDevice;
  readonly folder: string;
  readonly last: ReportedDevice | undefined;
  readonly signal: AbortSignal;
}

/**
 * Reads a device's folder, as little of it as is needed: a HEAD tells whether there is a new heartbeat (equal bytes with
 * a newer Last-Modified are one), unchanged objects are not read again. Never lists the folder, which may hold a
 * hundred thousand logs. `missing` when there is no device.json. Throws WireError.
 */
export async function lookAtFolder(request: LookRequest): Promise<FolderLook | 'missing'> {
  const { folder, last } = request;
  const before = readMemo(last?.memo['folder'] === folder ? last : undefined);
  const heartbeat = await readHeartbeat(request, before);
  if (heartbeat === 'missing') return 'missing';
  const bare: FolderLook = {
    ...heartbeat,
    folder,
    object: undefined,
    next: undefined,
    offer: null,
    bootedAt: null,
    checked: null,
    compared: undefined,
  };
  if (heartbeat.file.kind === 'bad') return bare;
  const { file } = heartbeat.file;
  if (file.id.toUpperCase() !== folder.toUpperCase()) return bare;
  // What is encrypted to the device can be told only now that it says its key.
  const device = withConfigFor(request.device, file.kpub);
  const declared = readDeclaredConfig(device.items.find((item) => item.item === 'config'));
  const object = await readConfigObject(request, file.series, before.object);
  const other = declared !== null && declared.series !== file.series ? declared.series : null;
  const next = other === null ? null : await readConfigObject(request, other, before.next);
  const offer = await request.store.head(firmwareKey(folder), request.signal);
  const schema = await request.store.head(schemaKey(folder, file.series), request.signal);
  const bytes = declared?.series === file.series && declared.crc !== object?.crc ? declaredBytes(device) : null;
  return {
    ...bare,
    object,
    next,
    compared: await compareDeclared(request, { bytes: declaredBytes(device), crc: declared?.crc ?? null, runs: file.crc, object }),
    offer: offer === 'missing' ? null : { etag: offer.etag, size: offer.size },
    bootedAt: schema === 'missing' ? null : wholeSeconds(schema.lastModified),
    checked:
      bytes === null
        ? null
        : await checkDeclared(request, { ...bytes, series: file.series, etag: schema === 'missing' ? null : schema.etag }),
  };
}

async function readHeartbeat(
  request: LookRequest,
  before: DeviceMemo,
): Promise<Pick<FolderLook, 'etag' | 'lastModified' | 'file'> | 'missing'> {
  const { store, folder, signal } = request;
  const key = deviceFileKey(folder);
  const facts = await store.head(key, signal);
  if (facts === 'missing') return 'missing';
  const lastModified = wholeSeconds(facts.lastModified);
  if (facts.etag === before.etag && before.file !== null)
    return { etag: facts.etag, lastModified, file: { kind: 'good', file: before.file } };
  if (facts.etag === before.etag && before.fileProblem !== null) {
    return { etag: facts.etag, lastModified, file: { kind: 'bad', why: before.fileProblem } };
  }
  const found = await getBounded(request, key, MAX_DEVICE_FILE_BYTES);
  if (found === 'missing') return 'missing';
  if (found === 'too-large')
    return { etag: facts.etag, lastModified, file: { kind: 'bad', why: 'device.json is larger than any device writes' } };
  const parsed = parseDeviceFile(found.bytes);
  const file = parsed.ok ? ({ kind: 'good', file: parsed.value } as const) : ({ kind: 'bad', why: parsed.error.message } as const);
  return { etag: found.etag, lastModified: wholeSeconds(found.lastModified), file };
}

/** The CRC is over the bytes as they are stored (§5.2), whatever they say. */
async function readConfigObject(request: LookRequest, series: string, known: ReadObject | null): Promise<ReadObject | null> {
  const key = configKey(request.folder, series);
  const facts = await request.store.head(key, request.signal);
  if (facts === 'missing') return null;
  if (known !== null && known.series === series && known.etag === facts.etag) return known;
  const found = await getBounded(request, key, 2 * MAX_CONFIG_BYTES);
  if (found === 'missing') return null;
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
  maxBytes: number,
): Promise<{ readonly bytes: Uint8Array; readonly etag: string; readonly lastModified: number } | 'missing' | 'too-large'> {
  try {
    const found = await store.get(key, { maxBytes }, signal);
    return found === 'unchanged' ? 'missing' : found;
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
  const found = await getBounded(request, configKey(request.folder, object.series), 2 * MAX_CONFIG_BYTES);
  if (found === 'missing' || found === 'too-large') return null;
  const [running, wanted] = [parseJson(found.bytes), parseJson(bytes.bytes)];
  if (running === undefined || wanted === undefined) return null;
  return { digest: bytes.digest, etag: object.etag, fields: configFields(running, wanted) };
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
