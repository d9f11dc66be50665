import fs from 'node:fs';
import * as git from 'isomorphic-git';
import type { TreeEntry } from 'isomorphic-git';

/** A file as a tree names it: `mode` is git's (`100644`, `100755`, `120000`, `160000`). */
export interface TreeFile {
  readonly oid: string;
  readonly mode: string;
}

const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

/** All files of a tree by path; a null tree is an empty one. Throws isomorphic-git's error for one that cannot be read. */
export async function filesOfTree(gitdir: string, tree: string | null): Promise<ReadonlyMap<string, TreeFile>> {
  const files = new Map<string, TreeFile>();
  const open = [{ prefix: '', oid: tree }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const entry of await entriesOf(gitdir, next.oid)) {
      const path = `${next.prefix}${entry.path}`;
      if (entry.type === 'tree') open.push({ prefix: `${path}/`, oid: entry.oid });
      else files.set(path, { oid: entry.oid, mode: entry.mode });
    }
  }
  return files;
}

/** Writes the tree that has these files set or, where null, removed, and gives its oid. Folders without files go. */
export async function editTree(gitdir: string, tree: string | null, changes: ReadonlyMap<string, TreeFile | null>): Promise<string> {
  return (await editFolder(gitdir, tree, changes)) ?? EMPTY_TREE;
}

async function editFolder(gitdir: string, tree: string | null, changes: ReadonlyMap<string, TreeFile | null>): Promise<string | null> {
  const entries = new Map((await entriesOf(gitdir, tree)).map((entry) => [entry.path, entry]));
  const below = new Map<string, Map<string, TreeFile | null>>();
  for (const [path, file] of changes) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      if (file === null) entries.delete(path);
      else entries.set(path, { path, oid: file.oid, mode: file.mode, type: file.mode === '160000' ? 'commit' : 'blob' });
      continue;
    }
    const folder = path.slice(0, slash);
    const inFolder = below.get(folder) ?? new Map<string, TreeFile | null>();
    inFolder.set(path.slice(slash + 1), file);
    below.set(folder, inFolder);
  }
  for (const [folder, inFolder] of below) {
    const known = entries.get(folder);
    const oid = await editFolder(gitdir, known?.type === 'tree' ? known.oid : null, inFolder);
    if (oid !== null) entries.set(folder, { path: folder, oid, mode: '040000', type: 'tree' });
    else if (known?.type === 'tree') entries.delete(folder);
  }
  return entries.size === 0 ? null : await git.writeTree({ fs, gitdir, tree: [...entries.values()] });
}

async function entriesOf(gitdir: string, oid: string | null): Promise<readonly TreeEntry[]> {
  return oid === null || oid === EMPTY_TREE ? [] : (await git.readTree({ fs, gitdir, oid })).tree;
}
