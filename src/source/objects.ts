import { createHash } from 'node:crypto';
import fs from 'node:fs';
import * as git from 'isomorphic-git';
import { SourceTrouble } from './limits.ts';
import { type ObjectSizes, openObjectSizes } from './object-size.ts';

export interface TreeEntry {
  readonly name: string;
  readonly oid: string;
  readonly kind: 'file' | 'symlink' | 'submodule' | 'folder';
}

export interface CommitFacts {
  readonly oid: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly subject: string;
  readonly author: string;
  /** Milliseconds since 1970, from the committer's line. */
  readonly committedAt: number;
}

/** The objects of one repository, by oid. Throws SourceTrouble DAMAGED for one that is missing or not what it should be. */
export interface Objects {
  commit(oid: string): Promise<CommitFacts>;
  /** Throws TOO_LARGE for one of more than that many bytes. */
  tree(oid: string, maxBytes: number): Promise<readonly TreeEntry[]>;
  blob(oid: string): Promise<Uint8Array>;
  size(oid: string): number;
  /** The kind of object, and what an annotated tag points at. */
  look(oid: string): Promise<{ readonly type: string; readonly target: string | null }>;
  close(): void;
}

/** What outlives a single read: commits and trees never change under their oid. */
export interface ObjectMemory {
  readonly commits: Map<string, CommitFacts>;
  readonly trees: Map<string, readonly TreeEntry[]>;
}

export function makeObjectMemory(): ObjectMemory {
  return { commits: new Map(), trees: new Map() };
}

/** Known to git without being stored. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
/** More trees and commits than a fleet repo has; above that the memory begins anew. */
const MEMORY_ENTRIES = 50_000;

/**
 * Opens the objects for the time of one read, so that what a `git gc` in between has repacked is seen. Bytes read here
 * are held until `close`: a pack is read as a whole.
 */
export function openObjects(gitdir: string, memory: ObjectMemory): Objects {
  const cache = {};
  const sizes: ObjectSizes = openObjectSizes(gitdir);
  const sizeOf = (oid: string): number => {
    const size = sizes.sizeOf(oid);
    if (size === null) throw missing(oid);
    return size;
  };
  return {
    commit: (oid) => remembered(memory.commits, oid, () => readCommit({ gitdir, cache, oid })),
    tree: (oid, maxBytes) =>
      remembered(memory.trees, oid, async () => {
        if (oid === EMPTY_TREE) return [];
        if (sizeOf(oid) > maxBytes) throw new SourceTrouble('TOO_LARGE', `a folder has more entries than the limit (tree ${oid})`);
        return await readTree({ gitdir, cache, oid });
      }),
    blob: async (oid) => {
      const { type, object } = await readContent({ gitdir, cache, oid });
      if (type !== 'blob') throw new SourceTrouble('DAMAGED', `object ${oid} is a ${type}, not a file`);
      if (blobOid(object) !== oid) throw new SourceTrouble('DAMAGED', `object ${oid} does not have the bytes of its name`);
      return object;
    },
    size: sizeOf,
    look: async (oid) => {
      const { type, object } = await readContent({ gitdir, cache, oid });
      const [, target] = type === 'tag' ? (/^object ([0-9a-f]{40})\n/.exec(Buffer.from(object).toString('latin1')) ?? []) : [];
      return { type, target: target ?? null };
    },
    close: () => sizes.close(),
  };
}

/** The name git gives these bytes: SHA-1 over `blob`, the length and the bytes. */
export function blobOid(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

interface ReadRequest {
  readonly gitdir: string;
  readonly cache: object;
  readonly oid: string;
}

async function remembered<T>(known: Map<string, T>, oid: string, read: () => Promise<T>): Promise<T> {
  const kept = known.get(oid);
  if (kept !== undefined) return kept;
  const value = await read();
  if (known.size >= MEMORY_ENTRIES) known.clear();
  known.set(oid, value);
  return value;
}

async function readContent(request: ReadRequest): Promise<{ readonly type: string; readonly object: Uint8Array }> {
  const read = await guarded(request.oid, () => git.readObject({ fs, ...request, format: 'content' }));
  if (!(read.object instanceof Uint8Array) || read.type === undefined) throw missing(request.oid);
  return { type: read.type, object: read.object };
}

async function readCommit(request: ReadRequest): Promise<CommitFacts> {
  const { commit } = await guarded(request.oid, () => git.readCommit({ fs, ...request }));
  return {
    oid: request.oid,
    tree: commit.tree,
    parents: commit.parent,
    subject: commit.message.split('\n', 1)[0] ?? '',
    author: `${commit.author.name} <${commit.author.email}>`,
    committedAt: commit.committer.timestamp * 1000,
  };
}

async function readTree(request: ReadRequest): Promise<readonly TreeEntry[]> {
  const { tree } = await guarded(request.oid, () => git.readTree({ fs, ...request }));
  return tree.map((entry) => ({ name: entry.path, oid: entry.oid, kind: kindOf(entry.mode) }));
}

function kindOf(mode: string): TreeEntry['kind'] {
  if (mode === '040000' || mode === '40000') return 'folder';
  if (mode === '120000') return 'symlink';
  return mode === '160000' ? 'submodule' : 'file';
}

async function guarded<T>(oid: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (code === 'NotFoundError') throw missing(oid);
    throw new SourceTrouble('DAMAGED', `object ${oid} cannot be read (${code})`);
  }
}

function missing(oid: string): SourceTrouble {
  return new SourceTrouble(
    'DAMAGED',
    `object ${oid} is not in the repository, or cannot be read: make a full clone (not a partial one, and without alternates)`,
  );
}
