import type { Json } from '#kit/canonical.ts';
import { crc32Hex, sha256 } from '#kit/digest.ts';
import type { DriverOutcome, Precheck } from '#ports/driver.ts';
import { MAX_CONFIG_BYTES } from './config.ts';
import { connectSummary } from './connect.ts';
import {
  contentBytes,
  expectedRefusal,
  freshHeartbeat,
  homeStore,
  identityRefusal,
  keepPrevious,
  MAX_IMAGE_BYTES,
  objectMoved,
  referenceOfFound,
  refused,
  trouble,
  offerKey,
  undoOf,
  type Act,
  type Prepared,
  type Stop,
  type Heartbeat,
} from './driver-act.ts';
import { checkConfig, readRuleSchema } from './driver-look.ts';
import { holds, readObject, writeObject, type FoundObject } from './driver-store.ts';
import { sameVersion } from './expectation.ts';
import { readConfigFacts, readOptions } from './facts.ts';
import { changeGuards, flipGuards, linkSummary, ownGuards, secretGuards, standing, withoutFlawsOf } from './guards.ts';
import { parseFirmwareImage, type FirmwareImage } from './image.ts';
import { linkProblem, prepareTrust } from './driver-trust.ts';
import { parseJson, textAt } from './json.ts';
import { isTls } from './trust-operations.ts';
import { configKey, firmwareKey } from './wire.ts';

/** Looks at everything that must hold before an offer is written. Changes nothing. */
export async function prepareOffer(act: Act): Promise<Prepared> {
  if (act.operation.item === 'trust') return prepareTrust(act);
  const home = { ...act, store: await homeStore(act) };
  const heartbeat = await freshHeartbeat(home);
  const stranger = identityRefusal(act, heartbeat);
  if (stranger !== null) return stranger;
  if (typeof heartbeat === 'string') return refused('REPORT_UNREADABLE', heartbeat);
  const bytes = await contentBytes(act);
  if (!(bytes instanceof Uint8Array)) return bytes;
  return act.operation.step === 'firmware' ? prepareFirmware(act, bytes, heartbeat) : prepareConfig(act, bytes, { heartbeat, home });
}

async function prepareConfig(
  act: Act,
  bytes: Uint8Array,
  { heartbeat, home }: { readonly heartbeat: Heartbeat; readonly home: Act },
): Promise<Prepared> {
  const { facts, folder, store, signal } = act;
  if (crc32Hex(bytes) !== facts.crc)
    return refused('ARTIFACT_UNVERIFIED', `the config has CRC ${crc32Hex(bytes)}, the plan says ${facts.crc ?? 'none'}`);
  if (facts.kpub !== null && heartbeat.file.kpub !== facts.kpub)
    return refused('IDENTITY_MISMATCH', 'its public key is not the one that the config was encrypted to: nothing is written');
  const key = configKey(folder, facts.series);
  const current = await readObject(store, key, { maxBytes: 2 * MAX_CONFIG_BYTES, signal });
  if (current !== 'missing' && holds(current, sha256(bytes)))
    return found(act, { key, current, heartbeat, previous: facts.object?.sha256 ?? null });
  const moved = expectedRefusal(act, heartbeat) ?? objectMoved(act, current, key);
  if (moved !== null) return moved;
  const isRunning = !facts.crosses && home.store === store;
  const running = isRunning
    ? current
    : await readObject(home.store, configKey(folder, heartbeat.file.series), { maxBytes: 2 * MAX_CONFIG_BYTES, signal });
  const known = running !== 'missing' && crc32Hex(running.bytes) === heartbeat.file.crc;
  const unfit =
    (await schemaProblem(home, bytes)) ??
    guardProblem(act, bytes, known ? running.bytes : null) ??
    (await linkProblem(act, bytes, heartbeat));
  return unfit ?? { kind: 'ready', bytes, current };
}

/** By the schema in the device's folder, or, for the next series, the one inside the firmware that will read it (§4.2). */
async function schemaProblem(act: Act, bytes: Uint8Array): Promise<Stop | null> {
  const { facts } = act;
  const schema = facts.crosses ? await imageSchema(act) : await readRuleSchema(act, facts.series);
  if (schema !== null && !(schema instanceof Uint8Array) && schema !== 'too-large') return schema;
  const check = checkConfig(schema, { digest: sha256(bytes), bytes, series: facts.series });
  if (check.schema !== 'ok') return refused('UNSUPPORTED', check.problems.join('; '));
  return check.problems.length === 0 ? null : refused('INCOMPATIBLE', `the device would refuse it: ${check.problems.join('; ')}`);
}

async function imageSchema(act: Act): Promise<Uint8Array | Stop> {
  const content = act.context.device.items.find((item) => item.item === 'firmware')?.content ?? null;
  if (content === null)
    return refused('INCOMPATIBLE', `no firmware of series ${act.facts.series} is pinned: nothing says what its config must be`);
  const image = await contentBytes({ ...act, context: { ...act.context, content } });
  if (!(image instanceof Uint8Array)) return image;
  const parsed = parseFirmwareImage(image);
  if (!parsed.ok) return refused('ARTIFACT_UNVERIFIED', `${content.name}: ${parsed.error.message}`);
  if (parsed.value.series !== act.facts.series)
    return refused('INCOMPATIBLE', `the pinned firmware reads series ${parsed.value.series}, not ${act.facts.series}`);
  return parsed.value.schema.bytes;
}

/** The guards once more, right before the write, now with the bytes that the device runs, where they are known (§11). */
function guardProblem(act: Act, bytes: Uint8Array, running: Uint8Array | null): Stop | null {
  const { device, reported } = act.context;
  const document = parseJson(bytes);
  if (document === undefined) return refused('INCOMPATIBLE', 'the config is no JSON');
  const before = running === null ? undefined : parseJson(running);
  const summary = before === undefined ? (readConfigFacts(reported?.items.config)?.running ?? null) : linkSummary(before, device.model);
  const flips = before === undefined ? [] : [...flipGuards(before, document), ...secretGuards(before, document)];
  const changes = (summary === null ? [] : changeGuards(summary, document)).filter(
    ({ code }) => !(code === 'endpoint' && isDeclaredMove(act, document)),
  );
  const own = withoutFlawsOf(summary, ownGuards(document, device.model));
  const guard = standing([...own, ...changes, ...flips], readOptions(device.options).allow)[0];
  return guard === undefined ? null : refused('LOCKOUT_GUARD', guard.text);
}

/** As in the plan: the certificates for the other server vouch for it, where it has one. */
function isDeclaredMove({ operation, context }: Act, document: Json): boolean {
  const moves = textAt(operation.facts, 'moves');
  const pinned = context.device.items.some((item) => item.item === 'trust');
  return (moves === 'tls' || moves === 'move') && (pinned || !isTls(connectSummary(document).endpoint));
}

async function prepareFirmware(act: Act, bytes: Uint8Array, heartbeat: Heartbeat): Promise<Prepared> {
  const { operation, folder } = act;
  const image = parseFirmwareImage(bytes);
  if (!image.ok) return refused('ARTIFACT_UNVERIFIED', `the image is no CANedge firmware: ${image.error.message}`);
  const { model, version, series } = image.value;
  const { file } = heartbeat;
  if (model.type !== file.type) {
    return refused('INCOMPATIBLE', `the image is for a ${model.name}, the device is a ${file.model?.name ?? file.type}`);
  }
  if (version !== operation.declared) {
    return refused('ARTIFACT_UNVERIFIED', `the image holds ${version}, ${operation.declared} is declared`);
  }
  const key = firmwareKey(folder);
  const current = await currentImage(act, key);
  if (current !== 'missing' && holds(current, sha256(bytes))) return found(act, { key, current, heartbeat, previous: null });
  // Flashed by an earlier attempt, and the device has deleted the image that it took.
  if (sameVersion(file.firmware, version)) return { kind: 'already', reference: heartbeat.lastModified, undo: null };
  const moved = expectedRefusal(act, heartbeat);
  if (moved !== null) return moved;
  if (series < file.series) return refused('INCOMPATIBLE', `runs series ${file.series}; there is no way back to ${series}`);
  const unready = series === file.series ? null : await configUnready(act, image.value);
  return unready ?? { kind: 'ready', bytes, current };
}

/** F5: without the config of its series the device aborts the update, again at every poll. */
async function configUnready(act: Act, image: FirmwareImage): Promise<Stop | null> {
  const { series } = image;
  const config = await readObject(act.store, configKey(act.folder, series), { maxBytes: 2 * MAX_CONFIG_BYTES, signal: act.signal });
  if (config === 'missing') {
    return refused('PRECONDITION_MOVED', `config-${series}.json is not in the folder: the firmware must not come before it`);
  }
  const crc = crc32Hex(config.bytes);
  if (act.facts.crc !== null && crc !== act.facts.crc) {
    return refused('PRECONDITION_MOVED', `config-${series}.json has CRC ${crc}, ${act.facts.crc} was laid ready`);
  }
  const check = checkConfig(image.schema.bytes, { digest: sha256(config.bytes), bytes: config.bytes, series });
  if (check.problems.length === 0) return null;
  return refused('INCOMPATIBLE', `config-${series}.json does not fit the firmware: ${check.problems.join('; ')}`);
}

/** An image that is too large to be one is only replaced, never compared. */
async function currentImage({ store, signal }: Act, key: string): Promise<FoundObject | 'missing'> {
  const facts = await store.head(key, signal);
  if (facts === 'missing') return 'missing';
  return facts.size > MAX_IMAGE_BYTES
    ? { ...facts, bytes: new Uint8Array() }
    : readObject(store, key, { maxBytes: MAX_IMAGE_BYTES, signal });
}

function found(
  act: Act,
  there: { readonly key: string; readonly current: FoundObject; readonly heartbeat: Heartbeat; readonly previous: string | null },
): Extract<Precheck, { kind: 'already' }> {
  const { key, current, heartbeat, previous } = there;
  return {
    kind: 'already',
    reference: referenceOfFound(act, current, heartbeat),
    undo: undoOf(key, {
      etag: current.etag,
      sha256: sha256(current.bytes),
      previous: previous === sha256(current.bytes) ? null : previous,
    }),
  };
}

/** Writes the offer. The heartbeats that count are those after the Last-Modified of what was written. */
export async function performOffer(act: Act): Promise<DriverOutcome> {
  const prepared = await prepareOffer(act);
  if (prepared.kind !== 'ready') return prepared;
  const { bytes, current } = prepared;
  const isFirmware = act.operation.step === 'firmware';
  const key = offerKey(act);
  // An image that is replaced is not kept: putting an older one back would be a downgrade that nobody declared.
  const previous = isFirmware ? null : await keepPrevious(act, current);
  const answer = await writeObject(act.store, {
    key,
    bytes,
    contentType: act.operation.item === 'config' ? 'application/json' : 'application/octet-stream',
    over: current === 'missing' ? null : current.etag,
    signal: act.signal,
  });
  if (answer.kind === 'moved') return refused('PRECONDITION_MOVED', `${key} was written by somebody else at the same time`);
  if (answer.kind === 'not-stored') return trouble('OFFER_NOT_STORED', `the bucket does not hold what was written to ${key}`);
  return { kind: 'performed', reference: answer.lastModified, undo: undoOf(key, { etag: answer.etag, sha256: sha256(bytes), previous }) };
}
