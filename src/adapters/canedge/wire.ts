import { parseSeries } from './versions.ts';

/** Object keys and report values of a CANedge (docs/protocols/canedge-s3.md §2), and nothing about what they mean. */

/** A device id: the name of its folder. Either case is accepted when found, never changed when written. */
export const DEVICE_ID = /^[0-9A-Fa-f]{8}$/;

export function deviceFileKey(folder: string): string {
  return `${folder}/device.json`;
}

export function configName(series: string): string {
  return `config-${series}.json`;
}

export function configKey(folder: string, series: string): string {
  return `${folder}/${configName(series)}`;
}

export function schemaKey(folder: string, series: string): string {
  return `${folder}/schema-${series}.json`;
}

export const BUNDLE_NAME = 'certs_server.p7b';

/** The trusted server certificates of a device. */
export function bundleKey(folder: string): string {
  return `${folder}/${BUNDLE_NAME}`;
}

export function firmwareKey(folder: string): string {
  return `${folder}/firmware.bin`;
}

const WRITABLE = [/^[0-9A-Fa-f]{8}\/config-\d{2}\.\d{2}\.json$/, /^[0-9A-Fa-f]{8}\/firmware\.bin$/, /^[0-9A-Fa-f]{8}\/certs_server\.p7b$/];

/**
 * The keys that may ever be written or deleted, asserted right before each write: a hostile `id` or `cfg_name` in a
 * report must not lead anywhere else (§2, failure F18).
 */
export function mayWrite(key: string): boolean {
  return WRITABLE.some((shape) => shape.test(key));
}

/** The series in `config-01.09.json` or `…/base-01.09.json`; undefined when the name has none. */
export function seriesInName(name: string): string | undefined {
  const match = /-(\d{2}\.\d{2})\.json$/.exec(name);
  return match?.[1] === undefined ? undefined : parseSeries(match[1]);
}

/** CRC-32 as the device prints it, numerically: `5c3db` is `0005C3DB`; null for anything else, the empty text included. */
export function readCrc(text: string): string | null {
  return /^[0-9A-Fa-f]{1,8}$/.test(text) ? text.toUpperCase().padStart(8, '0') : null;
}

/**
 * The canonical text of a config: `01.09 0005C3DB` when report and object agree. Anything else is spelled out, so that
 * it never equals a declared value: `01.09 0005C3DB, object 9ECC0C10`, `01.09 0005C3DB, no object`, `01.09 none, …` for a
 * device that reports no CRC. `object` is the CRC of the object of the running series, null when there is none.
 */
export function configValue(series: string, reported: string | null, object: string | null): string {
  const base = `${series} ${reported ?? 'none'}`;
  if (object === null) return `${base}, no object`;
  return object === reported ? base : `${base}, object ${object}`;
}

/** Series and CRC of a config's canonical text, whatever it says of the object; undefined for other text. */
export function readConfigValue(text: string): { readonly series: string; readonly crc: string | null } | undefined {
  const match = /^(\d{2}\.\d{2}) ([0-9A-F]{8}|none)(?:,|$)/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { series: match[1], crc: match[2] === 'none' ? null : match[2] };
}

/**
 * The canonical text of a firmware: `01.09.03`. An image of ours that is still in the bucket after the device runs it,
 * where the device's options ask for it to be deleted, is drift: `01.09.03, firmware.bin left`.
 */
export function firmwareValue(version: string, left: boolean): string {
  return left ? `${version}, firmware.bin left` : version;
}

export function readFirmwareValue(text: string): string {
  return text.split(',', 1)[0] ?? text;
}

/** Where the device lives in the bucket: `address`, else `serial`, else its own id. */
export function folderName(device: { readonly id: string; readonly serial: string | null; readonly address: string | null }): string {
  return device.address ?? device.serial ?? device.id;
}
