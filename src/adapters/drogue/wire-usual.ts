import { versionText } from './version.ts';

interface UsualStatus {
  readonly version: string;
  readonly mtu: number | null;
  readonly correlationId: number | null;
  readonly update: { readonly version: string; readonly offset: number } | null;
}

/**
 * A status as the reference encoder packs it (docs/protocols/drogue-dfu.md §1.3), read straight through: nearly every status of a fleet is of this form. Null for
 * anything else, which is read in the general way.
 */
export function usualStatus(bytes: Uint8Array): UsualStatus | null {
  const cursor = new Cursor(bytes);
  if (!cursor.is(0xa4) || !cursor.is(0)) return null;
  const version = cursor.shortBytes();
  const mtu = cursor.is(1) ? cursor.optional() : undefined;
  const correlationId = cursor.is(2) ? cursor.optional() : undefined;
  if (version === null || mtu === undefined || correlationId === undefined || !cursor.is(3)) return null;
  let update: UsualStatus['update'] = null;
  if (cursor.is(0xa2) && cursor.is(0)) {
    const next = cursor.shortBytes();
    const offset = cursor.is(1) ? cursor.optional() : undefined;
    if (next === null || offset === undefined || offset === null) return null;
    update = { version: versionText(next), offset };
  } else if (!cursor.is(0xf6)) return null;
  if (!cursor.atEnd) return null;
  return { version: versionText(version), mtu, correlationId, update };
}

/** Reads on while what stands there is what is due. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  is(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  /** A byte string of up to 23 bytes. */
  shortBytes(): Uint8Array | null {
    const length = (this.#bytes[this.#at] ?? 0) - 0x40;
    const from = this.#at + 1;
    if (length < 0 || length > 23 || from + length > this.#bytes.length) return null;
    this.#at = from + length;
    return this.#bytes.subarray(from, this.#at);
  }

  /** An unsigned integer of up to 32 bits, or null; undefined where neither stands. */
  optional(): number | null | undefined {
    const first = this.#bytes[this.#at];
    if (first === undefined) return undefined;
    if (first === 0xf6) {
      this.#at += 1;
      return null;
    }
    const size = first < 24 ? 0 : first <= 26 ? 1 << (first - 24) : -1;
    if (size < 0 || this.#at + size >= this.#bytes.length) return undefined;
    let value = first < 24 ? first : 0;
    for (let index = 1; index <= size; index += 1) value = value * 256 + (this.#bytes[this.#at + index] ?? 0);
    this.#at += 1 + size;
    return value;
  }
}
