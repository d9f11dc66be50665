import { createHash } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import { WireError } from '#ports/wire-error.ts';
import { type GitObject, type ObjectType, damaged, oidOf } from './git-format.ts';

/** What a pack from a server may cost, so that nobody who can push can fill the memory. */
export interface PackLimits {
  readonly objects: number;
  readonly objectBytes: number;
  /** Of all objects together, unpacked. */
  readonly totalBytes: number;
}

const TYPES: readonly (ObjectType | null)[] = [null, 'commit', 'tree', 'blob', 'tag'];
const OFFSET_DELTA = 6;
const REFERENCE_DELTA = 7;
const HEAD_BYTES = 12;
const TRAILER_BYTES = 20;

/** A pack of whole objects, without deltas: small texts that were never sent before. */
export function writePack(objects: Iterable<GitObject>): Buffer {
  const parts: Buffer[] = [];
  let count = 0;
  for (const { type, bytes } of objects) {
    count += 1;
    parts.push(entryHead(TYPES.indexOf(type), bytes.length), deflateSync(bytes));
  }
  const head = Buffer.alloc(HEAD_BYTES);
  head.write('PACK', 'latin1');
  head.writeUInt32BE(2, 4);
  head.writeUInt32BE(count, 8);
  const body = Buffer.concat([head, ...parts]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

/** Type and length: four bits of the length in the first byte, seven in each that follows. */
function entryHead(type: number, length: number): Buffer {
  const bytes = [(type << 4) | (length & 15)];
  for (let rest = Math.floor(length / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push((bytes.pop() ?? 0) | 0x80, rest & 127);
  }
  return Buffer.from(bytes);
}

interface Reading {
  readonly pack: Buffer;
  readonly limits: PackLimits;
  /** Objects by where they stand in the pack, and by name. */
  readonly byOffset: Map<number, GitObject>;
  readonly byOid: Map<string, GitObject>;
  known(oid: string): GitObject | undefined;
  total: number;
}

/**
 * All objects of a pack by oid; `known` gives those that a delta may refer to outside of it. Throws WireError GIT_DAMAGED
 * for a pack that is cut short or not one, GIT_TOO_LARGE for one over the limits.
 */
export function readPack(pack: Buffer, limits: PackLimits, known: (oid: string) => GitObject | undefined): ReadonlyMap<string, GitObject> {
  const end = pack.length - TRAILER_BYTES;
  if (end < HEAD_BYTES || pack.toString('latin1', 0, 4) !== 'PACK' || ![2, 3].includes(pack.readUInt32BE(4))) throw damaged('a pack');
  if (!createHash('sha1').update(pack.subarray(0, end)).digest().equals(pack.subarray(end))) throw damaged('a pack');
  const count = pack.readUInt32BE(8);
  if (count > limits.objects) throw tooLarge(`more than ${limits.objects} objects`);
  const reading: Reading = { pack: pack.subarray(0, end), limits, byOffset: new Map(), byOid: new Map(), known, total: 0 };
  let at = HEAD_BYTES;
  try {
    for (let entry = 0; entry < count; entry += 1) at = readEntry(reading, at);
  } catch (error) {
    if (error instanceof WireError) throw error;
    throw damaged('a pack');
  }
  return reading.byOid;
}

function readEntry(reading: Reading, start: number): number {
  const { pack, byOffset, byOid } = reading;
  const first = pack.readUInt8(start);
  const type = (first >> 4) & 7;
  const size = varint(pack, start, 4);
  let at = size.end;
  let base: GitObject | undefined;
  if (type === OFFSET_DELTA) {
    const back = offset(pack, at);
    base = byOffset.get(start - back.value);
    at = back.end;
  } else if (type === REFERENCE_DELTA) {
    const oid = pack.toString('hex', at, at + 20);
    base = byOid.get(oid) ?? reading.known(oid);
    at += 20;
  }
  spend(reading, size.value);
  const { bytes, used } = inflate(pack.subarray(at), size.value);
  const plain = TYPES[type] ?? null;
  if (plain === null && base === undefined) throw damaged('a pack');
  const object: GitObject = plain === null && base !== undefined ? applied(reading, base, bytes) : { type: plain ?? 'blob', bytes };
  byOffset.set(start, object);
  byOid.set(oidOf(object), object);
  return at + used;
}

function applied(reading: Reading, base: GitObject, delta: Buffer): GitObject {
  const source = varint(delta, 0, 7);
  const target = varint(delta, source.end, 7);
  if (source.value !== base.bytes.length) throw damaged('a pack');
  spend(reading, target.value);
  const out = Buffer.alloc(target.value);
  let written = 0;
  for (let at = target.end; at < delta.length;) {
    const op = delta.readUInt8(at);
    at += 1;
    if (op === 0) throw damaged('a pack');
    if (op < 0x80) {
      if (at + op > delta.length || written + op > out.length) throw damaged('a pack');
      delta.copy(out, written, at, at + op);
      at += op;
      written += op;
      continue;
    }
    const copy = copyOf(delta, at, op);
    if (copy.from + copy.length > base.bytes.length || written + copy.length > out.length) throw damaged('a pack');
    out.set(base.bytes.subarray(copy.from, copy.from + copy.length), written);
    written += copy.length;
    at = copy.end;
  }
  if (written !== out.length) throw damaged('a pack');
  return { type: base.type, bytes: out };
}

/** Offset and length of a copy: each bit of the instruction says whether a byte of them follows. */
function copyOf(delta: Buffer, start: number, op: number): { readonly from: number; readonly length: number; readonly end: number } {
  let at = start;
  const number = (bits: readonly number[]): number => {
    let value = 0;
    for (const [place, bit] of bits.entries()) {
      if ((op & bit) === 0) continue;
      value += delta.readUInt8(at) * 256 ** place;
      at += 1;
    }
    return value;
  };
  const from = number([0x01, 0x02, 0x04, 0x08]);
  const length = number([0x10, 0x20, 0x40]);
  return { from, length: length === 0 ? 0x10000 : length, end: at };
}

function inflate(bytes: Buffer, size: number): { readonly bytes: Buffer; readonly used: number } {
  const answer = inflateSync(bytes, { info: true, maxOutputLength: Math.max(1, size) }) as unknown as {
    readonly buffer: Buffer;
    readonly engine: { readonly bytesWritten: number };
  };
  if (answer.buffer.length !== size) throw damaged('a pack');
  return { bytes: answer.buffer, used: answer.engine.bytesWritten };
}

function spend(reading: Reading, size: number): void {
  const { objectBytes, totalBytes } = reading.limits;
  reading.total += size;
  if (size > objectBytes || reading.total > totalBytes)
    throw tooLarge(size > objectBytes ? `a file over ${objectBytes} bytes` : `over ${totalBytes} bytes`);
}

function tooLarge(what: string): WireError {
  return new WireError('GIT_TOO_LARGE', 'never', `the branch holds ${what}`);
}

/** A little-endian number in groups of seven bits, of which the first byte holds `firstBits`. */
function varint(bytes: Buffer, start: number, firstBits: number): { readonly value: number; readonly end: number } {
  let byte = bytes.readUInt8(start);
  let value = byte & (2 ** firstBits - 1);
  let at = start + 1;
  for (let shift = firstBits; (byte & 0x80) !== 0; shift += 7) {
    byte = bytes.readUInt8(at);
    value += (byte & 0x7f) * 2 ** shift;
    at += 1;
  }
  return { value, end: at };
}

/** How far back the base of a delta begins: big-endian, each further byte adding one. */
function offset(bytes: Buffer, start: number): { readonly value: number; readonly end: number } {
  let byte = bytes.readUInt8(start);
  let value = byte & 0x7f;
  let at = start + 1;
  while ((byte & 0x80) !== 0) {
    byte = bytes.readUInt8(at);
    value = (value + 1) * 128 + (byte & 0x7f);
    at += 1;
  }
  return { value, end: at };
}
