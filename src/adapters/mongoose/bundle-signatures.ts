import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { Json } from '#kit/canonical.ts';
import { isJsonObject } from '#model/shadow.ts';
import { BundleFlaw } from './bundle-problem.ts';
import { textOf, type ZipEntry } from './bundle-zip.ts';

/** Header id of the extra field on the manifest's entry, and its slots (docs/protocols/shadow-devices.md §7). */
const EXTRA_ID = 0x293a;
const SLOTS = 8;

/** ECDSA over the SHA-256 of the manifest's bytes, DER. */
export interface BundleSignature {
  /** 0 to 7: the key of the device that it is checked with. */
  readonly slot: number;
  readonly der: Uint8Array;
}

/** What a signature is to a key. `NO_KEY`: there is none for that slot. `BAD_KEY`: it is no public key on P-256. */
export interface SignatureVerdict {
  readonly slot: number;
  readonly verdict: 'VERIFIED' | 'WRONG' | 'NO_KEY' | 'BAD_KEY';
}

/** The signatures of the extra field of a manifest's entry, by slot; none where it has no such field. Throws BundleFlaw. */
export function signaturesOf(entry: ZipEntry): readonly BundleSignature[] {
  const { extra, path, offset } = entry;
  const bad = (text: string): BundleFlaw => new BundleFlaw('BAD_SIGNATURES', text, { entry: path, offset });
  const field = fieldOf(extra, bad);
  if (field === null) return [];
  const document = parsed(field);
  if (!isJsonObject(document)) throw bad('the signatures are no JSON object');
  return Object.entries(document)
    .map(([key, value]): BundleSignature => {
      const [, slot] = /^sig([0-7])$/.exec(key) ?? [];
      if (slot === undefined) throw bad(`the signatures have more than sig0 to sig${SLOTS - 1}`);
      if (typeof value !== 'string' || !/^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value))
        throw bad(`${key} is no base64`);
      return { slot: Number(slot), der: Buffer.from(value, 'base64') };
    })
    .toSorted((a, b) => a.slot - b.slot);
}

function fieldOf(extra: Uint8Array, bad: (text: string) => BundleFlaw): Uint8Array | null {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  let found: Uint8Array | null = null;
  for (let at = 0; at < extra.length;) {
    if (at + 4 > extra.length) throw bad('the extra field ends in the middle of a header');
    const length = view.getUint16(at + 2, true);
    if (at + 4 + length > extra.length) throw bad('the extra field is shorter than it says');
    if (view.getUint16(at, true) === EXTRA_ID) {
      if (found !== null) throw bad('there are two fields of signatures');
      found = extra.subarray(at + 4, at + 4 + length);
    }
    at += 4 + length;
  }
  return found;
}

function parsed(bytes: Uint8Array): Json | undefined {
  const text = textOf(bytes);
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/**
 * What each signature of a bundle is to the keys of a device (`update.key0` … `key7`, PEM; null for a slot without one), by
 * slot. Never throws.
 */
export function verifySignatures(
  bundle: { readonly manifestBytes: Uint8Array; readonly signatures: readonly BundleSignature[] },
  keys: readonly (string | null)[],
): readonly SignatureVerdict[] {
  return bundle.signatures.map(({ slot, der }) => {
    const pem = keys[slot] ?? null;
    if (pem === null) return { slot, verdict: 'NO_KEY' };
    const key = keyOf(pem);
    if (key === null) return { slot, verdict: 'BAD_KEY' };
    return { slot, verdict: verified(bundle.manifestBytes, key, der) ? 'VERIFIED' : 'WRONG' };
  });
}

function keyOf(pem: string): KeyObject | null {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : null;
  } catch {
    return null;
  }
}

function verified(bytes: Uint8Array, key: KeyObject, der: Uint8Array): boolean {
  try {
    return verify('sha256', bytes, key, der);
  } catch {
    return false;
  }
}
