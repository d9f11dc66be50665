import { parseBundle, type BundleCertificate } from './bundle.ts';
import type { CanedgeQuirks } from './sim-faults.ts';
import type { CanedgeModel } from './models.ts';

/** The server certificates of a simulated device: docs/protocols/canedge-s3.md §7, §13. */
export interface SimTrust {
  /** certs_server.p7b on its card; null when it never had one. */
  readonly file: Uint8Array | null;
  /** What it has loaded of it. */
  readonly loaded: readonly BundleCertificate[];
}

/**
 * What a device makes of a bundle that it stored: an empty one clears the list (F7), one in an encoding that its firmware
 * does not take leaves the list as it was. A single certificate may be PEM or DER with any firmware (§7.2).
 */
export function loadBundle(before: SimTrust, file: Uint8Array, encodings: CanedgeQuirks['certBundleEncodings']): SimTrust {
  if (file.length === 0) return { file, loaded: [] };
  const parsed = parseBundle(file);
  if (!parsed.ok || (parsed.value.length > 1 && !takes(file, encodings))) return { file, loaded: before.loaded };
  return { file, loaded: parsed.value };
}

function takes(file: Uint8Array, encodings: CanedgeQuirks['certBundleEncodings']): boolean {
  const isText = Buffer.from(file.subarray(0, 11)).toString('latin1') === '-----BEGIN ';
  return encodings === 'both' || (encodings === 'pem') === isText;
}

/**
 * The member of device.json that lists what is loaded (§7.4), under the name of its family; none from firmware that does
 * not say. By subject, certificates of one subject are one entry.
 */
export function certificateField(
  loaded: readonly BundleCertificate[],
  model: CanedgeModel,
  quirks: Pick<CanedgeQuirks, 'certField' | 'certHashInput'>,
): Readonly<Record<string, readonly string[]>> {
  if (quirks.certField === 'absent') return {};
  if (model.network === 'cellular') return { certs_server_md5: loaded.map(({ hashes }) => hashes.md5) };
  const kind = quirks.certHashInput === 'subject' ? 'subjectSha1' : 'sha1';
  return { certs_server_sha1: [...new Set(loaded.map(({ hashes }) => hashes[kind]))] };
}
