import { createCipheriv, createDecipheriv, createECDH, createHmac, hkdfSync } from 'node:crypto';
import { err, ok, type Result } from '#kit/result.ts';

/** How a CANedge keeps secrets in its config: docs/protocols/canedge-s3.md §8.2. Pure: the same input, the same bytes. */

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The two keys of one rendering: what goes to `general.security.kpub`, and what the fields are encrypted with. */
export interface FieldKey {
  readonly operatorKpub: string;
  readonly symmetric: Uint8Array;
}

/** 64 raw bytes X‖Y of a public key in base64 (§3.1), or why it is none that anything may be encrypted to. */
export function readKpub(base64: string): Result<Uint8Array, string> {
  if (!/^[A-Za-z0-9+/]{86}==$/.test(base64)) return err('is not 64 bytes in base64');
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length !== 64 || bytes.toString('base64') !== base64) return err('is not 64 bytes in base64');
  if (bytes.every((byte) => byte === 0)) return err('is all zero');
  return isOnCurve(bytes) ? ok(bytes) : err('is no point of P-256');
}

/** y² = x³ − 3x + b over the field, both coordinates below its prime. */
function isOnCurve(bytes: Uint8Array): boolean {
  const [x, y] = [numberOf(bytes.subarray(0, 32)), numberOf(bytes.subarray(32))];
  if (x >= P || y >= P) return false;
  return (y * y - (x * x * x - 3n * x + B)) % P === 0n;
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

function scalarOf(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
}

/** Any bytes as a private key: 1 to the order less one, never 0. 48 bytes make the remainder as good as even. */
export function privateScalar(bytes: Uint8Array): Uint8Array {
  return scalarOf((numberOf(bytes) % (ORDER - 1n)) + 1n);
}

/**
 * The operator key of one device's config: HKDF of the fleet's render key over the hardware, its public key and the
 * digests of what is to be encrypted. Equal declarations give equal keys on every machine, whatever ledger there is;
 * another plain text anywhere gives another key, and so no counter of AES-CTR is ever used for two texts.
 */
export function operatorKey(input: {
  readonly renderKey: Uint8Array;
  readonly hardware: string;
  readonly kpub: string;
  /** Path and SHA-256 of each plain text, in order of the path. */
  readonly secrets: readonly (readonly [path: string, sha256: string])[];
}): Uint8Array {
  const info = JSON.stringify(['canedge', 1, input.hardware, input.kpub, input.secrets]);
  // HKDF of node takes at most 1024 bytes of info: it is hashed, which binds it as well.
  const bound = createHmac('sha256', 'headgate canedge config').update(info).digest();
  return privateScalar(new Uint8Array(hkdfSync('sha256', input.renderKey, 'headgate canedge operator key', bound, 48)));
}

/** ECDH of a private scalar with a public key that was read by `readKpub`; symmetric key as in §8.2, steps 3 and 4. */
export function fieldKey(privateKey: Uint8Array, kpub: Uint8Array): FieldKey {
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(privateKey);
  const shared = pair.computeSecret(Buffer.concat([Buffer.from([4]), kpub]));
  const padded = Buffer.concat([Buffer.alloc(32 - shared.length), shared]);
  return {
    operatorKpub: pair.getPublicKey().subarray(1).toString('base64'),
    symmetric: createHmac('sha256', padded).update('config').digest().subarray(0, 16),
  };
}

/** The vector of a field: of the key, its path and its plain text, so that two texts never share one (§8.3). */
export function fieldVector(symmetric: Uint8Array, path: string, plain: Uint8Array): Uint8Array {
  return createHmac('sha256', symmetric)
    .update(path)
    .update(Buffer.from([0]))
    .update(plain)
    .digest()
    .subarray(0, 16);
}

/** base64(IV ‖ AES-128-CTR), §8.2 steps 5 and 6. */
export function encryptField(symmetric: Uint8Array, vector: Uint8Array, plain: Uint8Array): string {
  const cipher = createCipheriv('aes-128-ctr', symmetric, vector);
  return Buffer.concat([vector, cipher.update(plain), cipher.final()]).toString('base64');
}

/** What a device makes of a stored value: garbage for a wrong key, as there is no MAC; null for what is no ciphertext. */
export function decryptField(symmetric: Uint8Array, stored: string): Uint8Array | null {
  if (stored.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(stored)) return null;
  const bytes = Buffer.from(stored, 'base64');
  if (bytes.length < 16) return null;
  const decipher = createDecipheriv('aes-128-ctr', symmetric, bytes.subarray(0, 16));
  return Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()]);
}
