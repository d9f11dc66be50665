import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { MAX_BUNDLE_BYTES } from './bundle.ts';
import { parseFirmwareImage } from './image.ts';
import { parseJson } from './json.ts';
import { compileRuleSchema } from './schema.ts';
import { effect, putObject, type CanedgeBody } from './sim-body.ts';
import { loadBundle } from './sim-trust.ts';
import { compareVersions, seriesOf } from './versions.ts';
import { bundleKey, configKey, firmwareKey } from './wire.ts';

/** OTA_CHECK: at most one change per poll, in the order of the quirk. True when the device restarts. */
export async function checkForUpdates(body: CanedgeBody, store: ObjectStore): Promise<boolean> {
  for (const kind of body.quirks.otaOrder) {
    if (await CHECKS[kind](body, store)) return true;
  }
  return false;
}

const CHECKS = { certs: checkCertificates, firmware: checkFirmware, config: checkConfig } as const;

/** §7.1: another file is stored, and the device restarts; what it makes of it is told by its next report alone. */
async function checkCertificates(body: CanedgeBody, store: ObjectStore): Promise<boolean> {
  const { card, faults, quirks } = body;
  const object = await store.get(bundleKey(card.id), { maxBytes: MAX_BUNDLE_BYTES });
  if (typeof object === 'string' || same(object.bytes, card.trust.file ?? undefined)) return false;
  card.trust = faults.on('refuseCerts')
    ? { file: object.bytes, loaded: card.trust.loaded }
    : loadBundle(card.trust, object.bytes, quirks.certBundleEncodings);
  effect(
    body,
    'certs',
    card.trust.loaded
      .map(({ name }) => name)
      .toSorted()
      .join(', ') || 'none',
  );
  return true;
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
    await putObject(body, store, { key: configKey(card.id, card.series), bytes: card.running.bytes, contentType: 'application/json' });
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
