import { createHash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { canonicalJson } from './canonical.ts';

/** SHA-256 as 64 lower-case hex digits. */
export function sha256(bytes: Uint8Array | string): string {
  // In one call: for the short texts of most digests it costs half of what a Hash object does.
  return hash('sha256', bytes, 'hex');
}

/** SHA-256 of the canonical JSON of a value. */
export function digestOf(value: unknown): string {
  return sha256(canonicalJson(value));
}

/** CRC-32 as zip and zlib compute it (polynomial 0xEDB88320), as 8 upper-case hex digits. */
export function crc32Hex(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).toUpperCase().padStart(8, '0');
}

/** A number in [0, 1) that depends only on the text: the stable hash by which waves are drawn. */
export function stableFraction(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** SHA-256 of texts one after the other, without holding them all at once. */
export function sha256OfTexts(texts: Iterable<string>): string {
  const whole = createHash('sha256');
  for (const text of texts) whole.update(text);
  return whole.digest('hex');
}
