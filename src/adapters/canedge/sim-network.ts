import type { Json } from '#kit/canonical.ts';
import { connectSummary, protectedFields } from './connect.ts';
import { textAt } from './json.ts';

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
  /** Passwords and keys that work, by the place where a config says them; encrypted ones by their ciphertext. */
  readonly secrets: ReadonlyMap<string, { readonly text: string; readonly sealed: boolean }>;
}

export function surroundingsOf(document: Json): SimSurroundings {
  const summary = connectSummary(document);
  return {
    endpoint: summary.endpoint,
    port: summary.port,
    bucket: summary.bucket,
    accessKey: textAt(document, 'connect', 's3', 'server', 'accesskey') ?? null,
    apn: summary.apn,
    ssids: summary.ssids,
    secrets: new Map(protectedFields(document).map(({ path, text, sealed }) => [path, { text, sealed }])),
  };
}

/** Why a device with this config would reach nothing, or null. */
export function unreachable(surroundings: SimSurroundings, document: Json): string | null {
  const summary = connectSummary(document);
  if (summary.protocol !== 0) return 'it serves its own web page instead';
  if (summary.endpoint !== surroundings.endpoint || summary.port !== surroundings.port || summary.bucket !== surroundings.bucket) {
    return 'there is no such server';
  }
  if ((textAt(document, 'connect', 's3', 'server', 'accesskey') ?? null) !== surroundings.accessKey)
    return 'the server does not know the access key';
  if (!opens(surroundings, document, '/connect/s3/server/secretkey')) return 'the signature is wrong';
  if (summary.apn !== surroundings.apn) return 'there is no such APN';
  const known = summary.ssids.filter((name) => surroundings.ssids.includes(name));
  if (surroundings.ssids.length > 0 && !known.some((name) => opens(surroundings, document, `/connect/wifi/accesspoint/${name}/pwd`))) {
    return 'no access point lets it in';
  }
  return null;
}

function opens(surroundings: SimSurroundings, document: Json, path: string): boolean {
  const said = protectedFields(document).find((field) => field.path === path);
  const works = surroundings.secrets.get(path);
  return (said?.text ?? '') === (works?.text ?? '') && (said?.sealed ?? false) === (works?.sealed ?? false);
}
