import { createECDH, createHash } from 'node:crypto';
import type { Json } from '#kit/canonical.ts';
import { protectedFields } from './connect.ts';
import { textAt } from './json.ts';
import { decryptField, fieldKey, readKpub } from './secrets.ts';

/** The key pair in a simulated device: docs/protocols/canedge-s3.md §8.2, seen from the device. */
export interface SimKeys {
  readonly privateKey: Uint8Array;
  /** As device.json shows it. */
  readonly kpub: string;
}

/** A real pair; without a private key (32 bytes) the one that belongs to this id, the same in every run. */
export function keysOf(id: string, privateKey?: Uint8Array): SimKeys {
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(privateKey ?? createHash('sha256').update(`canedge ${id.toUpperCase()}`).digest());
  return { privateKey: pair.getPrivateKey(), kpub: pair.getPublicKey().subarray(1).toString('base64') };
}

/**
 * The passwords and keys that a device takes out of its config, by the place where it says them: plain ones as they
 * stand, encrypted ones decrypted. A wrong key gives garbage and no error, as on the device; what cannot even be
 * decrypted (no operator key, no ciphertext) is null.
 */
export function takenSecrets(document: Json, keys: SimKeys): ReadonlyMap<string, string | null> {
  const operator = readKpub(textAt(document, 'general', 'security', 'kpub') ?? '');
  const symmetric = operator.ok ? symmetricOf(keys, operator.value) : null;
  return new Map(
    protectedFields(document).map(({ path, text, sealed }) => {
      if (!sealed) return [path, text];
      const plain = symmetric === null ? null : decryptField(symmetric, text);
      return [path, plain === null ? null : Buffer.from(plain).toString('latin1')];
    }),
  );
}

const agreed = new WeakMap<SimKeys, Map<string, Uint8Array>>();

/** A key agreement costs more than all else that a simulated device does at a heartbeat: once for each operator key. */
function symmetricOf(keys: SimKeys, operator: Uint8Array): Uint8Array {
  const known = agreed.get(keys) ?? new Map<string, Uint8Array>();
  agreed.set(keys, known);
  const name = Buffer.from(operator).toString('base64');
  const symmetric = known.get(name) ?? fieldKey(keys.privateKey, operator).symmetric;
  known.set(name, symmetric);
  return symmetric;
}
