import type { Json } from '#kit/canonical.ts';
import { connectSummary, protectedFields } from './connect.ts';
import { textAt } from './json.ts';
import { takenSecrets, type SimKeys } from './sim-secrets.ts';

/**
 * The network and server around a simulated device: those of the config that it first ran with. Whether another config
 * still reaches them is what a lock-out is about (docs/protocols/canedge-s3.md §11, F2).
 */
export interface SimSurroundings {
  readonly endpoint: string | null;
  readonly port: number | null;
  readonly bucket: string | null;
  readonly accessKey: string | null;
  readonly apn: string | null;
  readonly ssids: readonly string[];
  /** Passwords and keys that work, by the place where a config says them, in the clear. */
  readonly secrets: ReadonlyMap<string, string>;
}

export function surroundingsOf(document: Json, keys: SimKeys): SimSurroundings {
  const summary = connectSummary(document);
  return {
    endpoint: summary.endpoint,
    port: summary.port,
    bucket: summary.bucket,
    accessKey: textAt(document, 'connect', 's3', 'server', 'accesskey') ?? null,
    apn: summary.apn,
    ssids: summary.ssids,
    secrets: new Map([...takenSecrets(document, keys)].map(([path, text]) => [path, text ?? cipherOf(document, path)])),
  };
}

/** Why a device with this config would reach nothing, or null. */
export function unreachable(surroundings: SimSurroundings, document: Json, keys: SimKeys): string | null {
  const taken = takenSecrets(document, keys);
  const opens = (path: string): boolean => (taken.get(path) ?? cipherOf(document, path)) === (surroundings.secrets.get(path) ?? '');
  const summary = connectSummary(document);
  if (summary.protocol !== 0) return 'it serves its own web page instead';
  if (summary.endpoint !== surroundings.endpoint || summary.port !== surroundings.port || summary.bucket !== surroundings.bucket) {
    return 'there is no such server';
  }
  if ((textAt(document, 'connect', 's3', 'server', 'accesskey') ?? null) !== surroundings.accessKey)
    return 'the server does not know the access key';
  if (!opens('/connect/s3/server/secretkey')) return 'the signature is wrong';
  if (summary.apn !== surroundings.apn) return 'there is no such APN';
  const known = summary.ssids.filter((name) => surroundings.ssids.includes(name));
  if (surroundings.ssids.length > 0 && !known.some((name) => opens(`/connect/wifi/accesspoint/${name}/pwd`))) {
    return 'no access point lets it in';
  }
  return null;
}

/** What a device that cannot decrypt goes by: the text as it stands. It works only where that very text worked before. */
function cipherOf(document: Json, path: string): string {
  return protectedFields(document).find((field) => field.path === path)?.text ?? '';
}
