import fs from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as git from 'isomorphic-git';
import { SourceTrouble } from './limits.ts';
import type { Objects } from './objects.ts';
import type { Repository } from './repository.ts';

export interface RefRequest {
  readonly repository: Repository;
  readonly objects: Objects;
  /** In a cache of a remote: the branch that HEAD stands for. Local branches do not count there. */
  readonly remoteBranch: string | null;
}

const FULL_OID = /^[0-9a-f]{40}$/;
const SHORT_OID = /^[0-9a-f]{7,39}$/;
/** A name that git would take as a ref: no control characters, no `..`, nothing that could leave the refs folder. */
const REF_NAME = /^(?!.*(?:\.\.|\/\/|@\{))[^\s~^:?*[\\\p{Cc}]+$/u;
/** A tag of a tag of a tag… ends here. */
const MAX_TAGS = 8;

/**
 * The commit that a branch, tag, full or abbreviated commit, or HEAD names, with any `~n` and `^n` after it. A branch
 * comes before a tag of the same name, and both before a commit that begins like it. Throws SourceTrouble NOT_FOUND.
 */
export async function resolveCommit(ref: string, request: RefRequest): Promise<string> {
  const [, name = '', steps = ''] = /^(.*?)((?:[~^]\d*)*)$/su.exec(ref) ?? [];
  const oid = await resolveName(name === '' || name === '@' ? 'HEAD' : name, request);
  if (oid === null) throw new SourceTrouble('NOT_FOUND', `there is no branch, tag or commit ${JSON.stringify(ref)}`);
  let commit = await peel(oid, ref, request.objects);
  for (const [, sign, digits] of steps.matchAll(/([~^])(\d*)/g)) {
    commit = await step(commit, { back: sign === '~', count: digits === '' ? 1 : Number(digits), ref }, request.objects);
  }
  return commit;
}

/** The commits at which that branch stands: the local one, and the remote's as last fetched. */
export async function branchTips(branch: string, request: RefRequest): Promise<readonly string[]> {
  if (!REF_NAME.test(branch)) return [];
  const names =
    request.remoteBranch === null ? [`refs/heads/${branch}`, `refs/remotes/origin/${branch}`] : [`refs/remotes/origin/${branch}`];
  const tips: string[] = [];
  for (const name of names) {
    const oid = await readRef(request.repository.gitdir, name);
    if (oid !== null && !tips.includes(oid)) tips.push(oid);
  }
  return tips;
}

async function resolveName(name: string, request: RefRequest): Promise<string | null> {
  const { gitdir } = request.repository;
  if (name === 'HEAD') return await resolveHead(request);
  if (FULL_OID.test(name)) return name;
  if (!REF_NAME.test(name)) return null;
  for (const full of fullNames(name, request.remoteBranch)) {
    const oid = await readRef(gitdir, full);
    if (oid !== null) return oid;
  }
  return SHORT_OID.test(name) ? await expand(gitdir, name) : null;
}

function fullNames(name: string, remoteBranch: string | null): readonly string[] {
  if (name.startsWith('refs/')) return [name];
  if (remoteBranch !== null) return [`refs/remotes/origin/${name}`, `refs/tags/${name}`];
  return [`refs/heads/${name}`, `refs/tags/${name}`, `refs/remotes/origin/${name}`, `refs/remotes/${name}`];
}

async function resolveHead(request: RefRequest): Promise<string | null> {
  const { gitdir, ownGitdir } = request.repository;
  if (request.remoteBranch !== null) return await readRef(gitdir, `refs/remotes/origin/${request.remoteBranch}`);
  const text = (await readFile(join(ownGitdir, 'HEAD'), 'utf8').catch(() => '')).trim();
  if (FULL_OID.test(text)) return text;
  return text.startsWith('ref: refs/') ? await readRef(gitdir, text.slice(5)) : null;
}

/** Loose or packed; null when there is none. */
export async function readRef(gitdir: string, ref: string): Promise<string | null> {
  const oid = await git.resolveRef({ fs, gitdir, ref }).catch(() => null);
  return oid !== null && FULL_OID.test(oid) ? oid : null;
}

async function expand(gitdir: string, short: string): Promise<string | null> {
  try {
    return await git.expandOid({ fs, gitdir, oid: short });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'AmbiguousError') {
      throw new SourceTrouble('NOT_FOUND', `${short} is the beginning of more than one object: write more digits`);
    }
    return null;
  }
}

/** Follows annotated tags to the commit. A full oid that is not here is told apart from a damaged repository. */
async function peel(oid: string, ref: string, objects: Objects): Promise<string> {
  let at = oid;
  for (let tags = 0; tags < MAX_TAGS; tags += 1) {
    const { type, target } = await objects.look(at).catch((error: unknown) => {
      if (at === ref) throw new SourceTrouble('NOT_FOUND', `commit ${ref} is not in this repository`);
      throw error;
    });
    if (type === 'commit') return at;
    if (target === null) throw new SourceTrouble('NOT_FOUND', `${JSON.stringify(ref)} names a ${type}, not a commit`);
    at = target;
  }
  throw new SourceTrouble('NOT_FOUND', `${JSON.stringify(ref)} is a chain of too many tags`);
}

async function step(
  commit: string,
  move: { readonly back: boolean; readonly count: number; readonly ref: string },
  objects: Objects,
): Promise<string> {
  const nth = move.back ? 1 : move.count;
  const times = move.back ? move.count : move.count === 0 ? 0 : 1;
  let at = commit;
  for (let made = 0; made < times; made += 1) {
    const parent = (await objects.commit(at)).parents[nth - 1];
    if (parent === undefined) throw new SourceTrouble('NOT_FOUND', `${move.ref} goes back before the first commit`);
    at = parent;
  }
  return at;
}
