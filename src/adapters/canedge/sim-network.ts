import type { Json } from '#kit/canonical.ts';
import { isValidated } from '#kit/certificate-chain.ts';
import type { Instant } from '#model/ids.ts';
import type { SimPorts, SimS3Server } from '#ports/sim.ts';
import type { BundleCertificate } from './bundle.ts';
import { connectSummary, protectedFields, type ConnectSummary } from './connect.ts';
import { textAt } from './json.ts';
import { takenSecrets, type SimKeys } from './sim-secrets.ts';

/**
 * The network and server around a simulated device: those of the config that it first ran with. Whether another config
 * still reaches them is what a lock-out is about (docs/protocols/canedge-s3.md §11, F2). Where the servers of its world
 * have addresses, it is they that are looked up.
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

/** What a device goes by when it looks for its server. */
export interface SimCaller {
  readonly surroundings: SimSurroundings;
  readonly document: Json;
  readonly keys: SimKeys;
  /** Loaded certificates, and those that a cellular device has from the factory (§7.1). */
  readonly trusted: readonly BundleCertificate[];
  readonly now: Instant;
  readonly lookUp: SimPorts['server'];
}

/** The server that a device reaches, `own` for the bucket it was given, or why it reaches nothing. */
export function reach(caller: SimCaller): SimS3Server | 'own' | { readonly why: string } {
  const summary = connectSummary(caller.document);
  if (summary.protocol !== 0) return { why: 'it serves its own web page instead' };
  const server = serverOf(caller, summary);
  if (server === null) return { why: 'there is no such server' };
  const shown = server !== 'own' && summary.endpoint?.startsWith('https://') === true ? server.chain : null;
  if (shown !== null && !isValidated(shown, caller.trusted, { now: caller.now, names: [hostOf(summary.endpoint ?? '')] }))
    return { why: 'it does not trust the certificate of its server' };
  const shut = shutOut(caller, summary);
  return shut === null ? server : { why: shut };
}

function hostOf(endpoint: string): string {
  return URL.parse(endpoint)?.hostname ?? '';
}

function serverOf({ surroundings, lookUp }: SimCaller, { endpoint, port, bucket }: ConnectSummary): SimS3Server | 'own' | null {
  const found = endpoint === null ? undefined : lookUp?.({ endpoint, port, bucket });
  if (found !== undefined) return found;
  return endpoint === surroundings.endpoint && port === surroundings.port && bucket === surroundings.bucket ? 'own' : null;
}

/** Credentials and the network before it. */
function shutOut({ surroundings, document, keys }: SimCaller, summary: ConnectSummary): string | null {
  const taken = takenSecrets(document, keys);
  const opens = (path: string): boolean => (taken.get(path) ?? cipherOf(document, path)) === (surroundings.secrets.get(path) ?? '');
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
