import { constants } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { err, ok } from '#kit/result.ts';
import type { Result } from '#kit/result.ts';
import type { Runner } from './runner.ts';

/** Whether `path` is `folder` or below it; both absolute, neither looked up. */
function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/**
 * The fleet's folder in the workspace. A tree may hold a symlink of that name, so the folder is followed to where it really
 * is, and that must be in the workspace.
 */
export async function fleetFolder(runner: Runner, path: string): Promise<Result<string, string>> {
  const folder = resolve(runner.workspace, path);
  const [real, workspace] = [await realpath(folder).catch(() => null), await realpath(runner.workspace).catch(() => null)];
  if (real === null || workspace === null) return err(`path: there is no folder ${path} in the workspace`);
  return isInside(workspace, real) ? ok(real) : err(`path: ${path} leads out of the workspace`);
}

/** The folder as the repository calls it: what stands between the nearest `.git` upwards, within the workspace, and it. */
export async function folderInRepository(runner: Runner, folder: string): Promise<string> {
  const workspace = await realpath(runner.workspace).catch(() => runner.workspace);
  for (let dir = folder; isInside(workspace, dir); dir = dirname(dir)) {
    const found = await lstat(join(dir, '.git')).catch(() => null);
    if (found !== null) return relative(dir, folder).split(sep).join('/') || '.';
    if (dir === dirname(dir)) break;
  }
  return '.';
}

/** Where the comment is written when the workflow does not say: outside of the workspace, so that no commit picks it up. */
export function defaultCommentFile(runner: Runner, path: string): string {
  const slug = path.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '');
  return join(runner.env['RUNNER_TEMP'] ?? tmpdir(), slug === '' ? 'headgate-comment.md' : `headgate-comment-${slug}.md`);
}

/**
 * Writes a file of the workflow. A path in the workspace stays in it, and no symlink is written through: the tree that lies
 * there can be that of a fork. Gives the absolute path.
 */
export async function writeFileFor(runner: Runner, path: string, text: string): Promise<Result<string, string>> {
  const target = resolve(runner.workspace, path);
  const folder = await realpath(dirname(target)).catch(() => null);
  if (folder === null) return err(`${path}: its folder does not exist`);
  const workspace = await realpath(runner.workspace).catch(() => runner.workspace);
  const meantInside = isInside(resolve(runner.workspace), target);
  if (meantInside && !isInside(workspace, folder)) return err(`${path} leads out of the workspace`);
  if (!meantInside && !isAbsolute(path)) return err(`${path} is not in the workspace: write an absolute path`);
  const real = join(folder, basename(target));
  try {
    const file = await open(real, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    return ok(target);
  } catch (error) {
    return err(`${path} cannot be written: ${codeOf(error)}`);
  }
}

/** The text of a file of the workflow, not followed through symlinks out of what was asked for; null when there is none. */
export async function readFileFor(runner: Runner, path: string, mostBytes: number): Promise<string | null> {
  try {
    const file = await open(resolve(runner.workspace, path), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { size } = await file.stat();
      return size > mostBytes ? null : await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
