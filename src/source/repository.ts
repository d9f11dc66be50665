import fs from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as git from 'isomorphic-git';
import { type Result, err, ok } from '#kit/result.ts';
import type { SourceProblem } from '#ports/source.ts';

/** Where the parts of a repository lie. A linked work tree has its own HEAD and index; all else is shared. */
export interface Repository {
  /** Objects, refs, config. */
  readonly gitdir: string;
  /** HEAD and index. */
  readonly ownGitdir: string;
  /** Null for a bare repository. */
  readonly workdir: string | null;
}

/** The repository whose work tree, or whose bare self, is that folder. Folders above are not searched. */
export async function findRepository(dir: string): Promise<Result<Repository, SourceProblem>> {
  const dotGit = join(dir, '.git');
  const kind = await kindOf(dotGit);
  const ownGitdir = kind === 'file' ? await linkedGitdir(dotGit) : kind === 'folder' ? dotGit : (await isBare(dir)) ? dir : null;
  if (ownGitdir === null || (await kindOf(join(ownGitdir, 'HEAD'))) !== 'file') {
    return err({ code: 'NOT_A_REPOSITORY', message: `${dir} is not a git repository` });
  }
  const common = await readFile(join(ownGitdir, 'commondir'), 'utf8').catch(() => null);
  const gitdir = common === null ? ownGitdir : resolve(ownGitdir, common.trim());
  const unsupported = await unsupportedFormat(gitdir);
  if (unsupported !== null) return err({ code: 'NOT_A_REPOSITORY', message: `${dir} ${unsupported}` });
  return ok({ gitdir, ownGitdir, workdir: ownGitdir === dir ? null : dir });
}

async function kindOf(path: string): Promise<'file' | 'folder' | null> {
  const found = await stat(path).catch(() => null);
  return found === null ? null : found.isDirectory() ? 'folder' : 'file';
}

async function isBare(dir: string): Promise<boolean> {
  return (await kindOf(join(dir, 'objects'))) === 'folder' && (await kindOf(join(dir, 'refs'))) === 'folder';
}

async function linkedGitdir(dotGit: string): Promise<string | null> {
  const text = await readFile(dotGit, 'utf8').catch(() => '');
  const [, path] = /^gitdir: (.+)/.exec(text) ?? [];
  return path === undefined ? null : resolve(dirname(dotGit), path.trim());
}

async function unsupportedFormat(gitdir: string): Promise<string | null> {
  const option = async (path: string): Promise<string | null> => {
    const value: unknown = await git.getConfig({ fs, gitdir, path }).catch(() => undefined);
    return typeof value === 'string' ? value.toLowerCase() : null;
  };
  const objects = await option('extensions.objectformat');
  if (objects !== null && objects !== 'sha1')
    return `names its objects by ${objects}, which is not supported: use a repository with SHA-1 names`;
  const refs = await option('extensions.refstorage');
  if (refs !== null && refs !== 'files')
    return `keeps its refs as ${refs}, which is not supported: run git refs migrate --ref-format=files`;
  return null;
}

/** Commits whose parents were left out of a shallow clone; empty for a full one. */
export async function shallowCommits(gitdir: string): Promise<ReadonlySet<string>> {
  const text = await readFile(join(gitdir, 'shallow'), 'utf8').catch(() => '');
  return new Set(text.split('\n').filter((line) => line !== ''));
}
