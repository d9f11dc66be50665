import { err, ok, type Result } from '#kit/result.ts';
import { modelByType, type CanedgeModel } from './models.ts';
import { compareSeries, parseSeries, parseVersion, seriesText, versionText } from './versions.ts';
import { DEVICE_ID, readCrc, seriesInName } from './wire.ts';

/** device.json, the heartbeat: docs/protocols/canedge-s3.md §3. It is hostile input: anyone with a device's key can write it. */
export const MAX_DEVICE_FILE_BYTES = 64 * 1024;

export interface DeviceFile {
  /** As the device spells it. */
  readonly id: string;
  /** Null for a type code that nobody knows: unmanaged. */
  readonly model: CanedgeModel | null;
  readonly type: string;
  /** `01.09.03`. */
  readonly firmware: string;
  /** The config series in use, `01.09`. */
  readonly series: string;
  /** CRC-32 of the config in use, 8 upper-case hex digits; null when the device reports none or no number. */
  readonly crc: string | null;
  /** 64 raw bytes of a P-256 point in base64, null when it reports none. Whether it is a good key is not judged here. */
  readonly kpub: string | null;
  /** Text of at most 30 characters that its config gives it. */
  readonly meta: string | null;
  /** MiB used and in all. */
  readonly space: { readonly used: number; readonly total: number } | null;
  /** Percent of the SD card's life used. */
  readonly lifespan: number | null;
  /** Hashes of the trusted certificates it has loaded, upper case; null when it does not say, or not in hashes. */
  readonly certificates: { readonly kind: 'sha1' | 'md5'; readonly hashes: readonly string[] } | null;
}

export interface DeviceFileProblem {
  /**
   * TORN: not JSON, or fields that must be there are not. MID_UPDATE: names and versions are of different series: wait.
   */
  readonly code: 'TOO_LARGE' | 'TORN' | 'NOT_AN_OBJECT' | 'BAD_FIELD' | 'MID_UPDATE';
  readonly message: string;
}

/**
 * Reads device.json. Unknown fields are ignored and optional ones never required (§3); the three names of the config
 * series must agree (§3.3). A byte-order mark is tolerated. Never throws.
 */
export function parseDeviceFile(bytes: Uint8Array): Result<DeviceFile, DeviceFileProblem> {
  if (bytes.length > MAX_DEVICE_FILE_BYTES) return err({ code: 'TOO_LARGE', message: `device.json has ${bytes.length} bytes` });
  const document = readJson(bytes);
  if (document === undefined) return err({ code: 'TORN', message: 'device.json is not complete JSON' });
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    return err({ code: 'NOT_AN_OBJECT', message: 'device.json is not a JSON object' });
  }
  const fields = document as Readonly<Record<string, unknown>>;
  const id = textOf(fields, 'id');
  if (id === null || !DEVICE_ID.test(id)) return badField('id', '8 hex digits');
  const type = textOf(fields, 'type');
  if (type === null || !DEVICE_ID.test(type)) return badField('type', '8 hex digits');
  const version = parseVersion(textOf(fields, 'fw_ver') ?? '');
  if (version === undefined) return badField('fw_ver', 'a version such as 01.09.03');
  const series = readSeries(fields);
  if (!series.ok) return series;
  if (compareSeries(seriesText(version), series.value) !== 0) {
    return err({ code: 'MID_UPDATE', message: `runs firmware ${versionText(version)} with a config of series ${series.value}` });
  }
  return ok({
    id,
    type: type.toUpperCase(),
    model: modelByType(type) ?? null,
    firmware: versionText(version),
    series: series.value,
    crc: readCrc(textOf(fields, 'cfg_crc32') ?? ''),
    kpub: nullIfEmpty(textOf(fields, 'kpub')),
    meta: textOf(fields, 'log_meta'),
    space: readSpace(textOf(fields, 'space_used_mb')),
    lifespan: readWhole(textOf(fields, 'sd_used_lifespan')),
    certificates: readHashes(fields),
  });
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Own text members only, so that `__proto__` and the like say nothing; long text is no field of this file. */
function textOf(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return typeof value === 'string' && value.length <= 1024 ? value : null;
}

function badField(name: string, wanted: string): { readonly ok: false; readonly error: DeviceFileProblem } {
  return err({ code: 'BAD_FIELD', message: `${name} of device.json is not ${wanted}` });
}

/** `cfg_ver`, `cfg_name` and `sch_name` name one series, or the device is mid-update. */
function readSeries(fields: Readonly<Record<string, unknown>>): Result<string, DeviceFileProblem> {
  const version = parseSeries(textOf(fields, 'cfg_ver') ?? '');
  if (version === undefined) return badField('cfg_ver', 'a config series such as 01.09');
  const config = /^config-\d{2}\.\d{2}\.json$/.test(textOf(fields, 'cfg_name') ?? '')
    ? seriesInName(textOf(fields, 'cfg_name') ?? '')
    : undefined;
  if (config === undefined) return badField('cfg_name', 'a name such as config-01.09.json');
  const schema = /^schema-\d{2}\.\d{2}\.json$/.test(textOf(fields, 'sch_name') ?? '')
    ? seriesInName(textOf(fields, 'sch_name') ?? '')
    : undefined;
  if (schema === undefined) return badField('sch_name', 'a name such as schema-01.09.json');
  if (config !== version || schema !== version) {
    return err({ code: 'MID_UPDATE', message: `cfg_ver ${version}, config of ${config}, schema of ${schema}: the device is mid-update` });
  }
  return ok(version);
}

const HASH_FIELDS = { certs_server_sha1: { kind: 'sha1', digits: 40 }, certs_server_md5: { kind: 'md5', digits: 32 } } as const;
const MAX_HASHES = 32;

/** Under either name, or under neither (§3.2): a list that is none says nothing, which is not an empty one. */
function readHashes(fields: Readonly<Record<string, unknown>>): DeviceFile['certificates'] {
  const [said, ...more] = Object.entries(HASH_FIELDS).filter(([name]) => Object.hasOwn(fields, name));
  if (said === undefined || more.length > 0) return null;
  const [name, { kind, digits }] = said;
  const list = fields[name];
  if (!Array.isArray(list) || list.length > MAX_HASHES) return null;
  const hashes = (list as readonly unknown[]).flatMap((hash) =>
    typeof hash === 'string' && hash.length === digits && /^[0-9A-Fa-f]+$/.test(hash) ? [hash.toUpperCase()] : [],
  );
  return hashes.length === list.length && new Set(hashes).size === hashes.length ? { kind, hashes } : null;
}

function readSpace(text: string | null): DeviceFile['space'] {
  const match = /^(\d{1,9})\/(\d{1,9})$/.exec(text ?? '');
  return match === null ? null : { used: Number(match[1]), total: Number(match[2]) };
}

/** `?` when the card does not say. */
function readWhole(text: string | null): number | null {
  return text !== null && /^\d{1,3}$/.test(text) ? Number(text) : null;
}

function nullIfEmpty(text: string | null): string | null {
  return text === '' ? null : text;
}
