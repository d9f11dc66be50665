import fs from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import * as git from 'isomorphic-git';
import type { Instant } from '#model/ids.ts';

export interface CreateRequest {
  /** A folder that is no repository yet; all files below it are committed. */
  readonly dir: string;
  readonly branch: string;
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
  readonly at: Instant;
}

/** Makes a folder a git repository with one commit of all it holds; gives the commit. Needs no git program. */
export async function createRepository(request: CreateRequest): Promise<string> {
  const { dir, branch, message, author, at } = request;
  await git.init({ fs, dir, defaultBranch: branch });
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => path !== '.git' && !path.startsWith('.git/'))
    .toSorted();
  await git.add({ fs, dir, filepath: paths });
  const who = { ...author, timestamp: Math.floor(at / 1000), timezoneOffset: 0 };
  return await git.commit({ fs, dir, message, author: who, committer: who });
}
