import fs from 'node:fs';
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import * as git from 'isomorphic-git';
import type { WalkerEntry } from 'isomorphic-git';
import { compareText } from '#kit/diagnostics.ts';
import type { RevisionFile } from '#model/revision.ts';
import { type SourceLimits, SourceTrouble } from './limits.ts';
import { blobOid } from './objects.ts';
import { inParallel } from './parallel.ts';
import type { Repository } from './repository.ts';
import { type Contents, addBytes, checkEntry } from './revision.ts';

/** Never part of a fleet repo, whatever .gitignore says. */
const SKIPPED = new Set(['.git', 'node_modules']);

export interface WorktreeRequest {
  readonly dir: string;
  /** Null for a folder that is no repository: then only .gitignore files say what is left out. */
  readonly repository: Repository | null;
  readonly limits: SourceLimits;
}

/** The index: which paths are tracked (ignored or not), and the commits of submodules. */
export interface Tracked {
  readonly files: ReadonlySet<string>;
  readonly folders: ReadonlySet<string>;
  readonly submodules: ReadonlyMap<string, string>;
}

interface Walk extends WorktreeRequest {
  readonly tracked: Tracked;
  readonly files: RevisionFile[];
  readonly bytes: Map<string, Uint8Array | 'tooLarge'>;
  readonly unread: string[];
  entries: number;
  total: number;
}

/**
 * The files on the disk: tracked ones, and untracked ones that are not ignored. `.git` and `node_modules` are left out;
 * symlinks are listed and not followed; a folder with a repository of its own is listed as a submodule.
 */
export async function readWorktree(request: WorktreeRequest): Promise<Contents> {
  const tracked = request.repository === null ? NOTHING_TRACKED : await readIndex(request.repository);
  const walk: Walk = { ...request, tracked, files: [], bytes: new Map(), unread: [], entries: 0, total: 0 };
  await walkFolder(walk, '', false);
  await inParallel(walk.unread, async (path) => {
    const bytes = await readFile(join(walk.dir, path));
    const oid = blobOid(bytes);
    walk.files.push({ path, oid, size: bytes.length, mode: 'file' });
    walk.bytes.set(oid, bytes);
  });
  return { files: walk.files, bytes: walk.bytes };
}

const NOTHING_TRACKED: Tracked = { files: new Set(), folders: new Set(), submodules: new Map() };

/** `ignored`: the folder itself is ignored, and walked only because something in it is tracked. */
async function walkFolder(walk: Walk, prefix: string, ignored: boolean): Promise<void> {
  const names = await readdir(join(walk.dir, prefix));
  for (const name of names.toSorted(compareText)) {
    if (SKIPPED.has(name)) continue;
    const path = `${prefix}${name}`;
    const found = await lstat(join(walk.dir, path)).catch(() => null);
    if (found === null) continue;
    if (found.isDirectory()) {
      await enterFolder(walk, path, ignored);
      continue;
    }
    if (!found.isFile() && !found.isSymbolicLink()) continue;
    if (!walk.tracked.files.has(path) && (ignored || (await isIgnored(walk, path)))) continue;
    count(walk, path);
    if (found.isSymbolicLink()) await addSymlink(walk, path);
    else addFile(walk, path, found.size);
  }
}

async function enterFolder(walk: Walk, path: string, ignored: boolean): Promise<void> {
  const submodule = walk.tracked.submodules.get(path) ?? (await nestedHead(join(walk.dir, path)));
  const hidden = ignored || (!walk.tracked.folders.has(path) && submodule === null && (await isIgnored(walk, `${path}/`)));
  if (hidden && !walk.tracked.folders.has(path)) return;
  count(walk, path);
  if (submodule !== null) walk.files.push({ path, oid: submodule, size: 0, mode: 'submodule' });
  else await walkFolder(walk, `${path}/`, hidden || (walk.tracked.folders.has(path) && (await isIgnored(walk, `${path}/`))));
}

function count(walk: Walk, path: string): void {
  walk.entries += 1;
  checkEntry(path, walk.entries, walk.limits);
}

async function addSymlink(walk: Walk, path: string): Promise<void> {
  const target = Buffer.from(await readlink(join(walk.dir, path), { encoding: 'buffer' }));
  walk.files.push({ path, oid: blobOid(target), size: target.length, mode: 'symlink' });
}

/** A file over the limit is not read, so its oid cannot be known: it gets one that says only its size. */
function addFile(walk: Walk, path: string, size: number): void {
  if (size <= walk.limits.blobBytes) {
    walk.total = addBytes(walk.total, size, walk.limits);
    walk.unread.push(path);
    return;
  }
  const oid = blobOid(Buffer.from(`too large: ${size} ${path}`));
  walk.files.push({ path, oid, size, mode: 'file' });
  walk.bytes.set(oid, 'tooLarge');
}

async function isIgnored(walk: Walk, filepath: string): Promise<boolean> {
  const gitdir = walk.repository?.gitdir ?? join(walk.dir, '.git');
  return await git.isIgnored({ fs, dir: walk.dir, gitdir, filepath });
}

/** The commit that is checked out in a folder with a `.git` of its own; null for a plain folder. */
async function nestedHead(dir: string): Promise<string | null> {
  if ((await lstat(join(dir, '.git')).catch(() => null)) === null) return null;
  return await git.resolveRef({ fs, dir, ref: 'HEAD' }).catch(() => '0'.repeat(40));
}

/** Throws SourceTrouble DAMAGED for an index of a version that cannot be read. */
export async function readIndex(repository: Repository): Promise<Tracked> {
  const files = new Set<string>();
  const folders = new Set<string>();
  const submodules = new Map<string, string>();
  const walked = git.walk({
    fs,
    dir: repository.workdir ?? repository.gitdir,
    gitdir: repository.ownGitdir,
    trees: [git.STAGE()],
    map: async (path: string, [entry]: readonly (WalkerEntry | null)[]) => {
      const type = await entry?.type();
      if (type === 'tree') folders.add(path);
      else if (type === 'commit') submodules.set(path, (await entry?.oid()) ?? '');
      else files.add(path);
    },
  });
  await walked.catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'InternalError')) throw error;
    throw new SourceTrouble('DAMAGED', 'the index cannot be read: write it anew with git update-index --index-version 2');
  });
  for (const path of [...files, ...submodules.keys()]) {
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) folders.add(path.slice(0, slash));
  }
  return { files, folders, submodules };
}
