import { unlessAborted } from '#kit/aborted.ts';
import { sha256 } from '#kit/digest.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { MAX_BUNDLE_BYTES, parseBundle, type BundleCertificate } from './bundle.ts';
import { connectSummary } from './connect.ts';
import {
  contentBytes,
  freshHeartbeat,
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
import { holds, readObject } from './driver-store.ts';
import { readConfigFacts } from './facts.ts';
import { at, listAt, parseJson, textAt } from './json.ts';
import { isValidated } from './trust-chain.ts';
import { isTls } from './trust-operations.ts';
import { carriesAll, holdsSet, readDeclaredTrust, readTrustFacts, trustObjectOf, type DeclaredTrust } from './trust.ts';
import { bundleKey } from './wire.ts';

/** Looks at everything that must hold before a bundle of certificates is written (docs/protocols/canedge-s3.md §7, F7, F8). */
export async function prepareTrust(act: Act): Promise<Prepared> {
  const heartbeat = await homeHeartbeat(act);
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
  const locked = act.operation.step === 'trust-there' ? null : await serverProblem(act, bundle.value, runningServer(act));
  return locked ?? { kind: 'ready', bytes, current };
}

const NO_OBJECT = { etag: '', crc: '', sha256: '' };

/** What is served at the other end of a move is for a device that still reports at this one. */
async function homeHeartbeat(act: Act): Promise<Heartbeat | string> {
  if (act.operation.step !== 'trust-there') return freshHeartbeat(act);
  const store = await unlessAborted(act.ports.objects(act.operation.connection), act.signal);
  return freshHeartbeat({ ...act, store });
}

/** The device must still trust what the plan saw. */
function loadedMoved(act: Act, { file }: Heartbeat): Stop | null {
  const planned = listAt(act.operation.facts, 'loaded').join(' ');
  const now = file.certificates?.hashes.toSorted().join(' ') ?? null;
  return now === planned ? null : refused('PRECONDITION_MOVED', 'the certificates that it has loaded are not those of the plan');
}

interface Server {
  readonly endpoint: string;
  readonly port: number | null;
}

function runningServer(act: Act): Server | null {
  const running = readConfigFacts(act.context.reported?.items.config)?.running ?? null;
  return running === null || !isTls(running.endpoint) ? null : { endpoint: running.endpoint ?? '', port: running.port };
}

/**
 * What the server shows to whoever connects must be validated by the bundle (F8), where that can be asked. A CANedge3 may
 * trust a server without it.
 */
async function serverProblem(act: Act, bundle: readonly BundleCertificate[], server: Server | null): Promise<Stop | null> {
  const { ports, context } = act;
  if (server === null || ports.serverChain === undefined || readDeclared(act)?.kind === 'md5') return null;
  const chain = await ports.serverChain(server, act.signal);
  if (chain === null || isValidated(chain, bundle, ports.clock.now())) return null;
  return refused(
    'LOCKOUT_GUARD',
    `${server.endpoint} shows a certificate that none of the bundle validates: ${context.device.id} would reach it no more`,
  );
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
  const elsewhere = moves === 'move' ? wrongBucket(act, next.bucket) : null;
  if (elsewhere !== null || !isTls(next.endpoint)) return elsewhere;
  const declared = readDeclared(act);
  if (declared === null) return null;
  if (file.certificates === null || !carriesAll(declared, { kind: file.certificates.kind, loaded: file.certificates.hashes }))
    return refused('LOCKOUT_GUARD', 'it has not loaded the certificates of the server that it is to use');
  const content = act.context.device.items.find((item) => item.item === 'trust')?.content;
  const bundle = content?.kind === 'bytes' ? parseBundle(content.bytes) : null;
  if (bundle?.ok !== true) return null;
  const served = moves === 'move' ? await notServed(act, declared) : null;
  return served ?? serverProblem(act, bundle.value, { endpoint: next.endpoint ?? '', port: next.port });
}

function wrongBucket(act: Act, bucket: string | null): Stop | null {
  const { to } = act.context.device.via;
  const connection = to === null ? undefined : act.ports.connection(to);
  if (connection?.type === 's3' && connection.bucket !== bucket)
    return refused('LOCKOUT_GUARD', `the config leads to bucket ${bucket ?? 'none'}, the device is to move to ${connection.bucket}`);
  return null;
}

async function notServed(act: Act, declared: DeclaredTrust): Promise<Stop | null> {
  const { to } = act.context.device.via;
  // A device that has arrived takes its certificates from where it is.
  if (to === null || textAt(act.operation.facts, 'place') === 'to') return null;
  const store: ObjectStore = await unlessAborted(act.ports.objects(to), act.signal);
  const found = await readObject(store, bundleKey(act.folder), { maxBytes: MAX_BUNDLE_BYTES, signal: act.signal });
  const ready = found !== 'missing' && holdsSet(trustObjectOf(NO_OBJECT, found.bytes), declared.certificates);
  return ready ? null : refused('PRECONDITION_MOVED', 'the certificates do not lie where the device is to go');
}
