import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimEffect, SimPorts } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { connectSummary } from './connect.ts';
import { parseFirmwareImage } from './image.ts';
import { numberAt, parseJson } from './json.ts';
import { compileRuleSchema } from './schema.ts';
import { deviceJson, type CanedgeCard, type Lies } from './sim-card.ts';
import type { CanedgeQuirks, FaultSwitches } from './sim-faults.ts';
import { unreachable, type SimSurroundings } from './sim-network.ts';
import { keysOf } from './sim-secrets.ts';
import { compareVersions, seriesOf } from './versions.ts';
import { configKey, deviceFileKey, firmwareKey, schemaKey } from './wire.ts';

/** How long a simulated device takes for what it does (docs/protocols/canedge-s3.md §10). */
export interface CanedgeTimings {
  /** From power to the first contact. */
  readonly bootMs: number;
  readonly flashMs: number;
  /** Before it tries again to reach its network. */
  readonly retryMs: number;
}

export const DEFAULT_TIMINGS: CanedgeTimings = { bootMs: 20 * SECOND_MS, flashMs: 25 * SECOND_MS, retryMs: MINUTE_MS };

/** The parts of one simulated device, as its life uses them. */
export interface CanedgeBody {
  readonly ports: SimPorts;
  readonly card: CanedgeCard;
  readonly quirks: CanedgeQuirks;
  readonly faults: FaultSwitches;
  readonly timings: CanedgeTimings;
  readonly surroundings: SimSurroundings;
  readonly effects: SimEffect[];
  /** Opened at the first contact, kept until the power goes. */
  store: ObjectStore | null;
  /** The heartbeat that the fault oldHeartbeat plays again. */
  replay: Uint8Array | null;
  bricked: boolean;
}

/** Runs from power-on until the signal says power-off: boot, connect, online, and again after each restart it makes itself. */
export async function live(body: CanedgeBody, power: AbortSignal): Promise<void> {
  while (!power.aborted) {
    if (body.bricked) await sleepLong(body, power);
    else {
      await boot(body, power);
      if (body.bricked) continue;
      await online(body, power);
      effect(body, 'reboot', `session ${body.card.session}`);
    }
  }
}

/** §13 BOOT and FLASH. */
async function boot(body: CanedgeBody, power: AbortSignal): Promise<void> {
  const { card, ports, timings } = body;
  await ports.clock.sleep(timings.bootMs, power);
  if (card.pending !== null) {
    await flash(body, card.pending, power);
    if (body.bricked) return;
  }
  card.load();
  card.session += 1;
}

async function flash(body: CanedgeBody, bytes: Uint8Array, power: AbortSignal): Promise<void> {
  const { card, ports, faults, timings } = body;
  const image = parseFirmwareImage(bytes);
  if (!image.ok || image.value.model.type !== card.model.type || faults.on('refuseFirmware')) {
    card.pending = null;
    effect(body, 'drop-firmware', image.ok ? image.value.model.name : image.error.code);
    return;
  }
  await ports.clock.sleep(timings.flashMs, power);
  card.pending = null;
  effect(body, 'flash', `${card.firmware.version} → ${image.value.version}`);
  if (faults.on('brickOnFirmware')) {
    body.bricked = true;
    effect(body, 'brick', `did not come back from ${image.value.version}`);
    return;
  }
  if (faults.on('bootBack')) {
    effect(body, 'boot-back', card.firmware.version);
    return;
  }
  card.firmware = { version: image.value.version, schema: image.value.schema.bytes, config: image.value.config.bytes };
  const minutes = faults.number('moduleUpdate', 0);
  if (minutes > 0) await ports.clock.sleep(minutes * MINUTE_MS, power);
}

/** CONNECT and ONLINE: returns when the device restarts itself. */
async function online(body: CanedgeBody, power: AbortSignal): Promise<void> {
  const store = await connect(body, power);
  const { ports, card, quirks } = body;
  const summary = connectSummary(card.document);
  const beatMs = summary.heartbeat * SECOND_MS * quirks.busyFactor;
  const pollMs = summary.ota * SECOND_MS * quirks.busyFactor;
  const restartMs = (numberAt(card.document, 'general', 'debug', 'restart_timer') ?? 0) * HOUR_MS;
  const began = ports.clock.now();
  const never = Number.POSITIVE_INFINITY;
  let nextBeat = beatMs > 0 ? began + beatMs : never;
  let nextPoll = pollMs > 0 ? began + pollMs : never;
  const restart = restartMs > 0 ? began + restartMs : never;
  for (;;) {
    const next = Math.min(nextBeat, nextPoll, restart, ports.clock.now() + 24 * HOUR_MS);
    await ports.clock.sleep(next - ports.clock.now(), power);
    const now = ports.clock.now();
    if (now >= restart) return;
    if (body.faults.on('asleep')) await awake(body, power);
    if (now >= nextBeat) {
      nextBeat = now + beatMs;
      await forgiving(body, () => heartbeat(body, store));
    }
    if (now >= nextPoll) {
      nextPoll = now + pollMs;
      if (!body.faults.on('ignoreOta') && (await forgiving(body, () => checkForUpdates(body, store))) === true) return;
    }
  }
}

/** The network must let it in; then schema once per power cycle, its own config where there is none, and a heartbeat. */
async function connect(body: CanedgeBody, power: AbortSignal): Promise<ObjectStore> {
  const { ports, card, timings, surroundings } = body;
  for (;;) {
    await awake(body, power);
    const why = unreachable(surroundings, card.document, card.keys);
    if (why === null) {
      const store = await forgiving(body, async () => {
        body.store ??= await ports.objects();
        await greet(body, body.store);
        return body.store;
      });
      if (store !== undefined) return store;
    }
    await ports.clock.sleep(timings.retryMs, power);
  }
}

async function greet(body: CanedgeBody, store: ObjectStore): Promise<void> {
  const { card, quirks } = body;
  await store.put(schemaKey(card.id, card.series), card.firmware.schema, { contentType: 'application/json' });
  const key = configKey(card.id, card.series);
  if ((await store.head(key)) === 'missing') await store.put(key, card.running.bytes, { contentType: 'application/json' });
  if (quirks.heartbeatOnConnect) await heartbeat(body, store);
}

async function awake(body: CanedgeBody, power: AbortSignal): Promise<void> {
  while (body.faults.on('asleep')) await body.ports.clock.sleep(body.timings.retryMs, power);
}

/** A wire that breaks is tried again at the next period; nothing of it shows in the bucket. */
async function forgiving<T>(body: CanedgeBody, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    body.ports.log.debug('simulated CANedge met a broken wire', { device: body.card.id, code: error.code });
    return undefined;
  }
}

async function heartbeat(body: CanedgeBody, store: ObjectStore): Promise<void> {
  const { card, faults, ports, quirks } = body;
  card.heartbeats += 1;
  const honest = deviceJson(card, quirks, liesOf(body));
  const whole = body.replay ?? honest;
  const torn = faults.on('tornHeartbeat') || (quirks.tornHeartbeatRate > 0 && ports.random() < quirks.tornHeartbeatRate);
  const bytes = torn ? whole.slice(0, Math.floor(whole.length / 2)) : whole;
  await store.put(deviceFileKey(card.id), bytes, { contentType: 'application/json' });
  if (faults.on('duplicateHeartbeat')) await store.put(deviceFileKey(card.id), bytes, { contentType: 'application/json' });
}

function liesOf({ card, faults }: CanedgeBody): Lies {
  const swapped = faults.on('wrongId') || (faults.on('alternateId') && card.heartbeats % 2 === 0);
  return {
    ...(swapped ? { id: faults.text('wrongId', 'DEADBEEF') } : {}),
    ...(faults.on('wrongModelVersion')
      ? { type: faults.text('wrongModelVersion', card.model.network === 'wifi' ? '0000007D' : '0000001F') }
      : {}),
    ...(faults.on('emptyCrc') ? { crc: '' } : {}),
    ...(faults.on('kpubChanged') ? { kpub: keysOf('an attacker').kpub } : {}),
    ...(faults.on('wrongVersion') ? { version: faults.text('wrongVersion', `${card.series}.99`) } : {}),
  };
}

/** OTA_CHECK: at most one change per poll, in the order of the quirk. True when the device restarts. */
async function checkForUpdates(body: CanedgeBody, store: ObjectStore): Promise<boolean> {
  for (const kind of body.quirks.otaOrder) {
    if (await (kind === 'firmware' ? checkFirmware(body, store) : checkConfig(body, store))) return true;
  }
  return false;
}

/** §6.2: the image is downloaded and the device restarts; across a series only when its config lies ready. */
async function checkFirmware(body: CanedgeBody, store: ObjectStore): Promise<boolean> {
  const { card, quirks } = body;
  const key = firmwareKey(card.id);
  const facts = await store.head(key);
  if (facts === 'missing' || facts.etag === card.takenFirmware) return false;
  const object = await store.get(key);
  if (typeof object === 'string') return false;
  const image = parseFirmwareImage(object.bytes);
  if (image.ok) {
    const order = compareVersions(image.value.version, card.firmware.version) ?? 0;
    const crosses = seriesOf(image.value.version) !== card.series;
    const allowed = order > 0 || (order < 0 && (crosses ? quirks.allowRevisionDowngrade : quirks.allowPatchDowngrade));
    if (!allowed) return false;
    if (crosses && !(await downloadConfig(body, store, image.value.series))) return false;
  }
  card.pending = object.bytes;
  card.takenFirmware = object.etag;
  effect(body, 'download', image.ok ? `firmware ${image.value.version}` : 'a firmware that cannot be read');
  if (quirks.deleteFirmwareFromBucket) await store.delete(key);
  return true;
}

async function downloadConfig(body: CanedgeBody, store: ObjectStore, series: string): Promise<boolean> {
  const object = await store.get(configKey(body.card.id, series));
  if (typeof object === 'string') return false;
  body.card.configs.set(series, object.bytes);
  return true;
}

/** §5.1: another config in the bucket wins over the one on the card, an SD edit included. */
async function checkConfig(body: CanedgeBody, store: ObjectStore): Promise<boolean> {
  const { card, quirks } = body;
  const object = await store.get(configKey(card.id, card.series));
  if (object === 'unchanged') return false;
  if (object === 'missing') {
    await store.put(configKey(card.id, card.series), card.running.bytes, { contentType: 'application/json' });
    return false;
  }
  const stamp = { etag: object.etag, lastModified: object.lastModified };
  const differs = !same(object.bytes, card.configs.get(card.series));
  const changed = {
    bytes: differs,
    etag: card.takenConfig?.etag !== stamp.etag,
    modified: card.takenConfig?.lastModified !== stamp.lastModified,
  }[quirks.configChangeDetect];
  card.takenConfig = stamp;
  if (!changed) return false;
  const problems = configProblems(body, object.bytes);
  if (problems.length > 0) return refuse(body, object.etag, problems);
  card.refusedConfig = null;
  card.configs.set(card.series, object.bytes);
  effect(body, 'config', `${card.series} ${crc32Hex(object.bytes)}`);
  if (body.faults.on('lostAfterConfig')) {
    body.bricked = true;
    effect(body, 'brick', 'did not come back from a config');
  }
  return true;
}

/** By the schema of the firmware that runs and the limits besides it. */
function configProblems(body: CanedgeBody, bytes: Uint8Array): readonly string[] {
  if (body.faults.on('refuseConfig')) return ['refused by fault'];
  const schema = compileRuleSchema(body.card.firmware.schema);
  const document: Json | undefined = parseJson(bytes);
  if (!schema.ok || document === undefined) return ['not readable'];
  return schema.value.check(document);
}

/** What happens then is not known (§5.3): the quirk, or the fault's own parameter, says. */
function refuse(body: CanedgeBody, etag: string, problems: readonly string[]): boolean {
  const { card, quirks } = body;
  const again = card.refusedConfig === etag;
  if (!again) effect(body, 'refuse-config', problems[0] ?? '');
  card.refusedConfig = etag;
  const manner = body.faults.text('refuseConfig', quirks.onInvalidConfig);
  if (manner === 'empty') card.running = { ...card.running, crc: '' };
  if (manner === 'defaults' && !again) {
    card.configs.set(card.series, card.firmware.config);
    effect(body, 'config', `${card.series} default`);
    return true;
  }
  return quirks.invalidConfigReboots;
}

function same(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}

function effect(body: CanedgeBody, kind: string, detail: string): void {
  body.effects.push({ at: body.ports.clock.now(), kind, detail });
}

async function sleepLong(body: CanedgeBody, power: AbortSignal): Promise<void> {
  await body.ports.clock.sleep(24 * HOUR_MS, power);
}
