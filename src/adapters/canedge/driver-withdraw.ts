import { sha256 } from '#kit/digest.ts';
import type { DriverOutcome, Precheck } from '#ports/driver.ts';
import { MAX_CONFIG_BYTES } from './config.ts';
import { blobBytes, freshHeartbeat, identityRefusal, MAX_IMAGE_BYTES, offerKey, refused, trouble, type Act } from './driver-act.ts';
import { deleteObject, holds, readObject, writeObject, type FoundObject } from './driver-store.ts';
import { withdrawnTrustProblem } from './driver-trust.ts';
import { sameVersion } from './expectation.ts';
import { at, numberAt, textAt } from './json.ts';
import { readingOf, readTrustFacts } from './trust.ts';
import { readConfigValue } from './wire.ts';

type Stop = Extract<DriverOutcome, { kind: 'refused' | 'trouble' }>;

/** What a withdrawal or clean-up found before it acts. */
export type Removal =
  | { readonly kind: 'ready'; readonly key: string; readonly current: FoundObject }
  | Extract<Precheck, { kind: 'already' }>
  | Stop;

/** Looks for the offer to be taken back. Changes nothing. Nothing of ours there: nothing to do. */
export async function prepareRemoval(act: Act): Promise<Removal> {
  const cleanup = act.operation.step === 'cleanup-firmware';
  const blocked = cleanup ? await notYetRun(act) : await taken(act);
  if (blocked !== null) return blocked;
  const key = offerKey(act);
  const maxBytes = isFirmware(act) ? MAX_IMAGE_BYTES : 2 * MAX_CONFIG_BYTES;
  const current = await readObject(act.store, key, { maxBytes, signal: act.signal });
  if (current === 'missing') return nothingOfOurs(act);
  const ours = cleanup ? (act.context.content?.digest ?? '') : (textAt(act.operation.facts, 'sha256') ?? '');
  if (holds(current, ours)) return { kind: 'ready', key, current };
  if (cleanup) return refused('PRECONDITION_MOVED', `${key} is not the image that was offered: left alone`);
  return nothingOfOurs(act);
}

function nothingOfOurs(act: Act): Extract<Precheck, { kind: 'already' }> {
  return { kind: 'already', reference: act.ports.clock.now(), undo: null };
}

/** §6.4: never delete an image while it is pending. */
async function notYetRun(act: Act): Promise<Stop | null> {
  const heartbeat = await freshHeartbeat(act);
  const stranger = identityRefusal(act, heartbeat);
  if (stranger !== null || typeof heartbeat === 'string') return stranger;
  if (sameVersion(heartbeat.file.firmware, act.operation.declared)) return null;
  return refused('PRECONDITION_MOVED', `runs ${heartbeat.file.firmware}: ${act.operation.declared} may still be pending`);
}

/** An offer that the device took in the meantime is no longer one: putting the old bytes back would be a second change. */
async function taken(act: Act): Promise<Stop | null> {
  const heartbeat = await freshHeartbeat(act);
  if (typeof heartbeat === 'string') return null;
  const reference = numberAt(act.operation.facts, 'reference');
  const offered = textAt(act.operation.facts, 'offered') ?? '';
  if (reference === undefined || heartbeat.lastModified <= reference || at(act.operation.facts, 'next') === true) return null;
  const config = readConfigValue(offered);
  const want = act.operation.item === 'trust' ? readTrustFacts(at(act.operation.facts, 'want') ?? null) : null;
  const { certificates } = heartbeat.file;
  if (want !== null && certificates !== null) {
    const loaded = readingOf(want.certificates, { kind: certificates.kind, loaded: certificates.hashes }) !== null;
    return loaded ? refused('PRECONDITION_MOVED', 'the device loaded the certificates before they could be withdrawn') : null;
  }
  const runsIt =
    act.operation.item === 'firmware'
      ? sameVersion(heartbeat.file.firmware, offered)
      : config !== undefined && config.series === heartbeat.file.series && config.crc === heartbeat.file.crc;
  return runsIt ? refused('PRECONDITION_MOVED', `the device took ${offered} before it could be withdrawn`) : null;
}

function isFirmware({ operation }: Act): boolean {
  return operation.item === 'firmware';
}

function contentTypeOf({ operation }: Act): string {
  return operation.item === 'config' ? 'application/json' : 'application/octet-stream';
}

/** Deletes the offer, or puts back what it replaced; only while the object is still ours. */
export async function performRemoval(act: Act): Promise<DriverOutcome> {
  const prepared = await prepareRemoval(act);
  if (prepared.kind !== 'ready') return prepared;
  const { key, current } = prepared;
  const previous = isFirmware(act) ? null : (textAt(act.operation.facts, 'previous') ?? null);
  const moved = refused('PRECONDITION_MOVED', `${key} was written by somebody else at the same time`);
  if (previous === null) {
    const answer = await deleteObject(act.store, key, { etag: current.etag, signal: act.signal });
    return answer === 'moved' ? moved : { kind: 'performed', reference: act.ports.clock.now(), undo: null };
  }
  const bytes = await blobBytes(act, previous);
  if (bytes === undefined || sha256(bytes) !== previous)
    return trouble('BLOB_MISSING', `the bytes that ${key} held before are not stored`, 'never');
  const locked = await withdrawnTrustProblem(act, current.bytes, bytes);
  if (locked !== null) return locked;
  const answer = await writeObject(act.store, { key, bytes, contentType: contentTypeOf(act), over: current.etag, signal: act.signal });
  if (answer.kind === 'moved') return moved;
  if (answer.kind === 'not-stored') return trouble('OFFER_NOT_STORED', `the bucket does not hold what was written to ${key}`);
  return { kind: 'performed', reference: answer.lastModified, undo: null };
}
