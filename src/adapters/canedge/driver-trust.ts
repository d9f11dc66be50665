import { isValidated } from '#kit/certificate-chain.ts';
import { sha256 } from '#kit/digest.ts';
import { MAX_BUNDLE_BYTES, parseBundle, type BundleCertificate } from './bundle.ts';
import { connectSummary } from './connect.ts';
import {
  contentBytes,
  freshHeartbeat,
  homeStore,
  identityRefusal,
  objectMoved,
  offerKey,
  referenceOfFound,
  refused,
  undoOf,
  type Act,
  type Heartbeat,
  type Prepared,
  type Stop,
} from './driver-act.ts';
import { arrivalProblem } from './driver-arrival.ts';
import { holds, readObject } from './driver-store.ts';
import { readConfigFacts, readOptions } from './facts.ts';
import { at, parseJson, textAt, textsAt } from './json.ts';
import { isTls } from './trust-operations.ts';
import { carriesAll, holdsSet, readDeclaredTrust, readTrustFacts, trustObjectOf, type DeclaredTrust } from './trust.ts';

/** Looks at everything that must hold before a bundle of certificates is written (docs/protocols/canedge-s3.md §7, F7, F8). */
export async function prepareTrust(act: Act): Promise<Prepared> {
  const heartbeat = await freshHeartbeat({ ...act, store: await homeStore(act) });
  const stranger = identityRefusal(act, heartbeat);
  if (stranger !== null) return stranger;
  if (typeof heartbeat === 'string') return refused('REPORT_UNREADABLE', heartbeat);
  const bytes = await contentBytes(act);
  if (!(bytes instanceof Uint8Array)) return bytes;
  const bundle = parseBundle(bytes);
  const want = readTrustFacts(at(act.operation.facts, 'want') ?? null);
  if (!bundle.ok) return refused('ARTIFACT_UNVERIFIED', bundle.error.message);
  if (want === null || !holdsSet(trustObjectOf(NO_OBJECT, bytes), want.certificates))
    return refused('ARTIFACT_UNVERIFIED', 'the bundle does not hold the certificates of the plan');
  const key = offerKey(act);
  const current = await readObject(act.store, key, { maxBytes: MAX_BUNDLE_BYTES, signal: act.signal });
  if (current !== 'missing' && holds(current, sha256(bytes))) {
    const undo = undoOf(key, { etag: current.etag, sha256: sha256(bytes), previous: act.facts.object?.sha256 ?? null });
    return { kind: 'already', reference: referenceOfFound(act, current, heartbeat), undo };
  }
  const moved = loadedMoved(act, heartbeat) ?? objectMoved(act, current, key);
  if (moved !== null) return moved;
  const before = current === 'missing' ? [] : certificatesIn(current.bytes);
  const locked = act.operation.step === 'trust-there' ? null : await lostServer(act, { before, after: bundle.value });
  return locked ?? { kind: 'ready', bytes, current };
}

const NO_OBJECT = { etag: '', crc: '', sha256: '' };

function certificatesIn(bytes: Uint8Array): readonly BundleCertificate[] {
  const parsed = parseBundle(bytes);
  return parsed.ok ? parsed.value : [];
}

/** The device must still trust what the plan saw. */
function loadedMoved(act: Act, { file }: Heartbeat): Stop | null {
  const planned = textsAt(act.operation.facts, 'loaded').join(' ');
  const now = file.certificates?.hashes.toSorted().join(' ') ?? null;
  return now === planned ? null : refused('PRECONDITION_MOVED', 'the certificates that it has loaded are not those of the plan');
}

interface Server {
  readonly endpoint: string;
  readonly port: number | null;
}

/**
 * What is put back when certificates are taken back must validate the server that the device uses, or may use by now: it may
 * have loaded the new ones since it last reported. Null as well where nothing is put back.
 */
export async function withdrawnTrustProblem(act: Act, offered: Uint8Array, previous: Uint8Array): Promise<Stop | null> {
  if (act.operation.item !== 'trust') return null;
  return lostServer(act, { before: certificatesIn(offered), after: certificatesIn(previous) });
}

/** F8: after the change the device must trust what the server that it uses shows to whoever connects. */
async function lostServer(
  act: Act,
  bundles: { readonly before: readonly BundleCertificate[]; readonly after: readonly BundleCertificate[] },
): Promise<Stop | null> {
  const running = readConfigFacts(act.context.reported?.items.config)?.running ?? null;
  if (running === null || !isTls(running.endpoint)) return null;
  const chain = await chainOf(act, { endpoint: running.endpoint ?? '', port: running.port });
  const names = hostNames(running.endpoint ?? '', running.bucket);
  const isSeen = (bundle: readonly BundleCertificate[]): boolean =>
    chain === null || isValidated(chain, bundle, { now: act.ports.clock.now(), names });
  if (isSeen(bundles.after)) return null;
  // A cellular device may trust it without any of these, from the factory (§7.1).
  if (readDeclared(act)?.kind === 'md5' && !isSeen(bundles.before)) return null;
  return notValidated(act, running.endpoint ?? '');
}

async function chainOf(act: Act, server: Server): Promise<readonly Uint8Array[] | null> {
  return (await act.ports.serverChain?.(server, act.signal)) ?? null;
}

function notValidated(act: Act, endpoint: string): Stop {
  return refused(
    'LOCKOUT_GUARD',
    `${endpoint} shows a certificate that none of the bundle validates: ${act.context.device.id} would reach it no more`,
  );
}

/** What a certificate must be made out to: the host, or the bucket's own name below it (§7.1, request_style). */
function hostNames(endpoint: string, bucket: string | null): readonly string[] {
  const host = URL.parse(endpoint)?.hostname.replace(/^\[|\]$/g, '') ?? '';
  return bucket === null ? [host] : [host, `${bucket}.${host}`];
}

function readDeclared(act: Act): DeclaredTrust | null {
  return readDeclaredTrust(act.context.device.items.find((item) => item.item === 'trust'));
}

/**
 * Before a config that turns TLS on or leads to another server: the certificates must be loaded by the newest heartbeat, lie
 * at both ends of a move, and validate what the server shows; the bucket must be that of the move.
 */
export async function linkProblem(act: Act, config: Uint8Array, { file }: Heartbeat): Promise<Stop | null> {
  const moves = textAt(act.operation.facts, 'moves');
  if (moves === undefined) return null;
  const next = connectSummary(parseJson(config) ?? {});
  const elsewhere = moves === 'move' ? (wrongBucket(act, next.bucket) ?? (await arrivalProblem(act, config, file))) : null;
  if (elsewhere !== null || !isTls(next.endpoint)) return elsewhere;
  const declared = readDeclared(act);
  if (declared === null) return null;
  if (file.certificates === null || !carriesAll(declared, { kind: file.certificates.kind, loaded: file.certificates.hashes }))
    return refused('LOCKOUT_GUARD', 'it has not loaded the certificates of the server that it is to use');
  const content = act.context.device.items.find((item) => item.item === 'trust')?.content;
  if (content?.kind !== 'bytes') return null;
  // Of what a cellular device trusts from the factory nothing is known: there a person may say that it does.
  if (declared.kind === 'md5' && readOptions(act.context.device.options).allow.includes('endpoint')) return null;
  const chain = await chainOf(act, { endpoint: next.endpoint ?? '', port: next.port });
  const names = hostNames(next.endpoint ?? '', next.bucket);
  const isSeen = chain === null || isValidated(chain, certificatesIn(content.bytes), { now: act.ports.clock.now(), names });
  return isSeen ? null : notValidated(act, next.endpoint ?? '');
}

function wrongBucket(act: Act, bucket: string | null): Stop | null {
  const { to } = act.journey;
  const connection = to === null ? undefined : act.ports.connection(to);
  if (connection?.type === 's3' && connection.bucket !== bucket)
    return refused('LOCKOUT_GUARD', `the config leads to bucket ${bucket ?? 'none'}, the device is to move to ${connection.bucket}`);
  return null;
}
