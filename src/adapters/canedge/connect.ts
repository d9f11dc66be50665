import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { sha256 } from '#kit/digest.ts';
import { at, listAt, numberAt, objectOf, textAt } from './json.ts';

/** The vendor's defaults, in force when a config does not say (docs/protocols/canedge-s3.md §10). */
export const DEFAULT_OTA_SECONDS = 600;
export const DEFAULT_HEARTBEAT_SECONDS = 300;

/** A flag that says whether values of its section are encrypted, and where they stand (§8.1). */
interface SealedSection {
  readonly flag: readonly string[];
  readonly sealedWhen: number;
  readonly values: readonly (readonly string[])[];
}

const SEALED_SECTIONS: readonly SealedSection[] = [
  { flag: ['log', 'encryption', 'keyformat'], sealedWhen: 1, values: [['log', 'encryption', 'pwd']] },
  { flag: ['connect', 'wifi', 'keyformat'], sealedWhen: 1, values: [] },
  { flag: ['connect', 'cellular', 'keyformat'], sealedWhen: 1, values: [['connect', 'cellular', 'pin']] },
  { flag: ['connect', 's3', 'server', 'keyformat'], sealedWhen: 1, values: [['connect', 's3', 'server', 'secretkey']] },
  { flag: ['connect', 'webserver', 'security'], sealedWhen: 2, values: [['connect', 'webserver', 'password']] },
];

/** One protected field of a config: its place, whether its flag says that it is encrypted, and its text. */
export interface ProtectedField {
  readonly path: string;
  readonly sealed: boolean;
  readonly text: string;
}

/** The protected fields that a config sets, in the order of §8.1. Their text is a secret: it goes into no message. */
export function protectedFields(document: Json): readonly ProtectedField[] {
  return SEALED_SECTIONS.flatMap((section) => {
    const sealed = at(document, ...section.flag) === section.sealedWhen;
    const plain = section.values.map((path) => ({ path: `/${path.join('/')}`, text: textAt(document, ...path) }));
    const wifi = section.flag[1] === 'wifi' ? accessPoints(document) : [];
    return [...plain, ...wifi].flatMap(({ path, text }) => (text === undefined ? [] : [{ path, sealed, text }]));
  });
}

/** By network name, so that moving an access point in the list is no change of its password. */
function accessPoints(document: Json): readonly { readonly path: string; readonly text: string | undefined }[] {
  return listAt(document, 'connect', 'wifi', 'accesspoint').map((point) => ({
    path: `/connect/wifi/accesspoint/${textAt(point, 'ssid') ?? ''}/pwd`,
    text: textAt(point, 'pwd'),
  }));
}

/** Whether any flag of the config says that its values are encrypted. */
export function hasSealedFlag(document: Json): boolean {
  return SEALED_SECTIONS.some((section) => at(document, ...section.flag) === section.sealedWhen);
}

/**
 * How a device that runs a config reaches its bucket and when: what guards and deadlines need of it. No secrets: of
 * encrypted values a mark of the ciphertext, of plain ones nothing.
 */
export interface ConnectSummary {
  readonly ota: number;
  readonly heartbeat: number;
  readonly protocol: number;
  readonly endpoint: string | null;
  readonly port: number | null;
  readonly bucket: string | null;
  readonly region: string | null;
  /** Names the credentials; no secret (§8.1). */
  readonly accesskey: string | null;
  /** Sorted. */
  readonly ssids: readonly string[];
  readonly apn: string | null;
  /** `general.debug.restart_timer`, hours; null where the series has none. */
  readonly restartHours: number | null;
  /** Encrypted fields: path → mark of the ciphertext. */
  readonly sealed: Readonly<Record<string, string>>;
  /**
   * What guards.ts finds wrong with the link of this very config. A device that reports while running it shows that it
   * does no harm there.
   */
  readonly flaws: readonly string[];
  /** Of secrets that we encrypted ourselves: what tells whether the plain text changes. Null where that is not known. */
  readonly secrets: SecretMarks | null;
}

/**
 * Marks of plain texts under a key that lies in git as ciphertext: they say nothing to who does not have it. `key` names
 * that key, because marks under different keys cannot be compared.
 */
export interface SecretMarks {
  readonly key: string;
  /** By the path of the field, as in `protectedFields`. */
  readonly marks: Readonly<Record<string, string>>;
}

export function readSecretMarks(value: Json | undefined): SecretMarks | null {
  const key = textAt(value, 'key');
  if (key === undefined) return null;
  const marks = Object.entries(objectOf(at(value, 'marks')) ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return { key, marks: Object.fromEntries(marks) };
}

export function connectSummary(document: Json): ConnectSummary {
  const server = at(document, 'connect', 's3', 'server');
  return {
    ota: numberAt(document, 'connect', 's3', 'sync', 'ota') ?? DEFAULT_OTA_SECONDS,
    heartbeat: numberAt(document, 'connect', 's3', 'sync', 'heartbeat') ?? DEFAULT_HEARTBEAT_SECONDS,
    protocol: numberAt(document, 'connect', 'protocol') ?? 0,
    endpoint: textAt(server, 'endpoint') ?? null,
    port: numberAt(server, 'port') ?? null,
    bucket: textAt(server, 'bucket') ?? null,
    region: textAt(server, 'region') ?? null,
    accesskey: textAt(server, 'accesskey') ?? null,
    ssids: ssidsOf(document),
    apn: textAt(document, 'connect', 'cellular', 'apn') ?? null,
    restartHours: numberAt(document, 'general', 'debug', 'restart_timer') ?? null,
    sealed: Object.fromEntries(protectedFields(document).flatMap(({ path, sealed, text }) => (sealed ? [[path, markOf(text)]] : []))),
    flaws: [],
    secrets: null,
  };
}

function ssidsOf(document: Json): readonly string[] {
  const names = listAt(document, 'connect', 'wifi', 'accesspoint').flatMap((point) => textAt(point, 'ssid') ?? []);
  return [...new Set(names)].toSorted(compareText);
}

/** Ciphertext starts with a random vector, so its digest tells nothing of what is in it. */
export function markOf(ciphertext: string): string {
  return sha256(ciphertext).slice(0, 16);
}

/** Reads a summary back from facts; null when they are not one. */
export function readConnectSummary(value: Json | undefined): ConnectSummary | null {
  const object = objectOf(value);
  if (object === undefined) return null;
  const sealed = Object.entries(objectOf(object['sealed']) ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return {
    ota: numberAt(object, 'ota') ?? DEFAULT_OTA_SECONDS,
    heartbeat: numberAt(object, 'heartbeat') ?? DEFAULT_HEARTBEAT_SECONDS,
    protocol: numberAt(object, 'protocol') ?? 0,
    endpoint: textAt(object, 'endpoint') ?? null,
    port: numberAt(object, 'port') ?? null,
    bucket: textAt(object, 'bucket') ?? null,
    region: textAt(object, 'region') ?? null,
    accesskey: textAt(object, 'accesskey') ?? null,
    ssids: listAt(object, 'ssids').filter((name) => typeof name === 'string'),
    apn: textAt(object, 'apn') ?? null,
    restartHours: numberAt(object, 'restartHours') ?? null,
    sealed: Object.fromEntries(sealed),
    flaws: listAt(object, 'flaws').filter((flaw) => typeof flaw === 'string'),
    secrets: readSecretMarks(object['secrets']),
  };
}
