import type { Json } from '#kit/canonical.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { readCompared, readGuards, type ComparedConfig } from './config-difference.ts';
import {
  DEFAULT_HEARTBEAT_SECONDS,
  DEFAULT_OTA_SECONDS,
  readConnectSummary,
  readSecretMarks,
  type ConnectSummary,
  type SecretMarks,
} from './connect.ts';
import { at, listAt, numberAt, objectOf, textAt } from './json.ts';

/**
 * What declared items, reported items and operations of this family carry beside their values. They are stored as JSON
 * and may come back from a file, so each has a reader that takes anything.
 */

/** A stretch of time (clock of the bucket) over which heartbeats followed each other: the device was online. */
export type OnlineSpan = readonly [from: Instant, to: Instant];

/** Facts of a reported firmware. `link` is of the device as a whole. */
export interface FirmwareFacts {
  readonly version: string;
  readonly series: string;
  /** `firmware.bin` in the device's folder at the last look. */
  readonly offer: { readonly etag: string; readonly size: number } | null;
  readonly link: LinkFacts;
}

export interface LinkFacts {
  readonly online: readonly OnlineSpan[];
  /** Periods of the config that the device runs, in seconds; the vendor's defaults when that is not known. */
  readonly ota: number;
  readonly heartbeat: number;
  /** Since when no look has found it silent (clock of the bucket). */
  readonly steadySince: Instant | null;
  /** Last-Modified of the schema object: it is written once per power cycle. */
  readonly bootedAt: Instant | null;
  /** When the bucket was last looked at (our clock): kept current while an operation is open. */
  readonly lookedAt: Instant;
}

/** Why report and declaration may differ, when it can be told (failures F10 to F12). */
export type DriftClass = 'none' | 'pending' | 'object-missing' | 'object-edited' | 'device-edited';

export interface ConfigFacts {
  readonly series: string;
  /** As reported; null when the device reports none. */
  readonly crc: string | null;
  /** The object of the running series. */
  readonly object: { readonly crc: string; readonly sha256: string; readonly etag: string } | null;
  /** The object of the declared series, where that is another one. */
  readonly next: { readonly series: string; readonly crc: string | null; readonly sha256: string | null } | null;
  /** In a move, before the device reports there: the object of the running series in the other bucket. */
  readonly there: { readonly crc: string; readonly sha256: string; readonly etag: string } | null;
  /** Of the config that the device is known to run. */
  readonly running: ConnectSummary | null;
  readonly drift: DriftClass;
  /** How the declared config fared against the device's own Rule Schema. */
  readonly checked: SchemaCheck | null;
  /** What the declared config would change in what it runs; null when they are equal or were not compared. */
  readonly compared: ComparedConfig | null;
}

export interface SchemaCheck {
  /** SHA-256 of the declared bytes. */
  readonly digest: string;
  /** Whether the folder has a Rule Schema for them that can be used. */
  readonly schema: 'ok' | 'missing' | 'unusable';
  readonly problems: readonly string[];
}

export function readFirmwareFacts(item: ReportedItem | undefined): FirmwareFacts | null {
  if (item?.kind !== 'value') return null;
  const version = textAt(item.facts, 'version');
  const series = textAt(item.facts, 'series');
  if (version === undefined || series === undefined) return null;
  const etag = textAt(item.facts, 'offer', 'etag');
  const link = at(item.facts, 'link');
  return {
    version,
    series,
    offer: etag === undefined ? null : { etag, size: numberAt(item.facts, 'offer', 'size') ?? 0 },
    link: {
      online: listAt(link, 'online').flatMap(readSpan),
      ota: numberAt(link, 'ota') ?? DEFAULT_OTA_SECONDS,
      heartbeat: numberAt(link, 'heartbeat') ?? DEFAULT_HEARTBEAT_SECONDS,
      steadySince: numberAt(link, 'steadySince') ?? null,
      bootedAt: numberAt(link, 'bootedAt') ?? null,
      lookedAt: numberAt(link, 'lookedAt') ?? 0,
    },
  };
}

export function readConfigFacts(item: ReportedItem | undefined): ConfigFacts | null {
  if (item?.kind !== 'value') return null;
  const series = textAt(item.facts, 'series');
  if (series === undefined) return null;
  return {
    series,
    crc: textAt(item.facts, 'crc') ?? null,
    object: readObject(at(item.facts, 'object')),
    next: readNext(at(item.facts, 'next')),
    there: readObject(at(item.facts, 'there')),
    running: readConnectSummary(at(item.facts, 'running')),
    drift: (textAt(item.facts, 'drift') as DriftClass | undefined) ?? 'none',
    checked: readChecked(at(item.facts, 'checked')),
    compared: readCompared(at(item.facts, 'compared')),
  };
}

export function readSpan(value: Json): readonly OnlineSpan[] {
  if (!Array.isArray(value)) return [];
  const [from, to] = value as readonly Json[];
  return typeof from === 'number' && typeof to === 'number' && to >= from ? [[from, to]] : [];
}

function readObject(value: Json | undefined): ConfigFacts['object'] {
  const [crc, sha256, etag] = [textAt(value, 'crc'), textAt(value, 'sha256'), textAt(value, 'etag')];
  return crc === undefined || sha256 === undefined || etag === undefined ? null : { crc, sha256, etag };
}

function readNext(value: Json | undefined): ConfigFacts['next'] {
  const series = textAt(value, 'series');
  if (series === undefined) return null;
  return { series, crc: textAt(value, 'crc') ?? null, sha256: textAt(value, 'sha256') ?? null };
}

function readChecked(value: Json | undefined): ConfigFacts['checked'] {
  const digest = textAt(value, 'digest');
  if (digest === undefined) return null;
  const schema = textAt(value, 'schema');
  return {
    digest,
    schema: schema === 'missing' || schema === 'unusable' ? schema : 'ok',
    problems: listAt(value, 'problems').filter((problem) => typeof problem === 'string'),
  };
}

/** Facts of a declared config: what it is, what is wrong with it by itself, in the order found. */
export interface DeclaredConfigFacts {
  readonly series: string;
  readonly crc: string;
  readonly guards: readonly { readonly code: string | null; readonly text: string }[];
  /** What a migration from the pinned series could not carry over, and from which series; null when it was not needed. */
  readonly migrated: { readonly from: string; readonly notes: readonly string[] } | null;
  /** The public key of the device that it is encrypted to, null where nothing is. */
  readonly kpub: string | null;
  /** Marks of the secrets in it that keep the device connected, null where we encrypted none. */
  readonly secrets: SecretMarks | null;
}

export function readDeclaredConfig(item: DeclaredItem | undefined): DeclaredConfigFacts | null {
  const [series, crc] = [textAt(item?.facts, 'series'), textAt(item?.facts, 'crc')];
  if (series === undefined || crc === undefined) return null;
  const guards = readGuards(listAt(item?.facts, 'guards'));
  const migrated = readMigrated(at(item?.facts, 'migrated'));
  const secrets = readSecretMarks(at(item?.facts, 'secrets'));
  return { series, crc, guards, migrated, kpub: textAt(item?.facts, 'kpub') ?? null, secrets };
}

function readMigrated(value: Json | undefined): DeclaredConfigFacts['migrated'] {
  const from = textAt(value, 'from');
  return from === undefined ? null : { from, notes: listAt(value, 'notes').filter((note) => typeof note === 'string') };
}

/** Facts of a declared firmware; `model` null when the image was not at hand, `size` in bytes. */
export interface DeclaredFirmwareFacts {
  readonly version: string;
  readonly series: string;
  readonly model: string | null;
  readonly size: number | null;
}

export function readDeclaredFirmware(item: DeclaredItem | undefined): DeclaredFirmwareFacts | null {
  const [version, series] = [textAt(item?.facts, 'version'), textAt(item?.facts, 'series')];
  if (version === undefined || series === undefined) return null;
  return { version, series, model: textAt(item?.facts, 'model') ?? null, size: numberAt(item?.facts, 'size') ?? null };
}

/** What an operation tells the driver. `object` is what must lie under the key before the write. */
export interface OperationFacts {
  readonly series: string;
  /** Config steps: CRC of the bytes to be written. */
  readonly crc: string | null;
  /** Config steps: the object to be replaced, null where there must be none. */
  readonly object: { readonly crc: string; readonly sha256: string } | null;
  /** Firmware: whether the device changes its series, and needs the config of the new one. */
  readonly crosses: boolean;
  /** Whether it changes how the device reaches its server. */
  readonly link: boolean;
  /** Config steps: the only public key that may read the bytes, null where nothing in them is encrypted by us. */
  readonly kpub: string | null;
}

export function readOperationFacts(facts: Json): OperationFacts | null {
  const series = textAt(facts, 'series');
  if (series === undefined) return null;
  const [crc, sha256] = [textAt(facts, 'object', 'crc'), textAt(facts, 'object', 'sha256')];
  return {
    series,
    crc: textAt(facts, 'crc') ?? null,
    object: crc === undefined || sha256 === undefined ? null : { crc, sha256 },
    crosses: at(facts, 'crosses') === true,
    link: at(facts, 'link') === true,
    kpub: textAt(facts, 'kpub') ?? null,
  };
}

/** What a write leaves for its withdrawal. `previous` is the digest of the bytes that it replaced. */
export interface Undo {
  readonly key: string;
  readonly etag: string;
  readonly sha256: string;
  readonly previous: string | null;
}

export function readUndo(value: Json): Undo | null {
  const [key, etag, sha256] = [textAt(value, 'key'), textAt(value, 'etag'), textAt(value, 'sha256')];
  if (key === undefined || etag === undefined || sha256 === undefined) return null;
  return { key, etag, sha256, previous: textAt(value, 'previous') ?? null };
}

/** Milliseconds that the device was demonstrably online after an instant (clock of the bucket). */
export function onlineAfter(link: LinkFacts, reference: Instant): number {
  return link.online.reduce((total, [from, to]) => total + Math.max(0, to - Math.max(from, reference)), 0);
}

/** Options of a device, `options.schema.json`. */
export interface CanedgeOptions {
  readonly allow: readonly string[];
  readonly deadlineFactor: number;
  readonly cleanup: 'keep' | 'delete';
  readonly series: string | null;
  readonly kpub: string | null;
  /** Whether a config of an earlier series may be migrated. */
  readonly migrate: boolean;
}

export function readOptions(options: Readonly<Record<string, Json>>): CanedgeOptions {
  const object = objectOf(options);
  return {
    allow: listAt(object, 'allow').filter((code) => typeof code === 'string'),
    deadlineFactor: numberAt(object, 'deadlineFactor') ?? 2,
    cleanup: textAt(object, 'cleanup') === 'delete' ? 'delete' : 'keep',
    series: textAt(object, 'series') ?? null,
    kpub: textAt(object, 'kpub') ?? null,
    migrate: at(object, 'migrate') !== false,
  };
}

/** The link facts of a device, which its firmware report carries. */
export function linkOf(reported: ReportedDevice): LinkFacts | null {
  return readFirmwareFacts(reported.items.firmware)?.link ?? null;
}
