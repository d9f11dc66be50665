import fs from 'node:fs';
import { lstat, mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as git from 'isomorphic-git';
import { type Result, err, ok } from '#kit/result.ts';
import type { Instant } from '#model/ids.ts';
import type { Author } from './author.ts';
import { SourceTrouble } from './limits.ts';
import { blobOid, makeObjectMemory, openObjects } from './objects.ts';
import { readRef, resolveCommit } from './refs.ts';
import { type Repository, findRepository } from './repository.ts';
import { type TreeFile, editTree, filesOfTree } from './tree-edit.ts';
import { readIndex } from './worktree.ts';

export interface CommitProblem {
  readonly code:
    | 'NOT_A_REPOSITORY'
    /** HEAD is on no branch. */
    | 'DETACHED'
    /** A merge, rebase or another git program is under way. */
    | 'BUSY'
    /** A file to be written has changes that are not committed: they would be swept in. */
    | 'DIRTY'
    | 'UNSAFE_PATH'
    /** The commit would be empty. */
    | 'UNCHANGED'
    | 'NOT_FOUND'
    /** What was changed is no longer as that commit left it. */
    | 'CONFLICT'
    | 'DAMAGED';
  readonly message: string;
}

export interface Signature {
  readonly author: Author;
  /** The time now when left out. */
  readonly at?: Instant;
}

export interface CommitRequest extends Signature {
  readonly dir: string;
  readonly message: string;
  /** Path from the root of the repo, with `/`: the bytes it shall have, null to remove it. */
  readonly files: Readonly<Record<string, Uint8Array | null>>;
}

export interface RevertRequest extends Signature {
  readonly dir: string;
  /** A commit, or a ref as in Source.read. Of a merge, what it brought to its first parent is taken back. */
  readonly commit: string;
  /** `Revert "…"` when left out. */
  readonly message?: string;
}

/** A file to be written or removed, with the mode it shall have. */
interface Change {
  readonly path: string;
  readonly file: { readonly bytes: Uint8Array; readonly mode: string } | null;
}

/** The branch to commit on, as it is now. */
interface Branch {
  readonly repository: Repository;
  readonly workdir: string;
  readonly ref: string;
  /** Null before the first commit. */
  readonly head: string | null;
  readonly tree: string | null;
  readonly files: ReadonlyMap<string, TreeFile>;
}

class CommitTrouble extends Error {
  override readonly name = 'CommitTrouble';
  readonly problem: CommitProblem;

  constructor(code: CommitProblem['code'], message: string) {
    super(message);
    this.problem = { code, message };
  }
}

/**
 * Writes the files to the working tree and commits them, and nothing else that is staged or changed, on the current
 * branch. The commit is not signed and hooks are not run. Gives the new commit.
 */
export function commitFiles(request: CommitRequest): Promise<Result<string, CommitProblem>> {
  return problemsAsValues(async () => {
    const branch = await openBranch(request.dir);
    const changes: Change[] = [];
    for (const [path, bytes] of Object.entries(request.files)) {
      checkPath(path);
      const known = branch.files.get(path);
      if (bytes !== null && known?.mode === '120000')
        throw new CommitTrouble('UNSAFE_PATH', `${path} is a symlink: write the file it points at`);
      changes.push({ path, file: bytes === null ? null : { bytes, mode: known?.mode ?? '100644' } });
    }
    return await commitChanges(branch, changes, request);
  });
}

/**
 * Commits the inverse of a commit on top of the current branch. Only when every file that it changed is still as it left
 * it; else CONFLICT, because merging is git's work.
 */
export function revertCommit(request: RevertRequest): Promise<Result<string, CommitProblem>> {
  return problemsAsValues(async () => {
    const branch = await openBranch(request.dir);
    const { gitdir } = branch.repository;
    const objects = openObjects(gitdir, makeObjectMemory());
    try {
      const oid = await resolveCommit(request.commit, { repository: branch.repository, objects, remoteBranch: null });
      const commit = await objects.commit(oid);
      const [parent] = commit.parents;
      const before = await filesOfTree(gitdir, parent === undefined ? null : (await objects.commit(parent)).tree);
      const after = await filesOfTree(gitdir, commit.tree);
      const changes: Change[] = [];
      for (const path of new Set([...before.keys(), ...after.keys()])) {
        const was = before.get(path);
        if (sameFile(was, after.get(path))) continue;
        checkInvertible(path, [was, after.get(path), branch.files.get(path)]);
        changes.push({ path, file: was === undefined ? null : { bytes: await objects.blob(was.oid), mode: was.mode } });
      }
      const message = request.message ?? `Revert ${JSON.stringify(commit.subject)}\n\nThis reverts commit ${oid}.\n`;
      return await commitChanges(branch, changes, { ...request, message });
    } finally {
      objects.close();
    }
  });
}

function checkInvertible(path: string, [was, became, now]: readonly (TreeFile | undefined)[]): void {
  if (!sameFile(became, now)) throw new CommitTrouble('CONFLICT', `${path} has changed since: use git revert`);
  for (const file of [was, became]) {
    if (file !== undefined && !file.mode.startsWith('100'))
      throw new CommitTrouble('CONFLICT', `${path} is not a plain file: use git revert`);
  }
  checkPath(path);
}

function sameFile(a: TreeFile | undefined, b: TreeFile | undefined): boolean {
  return a?.oid === b?.oid && a?.mode === b?.mode;
}

async function openBranch(dir: string): Promise<Branch> {
  const found = await findRepository(dir);
  if (!found.ok) throw new CommitTrouble('NOT_A_REPOSITORY', found.error.message);
  const { gitdir, ownGitdir, workdir } = found.value;
  if (workdir === null) throw new CommitTrouble('NOT_A_REPOSITORY', `${dir} is a bare repository: it has no working tree to commit`);
  for (const [name, what] of UNDER_WAY) {
    if (fs.existsSync(join(ownGitdir, name))) throw new CommitTrouble('BUSY', `${what} is under way: finish or abort it first`);
  }
  const [, ref] = /^ref: (refs\/heads\/\S+)/.exec(await readFile(join(ownGitdir, 'HEAD'), 'utf8')) ?? [];
  if (ref === undefined) throw new CommitTrouble('DETACHED', 'HEAD is on no branch: check out the branch to commit on');
  // Fails here rather than after the commit when the index is one that cannot be written back.
  await readIndex(found.value);
  const head = await readRef(gitdir, ref);
  const tree = head === null ? null : (await git.readCommit({ fs, gitdir, oid: head })).commit.tree;
  return { repository: found.value, workdir, ref, head, tree, files: await filesOfTree(gitdir, tree) };
}

const UNDER_WAY = [
  ['MERGE_HEAD', 'a merge'],
  ['CHERRY_PICK_HEAD', 'a cherry-pick'],
  ['REVERT_HEAD', 'a revert'],
  ['rebase-merge', 'a rebase'],
  ['rebase-apply', 'a rebase'],
  ['index.lock', 'another git program'],
] as const;

function checkPath(path: string): void {
  const safe = path
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && !/^\.git$/i.test(part) && !/[\\\p{Cc}]/u.test(part));
  if (!safe) throw new CommitTrouble('UNSAFE_PATH', `${JSON.stringify(path)} is not a path inside the repository`);
}

/** Objects first, then the disk, then the branch: a crash in between leaves changed files, never a commit without them. */
async function commitChanges(
  branch: Branch,
  changes: readonly Change[],
  request: Signature & { readonly message: string },
): Promise<string> {
  const { gitdir } = branch.repository;
  const edits = new Map<string, TreeFile | null>();
  for (const change of changes) {
    await checkDisk(branch, change);
    const { file } = change;
    edits.set(change.path, file === null ? null : { oid: await git.writeBlob({ fs, gitdir, blob: file.bytes }), mode: file.mode });
  }
  const tree = await editTree(gitdir, branch.tree, edits);
  if (tree === branch.tree || (branch.tree === null && edits.size === 0)) {
    throw new CommitTrouble('UNCHANGED', 'there is nothing to commit: the files are already so');
  }
  const signature = { ...request.author, timestamp: Math.floor((request.at ?? Date.now()) / 1000), timezoneOffset: 0 };
  const parent = branch.head === null ? [] : [branch.head];
  const message = request.message.endsWith('\n') ? request.message : `${request.message}\n`;
  const oid = await git.writeCommit({ fs, gitdir, commit: { tree, parent, author: signature, committer: signature, message } });
  for (const change of changes) await writeChange(branch.workdir, change);
  await git.writeRef({ fs, gitdir, ref: branch.ref, value: oid, force: true });
  for (const change of changes) await stage(branch, change, edits.get(change.path) ?? null);
  return oid;
}

/** What is on the disk must be what HEAD has, or already what shall be written, and must be reached through plain folders. */
async function checkDisk(branch: Branch, { path, file }: Change): Promise<void> {
  const parts = path.split('/');
  for (let depth = 1; depth < parts.length; depth += 1) {
    const folder = parts.slice(0, depth).join('/');
    const found = await lstat(join(branch.workdir, folder)).catch(() => null);
    if (found !== null && !found.isDirectory()) throw new CommitTrouble('UNSAFE_PATH', `${folder} is not a folder`);
  }
  const found = await lstat(join(branch.workdir, path)).catch(() => null);
  if (found !== null && !found.isFile()) throw new CommitTrouble('UNSAFE_PATH', `${path} is not a plain file`);
  const onDisk = found === null ? null : blobOid(await readFile(join(branch.workdir, path)));
  const wanted = file === null ? null : blobOid(file.bytes);
  if (onDisk === wanted || onDisk === (branch.files.get(path)?.oid ?? null)) return;
  throw new CommitTrouble('DIRTY', `${path} has changes that are not committed: commit or discard them first`);
}

async function writeChange(workdir: string, { path, file }: Change): Promise<void> {
  const full = join(workdir, path);
  if (file !== null) {
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, file.bytes, { mode: file.mode === '100755' ? 0o777 : 0o666 });
    return;
  }
  await rm(full, { force: true });
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    const removed = await rmdir(join(workdir, folder)).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}

/** In a linked work tree the index lies apart from the objects, so there it is given the oid instead of the file. */
async function stage(branch: Branch, { path }: Change, file: TreeFile | null): Promise<void> {
  const { gitdir, ownGitdir } = branch.repository;
  const at = { fs, dir: branch.workdir, gitdir: ownGitdir, filepath: path };
  if (file === null) await git.updateIndex({ ...at, remove: true, force: true });
  else if (gitdir === ownGitdir) await git.updateIndex({ ...at, add: true });
  else await git.updateIndex({ ...at, add: true, oid: file.oid, mode: Number.parseInt(file.mode, 8) });
}

async function problemsAsValues(work: () => Promise<string>): Promise<Result<string, CommitProblem>> {
  try {
    return ok(await work());
  } catch (error) {
    if (error instanceof CommitTrouble) return err(error.problem);
    if (!(error instanceof SourceTrouble)) throw error;
    const { code, message } = error.problem;
    return err({ code: code === 'NOT_FOUND' ? code : 'DAMAGED', message });
  }
}
