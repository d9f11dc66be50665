import { unlessAborted } from '#kit/aborted.ts';
import { sha256 } from '#kit/digest.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { MAX_BUNDLE_BYTES } from './bundle.ts';
import { MAX_CONFIG_BYTES } from './config.ts';
import type { DeviceFile } from './device-file.ts';
import { MAX_IMAGE_BYTES, refused, type Act, type Stop } from './driver-act.ts';
import { holds, readObject } from './driver-store.ts';
import { sameVersion } from './expectation.ts';
import { parseFirmwareImage } from './image.ts';
import { isServed, readDeclaredTrust, trustObjectOf } from './trust.ts';
import { bundleKey, configKey, firmwareKey } from './wire.ts';

/**
 * What a device would find on its arrival at the other end of a move, and take: the certificates must lie there, and neither
 * another config (it would leave again, or worse) nor an image of another version may. Null when all is well, and for a
 * device that has arrived.
 */
export async function arrivalProblem(act: Act, config: Uint8Array, file: DeviceFile): Promise<Stop | null> {
  const { to, from } = act.journey;
  if (to === null || act.operation.step === 'config-there' || isThere(act)) return null;
  const store = to === from ? act.store : await unlessAborted(act.ports.objects(to), act.signal);
  return (await certificatesThere(act, store, file)) ?? (await configThere(act, store, config)) ?? imageThere(act, store, file);
}

function isThere(act: Act): boolean {
  const at = act.context.reported?.memo['place'];
  return at === 'to';
}

async function certificatesThere(act: Act, store: ObjectStore, file: DeviceFile): Promise<Stop | null> {
  const declared = readDeclaredTrust(act.context.device.items.find((item) => item.item === 'trust'));
  if (declared === null) return null;
  const found = await readObject(store, bundleKey(act.folder), { maxBytes: MAX_BUNDLE_BYTES, signal: act.signal });
  const object = found === 'missing' ? null : trustObjectOf({ etag: found.etag, crc: '', sha256: '' }, found.bytes);
  return isServed(object, declared, file.certificates?.hashes ?? [])
    ? null
    : refused('PRECONDITION_MOVED', 'the certificates do not lie where the device is to go');
}

async function configThere(act: Act, store: ObjectStore, config: Uint8Array): Promise<Stop | null> {
  const key = configKey(act.folder, act.facts.series);
  const found = await readObject(store, key, { maxBytes: 2 * MAX_CONFIG_BYTES, signal: act.signal });
  if (found === 'missing' || holds(found, sha256(config))) return null;
  return refused('PRECONDITION_MOVED', `${key} where the device is to go is another config: it would take that one`);
}

async function imageThere(act: Act, store: ObjectStore, file: DeviceFile): Promise<Stop | null> {
  const key = firmwareKey(act.folder);
  const found = await readObject(store, key, { maxBytes: MAX_IMAGE_BYTES, signal: act.signal });
  if (found === 'missing') return null;
  const image = parseFirmwareImage(found.bytes);
  if (image.ok && sameVersion(image.value.version, file.firmware)) return null;
  return refused('LOCKOUT_GUARD', `${key} lies where the device is to go: it would flash it there; delete it`);
}
