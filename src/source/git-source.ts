import { stat } from 'node:fs/promises';
import { type Result, err, ok } from '#kit/result.ts';
import type { Revision } from '#model/revision.ts';
import type { Source, SourceProblem } from '#ports/source.ts';
import { type BlobCache, makeBlobCache } from './blob-cache.ts';
import { checkDescent } from './descent.ts';
import { SOURCE_LIMITS, type SourceLimits, SourceTrouble } from './limits.ts';
import { type ObjectMemory, type Objects, makeObjectMemory, openObjects } from './objects.ts';
import { resolveCommit } from './refs.ts';
import { type RemoteAuth, openRemote } from './remote.ts';
import { type Repository, findRepository } from './repository.ts';
import { makeRevision, readTreeContents } from './revision.ts';
import { readWorktree } from './worktree.ts';

export interface GitSourceOptions {
  /** A work tree, a linked work tree, or a bare repository. `WORKTREE` can be read of a plain folder too. */
  readonly dir: string;
  /** Not used for a local repository: nothing of it is copied. */
  readonly cacheDir?: string;
  readonly limits?: Partial<SourceLimits>;
}

export interface RemoteSourceOptions {
  /** `https:`, or `http:` on this machine. Credentials in it are used and never shown. */
  readonly url: string;
  /** The remote is cloned bare into a folder of its own in here. */
  readonly cacheDir: string;
  /** What `HEAD` stands for. */
  readonly branch: string;
  readonly auth?: RemoteAuth;
  readonly limits?: Partial<SourceLimits>;
}

/** What is kept between the reads of one source. */
interface Kept {
  readonly limits: SourceLimits;
  readonly memory: ObjectMemory;
  readonly blobs: BlobCache;
}

interface Access {
  readonly kept: Kept;
  readonly remoteBranch: string | null;
  find(): Promise<Result<Repository, SourceProblem>>;
}

/** The fleet repo in a folder of this machine. Reads by oid and never writes. */
export function openGitSource(options: GitSourceOptions): Source {
  const kept = keep(options.limits);
  const access: Access = { kept, remoteBranch: null, find: () => findRepository(options.dir) };
  return {
    read: (ref) => (ref === 'WORKTREE' ? readFolder(options.dir, kept) : readCommit(ref, access)),
    descends: (commit, branch, lastApplied) => descends({ commit, branch, lastApplied }, access),
    refresh: async () => ok(true),
  };
}

/**
 * The fleet repo at an HTTPS URL, cloned bare, with its whole history, into the cache by `refresh`. Until that has been
 * done once, reads are NOT_FOUND; afterwards they answer from the cache.
 */
export function openRemoteSource(options: RemoteSourceOptions): Source {
  const kept = keep(options.limits);
  const remote = openRemote({ ...options, limits: kept.limits });
  const access: Access = { kept, remoteBranch: options.branch, find: () => remote.repository() };
  return {
    read: async (ref) => {
      if (ref !== 'WORKTREE') return await readCommit(ref, access);
      return err({ code: 'NOT_FOUND', message: 'a remote has no working tree: name a branch, tag or commit' });
    },
    descends: (commit, branch, lastApplied) => descends({ commit, branch, lastApplied }, access),
    refresh: (signal) => remote.fetch(signal),
  };
}

function keep(limits: Partial<SourceLimits> | undefined): Kept {
  const all = { ...SOURCE_LIMITS, ...limits };
  return { limits: all, memory: makeObjectMemory(), blobs: makeBlobCache(all.cacheBytes) };
}

function readFolder(dir: string, kept: Kept): Promise<Result<Revision, SourceProblem>> {
  return problemsAsValues(async () => {
    const folder = await stat(dir).catch(() => null);
    if (folder?.isDirectory() !== true) throw new SourceTrouble('NOT_A_REPOSITORY', `${dir} is not a folder`);
    const found = await findRepository(dir);
    const repository = found.ok && found.value.workdir !== null ? found.value : null;
    if (found.ok && repository === null) throw new SourceTrouble('NOT_FOUND', `${dir} is a bare repository: it has no working tree`);
    return ok(makeRevision(null, await readWorktree({ dir, repository, limits: kept.limits })));
  });
}

function readCommit(ref: string, access: Access): Promise<Result<Revision, SourceProblem>> {
  return withObjects(access, async (repository, objects) => {
    const { blobs, limits } = access.kept;
    const oid = await resolveCommit(ref, { repository, objects, remoteBranch: access.remoteBranch });
    const commit = await objects.commit(oid);
    return ok(makeRevision(commit, await readTreeContents(commit.tree, { objects, blobs, limits })));
  });
}

function descends(
  claim: { readonly commit: string; readonly branch: string; readonly lastApplied: string | null },
  access: Access,
): Promise<Result<true, SourceProblem>> {
  return withObjects(access, (repository, objects) => checkDescent({ ...claim, repository, objects, remoteBranch: access.remoteBranch }));
}

async function withObjects<T>(
  access: Access,
  work: (repository: Repository, objects: Objects) => Promise<Result<T, SourceProblem>>,
): Promise<Result<T, SourceProblem>> {
  const found = await access.find();
  if (!found.ok) return found;
  const objects = openObjects(found.value.gitdir, access.kept.memory);
  try {
    return await problemsAsValues(() => work(found.value, objects));
  } finally {
    objects.close();
  }
}

async function problemsAsValues<T>(work: () => Promise<Result<T, SourceProblem>>): Promise<Result<T, SourceProblem>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SourceTrouble) return err(error.problem);
    // A file that vanished, or may not be read: trouble of the disk, not a bug.
    if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
    return err({ code: 'DAMAGED', message: `the repository could not be read: ${error.message}` });
  }
}
