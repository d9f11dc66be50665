import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { parseFirmwareImage } from './image.ts';
import { numberAt } from './json.ts';
import { effect, forgiving, linked, putObject, type CanedgeBody } from './sim-body.ts';
import { deviceJson, type Lies } from './sim-card.ts';
import { keysOf } from './sim-secrets.ts';
import { checkForUpdates } from './sim-update.ts';
import { configKey, deviceFileKey, schemaKey } from './wire.ts';

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
  card.splits = 0;
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
  await connect(body, power);
  const { ports, card, quirks } = body;
  const { heartbeat: beatSeconds, ota, restartHours } = card.summary;
  const began = ports.clock.now();
  const due = { beat: beatSeconds * SECOND_MS * quirks.busyFactor, poll: ota * SECOND_MS * quirks.busyFactor, log: logPeriodMs(body) };
  const next = { beat: began + (due.beat || NEVER), poll: began + (due.poll || NEVER), log: began + (due.log || NEVER) };
  const restart = began + ((restartHours ?? 0) * HOUR_MS || NEVER);
  for (;;) {
    const until = Math.min(next.beat, next.poll, next.log, restart, ports.clock.now() + 24 * HOUR_MS);
    await ports.clock.sleep(until - ports.clock.now(), power);
    const now = ports.clock.now();
    if (now >= restart) return;
    if (body.faults.on('asleep')) await awake(body, power);
    if (now >= next.beat) {
      next.beat = now + due.beat;
      await overLink(body, (store) => heartbeat(body, store));
    }
    if (now >= next.log) {
      next.log = now + due.log;
      await overLink(body, (store) => uploadLog(body, store));
    }
    if (now >= next.poll) {
      next.poll = now + due.poll;
      if (!body.faults.on('ignoreOta') && (await overLink(body, (store) => checkForUpdates(body, store))) === true) return;
    }
  }
}

const NEVER = Number.POSITIVE_INFINITY;

/** Does nothing as long as the server is out of reach. */
function overLink<T>(body: CanedgeBody, work: (store: ObjectStore) => Promise<T>): Promise<T | undefined> {
  return forgiving(body, async () => {
    const store = await linked(body);
    return store === null ? undefined : await work(store);
  });
}

/** The network must let it in; then schema once per power cycle, its own config where there is none, and a heartbeat. */
async function connect(body: CanedgeBody, power: AbortSignal): Promise<void> {
  const { ports, timings } = body;
  for (;;) {
    await awake(body, power);
    const greeted = await overLink(body, async (store) => {
      await greet(body, store);
      return true;
    });
    if (greeted === true) return;
    await ports.clock.sleep(timings.retryMs, power);
  }
}

async function greet(body: CanedgeBody, store: ObjectStore): Promise<void> {
  const { card, quirks } = body;
  const contentType = 'application/json';
  if (card.schemaSession !== card.session) {
    await putObject(body, store, { key: schemaKey(card.id, card.series), bytes: card.firmware.schema, contentType });
    card.schemaSession = card.session;
  }
  const key = configKey(card.id, card.series);
  if ((await store.head(key)) === 'missing') await putObject(body, store, { key, bytes: card.running.bytes, contentType });
  if (quirks.heartbeatOnConnect) await heartbeat(body, store);
}

function logPeriodMs({ logs, card }: CanedgeBody): number {
  return logs !== null && numberAt(card.document, 'connect', 's3', 'sync', 'logfiles') === 1 ? logs.everyMs : 0;
}

/** `ID/SSSSSSSS/NNNNNNNN-EEEEEEEE.MF4` (§2): session, split, seconds of the upload in hex. */
async function uploadLog(body: CanedgeBody, store: ObjectStore): Promise<void> {
  const { card, ports, logs } = body;
  card.splits += 1;
  const [session, split] = [card.session, card.splits].map((number) => String(number).padStart(8, '0'));
  const at = Math.floor(ports.clock.now() / SECOND_MS)
    .toString(16)
    .toUpperCase()
    .padStart(8, '0');
  const bytes = new Uint8Array(logs?.bytes ?? 0);
  await putObject(body, store, { key: `${card.id}/${session}/${split}-${at}.MF4`, bytes, contentType: 'application/octet-stream' });
}

async function awake(body: CanedgeBody, power: AbortSignal): Promise<void> {
  while (body.faults.on('asleep')) await body.ports.clock.sleep(body.timings.retryMs, power);
}

async function heartbeat(body: CanedgeBody, store: ObjectStore): Promise<void> {
  const { card, faults, ports, quirks } = body;
  card.heartbeats += 1;
  const honest = deviceJson(card, quirks, liesOf(body));
  const whole = body.replay ?? honest;
  const torn = faults.on('tornHeartbeat') || (quirks.tornHeartbeatRate > 0 && ports.random() < quirks.tornHeartbeatRate);
  const bytes = torn ? whole.slice(0, Math.floor(whole.length / 2)) : whole;
  const object = { key: deviceFileKey(card.id), bytes, contentType: 'application/json' };
  await putObject(body, store, object);
  if (faults.on('duplicateHeartbeat')) await putObject(body, store, object);
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

async function sleepLong(body: CanedgeBody, power: AbortSignal): Promise<void> {
  await body.ports.clock.sleep(24 * HOUR_MS, power);
}
