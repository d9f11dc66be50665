import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { constants, inflateSync } from 'node:zlib';

/** Tells how large an object is without reading it, so that one that is over the limit is never unpacked into memory. */
export interface ObjectSizes {
  /** Bytes of the object's content; null when it is not in this repository. */
  sizeOf(oid: string): number | null;
  close(): void;
}

interface Pack {
  readonly index: Buffer;
  /** Descriptor. */
  readonly file: number;
}

/** The header of an object is 32 bytes at most, but zlib gives none of them before its code tables, up to 600 bytes. */
const HEAD_BYTES = 1024;
const OFFSET_DELTA = 6;
const REFERENCE_DELTA = 7;
const INDEX_MAGIC = 0xff744f63;

/**
 * Reads loose objects and version 2 pack indexes (gitformat-pack). Packs are looked up when first needed. Not async: a few
 * bytes are read at a time, and the way over the thread pool takes ten times as long as reading them.
 */
export function openObjectSizes(gitdir: string): ObjectSizes {
  let packs: readonly Pack[] | null = null;
  return {
    sizeOf: (oid) => {
      packs ??= openPacks(join(gitdir, 'objects', 'pack'));
      for (const pack of packs) {
        const offset = offsetIn(pack.index, Buffer.from(oid, 'hex'));
        if (offset !== null) return packedSize(pack.file, offset);
      }
      return looseSize(join(gitdir, 'objects', oid.slice(0, 2), oid.slice(2)));
    },
    close: () => {
      for (const pack of packs ?? []) closeSync(pack.file);
    },
  };
}

function looseSize(path: string): number | null {
  const file = openIfThere(path);
  if (file === null) return null;
  try {
    const head = readAt(file, 0);
    const [, size] = /^[a-z]+ (\d+)\0/.exec(beginning(head).toString('latin1')) ?? [];
    return size === undefined ? null : Number(size);
  } finally {
    closeSync(file);
  }
}

function openPacks(folder: string): readonly Pack[] {
  const packs: Pack[] = [];
  for (const name of indexesIn(folder)) {
    const file = openIfThere(join(folder, `${name.slice(0, -4)}.pack`));
    if (file === null) continue;
    const index = readFileSync(join(folder, name));
    if (index.length >= 8 && index.readUInt32BE(0) === INDEX_MAGIC && index.readUInt32BE(4) === 2) packs.push({ index, file });
    else closeSync(file);
  }
  return packs;
}

function indexesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.idx'))
      .toSorted();
  } catch {
    return [];
  }
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch {
    return null;
  }
}

/** Where the object stands in the pack: fan-out table, then sorted names, CRCs, offsets, large offsets. */
function offsetIn(index: Buffer, oid: Buffer): number | null {
  const fanout = (byte: number): number => (byte < 0 ? 0 : index.readUInt32BE(8 + byte * 4));
  const first = oid[0] ?? 0;
  const count = fanout(255);
  const names = 8 + 1024;
  let low = fanout(first - 1);
  let high = fanout(first);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = index.compare(oid, 0, 20, names + middle * 20, names + middle * 20 + 20);
    if (order === 0) return offsetAt(index, names + count * 24, { entry: middle, count });
    if (order > 0) high = middle;
    else low = middle + 1;
  }
  return null;
}

function offsetAt(index: Buffer, table: number, at: { readonly entry: number; readonly count: number }): number {
  const offset = index.readUInt32BE(table + at.entry * 4);
  if (offset < 0x8000_0000) return offset;
  return Number(index.readBigUInt64BE(table + at.count * 4 + (offset - 0x8000_0000) * 8));
}

function packedSize(file: number, offset: number): number | null {
  const head = readAt(file, offset);
  const type = ((head[0] ?? 0) >> 4) & 7;
  const own = varint(head, 0, 4);
  if (type !== OFFSET_DELTA && type !== REFERENCE_DELTA) return own.value;
  const base = type === REFERENCE_DELTA ? own.end + 20 : varint(head, own.end, 7).end;
  const delta = beginning(head.subarray(base));
  const source = varint(delta, 0, 7);
  return varint(delta, source.end, 7).value;
}

/** A little-endian number in groups of seven bits, of which the first byte holds `firstBits`. */
function varint(bytes: Buffer, start: number, firstBits: number): { readonly value: number; readonly end: number } {
  let value = (bytes[start] ?? 0) & (2 ** firstBits - 1);
  let shift = firstBits;
  let at = start;
  while (((bytes[at] ?? 0) & 0x80) !== 0) {
    at += 1;
    value += ((bytes[at] ?? 0) & 0x7f) * 2 ** shift;
    shift += 7;
  }
  return { value, end: at + 1 };
}

/** What the first bytes of a zlib stream unpack to. A stored or damaged stream gives what there is. */
function beginning(bytes: Buffer): Buffer {
  try {
    return inflateSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}

function readAt(file: number, position: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, position));
}
