import { crc32 } from 'node:zlib';
import { BundleFlaw } from './bundle-problem.ts';

/** One stored entry of a bundle. */
export interface ZipEntry {
  /** As it stands in the archive. */
  readonly path: string;
  /** As a device reads it: what follows the first `/`, or all of it. */
  readonly name: string;
  /** Of the local header, in bytes from the start of the archive. */
  readonly offset: number;
  readonly crc32: number;
  readonly bytes: Uint8Array;
  /** The extra field of the local header. */
  readonly extra: Uint8Array;
  /** Where what follows it begins. */
  readonly end: number;
}

const LOCAL = { signature: 0x04034b50, length: 30 } as const;
const CENTRAL = { signature: 0x02014b50, length: 46 } as const;
const END = { signature: 0x06054b50, length: 22 } as const;

/** A device keeps names in 50 bytes with the zero at the end (docs/protocols/shadow-devices.md §7). */
const NAME_BYTES = 50;
/** Guards against archives of empty entries; a real bundle has about ten. */
const MAX_ENTRIES = 256;

const FLAG_ENCRYPTED = 0x1;
const FLAG_SIZE_AFTER_DATA = 0x8;

/** A view of the archive whose reads stay within it: what lies beyond its end is a flaw and not an exception. */
interface Archive {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function openZip(bytes: Uint8Array): Archive {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/**
 * The entry at that offset, its CRC-32 checked; null where the local entries end. Throws BundleFlaw with what a device
 * says of it (docs/protocols/shadow-devices.md §3.4, §7).
 */
function entryAt(archive: Archive, offset: number): ZipEntry | null {
  if (offset > 0 && u32(archive, offset) !== LOCAL.signature) return null;
  if (archive.bytes.length < 4 || u32(archive, offset) !== LOCAL.signature)
    throw new BundleFlaw('NOT_A_ZIP', 'this is no zip archive: it does not begin with a local file header', {
      offset,
      deviceText: 'Malformed archive (invalid file header)',
    });
  need(archive, offset, LOCAL.length);
  const nameLength = u16(archive, offset + 26);
  const extraLength = u16(archive, offset + 28);
  need(archive, offset + LOCAL.length, nameLength + extraLength);
  const { path, name } = nameAt(archive, offset + LOCAL.length, nameLength);
  const at = { entry: path, offset };
  checkMethod(archive, offset, path);
  if (name.length > 0 && new TextEncoder().encode(name).length >= NAME_BYTES)
    throw new BundleFlaw('LONG_NAME', `the name has ${NAME_BYTES} bytes or more`, { ...at, deviceText: 'Too long file name' });
  const size = u32(archive, offset + 18);
  if (size !== u32(archive, offset + 22))
    throw new BundleFlaw('MALFORMED', 'a stored entry has two different sizes', { ...at, deviceText: 'Malformed archive' });
  const start = offset + LOCAL.length + nameLength + extraLength;
  if (size > archive.bytes.length - start)
    throw new BundleFlaw('TRUNCATED', `the entry says ${size} bytes, and ${archive.bytes.length - start} follow`, {
      ...at,
      deviceText: 'Incomplete update package',
    });
  const bytes = archive.bytes.subarray(start, start + size);
  const declared = u32(archive, offset + 14);
  if (crc32(bytes) !== declared)
    throw new BundleFlaw('BAD_CRC', 'the CRC-32 is not that of the bytes', { ...at, deviceText: 'Invalid CRC' });
  const extra = archive.bytes.subarray(start - extraLength, start);
  return { path, name, offset, crc32: declared, bytes, extra, end: start + size };
}

function checkMethod(archive: Archive, offset: number, path: string): void {
  const at = { entry: path, offset };
  const flags = u16(archive, offset + 6);
  const method = u16(archive, offset + 8);
  if (method !== 0)
    throw new BundleFlaw(
      'COMPRESSED',
      `the entry is compressed (method ${method}): a device takes stored entries only, so build the bundle with mos, or zip it with zip -0`,
      { ...at, deviceText: 'Cannot handle compressed .zip' },
    );
  if ((flags & FLAG_ENCRYPTED) !== 0) throw new BundleFlaw('ENCRYPTED', 'the entry is encrypted', at);
  if ((flags & FLAG_SIZE_AFTER_DATA) !== 0)
    throw new BundleFlaw('SIZE_AFTER_DATA', 'the entry says its size after its data, where a device that reads along cannot know it', at);
}

/** Names are compared as C strings by devices: a zero or another control character would make two readers see two names. */
function nameAt(archive: Archive, offset: number, length: number): { readonly path: string; readonly name: string } {
  const raw = archive.bytes.subarray(offset, offset + length);
  const path = textOf(raw);
  if (path === null || path === '' || /\p{Cc}/u.test(path))
    throw new BundleFlaw('BAD_NAME', 'the name of an entry is empty, or not UTF-8, or has control characters', { offset });
  const slash = path.indexOf('/');
  return { path, name: path.slice(slash + 1) };
}

/** UTF-8, null where it is none. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/**
 * Holds the directory at the end against the entries that were read: a device looks at the entries only, other programs at
 * the directory only, and both must see the same files. Throws BundleFlaw.
 */
export function checkDirectory(archive: Archive, offset: number, entries: readonly ZipEntry[]): void {
  let at = offset;
  for (const entry of entries) at = checkCentral(archive, at, entry);
  if (u32(archive, at) !== END.signature)
    throw new BundleFlaw('BAD_DIRECTORY', `after ${entries.length} entries the directory does not end`, { offset: at });
  need(archive, at, END.length);
  const says = {
    disks: u16(archive, at + 4) + u16(archive, at + 6),
    here: u16(archive, at + 8),
    all: u16(archive, at + 10),
    size: u32(archive, at + 12),
    start: u32(archive, at + 16),
    end: at + END.length + u16(archive, at + 20),
  };
  const agrees = says.disks === 0 && says.here === entries.length && says.all === entries.length && says.start === offset;
  if (!agrees || says.size !== at - offset || says.end !== archive.bytes.length)
    throw new BundleFlaw('BAD_DIRECTORY', 'the end of the directory does not fit the archive', { offset: at });
}

function checkCentral(archive: Archive, at: number, entry: ZipEntry): number {
  const wrong = (what: string): BundleFlaw => new BundleFlaw('BAD_DIRECTORY', `the directory ${what}`, { entry: entry.path, offset: at });
  if (u32(archive, at) !== CENTRAL.signature) throw wrong('does not list an entry that is there');
  need(archive, at, CENTRAL.length);
  const nameLength = u16(archive, at + 28);
  const length = CENTRAL.length + nameLength + u16(archive, at + 30) + u16(archive, at + 32);
  need(archive, at, length);
  if (textOf(archive.bytes.subarray(at + CENTRAL.length, at + CENTRAL.length + nameLength)) !== entry.path)
    throw wrong('has another name in this place');
  const same =
    u16(archive, at + 8) === u16(archive, entry.offset + 6) &&
    u16(archive, at + 10) === 0 &&
    u32(archive, at + 16) === entry.crc32 &&
    u32(archive, at + 20) === entry.bytes.length &&
    u32(archive, at + 24) === entry.bytes.length &&
    u16(archive, at + 34) === 0 &&
    u32(archive, at + 42) === entry.offset;
  if (!same) throw wrong('says something else of this entry');
  return at + length;
}

function need(archive: Archive, offset: number, length: number): void {
  if (offset + length <= archive.bytes.length) return;
  throw new BundleFlaw('TRUNCATED', 'the archive ends in the middle of a header', {
    offset: archive.bytes.length,
    deviceText: 'Incomplete update package',
  });
}

function u16(archive: Archive, offset: number): number {
  need(archive, offset, 2);
  return archive.view.getUint16(offset, true);
}

function u32(archive: Archive, offset: number): number {
  need(archive, offset, 4);
  return archive.view.getUint32(offset, true);
}

/** The entries from the start of the archive on, each read and checked when it is asked for. Throws BundleFlaw. */
export function* entriesOf(archive: Archive): Generator<ZipEntry> {
  const names = new Set<string>();
  let count = 0;
  for (let entry = entryAt(archive, 0); entry !== null; entry = entryAt(archive, entry.end)) {
    const { path, name, offset } = entry;
    if (count === MAX_ENTRIES) throw new BundleFlaw('TOO_MANY_FILES', `the archive has more than ${MAX_ENTRIES} entries`, { offset });
    if (!isFolder(entry) && names.has(name))
      throw new BundleFlaw('DUPLICATE_NAME', `two entries are ${JSON.stringify(name)} to a device`, { entry: path, offset });
    names.add(name);
    count += 1;
    yield entry;
  }
}

/** What `zip -r` writes for a folder: it holds nothing. */
export function isFolder(entry: ZipEntry): boolean {
  return entry.path.endsWith('/') && entry.bytes.length === 0;
}
