import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import { renderConfig } from './config.ts';
import { parseDeviceFile } from './device-file.ts';
import { parseJson } from './json.ts';
import { redactedConfig } from './secrets-fields.ts';

/** What commands for people need of a config and of a device.json that they were given. */

/** A JSON document of which nothing is known; undefined when it is none. */
export function readDocument(bytes: Uint8Array): Json | undefined {
  return parseJson(bytes);
}

/** As the device reports it: docs/protocols/canedge-s3.md §5.2. */
export function configCrc(bytes: Uint8Array): string {
  return crc32Hex(bytes);
}

/** The text of a config as it may be shown: every protected value is `[secret]`. Null for bytes that are no config. */
export function shownConfig(bytes: Uint8Array): string | null {
  const document = parseJson(bytes);
  const shown = document === undefined ? null : renderConfig(redactedConfig(document));
  return shown?.ok === true ? new TextDecoder().decode(shown.value) : null;
}

/** The public key that a device.json tells, or why there is none to take. */
export function kpubIn(deviceFile: Uint8Array): { readonly id: string; readonly kpub: string } | string {
  const parsed = parseDeviceFile(deviceFile);
  if (!parsed.ok) return parsed.error.message;
  const { id, kpub } = parsed.value;
  return kpub === null ? 'device.json tells no public key' : { id, kpub };
}
