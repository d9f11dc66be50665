import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { mkdir, open, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import * as git from 'isomorphic-git';
import type { GitBranch, GitCommit } from '#ports/git-branch.ts';
import { WireError } from '#ports/wire-error.ts';
import { damaged, type GitObject } from './git-format.ts';
import { moveRefs, readRefs } from './git-loose-refs.ts';
import { buildCommit, openCommit } from './git-objects.ts';
import { inParallel } from './parallel.ts';
import { findRepository } from './repository.ts';

interface Local {
  readonly gitdir: string;
  /** What commits that were read or made last consist of. */
  known: Map<string, GitObject>;
}

/**
 * A repository on this machine, bare or with a work tree (which is not touched). Objects are written loose and synced, refs
 * by git's own locks; no hooks are run. Throws WireError when there is no repository.
 */
export async function openLocalBranch(dir: string): Promise<GitBranch> {
  const found = await findRepository(dir);
  if (!found.ok) throw new WireError('GIT_404', 'never', found.error.message);
  const local: Local = { gitdir: found.value.gitdir, known: new Map() };
  return {
    place: dir,
    refs: async (names) => readRefs(local.gitdir, names),
    commits: (oids) => commits(local, oids),
    file: async (oid) => {
      const object = await readObject(local, oid, {});
      if (object?.type !== 'blob') throw damaged(`object ${oid}`);
      return object.bytes;
    },
    make: async (request) => {
      const cache = {};
      const made = await buildCommit(request, (oid) => readObject(local, oid, cache));
      await inParallel(made.objects, ([oid, object]) => writeLoose(local.gitdir, oid, object));
      for (const [oid, object] of made.objects) local.known.set(oid, object);
      return made.commit;
    },
    move: async (moves) => {
      const answer = await moveRefs(local.gitdir, moves);
      if (answer.kind === 'done') await commits(local, [...new Set(moves.map(({ to }) => to))]);
      return answer;
    },
    close: async () => {
      local.known.clear();
    },
  };
}

async function commits(local: Local, oids: readonly string[]): Promise<readonly GitCommit[] | 'gone'> {
  const cache = {};
  const opened: GitCommit[] = [];
  const kept = new Map<string, GitObject>();
  for (const oid of oids) {
    if ((await readObject(local, oid, cache)) === undefined) return 'gone';
    const { commit, oids: parts } = await openCommit(oid, (object) => readObject(local, object, cache));
    opened.push(commit);
    for (const part of parts) {
      const object = local.known.get(part);
      if (object !== undefined) kept.set(part, object);
    }
  }
  local.known = kept;
  return opened;
}

async function readObject(local: Local, oid: string, cache: object): Promise<GitObject | undefined> {
  const kept = local.known.get(oid);
  if (kept !== undefined) return kept;
  try {
    const read = await git.readObject({ fs, gitdir: local.gitdir, cache, oid, format: 'content' });
    const { type, object: bytes } = read;
    if (!(bytes instanceof Uint8Array) || type === undefined || type === 'deflated' || type === 'wrapped') return undefined;
    const object: GitObject = { type, bytes };
    local.known.set(oid, object);
    return object;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'NotFoundError') return undefined;
    throw damaged(`object ${oid}`);
  }
}

async function writeLoose(gitdir: string, oid: string, { type, bytes }: GitObject): Promise<void> {
  const folder = join(gitdir, 'objects', oid.slice(0, 2));
  const path = join(folder, oid.slice(2));
  const now = new Date();
  // One that is there may be old and named by nothing: git gc must not take it before the commit is.
  const fresh = await utimes(path, now, now).then(
    () => true,
    () => false,
  );
  if (fresh) return;
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `tmp_obj_${randomUUID()}`);
  try {
    const file = await open(temporary, 'wx', 0o444);
    try {
      await file.writeFile(deflateSync(Buffer.concat([Buffer.from(`${type} ${bytes.length}\0`), bytes])));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'GIT_DISK';
    throw new WireError(code, 'later', `${folder} cannot be written (${code})`, error);
  }
}
