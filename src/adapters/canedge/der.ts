/** The little of DER (X.690) that certificates and their bundles need: definite lengths in their shortest form, tags of one byte. */

export interface DerElement {
  readonly tag: number;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
}

export const DER = { integer: 0x02, bitString: 0x03, oid: 0x06, sequence: 0x30, set: 0x31, context0: 0xa0, context1: 0xa1 } as const;

/** The elements one after the other that fill these bytes exactly; undefined when they are anything else. */
export function readElements(bytes: Uint8Array): readonly DerElement[] | undefined {
  const found: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const one = readElement(bytes, at);
    if (one === undefined) return undefined;
    found.push(one);
    at += one.whole.length;
  }
  return found;
}

/** The elements within a constructed one of that tag. */
export function readWithin(element: DerElement | undefined, tag: number): readonly DerElement[] | undefined {
  return element === undefined || element.tag !== tag ? undefined : readElements(element.content);
}

function readElement(bytes: Uint8Array, at: number): DerElement | undefined {
  const tag = bytes[at];
  const length = readLength(bytes, at + 1);
  // A tag number of 31 is spread over further bytes: nothing here has one.
  if (tag === undefined || (tag & 0x1f) === 0x1f || length === undefined) return undefined;
  const end = length.from + length.value;
  if (end > bytes.length) return undefined;
  return { tag, whole: bytes.subarray(at, end), content: bytes.subarray(length.from, end) };
}

function readLength(bytes: Uint8Array, at: number): { readonly value: number; readonly from: number } | undefined {
  const first = bytes[at];
  if (first === undefined) return undefined;
  if (first < 0x80) return { value: first, from: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 4 || at + count >= bytes.length) return undefined;
  let value = 0;
  for (let index = 1; index <= count; index += 1) value = value * 256 + (bytes[at + index] ?? 0);
  const shortest = value >= 0x80 && bytes[at + 1] !== 0;
  return shortest ? { value, from: at + 1 + count } : undefined;
}

export function encodeElement(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Uint8Array.from([tag, ...encodeLength(length)]), ...parts]);
}

function encodeLength(length: number): readonly number[] {
  if (length < 0x80) return [length];
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return [0x80 | digits.length, ...digits];
}
