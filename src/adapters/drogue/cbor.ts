import { isUtf8 } from 'node:buffer';

/**
 * As much of CBOR (RFC 8949) as the DFU protocol needs, read from hostile input: every length is checked before it is
 * believed, and nesting is bounded. Why no library: docs/protocols/drogue-dfu.md §9.8.
 */

/** What cannot be read. The message names what stood there, never the bytes themselves. */
export class CborError extends Error {
  override readonly name = 'CborError';
}

/** Unknown keys may hold anything well-formed up to this depth; known ones never go below 3. */
const MAX_DEPTH = 16;
const INDEFINITE = -1;
const BREAK = 0xff;

export type CborKind = 'uint' | 'negative' | 'bytes' | 'text' | 'array' | 'map' | 'null' | 'other';

const KINDS: readonly CborKind[] = ['uint', 'negative', 'bytes', 'text', 'array', 'map'];

/** A cursor over one message. Every method throws CborError and leaves nothing half read behind that is used again. */
export class CborReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The bytes between two positions, not copied. */
  slice(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, to);
  }

  /** Passes over tags: what is tagged counts as what it is. */
  skipTags(): void {
    while (!this.atEnd && this.#peek() >> 5 === 6) this.#argument();
  }

  kind(): CborKind {
    const first = this.#peek();
    const major = first >> 5;
    if (major < 6) return KINDS[major] ?? 'other';
    return first === 0xf6 ? 'null' : 'other';
  }

  /** Null where `f6` stands, which is then read. `f7` is no null (§0.4). */
  null(): boolean {
    if (this.#peek() !== 0xf6) return false;
    this.#at += 1;
    return true;
  }

  /** An unsigned integer of any width up to 2³²−1. */
  uint32(): number {
    if (this.kind() !== 'uint') throw new CborError(`an unsigned integer is due, ${this.#word()} came`);
    const value = this.#argument();
    if (value === INDEFINITE) throw new CborError('an indefinite length where none may be');
    if (value > 0xffff_ffff) throw new CborError('an integer is larger than 32 bits');
    return value;
  }

  /** A byte string; one in chunks only where `chunked` allows it: it is put together then. */
  byteString(chunked = false): Uint8Array {
    if (this.kind() !== 'bytes') throw new CborError(`a byte string is due, ${this.#word()} came`);
    const length = this.#argument();
    if (length !== INDEFINITE) return this.#take(length);
    if (!chunked) throw new CborError('a byte string comes in chunks');
    const chunks: Uint8Array[] = [];
    while (!this.#break()) chunks.push(this.byteString());
    return concat(chunks);
  }

  textString(): string {
    if (this.kind() !== 'text') throw new CborError(`a text is due, ${this.#word()} came`);
    const length = this.#argument();
    if (length === INDEFINITE) throw new CborError('a text comes in chunks');
    const bytes = this.#take(length);
    if (!isUtf8(bytes)) throw new CborError('a text is no UTF-8');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  /** Calls `entry` for each key of a map; it must read or skip the value. Returns the number of entries. */
  map(entry: () => void): number {
    if (this.kind() !== 'map') throw new CborError(`a map is due, ${this.#word()} came`);
    return this.#items(entry);
  }

  array(element: (index: number) => void): number {
    if (this.kind() !== 'array') throw new CborError(`an array is due, ${this.#word()} came`);
    return this.#items(element);
  }

  /** Passes over one well-formed value of any kind. */
  skip(depth = 0): void {
    if (depth > MAX_DEPTH) throw new CborError('values are nested too deeply');
    this.skipTags();
    const first = this.#peek();
    const major = first >> 5;
    if (major === 4) this.#items(() => this.skip(depth + 1));
    else if (major === 5) {
      this.#items(() => {
        this.skip(depth + 1);
        this.skip(depth + 1);
      });
    } else if (major === 2 || major === 3) this.#skipString(major);
    else if (major === 7 && first === BREAK) throw new CborError('a break where a value is due');
    else if (this.#argument() === INDEFINITE) throw new CborError('an indefinite length where none may be');
  }

  #skipString(major: number): void {
    const length = this.#argument();
    if (length !== INDEFINITE) {
      this.#take(length);
      return;
    }
    while (!this.#break()) {
      if (this.#peek() >> 5 !== major) throw new CborError('a chunk of another kind');
      const chunk = this.#argument();
      if (chunk === INDEFINITE) throw new CborError('chunks within chunks');
      this.#take(chunk);
    }
  }

  #items(item: (index: number) => void): number {
    const count = this.#argument();
    if (count === INDEFINITE) {
      let index = 0;
      for (; !this.#break(); index += 1) item(index);
      return index;
    }
    // Each item takes a byte at least: a count that cannot be true must not be walked through.
    if (count > this.#bytes.length - this.#at) throw new CborError('more items are announced than there are bytes');
    for (let index = 0; index < count; index += 1) item(index);
    return count;
  }

  #break(): boolean {
    if (this.#peek() !== BREAK) return false;
    this.#at += 1;
    return true;
  }

  /** The argument behind the initial byte, -1 for an indefinite length. */
  #argument(): number {
    const low = this.#peek() & 0x1f;
    this.#at += 1;
    if (low < 24) return low;
    if (low === 31) return INDEFINITE;
    if (low > 27) throw new CborError('a reserved length');
    const size = 1 << (low - 24);
    const bytes = this.#take(size);
    let value = 0;
    for (const byte of bytes) value = value * 256 + byte;
    return value;
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw new CborError('the message is cut short');
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }

  #peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new CborError('the message is cut short');
    return byte;
  }

  #word(): string {
    const kind = this.kind();
    return kind === 'other' && this.#peek() === 0xf7 ? 'undefined' : kind === 'other' ? 'something else' : kind;
  }
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Writes into one buffer that is made once: shortest heads, definite lengths, no tags (§1.3). */
export class CborWriter {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  head(major: number, value: number): void {
    const high = major << 5;
    if (value < 24) this.#put(high | value);
    else if (value < 0x100) {
      this.#put(high | 24);
      this.#put(value);
    } else if (value < 0x1_0000) {
      this.#put(high | 25);
      this.#put(value >> 8);
      this.#put(value & 0xff);
    } else {
      this.#put(high | 26);
      for (let shift = 24; shift >= 0; shift -= 8) this.#put((value >>> shift) & 0xff);
    }
  }

  bytes(value: Uint8Array): void {
    this.head(2, value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** ASCII only: the names of the protocol. */
  name(value: string): void {
    this.head(3, value.length);
    for (let index = 0; index < value.length; index += 1) this.#put(value.charCodeAt(index));
  }

  optional(value: number | null): void {
    if (value === null) this.#put(0xf6);
    else this.head(0, value);
  }

  done(): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#at);
  }

  #put(value: number): void {
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }
}
