import { isUtf8 } from 'node:buffer';

/**
 * A version is opaque bytes (docs/protocols/drogue-dfu.md §7.5). Its text: what it says when that is plain UTF-8, else
 * `0x` and hex digits, also where it begins with `0x` itself or is empty; so that texts and bytes are one to one.
 */
export function versionText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return remembered(TEXTS, buffer.toString('latin1'), () => textOf(buffer));
}

/** A fleet says the same few versions with each block. */
const MOST_REMEMBERED = 256;
const TEXTS = new Map<string, string>();
const BYTES = new Map<string, Uint8Array>();

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  if (known.size >= MOST_REMEMBERED) known.clear();
  if (key.length <= MOST_REMEMBERED) known.set(key, made);
  return made;
}

function textOf(buffer: Buffer): string {
  if (buffer.length === 0 || !isUtf8(buffer)) return `0x${buffer.toString('hex')}`;
  const text = buffer.toString('utf8');
  return text.startsWith('0x') || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFEFF]/u.test(text) || text.trim() !== text
    ? `0x${buffer.toString('hex')}`
    : text;
}

/** The bytes of a version's text, to be read only. `0x` with an odd or foreign digit is taken as it is written. */
export function versionBytes(text: string): Uint8Array {
  return remembered(BYTES, text, () => bytesOf(text));
}

function bytesOf(text: string): Uint8Array {
  const hex = /^0x((?:[0-9a-f]{2})*)$/.exec(text);
  return Uint8Array.from(hex?.[1] === undefined ? Buffer.from(text, 'utf8') : Buffer.from(hex[1], 'hex'));
}

/**
 * Order where both texts are dotted numbers (`0.1.9` before `0.1.10`), with an optional `v` before them; null for anything
 * else: the protocol knows no order.
 */
export function compareVersions(a: string, b: string): number | null {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  if (left === null || right === null) return a === b ? 0 : null;
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function numbersOf(text: string): readonly number[] | null {
  const match = /^v?(\d{1,9}(?:\.\d{1,9})*)$/.exec(text);
  return match?.[1] === undefined ? null : match[1].split('.').map(Number);
}
