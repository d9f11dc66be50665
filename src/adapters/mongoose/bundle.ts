import { hash } from 'node:crypto';
import { compareText } from '#kit/diagnostics.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { MANIFEST_MAX_BYTES, readManifest, type BundleManifest, type BundlePart } from './bundle-manifest.ts';
import { BundleFlaw, type BundleProblem } from './bundle-problem.ts';
import { signaturesOf, type BundleSignature } from './bundle-signatures.ts';
import { checkDirectory, entriesOf, isFolder, openZip, type ZipEntry } from './bundle-zip.ts';

/** A file of a bundle: its name as a device reads it, and its bytes (a view of the archive's). */
export interface BundleFile {
  readonly name: string;
  readonly crc32: number;
  readonly bytes: Uint8Array;
}

/** A firmware bundle whose every sum holds. */
export interface Bundle {
  readonly manifest: BundleManifest;
  /** What signatures are over. */
  readonly manifestBytes: Uint8Array;
  /** By name, without the manifest, sorted. */
  readonly files: ReadonlyMap<string, BundleFile>;
  readonly signatures: readonly BundleSignature[];
}

const MANIFEST = 'manifest.json';

/**
 * Reads a firmware zip as a board does: entry by entry from the front, every entry stored, `manifest.json` first, CRC-32,
 * sizes and sums of all parts checked (docs/protocols/shadow-devices.md §7). Then it holds the directory at the end against
 * that. With `platform` a bundle for another one is refused where the board refuses it, so that the first problem is the
 * board's. Bad input is an answer; nothing throws.
 */
export function readBundle(bytes: Uint8Array, board?: { readonly platform: string }): Result<Bundle, BundleProblem> {
  try {
    return ok(read(bytes, board?.platform ?? null));
  } catch (error) {
    if (error instanceof BundleFlaw) return err(error.problem);
    throw error;
  }
}

function isPlatform(manifest: BundleManifest, platform: string): boolean {
  return manifest.platform.toLowerCase() === platform.toLowerCase();
}

function wrongPlatform(manifest: BundleManifest, wanted: string): BundleFlaw {
  const text = `the bundle is for platform ${manifest.platform}, and not for ${wanted}`;
  return new BundleFlaw('WRONG_PLATFORM', text, { entry: MANIFEST, deviceText: 'Wrong platform' });
}

interface Head {
  readonly manifest: BundleManifest;
  readonly manifestBytes: Uint8Array;
  readonly signatures: readonly BundleSignature[];
}

function read(bytes: Uint8Array, platform: string | null): Bundle {
  const archive = openZip(bytes);
  const entries: ZipEntry[] = [];
  const files: ZipEntry[] = [];
  let head: Head | null = null;
  for (const entry of entriesOf(archive)) {
    entries.push(entry);
    if (head === null) {
      head = headOf(entry, platform);
      continue;
    }
    checkFile(entry, head.manifest.parts);
    if (!isFolder(entry)) files.push(entry);
  }
  if (head === null) throw new BundleFlaw('NOT_A_ZIP', 'the archive is empty', { offset: 0 });
  checkParts(head.manifest.parts, new Set(files.map(({ name }) => name)));
  checkDirectory(archive, entries.at(-1)?.end ?? 0, entries);
  const sorted = files.toSorted((a, b) => compareText(a.name, b.name));
  return { ...head, files: new Map(sorted.map(({ name, crc32, bytes: own }) => [name, { name, crc32, bytes: own }])) };
}

function headOf(entry: ZipEntry, platform: string | null): Head {
  const at = { entry: entry.path, offset: entry.offset };
  if (entry.name !== MANIFEST) throw new BundleFlaw('MANIFEST_NOT_FIRST', `the first entry must be ${MANIFEST}`, at);
  if (entry.bytes.length > MANIFEST_MAX_BYTES)
    throw new BundleFlaw('MANIFEST_TOO_LARGE', `the manifest has more than ${MANIFEST_MAX_BYTES} bytes`, at);
  const manifest = readManifest(entry.bytes, at);
  if (platform !== null && !isPlatform(manifest, platform)) throw wrongPlatform(manifest, platform);
  return { manifest, manifestBytes: entry.bytes, signatures: signaturesOf(entry) };
}

/** A file is checked as it passes, against every part that is written from it. */
function checkFile(entry: ZipEntry, parts: readonly BundlePart[]): void {
  const at = { entry: entry.path, offset: entry.offset };
  for (const part of parts) {
    if (part.src !== entry.name) continue;
    if (part.size !== null && part.size !== entry.bytes.length)
      throw new BundleFlaw('BAD_SIZE', `part ${part.name} says ${part.size} bytes, and the file has ${entry.bytes.length}`, at);
    for (const [algorithm, sum] of [
      ['sha1', part.sha1],
      ['sha256', part.sha256],
    ] as const) {
      if (sum !== null && hash(algorithm, entry.bytes, 'hex') !== sum)
        throw new BundleFlaw(
          'BAD_DIGEST',
          `the ${algorithm === 'sha1' ? 'SHA-1' : 'SHA-256'} of part ${part.name} is not that of the file`,
          {
            ...at,
            deviceText: 'Digest mismatch',
          },
        );
    }
  }
}

function checkParts(parts: readonly BundlePart[], names: ReadonlySet<string>): void {
  for (const { name, src } of parts) {
    if (src === null || names.has(src)) continue;
    throw new BundleFlaw('PART_MISSING', `part ${name} is written from ${JSON.stringify(src)}, which is not there`, {
      deviceText: 'Incomplete update package',
    });
  }
}
