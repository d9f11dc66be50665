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
}

interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A firmware zip as `mos` builds it: `manifest.json` first, everything stored (docs/protocols/shadow-devices.md §7). */
export function buildSimBundle({
  platform,
  version,
  buildId,
  app = 'logger',
  size,
  type = 'app',
  manifest = {},
}: SimBundleOptions): Uint8Array {
  const line = new TextEncoder().encode(`firmware-${version}\n`);
  const bytes = size === undefined ? line : Uint8Array.from({ length: size }, (_, index) => line[index % line.length] ?? 0);
  const fs = new TextEncoder().encode(`fs-${version}\n`);
  const part = (src: string, content: Uint8Array): JsonObject => ({
    src,
    size: content.length,
    cs_sha1: hash('sha1', content, 'hex'),
    cs_sha256: hash('sha256', content, 'hex'),
  });
  const described = {
    name: app,
    platform,
    version,
    build_id: buildId,
    parts: { app: { type, ptn: 'app_0', ...part('app.bin', bytes) }, fs: { type: 'fs', ...part('fs.img', fs) } },
    ...manifest,
  };
  const folder = `${app}-${version}`;
  return zipOf([
    { name: `${folder}/manifest.json`, bytes: new TextEncoder().encode(JSON.stringify(described)) },
    { name: `${folder}/app.bin`, bytes },
    { name: `${folder}/fs.img`, bytes: fs },
  ]);
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
    directory.push(header(entry, name, offset), name);
    const local = [header(entry, name, null), name, entry.bytes];
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
function header({ bytes }: Entry, name: Uint8Array, offset: number | null): Uint8Array {
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
  return new Uint8Array(view.buffer);
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
