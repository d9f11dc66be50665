import { unlessAborted } from '#kit/aborted.ts';
import { crc32Hex, sha256 } from '#kit/digest.ts';
import type { Json } from '#kit/canonical.ts';
import { digest, type Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { Reason } from '#model/reasons.ts';
import type { DriverOutcome, DriverPorts, PerformContext, Precheck } from '#ports/driver.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { parseDeviceFile, MAX_DEVICE_FILE_BYTES, type DeviceFile } from './device-file.ts';
import { readObject, wholeSeconds, type FoundObject } from './driver-store.ts';
import { readOperationFacts, type OperationFacts } from './facts.ts';
import type { Journey } from './journey.ts';
import { readMemo } from './memo.ts';
import { identityProblem } from './report.ts';
import { bundleKey, configKey, deviceFileKey, firmwareKey, readConfigValue, readFirmwareValue } from './wire.ts';
import { sameVersion } from './expectation.ts';

/** What one operation works with: everything resolved, nothing decided. */
export interface Act {
  readonly ports: DriverPorts;
  readonly store: ObjectStore;
  readonly operation: Operation;
  readonly open: OpenOperation | null;
  readonly context: PerformContext;
  readonly facts: OperationFacts;
  readonly folder: string;
  readonly journey: Journey;
  readonly signal: AbortSignal;
}

/** Images are larger than configs: one vendor comment speaks of 50 MB (docs/protocols/canedge-s3.md §6.1). */
export const MAX_IMAGE_BYTES = 128 * 1024 * 1024;

/** Where the heartbeat of the device lies: an operation with `-there` lays ready where it is not yet. */
export function homeStore(act: Act): Promise<ObjectStore> {
  const isThere = act.operation.step.endsWith('-there');
  return isThere ? unlessAborted(act.ports.objects(act.journey.from), act.signal) : Promise.resolve(act.store);
}

export function refused(reason: Reason, evidence: string): Extract<DriverOutcome, { kind: 'refused' }> {
  return { kind: 'refused', reason, evidence };
}

export function trouble(
  code: string,
  evidence: string,
  retry: 'now' | 'later' | 'never' = 'later',
): Extract<DriverOutcome, { kind: 'trouble' }> {
  return { kind: 'trouble', code, evidence, retry };
}

export function makeAct(
  ports: DriverPorts,
  store: ObjectStore,
  target: Pick<Act, 'operation' | 'open' | 'context' | 'folder' | 'journey'>,
): Act | null {
  const facts = readOperationFacts(target.operation.facts);
  return facts === null ? null : { ports, store, ...target, facts, signal: target.context.signal };
}

export interface Heartbeat {
  readonly file: DeviceFile;
  readonly lastModified: Instant;
}

/** device.json as it is now; a text when it cannot be read. */
export async function freshHeartbeat(act: Act): Promise<Heartbeat | string> {
  const found = await readObject(act.store, deviceFileKey(act.folder), { maxBytes: MAX_DEVICE_FILE_BYTES, signal: act.signal });
  if (found === 'missing') return `folder ${act.folder} has no device.json`;
  const parsed = parseDeviceFile(found.bytes);
  return parsed.ok ? { file: parsed.value, lastModified: wholeSeconds(found.lastModified) } : parsed.error.message;
}

type Refusal = Extract<DriverOutcome, { kind: 'refused' }>;

/** The device must be the declared one (§3.3, §12.7). Null when it is. */
export function identityRefusal(act: Act, heartbeat: Heartbeat | string): Refusal | null {
  if (typeof heartbeat === 'string') return refused('REPORT_UNREADABLE', heartbeat);
  const { context, folder } = act;
  const problem = identityProblem(context.device, { folder, file: heartbeat.file, pinned: readMemo(context.reported).kpub });
  return problem === null ? null : refused('IDENTITY_MISMATCH', problem);
}

/** The device must still show what the operation expects, right before the write. Null when it does. */
export function expectedRefusal(act: Act, { file }: Heartbeat): Refusal | null {
  const { item, expected } = act.operation;
  if (expected === null) return null;
  if (item === 'firmware') {
    if (sameVersion(file.firmware, readFirmwareValue(expected))) return null;
    return refused('PRECONDITION_MOVED', `runs firmware ${file.firmware}, ${expected} was expected`);
  }
  const known = readConfigValue(expected);
  if (known !== undefined && known.series === file.series && known.crc === file.crc) return null;
  return refused('PRECONDITION_MOVED', `reports config ${file.series} ${file.crc ?? 'none'}, ${expected} was expected`);
}

/** Two clocks are never set alike: what is older than this before our intent was there before. */
const SKEW_MS = 10 * 60_000;

/**
 * The reference of an effect that was found rather than made. Written since we intended it: the object's own time.
 * Older: it was there before, so only heartbeats after the newest known one say what the device makes of it.
 */
export function referenceOfFound(act: Act, found: { readonly lastModified: Instant }, heartbeat: Heartbeat | null): Instant {
  const written = wholeSeconds(found.lastModified);
  const recorded = act.open?.reference ?? null;
  if (recorded !== null) return recorded;
  if (act.open !== null && written >= act.open.intendedAt - SKEW_MS) return written;
  return Math.max(written, heartbeat?.lastModified ?? written);
}

export function undoOf(key: string, written: { readonly etag: string; readonly sha256: string; readonly previous: string | null }): Json {
  return { key, etag: written.etag, sha256: written.sha256, previous: written.previous };
}

/** The bytes of an operation's content, verified by their digest. */
export async function contentBytes(act: Act): Promise<Uint8Array | Extract<DriverOutcome, { kind: 'refused' | 'trouble' }>> {
  const content = act.context.content;
  if (content === null) return refused('ARTIFACT_UNVERIFIED', 'the operation carries no content');
  const fetched = await act.ports.artifacts.bytes(content, act.signal);
  if (!fetched.ok) {
    if (fetched.error.code === 'UNREACHABLE') return trouble('ARTIFACT_UNREACHABLE', fetched.error.message);
    return refused('ARTIFACT_UNVERIFIED', fetched.error.message);
  }
  if (sha256(fetched.value) !== content.digest) return refused('ARTIFACT_UNVERIFIED', `${content.name} does not have its digest`);
  return fetched.value;
}

/** Keeps the bytes that are about to be replaced, so that a withdrawal can put them back. */
export async function keepPrevious(act: Act, current: FoundObject | 'missing'): Promise<string | null> {
  return current === 'missing' ? null : act.ports.blobs.put(current.bytes);
}

/** What lies under the key must be what the plan saw. */
export function objectMoved(act: Act, current: FoundObject | 'missing', key: string): Extract<DriverOutcome, { kind: 'refused' }> | null {
  const planned = act.facts.object;
  if (current === 'missing') return planned === null ? null : refused('PRECONDITION_MOVED', `${key} is gone`);
  if (planned !== null && planned.sha256 === sha256(current.bytes)) return null;
  const now = crc32Hex(current.bytes);
  const was = planned === null ? 'nothing' : `CRC ${planned.crc}`;
  return refused('PRECONDITION_MOVED', `${key} has CRC ${now}, ${was} was expected: somebody else wrote it`);
}

export async function blobBytes(act: Act, previous: string): Promise<Uint8Array | undefined> {
  return act.ports.blobs.get(digest(previous));
}

export type Stop = Extract<DriverOutcome, { kind: 'refused' | 'trouble' }>;

/** Everything looked at before a write: the bytes to write, what they replace; or why not; or that they are there. */
export type Prepared =
  | { readonly kind: 'ready'; readonly bytes: Uint8Array; readonly current: FoundObject | 'missing' }
  | Extract<Precheck, { kind: 'already' }>
  | Stop;

/** The object that an operation writes, withdraws or cleans up. */
export function offerKey({ operation, folder, facts }: Act): string {
  if (operation.item === 'trust') return bundleKey(folder);
  return operation.item === 'firmware' ? firmwareKey(folder) : configKey(folder, facts.series);
}
