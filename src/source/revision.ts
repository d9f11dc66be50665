import { compareText } from '#kit/diagnostics.ts';
import { sha256 } from '#kit/digest.ts';
import { digest } from '#model/ids.ts';
import type { Revision, RevisionFile, RevisionRef } from '#model/revision.ts';
import type { BlobCache } from './blob-cache.ts';
import { type SourceLimits, SourceTrouble } from './limits.ts';
import type { CommitFacts, Objects } from './objects.ts';
import { inParallel } from './parallel.ts';

export interface Contents {
  readonly files: readonly RevisionFile[];
  /** By oid; only for plain files. */
  readonly bytes: ReadonlyMap<string, Uint8Array | 'tooLarge'>;
}

export interface ReadingRequest {
  readonly objects: Objects;
  readonly blobs: BlobCache;
  readonly limits: SourceLimits;
}

/** Joins the facts of a commit (null for a working tree) and the contents into the value that declare is given. */
export function makeRevision(commit: CommitFacts | null, contents: Contents): Revision {
  const sorted = contents.files.toSorted((a, b) => compareText(a.path, b.path));
  const files = new Map(sorted.map((file) => [file.path, file]));
  const ref: RevisionRef = {
    commit: commit?.oid ?? null,
    tree: treeDigest(sorted),
    mergeTree: treeDigest(sorted.filter((file) => !file.path.startsWith('approvals/'))),
    subject: commit?.subject ?? 'working tree',
    author: commit?.author ?? '',
    committedAt: commit?.committedAt ?? null,
  };
  return {
    ref,
    files,
    read: (path) => {
      const file = files.get(path);
      return file?.mode === 'file' ? contents.bytes.get(file.oid) : undefined;
    },
  };
}

/** Equal for equal files, however they came here; NUL ends each path because no path can hold one. */
function treeDigest(files: readonly RevisionFile[]) {
  return digest(sha256(files.map((file) => `${file.mode} ${file.oid} ${file.path}\0\n`).join('')));
}

/** Reads the tree of a commit. Blobs that were read before and are still cached are not read again. */
export async function readTreeContents(tree: string, request: ReadingRequest): Promise<Contents> {
  const { objects, blobs, limits } = request;
  const files: RevisionFile[] = [];
  const bytes = new Map<string, Uint8Array | 'tooLarge'>();
  const missing = new Set<string>();
  let total = 0;
  for (const { path, oid, kind } of await listTree(tree, request)) {
    const known = blobs.get(oid);
    const size = kind === 'submodule' ? 0 : (known?.length ?? objects.size(oid));
    files.push({ path, oid, size, mode: kind });
    if (kind !== 'file' || bytes.has(oid) || missing.has(oid)) continue;
    if (size > limits.blobBytes) {
      bytes.set(oid, 'tooLarge');
      continue;
    }
    total = addBytes(total, size, limits);
    if (known === undefined) missing.add(oid);
    else bytes.set(oid, known);
  }
  await inParallel(missing, async (oid) => {
    const content = await objects.blob(oid);
    bytes.set(oid, content);
    blobs.set(oid, content);
  });
  return { files, bytes };
}

/** Adds to the running total; throws TOO_LARGE when the files together are over the limit. */
export function addBytes(total: number, size: number, limits: SourceLimits): number {
  if (total + size <= limits.totalBytes) return total + size;
  throw new SourceTrouble('TOO_LARGE', `the files together are over the limit of ${limits.totalBytes} bytes`);
}

/** Throws TOO_LARGE when there are too many entries, or one lies too deep. */
export function checkEntry(path: string, count: number, limits: SourceLimits): void {
  if (count > limits.entries) throw new SourceTrouble('TOO_LARGE', `there are more than ${limits.entries} files and folders`);
  const depth = path.split('/').length - 1;
  if (depth > limits.depth) throw new SourceTrouble('TOO_LARGE', `${path.slice(0, 60)}… lies more than ${limits.depth} folders deep`);
}

interface Listed {
  readonly path: string;
  readonly oid: string;
  readonly kind: RevisionFile['mode'];
}

/** A tree may name the same subtree many times over, so what is counted is each visit, not each object. */
async function listTree(root: string, request: ReadingRequest): Promise<readonly Listed[]> {
  const { objects, limits } = request;
  const listed: Listed[] = [];
  const open: { readonly prefix: string; readonly oid: string }[] = [{ prefix: '', oid: root }];
  let count = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const entry of await objects.tree(next.oid, limits.entries * LONGEST_ENTRY)) {
      const path = `${next.prefix}${entry.name}`;
      count += 1;
      checkEntry(path, count, limits);
      if (entry.kind === 'folder') open.push({ prefix: `${path}/`, oid: entry.oid });
      else listed.push({ path, oid: entry.oid, kind: entry.kind });
    }
  }
  return listed;
}

/** Bytes of a tree entry with a name of 255 bytes, the longest that file systems take. */
const LONGEST_ENTRY = 255 + 28;
