import type { GitCommit, NewCommit } from '#ports/git-branch.ts';
import { WireError } from '#ports/wire-error.ts';
import {
  EMPTY_TREE,
  FOLDER_MODE,
  type GitObject,
  type ObjectType,
  type TreeLine,
  damaged,
  decodeTree,
  encodeCommit,
  encodeTree,
  oidOf,
  treeOfCommit,
} from './git-format.ts';

const FILE_MODE = '100644';
/** Folders above a file, and entries of a commit: a branch of ours has far less, a foreign one may have anything. */
const MAX_DEPTH = 16;
const MAX_ENTRIES = 500_000;

/** Objects by oid; undefined for one that is not there. */
export type ReadObject = (oid: string) => Promise<GitObject | undefined>;

/** A commit's files, and the oids of all that it consists of. Throws WireError GIT_DAMAGED for one that is not whole. */
export async function openCommit(
  oid: string,
  read: ReadObject,
): Promise<{ readonly commit: GitCommit; readonly oids: ReadonlySet<string> }> {
  const root = treeOfCommit((await typed(oid, 'commit', read)).bytes);
  const files = new Map<string, string>();
  const oids = new Set([oid]);
  const open = [{ prefix: '', oid: root, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    oids.add(next.oid);
    for (const { mode, name, oid: entry } of await treeLines(next.oid, read)) {
      if (mode === FOLDER_MODE) open.push({ prefix: `${next.prefix}${name}/`, oid: entry, depth: next.depth + 1 });
      else if (mode.startsWith('100')) {
        files.set(`${next.prefix}${name}`, entry);
        oids.add(entry);
      }
    }
    if (next.depth > MAX_DEPTH || files.size > MAX_ENTRIES || open.length > MAX_ENTRIES) {
      throw new WireError('GIT_TOO_LARGE', 'never', `commit ${oid} holds more files than a ledger has`);
    }
  }
  return { commit: { oid, files }, oids };
}

/** A commit of our own: the objects that it adds to those of its base, and its files. */
export async function buildCommit(
  request: NewCommit,
  read: ReadObject,
): Promise<{ readonly commit: GitCommit; readonly objects: ReadonlyMap<string, GitObject> }> {
  const objects = new Map<string, GitObject>();
  const put = (object: GitObject): string => {
    const oid = oidOf(object);
    objects.set(oid, object);
    return oid;
  };
  const files = new Map(request.base?.files);
  const edits = new Map<string, string | null>();
  for (const [path, bytes] of request.changes) {
    const oid = bytes === null ? null : put({ type: 'blob', bytes });
    edits.set(path, oid);
    if (oid === null) files.delete(path);
    else files.set(path, oid);
  }
  const root = request.base === null ? EMPTY_TREE : treeOfCommit((await typed(request.base.oid, 'commit', read)).bytes);
  const tree = (await editTree(root, edits, { read, put })) ?? put({ type: 'tree', bytes: new Uint8Array() });
  const { parents, message, at } = request;
  const oid = put({ type: 'commit', bytes: encodeCommit({ tree, parents, message, seconds: Math.floor(at / 1000) }) });
  return { commit: { oid, files }, objects };
}

interface Editing {
  readonly read: ReadObject;
  put(object: GitObject): string;
}

/** Only folders on the way to a change are written anew; null for one that has nothing left in it. */
async function editTree(oid: string, edits: ReadonlyMap<string, string | null>, editing: Editing): Promise<string | null> {
  const lines = new Map((await treeLines(oid, editing.read)).map((line) => [line.name, line]));
  const below = new Map<string, Map<string, string | null>>();
  for (const [path, file] of edits) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      if (file === null) lines.delete(path);
      else lines.set(path, { mode: FILE_MODE, name: path, oid: file });
      continue;
    }
    const folder = path.slice(0, slash);
    const inFolder = below.get(folder) ?? new Map<string, string | null>();
    inFolder.set(path.slice(slash + 1), file);
    below.set(folder, inFolder);
  }
  for (const [name, inFolder] of below) {
    const known = lines.get(name);
    const edited = await editTree(known?.mode === FOLDER_MODE ? known.oid : EMPTY_TREE, inFolder, editing);
    if (edited !== null) lines.set(name, { mode: FOLDER_MODE, name, oid: edited });
    else lines.delete(name);
  }
  return lines.size === 0 ? null : editing.put({ type: 'tree', bytes: encodeTree([...lines.values()]) });
}

async function treeLines(oid: string, read: ReadObject): Promise<readonly TreeLine[]> {
  return oid === EMPTY_TREE ? [] : decodeTree((await typed(oid, 'tree', read)).bytes);
}

async function typed(oid: string, type: ObjectType, read: ReadObject): Promise<GitObject> {
  const object = await read(oid);
  if (object?.type !== type) throw damaged(`object ${oid}`);
  return object;
}
