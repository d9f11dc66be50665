import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Revision } from '#model/revision.ts';
import type { SourceProblem } from '#ports/source.ts';
import { type GitRepository, git, repositoryAt, scratch } from '#test/support/git-repository.ts';
import { openGitSource } from './git-source.ts';
import type { SourceLimits } from './limits.ts';
import { openObjectSizes } from './object-size.ts';

const temporary = scratch();
afterAll(() => temporary.clean());

async function readOk(dir: string, ref: string, limits: Partial<SourceLimits> = {}): Promise<Revision> {
  const answer = await openGitSource({ dir, limits }).read(ref);
  if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.value;
}

async function problemOf(dir: string, ref: string, limits: Partial<SourceLimits> = {}): Promise<SourceProblem> {
  const answer = await openGitSource({ dir, limits }).read(ref);
  if (answer.ok) throw new Error(`${ref} was read`);
  return answer.error;
}

async function descentOf(dir: string, commit: string, lastApplied: string | null): Promise<string> {
  const answer = await openGitSource({ dir }).descends(commit, 'main', lastApplied);
  return answer.ok ? 'ok' : answer.error.code;
}

function text(revision: Revision, path: string): string | undefined {
  const bytes = revision.read(path);
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('utf8') : bytes;
}

function looseFile(repository: GitRepository, oid: string): string {
  return join(repository.dir, '.git', 'objects', oid.slice(0, 2), oid.slice(2));
}

describe('refs', () => {
  it('finds branches, tags, commits and steps back from them', async () => {
    const repository = temporary.repository();
    repository.write('fleet.yaml', 'one');
    const first = repository.commit('first');
    repository.git('tag', 'light');
    repository.git('tag', '-a', '-m', 'annotated', 'v1');
    repository.git('tag', '-a', '-m', 'a tag of a tag', 'v1-again', 'v1');
    repository.git('checkout', '--quiet', '-b', 'side/of-it');
    repository.write('side', 's');
    const side = repository.commit('side');
    repository.git('checkout', '--quiet', 'main');
    repository.write('fleet.yaml', 'two');
    const second = repository.commit('second');
    repository.git('merge', '--quiet', '--no-ff', '-m', 'merge', 'side/of-it');
    const merge = repository.git('rev-parse', 'HEAD');
    const expected: readonly (readonly [string, string])[] = [
      ['HEAD', merge],
      ['@', merge],
      ['main', merge],
      ['refs/heads/main', merge],
      ['light', first],
      ['v1', first],
      ['v1-again', first],
      ['side/of-it', side],
      [second, second],
      [second.slice(0, 7), second],
      ['HEAD~1', second],
      ['HEAD^', second],
      ['HEAD^2', side],
      ['main~2', first],
      ['main^2~1', first],
      ['main^0', merge],
    ];
    for (const [ref, oid] of expected) {
      expect((await readOk(repository.dir, ref)).ref.commit, ref).toBe(oid);
      expect(oid, ref).toBe(repository.git('rev-parse', `${ref}^{commit}`));
    }
    repository.git('pack-refs', '--all');
    for (const [ref, oid] of expected) expect((await readOk(repository.dir, ref)).ref.commit, ref).toBe(oid);
  });

  it('says NOT_FOUND for what is no commit here', async () => {
    const repository = temporary.repository();
    repository.write('a', 'a');
    repository.commit('first');
    const blob = repository.git('rev-parse', 'HEAD:a');
    for (const ref of [
      'nope',
      'HEAD~1',
      'HEAD^2',
      '0'.repeat(40),
      'abcdef0',
      blob,
      '../../../HEAD',
      'config',
      '-x',
      'a b',
      '~',
      'HEAD^{tree}',
    ]) {
      expect((await problemOf(repository.dir, ref)).code, ref).toBe('NOT_FOUND');
    }
  });

  it('answers any text with a value, never a throw', async () => {
    const repository = temporary.repository();
    repository.write('a', 'a');
    repository.commit('first');
    const source = openGitSource({ dir: repository.dir });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 20 }), async (ref) => {
        const answer = await source.read(`x${ref}`);
        expect(answer.ok).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  it('gives subject, author and time of the commit', async () => {
    const repository = temporary.repository();
    repository.write('a', 'a');
    repository.commit('Raise the interval\n\nBecause of the battery.');
    expect((await readOk(repository.dir, 'HEAD')).ref).toMatchObject({
      subject: 'Raise the interval',
      author: 'Ada Field <ada@example.org>',
      committedAt: Date.UTC(2026, 10, 21, 8),
    });
  });

  it('has nothing to read before the first commit, except the working tree', async () => {
    const repository = temporary.repository();
    repository.write('fleet.yaml', 'kind: Fleet');
    expect((await problemOf(repository.dir, 'HEAD')).code).toBe('NOT_FOUND');
    expect([...(await readOk(repository.dir, 'WORKTREE')).files.keys()]).toEqual(['fleet.yaml']);
  });
});

describe('files', () => {
  it('lists names beyond ASCII, executables, symlinks and submodules, and follows none of them', async () => {
    const inner = temporary.repository();
    inner.write('secret', 'of the submodule');
    const innerCommit = inner.commit('inner');
    const repository = temporary.repository();
    repository.write('files/Ström-ø.CR1X', 'prögram');
    repository.write('files/run.sh', '#!/bin/sh');
    chmodSync(join(repository.dir, 'files/run.sh'), 0o755);
    symlinkSync('/etc/passwd', join(repository.dir, 'files/link'));
    symlinkSync('files', join(repository.dir, 'folder-link'));
    repository.git('submodule', 'add', '--quiet', inner.dir, 'inner');
    repository.commit('all sorts');
    for (const ref of ['HEAD', 'WORKTREE']) {
      const revision = await readOk(repository.dir, ref);
      expect(
        [...revision.files.values()].map((file) => [file.path, file.mode, file.size]),
        ref,
      ).toEqual([
        ['.gitmodules', 'file', revision.files.get('.gitmodules')?.size],
        ['files/Ström-ø.CR1X', 'file', 8],
        ['files/link', 'symlink', 11],
        ['files/run.sh', 'file', 9],
        ['folder-link', 'symlink', 5],
        ['inner', 'submodule', 0],
      ]);
      expect(revision.files.get('inner')?.oid, ref).toBe(innerCommit);
      expect(text(revision, 'files/Ström-ø.CR1X'), ref).toBe('prögram');
      for (const path of ['files/link', 'folder-link', 'inner', 'inner/secret', 'none']) expect(revision.read(path), path).toBeUndefined();
    }
    expect((await readOk(repository.dir, 'WORKTREE')).ref.tree).toBe((await readOk(repository.dir, 'HEAD')).ref.tree);
  });

  it('has one digest for equal files, another for a rename, an edit, or a change of kind', async () => {
    const repository = temporary.repository();
    repository.write('a', 'content');
    repository.write('b/c', 'content');
    repository.commit('first');
    const first = await readOk(repository.dir, 'HEAD');
    repository.commit('nothing changed');
    expect((await readOk(repository.dir, 'HEAD')).ref.tree).toBe(first.ref.tree);
    repository.git('mv', 'a', 'd');
    repository.commit('renamed');
    const renamed = await readOk(repository.dir, 'HEAD');
    expect(renamed.files.get('d')?.oid).toBe(first.files.get('a')?.oid);
    rmSync(join(repository.dir, 'd'));
    symlinkSync('content', join(repository.dir, 'd'));
    repository.commit('a link with equal bytes');
    const linked = await readOk(repository.dir, 'HEAD');
    expect(linked.files.get('d')?.oid).toBe(renamed.files.get('d')?.oid);
    repository.git('revert', '--no-edit', 'HEAD');
    expect((await readOk(repository.dir, 'HEAD')).ref.tree).toBe(renamed.ref.tree);
    expect(new Set([first.ref.tree, renamed.ref.tree, linked.ref.tree]).size).toBe(3);
  });

  it('reads the same from packs with deltas, in a bare clone and in a linked work tree', async () => {
    const repository = temporary.repository();
    const lines = Array.from({ length: 2000 }, (_, line) => `${line} ${(line * 7919) % 10007}`);
    repository.write('config.json', lines.join('\n'));
    repository.write('empty', '');
    repository.write('nul', Buffer.from([0, 1, 2, 255]));
    repository.commit('first');
    repository.write('config.json', lines.with(1000, 'changed').join('\n'));
    repository.commit('second');
    const loose = [await readOk(repository.dir, 'HEAD'), await readOk(repository.dir, 'HEAD~1')];
    repository.git('gc', '--quiet', '--aggressive', '--prune=now');
    expect(readdirSync(join(repository.dir, '.git/objects')).toSorted()).toEqual(['info', 'pack']);
    expect(git(repository.dir, ['verify-pack', '-v', ...packIndexes(repository)])).toMatch(/chain length = 1/);
    const bare = temporary.folder();
    repository.git('clone', '--quiet', '--bare', repository.dir, bare);
    const linked = join(temporary.folder(), 'linked');
    repository.git('worktree', 'add', '--quiet', '--detach', linked, 'HEAD');
    for (const dir of [repository.dir, bare, linked]) {
      for (const [back, before] of loose.entries()) {
        const packed = await readOk(dir, `HEAD~${back}`);
        expect(packed.ref).toEqual(before.ref);
        for (const path of before.files.keys()) expect(packed.read(path), path).toEqual(before.read(path));
      }
    }
    expect((await readOk(linked, 'WORKTREE')).ref.tree).toBe(loose[0]?.ref.tree);
    expect((await problemOf(bare, 'WORKTREE')).code).toBe('NOT_FOUND');
  });

  it('reads only what changed when it read the revision before', async () => {
    const repository = temporary.repository();
    repository.write('same', 'unchanged bytes');
    repository.write('other', 'one');
    repository.commit('first');
    const source = openGitSource({ dir: repository.dir });
    expect((await source.read('HEAD')).ok).toBe(true);
    const same = repository.git('rev-parse', 'HEAD:same');
    repository.write('other', 'two');
    repository.commit('second');
    rmSync(looseFile(repository, same));
    const second = await source.read('HEAD');
    expect(second.ok && text(second.value, 'same')).toBe('unchanged bytes');
    expect((await problemOf(repository.dir, 'HEAD')).code).toBe('DAMAGED');
  });

  it('does not hand out bytes that are not those of their name', async () => {
    const repository = temporary.repository();
    repository.write('a', 'declared');
    repository.write('b', 'other bytes');
    repository.commit('first');
    const [a, b] = ['a', 'b'].map((path) => looseFile(repository, repository.git('rev-parse', `HEAD:${path}`)));
    chmodSync(String(a), 0o644);
    copyFileSync(String(b), String(a));
    expect((await problemOf(repository.dir, 'HEAD')).code).toBe('DAMAGED');
    chmodSync(String(a), 0o644);
    writeFileSync(String(a), 'not zlib at all');
    expect((await problemOf(repository.dir, 'HEAD')).code).toBe('DAMAGED');
  });
});

function packIndexes(repository: GitRepository): readonly string[] {
  const folder = join(repository.dir, '.git/objects/pack');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.idx'))
    .map((name) => join(folder, name));
}

describe('limits', () => {
  it('knows every size as git does, loose and packed', async () => {
    const repository = temporary.repository();
    for (let at = 0; at < 30; at += 1) {
      repository.write(`f${at % 7}`, `${'line of text\n'.repeat(at * 97)}${at}`);
      repository.write(`r${at}`, Buffer.from(Array.from({ length: at * at }, (_, byte) => (byte * 7919 + at) & 255)));
      repository.commit(`${at}`);
    }
    for (const state of ['loose', 'packed']) {
      if (state === 'packed') repository.git('gc', '--quiet', '--aggressive', '--prune=now');
      const sizes = openObjectSizes(join(repository.dir, '.git'));
      const all = repository.git('cat-file', '--batch-check', '--batch-all-objects').split('\n');
      expect(all.length).toBeGreaterThan(100);
      for (const line of all) {
        const [oid = '', , size] = line.split(' ');
        expect(sizes.sizeOf(oid), line).toBe(Number(size));
      }
      expect(sizes.sizeOf('1'.repeat(40))).toBeNull();
      sizes.close();
    }
  });

  it('lists a file over the limit and does not read it', async () => {
    const repository = temporary.repository();
    repository.write('small', 'x');
    repository.write('large', 'y'.repeat(2000));
    repository.commit('first');
    for (const ref of ['HEAD', 'WORKTREE']) {
      const revision = await readOk(repository.dir, ref, { blobBytes: 1999, totalBytes: 1 });
      expect(revision.read('large'), ref).toBe('tooLarge');
      expect(revision.files.get('large')?.size, ref).toBe(2000);
      expect(text(revision, 'small'), ref).toBe('x');
    }
  });

  it('refuses too many entries, too many bytes, and folders too deep', async () => {
    const repository = temporary.repository();
    repository.write('a/b/c/d', '12345');
    repository.write('e', '67890');
    repository.commit('first');
    for (const ref of ['HEAD', 'WORKTREE']) {
      expect((await readOk(repository.dir, ref, { entries: 5, totalBytes: 10, depth: 3 })).files.size, ref).toBe(2);
      for (const limits of [{ entries: 4 }, { totalBytes: 9 }, { depth: 2 }]) {
        expect((await problemOf(repository.dir, ref, limits)).code, `${ref} ${JSON.stringify(limits)}`).toBe('TOO_LARGE');
      }
    }
  });

  it('stops at a tree that names itself over and over', async () => {
    const repository = temporary.repository();
    let tree = git(repository.dir, ['hash-object', '-w', '--stdin'], 'bomb');
    for (let level = 0; level < 12; level += 1) {
      const [mode, type] = level === 0 ? ['100644', 'blob'] : ['040000', 'tree'];
      const entries = Array.from({ length: 10 }, (_, name) => `${mode} ${type} ${tree}\t${name}\n`).join('');
      tree = git(repository.dir, ['mktree'], entries);
    }
    const commit = repository.git('commit-tree', '-m', 'bomb', tree);
    expect((await problemOf(repository.dir, commit)).code).toBe('TOO_LARGE');
  });
});

describe('the working tree', () => {
  it('is what is on the disk: tracked, and untracked that is not ignored', async () => {
    const repository = temporary.repository();
    repository.write('.gitignore', 'ignored\n*.log\n/out/\n');
    repository.write('kept.log', 'tracked though ignored');
    repository.write('out/kept/file', 'tracked in an ignored folder');
    repository.git('add', '--force', 'kept.log', 'out/kept/file');
    repository.write('tracked', 'old');
    repository.write('deleted', 'gone soon');
    repository.commit('first');
    repository.write('tracked', 'new');
    repository.write('new/untracked', 'new');
    repository.write('sub/.gitignore', 'private\n');
    repository.write('sub/private', 'no');
    repository.write('ignored', 'no');
    repository.write('x.log', 'no');
    repository.write('out/other', 'no');
    repository.write('node_modules/pkg/index.js', 'no');
    rmSync(join(repository.dir, 'deleted'));
    const revision = await readOk(repository.dir, 'WORKTREE');
    expect([...revision.files.keys()]).toEqual(['.gitignore', 'kept.log', 'new/untracked', 'out/kept/file', 'sub/.gitignore', 'tracked']);
    expect(text(revision, 'tracked')).toBe('new');
    expect(revision.ref.commit).toBeNull();
    rmSync(join(repository.dir, 'node_modules'), { recursive: true });
    repository.git('add', '--all');
    repository.git('commit', '--quiet', '-m', 'second');
    expect((await readOk(repository.dir, 'HEAD')).ref.tree).toBe(revision.ref.tree);
  });

  it('shows a nested repository as a submodule, and survives links in a circle and sockets', async () => {
    const repository = temporary.repository();
    const nested = join(repository.dir, 'nested');
    mkdirSync(nested);
    git(nested, ['init', '--quiet']);
    repositoryAt(nested).write('inside', 'no');
    repositoryAt(nested).commit('nested');
    symlinkSync('.', join(repository.dir, 'circle'));
    const socket = createServer();
    await new Promise<void>((resolve) => socket.listen(join(repository.dir, 'socket'), resolve));
    const revision = await readOk(repository.dir, 'WORKTREE');
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    expect([...revision.files.values()].map((file) => [file.path, file.mode])).toEqual([
      ['circle', 'symlink'],
      ['nested', 'submodule'],
    ]);
  });

  it('can be read of a folder that is no repository, which has no commits', async () => {
    const dir = temporary.folder();
    const folder = repositoryAt(dir);
    folder.write('.gitignore', 'no\n');
    folder.write('no', 'ignored');
    folder.write('fleet.yaml', 'kind: Fleet');
    expect([...(await readOk(dir, 'WORKTREE')).files.keys()]).toEqual(['.gitignore', 'fleet.yaml']);
    expect((await problemOf(dir, 'HEAD')).code).toBe('NOT_A_REPOSITORY');
    expect(await descentOf(dir, '0'.repeat(40), null)).toBe('NOT_A_REPOSITORY');
    expect((await problemOf(join(dir, 'nowhere'), 'HEAD')).code).toBe('NOT_A_REPOSITORY');
    expect((await problemOf(join(dir, 'nowhere'), 'WORKTREE')).code).toBe('NOT_A_REPOSITORY');
  });

  it('says what to do about an index of a newer version and about SHA-256 names', async () => {
    const repository = temporary.repository();
    repository.write('a', 'a');
    repository.commit('first');
    repository.git('update-index', '--index-version', '4');
    expect(await problemOf(repository.dir, 'WORKTREE')).toMatchObject({ code: 'DAMAGED' });
    const other = temporary.folder();
    git(other, ['init', '--quiet', '--object-format=sha256']);
    expect((await problemOf(other, 'HEAD')).code).toBe('NOT_A_REPOSITORY');
  });
});

describe('descent', () => {
  it('takes a commit of the branch that is, or comes after, the last applied one', async () => {
    const repository = temporary.repository();
    const first = repository.commit('first');
    repository.git('checkout', '--quiet', '-b', 'side');
    const side = repository.commit('side');
    repository.git('checkout', '--quiet', 'main');
    const second = repository.commit('second');
    expect(await descentOf(repository.dir, side, null)).toBe('NOT_ON_BRANCH');
    expect(await descentOf(repository.dir, second, side)).toBe('NOT_A_DESCENDANT');
    repository.git('merge', '--quiet', '--no-ff', '-m', 'merge', 'side');
    const merge = repository.git('rev-parse', 'HEAD');
    for (const [commit, last] of [
      [first, null],
      [second, first],
      [merge, side],
      [merge, first],
      [merge, merge],
      [side, first],
    ] as const) {
      expect(await descentOf(repository.dir, commit, last), `${commit} after ${last}`).toBe('ok');
    }
    expect(await descentOf(repository.dir, first, second)).toBe('NOT_A_DESCENDANT');
    expect(await descentOf(repository.dir, merge, '1'.repeat(40))).toBe('NOT_A_DESCENDANT');
    repository.git('reset', '--quiet', '--hard', first);
    expect(await descentOf(repository.dir, merge, null)).toBe('NOT_ON_BRANCH');
    const gone = await openGitSource({ dir: repository.dir }).descends(first, 'release', null);
    expect(gone.ok ? null : gone.error.code).toBe('NOT_FOUND');
  });

  it('works as a runner checks out: detached, with only the remote branch', async () => {
    const origin = temporary.repository();
    const first = origin.commit('first');
    const second = origin.commit('second');
    const dir = temporary.folder();
    git(dir, ['init', '--quiet']);
    git(dir, ['remote', 'add', 'origin', origin.dir]);
    git(dir, ['fetch', '--quiet', 'origin', '+refs/heads/*:refs/remotes/origin/*']);
    git(dir, ['checkout', '--quiet', '--detach', 'refs/remotes/origin/main']);
    expect(existsSync(join(dir, '.git/refs/heads/main'))).toBe(false);
    expect((await readOk(dir, 'HEAD')).ref.commit).toBe(second);
    expect((await readOk(dir, 'main')).ref.commit).toBe(second);
    expect(await descentOf(dir, second, first)).toBe('ok');
  });

  it('says so when a shallow clone cannot show it, and only then', async () => {
    const origin = temporary.repository();
    const [first, second, third] = ['first', 'second', 'third'].map((name) => origin.commit(name));
    const dir = temporary.folder();
    git(dir, ['clone', '--quiet', '--depth=2', `file://${origin.dir}`, '.']);
    expect(await descentOf(dir, String(third), String(second))).toBe('ok');
    expect(await descentOf(dir, String(third), null)).toBe('ok');
    const cut = await openGitSource({ dir }).descends(String(third), 'main', String(first));
    expect(cut.ok ? null : cut.error).toMatchObject({ code: 'SHALLOW', message: expect.stringContaining('fetch-depth: 0') });
    expect(await descentOf(dir, String(first), null)).toBe('SHALLOW');
    git(dir, ['fetch', '--quiet', '--unshallow']);
    expect(await descentOf(dir, String(third), String(first))).toBe('ok');
  });
});
