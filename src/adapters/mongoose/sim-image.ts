import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { JsonObject } from '#model/shadow.ts';

export interface SimBundleOptions {
  readonly platform: string;
  readonly version: string;
  readonly buildId: string;
  readonly app?: string;
  /** Bytes of the application; 15 when left out. */
  readonly size?: number;
  /** `STM32` for the microcontroller behind a communication module. */
  readonly type?: string;
  /** Further members of the manifest; undefined takes one away. */
  readonly manifest?: JsonObject;
  /** `sig0` to `sig7`, base64, over the bytes of the manifest. */
  sign?(manifest: Uint8Array): Readonly<Record<string, string>>;
}

interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly extra: Uint8Array;
}

/** Of the extra field with signatures, on the manifest. */
const SIGNATURES_ID = 0x293a;

/** A firmware zip as `mos` builds it: `manifest.json` first, everything stored (docs/protocols/shadow-devices.md §7). */
export function buildSimBundle(options: SimBundleOptions): Uint8Array {
  const { platform, version, buildId, app = 'logger', size, type = 'app', manifest = {}, sign } = options;
  const line = new TextEncoder().encode(`firmware-${version}\n`);
  const bytes = size === undefined ? line : Uint8Array.from({ length: size }, (_, index) => line[index % line.length] ?? 0);
  const fs = new TextEncoder().encode(`fs-${version}\n`);
  const described = {
    name: app,
    platform,
    version,
    build_id: buildId,
    parts: { app: { type, ptn: 'app_0', ...partOf('app.bin', bytes) }, fs: { type: 'fs', ...partOf('fs.img', fs) } },
    ...manifest,
  };
  const folder = `${app}-${version}`;
  const text = new TextEncoder().encode(JSON.stringify(described));
  return zipOf([
    { name: `${folder}/manifest.json`, bytes: text, extra: sign === undefined ? new Uint8Array() : signaturesField(sign(text)) },
    { name: `${folder}/app.bin`, bytes, extra: new Uint8Array() },
    { name: `${folder}/fs.img`, bytes: fs, extra: new Uint8Array() },
  ]);
}

function partOf(src: string, bytes: Uint8Array): JsonObject {
  return { src, size: bytes.length, cs_sha1: hash('sha1', bytes, 'hex'), cs_sha256: hash('sha256', bytes, 'hex') };
}

function signaturesField(signatures: Readonly<Record<string, string>>): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(signatures));
  const head = new DataView(new ArrayBuffer(4));
  head.setUint16(0, SIGNATURES_ID, true);
  head.setUint16(2, text.length, true);
  return Buffer.concat([new Uint8Array(head.buffer), text]);
}

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;

function zipOf(entries: readonly Entry[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = new TextEncoder().encode(entry.name);
    directory.push(header(entry, name, offset), name, entry.extra);
    const local = [header(entry, name, null), name, entry.extra, entry.bytes];
    pieces.push(...local);
    offset += lengthOf(local);
  }
  const end = new DataView(new ArrayBuffer(END_BYTES));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, entries.length, true);
  end.setUint16(10, entries.length, true);
  end.setUint32(12, lengthOf(directory), true);
  end.setUint32(16, offset, true);
  return Buffer.concat([...pieces, ...directory, new Uint8Array(end.buffer)]);
}

/** The local header, or with an offset that of the directory: the same fields from the version on. */
function header({ bytes, extra }: Entry, name: Uint8Array, offset: number | null): Uint8Array {
  const view = new DataView(new ArrayBuffer(offset === null ? LOCAL_BYTES : CENTRAL_BYTES));
  view.setUint32(0, offset === null ? 0x04034b50 : 0x02014b50, true);
  if (offset !== null) {
    view.setUint16(4, 20, true);
    view.setUint32(42, offset, true);
  }
  const from = offset === null ? 4 : 6;
  view.setUint16(from, 20, true);
  // 1980-01-01: the same bundle has the same bytes each time.
  view.setUint16(from + 8, 0x21, true);
  view.setUint32(from + 10, crc32(bytes), true);
  view.setUint32(from + 14, bytes.length, true);
  view.setUint32(from + 18, bytes.length, true);
  view.setUint16(from + 22, name.length, true);
  view.setUint16(from + 24, extra.length, true);
  return new Uint8Array(view.buffer);
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
