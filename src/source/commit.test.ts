import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { git, repositoryAt, scratch } from '#test/support/git-repository.ts';
import { readAuthor } from './author.ts';
import { type CommitRequest, commitFiles, revertCommit } from './commit.ts';

const temporary = scratch();
afterAll(() => temporary.clean());

const author = { name: 'Ada Field', email: 'ada@example.org' };
const at = Date.UTC(2026, 10, 21, 9);

async function codeOf(request: Pick<CommitRequest, 'dir' | 'files'>): Promise<string> {
  const answer = await commitFiles({ message: 'change', author, at, ...request });
  return answer.ok ? 'ok' : answer.error.code;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('commitFiles', () => {
  it('commits what it is given, and leaves what else is staged or changed as it was', async () => {
    const repository = temporary.repository();
    repository.write('fleet.yaml', 'kind: Fleet');
    repository.write('old/approval.yaml', 'old');
    repository.write('run.sh', 'run');
    chmodSync(join(repository.dir, 'run.sh'), 0o755);
    const first = repository.commit('first');
    repository.write('staged', 'staged');
    repository.git('add', 'staged');
    repository.write('fleet.yaml', 'kind: Fleet # edited');
    const files = { 'approvals/a b.yaml': bytes('kind: Approval'), 'old/approval.yaml': null, 'run.sh': bytes('run faster') };
    const answer = await commitFiles({ dir: repository.dir, message: 'Approve the rest', author, at, files });
    expect(answer).toEqual({ ok: true, value: repository.git('rev-parse', 'main') });
    expect(repository.git('fsck', '--strict')).toBe('');
    expect(repository.git('rev-parse', 'HEAD^')).toBe(first);
    expect(repository.git('log', '-1', '--format=%an <%ae> %cn %ct %B')).toBe(
      `Ada Field <ada@example.org> Ada Field ${at / 1000} Approve the rest\n`,
    );
    expect(repository.git('show', '--format=', '--name-status', 'HEAD').split('\n')).toEqual([
      'A\tapprovals/a b.yaml',
      'D\told/approval.yaml',
      'M\trun.sh',
    ]);
    expect(repository.git('ls-tree', 'HEAD', 'run.sh')).toMatch(/^100755/);
    expect(repository.git('status', '--porcelain').split('\n')).toEqual([' M fleet.yaml', 'A  staged']);
    expect(readFileSync(join(repository.dir, 'approvals/a b.yaml'), 'utf8')).toBe('kind: Approval');
    expect(existsSync(join(repository.dir, 'old'))).toBe(false);
  });

  it('makes the first commit of a repository, and commits in a linked work tree', async () => {
    const repository = temporary.repository();
    expect(await codeOf({ dir: repository.dir, files: { 'fleet.yaml': bytes('kind: Fleet') } })).toBe('ok');
    expect(repository.git('log', '--format=%s', '--name-only')).toBe('change\n\nfleet.yaml');
    const linked = join(temporary.folder(), 'linked');
    repository.git('worktree', 'add', '--quiet', '-b', 'side', linked);
    expect(await codeOf({ dir: linked, files: { 'a/b': bytes('b') } })).toBe('ok');
    expect(git(linked, ['status', '--porcelain'])).toBe('');
    expect(repository.git('show', 'side:a/b')).toBe('b');
    expect(repository.git('status', '--porcelain')).toBe('');
  });

  it('turns a file into a folder when told to remove the file too', async () => {
    const repository = temporary.repository();
    repository.write('sets', 'a file');
    repository.commit('first');
    expect(await codeOf({ dir: repository.dir, files: { 'sets/a.yaml': bytes('x') } })).toBe('UNSAFE_PATH');
    expect(await codeOf({ dir: repository.dir, files: { sets: null } })).toBe('ok');
    expect(await codeOf({ dir: repository.dir, files: { 'sets/a.yaml': bytes('x') } })).toBe('ok');
    expect(repository.git('ls-tree', '-r', '--name-only', 'HEAD')).toBe('sets/a.yaml');
    expect(repository.git('status', '--porcelain')).toBe('');
  });

  it('refuses what would lose work or leave the repository', async () => {
    const repository = temporary.repository();
    const { dir } = repository;
    repository.write('a', 'one');
    repository.write('folder/b', 'b');
    symlinkSync('/tmp', join(dir, 'away'));
    symlinkSync('a', join(dir, 'link'));
    const head = repository.commit('first');
    repository.write('a', 'edited');
    repository.write('untracked', 'mine');
    const x = bytes('x');
    const expected: readonly (readonly [string, Uint8Array | null, string])[] = [
      ['a', x, 'DIRTY'],
      ['a', null, 'DIRTY'],
      ['untracked', x, 'DIRTY'],
      ['../outside', x, 'UNSAFE_PATH'],
      ['/etc/passwd', x, 'UNSAFE_PATH'],
      ['.git/config', x, 'UNSAFE_PATH'],
      ['folder/.GIT/config', x, 'UNSAFE_PATH'],
      ['folder/../a', x, 'UNSAFE_PATH'],
      ['folder\\c', x, 'UNSAFE_PATH'],
      ['', x, 'UNSAFE_PATH'],
      ['away/file', x, 'UNSAFE_PATH'],
      ['link', x, 'UNSAFE_PATH'],
      ['folder', x, 'UNSAFE_PATH'],
      ['folder/b', bytes('b'), 'UNCHANGED'],
      ['none', null, 'UNCHANGED'],
    ];
    for (const [path, content, code] of expected) expect(await codeOf({ dir, files: { [path]: content } }), path).toBe(code);
    expect(await codeOf({ dir, files: {} })).toBe('UNCHANGED');
    expect(repository.git('rev-parse', 'HEAD')).toBe(head);
    expect(repository.git('status', '--porcelain').split('\n')).toEqual([' M a', '?? untracked']);
    repository.git('checkout', '--quiet', '--detach');
    expect(await codeOf({ dir, files: { new: x } })).toBe('DETACHED');
    repository.git('checkout', '--quiet', 'main');
    mkdirSync(join(dir, '.git/rebase-merge'));
    expect(await codeOf({ dir, files: { new: x } })).toBe('BUSY');
    expect(await codeOf({ dir: temporary.folder(), files: { new: x } })).toBe('NOT_A_REPOSITORY');
  });

  it('takes a file that was already written to the disk as it shall be', async () => {
    const repository = temporary.repository();
    repository.commit('first');
    repository.write('overrides/freeze.yaml', 'frozen');
    expect(await codeOf({ dir: repository.dir, files: { 'overrides/freeze.yaml': bytes('frozen') } })).toBe('ok');
    expect(repository.git('status', '--porcelain')).toBe('');
  });
});

describe('revertCommit', () => {
  it('leaves the tree that git revert would', async () => {
    const repository = temporary.repository();
    repository.write('groups/a.yaml', 'firmware: 1');
    repository.write('groups/b.yaml', 'old name');
    repository.commit('first');
    repository.write('groups/a.yaml', 'firmware: 2');
    repository.write('new/file', 'new');
    repository.git('mv', 'groups/b.yaml', 'groups/c.yaml');
    const bad = repository.commit('upgrade "all"');
    repository.write('readme', 'unrelated');
    const last = repository.commit('unrelated');
    repository.git('branch', 'judge');
    const answer = await revertCommit({ dir: repository.dir, commit: bad.slice(0, 9), author, at });
    expect(answer.ok).toBe(true);
    expect(repository.git('rev-parse', 'HEAD^')).toBe(last);
    expect(repository.git('log', '-1', '--format=%B')).toBe(`Revert "upgrade \\"all\\""\n\nThis reverts commit ${bad}.\n`);
    expect(repository.git('status', '--porcelain')).toBe('');
    const ours = repository.git('rev-parse', 'HEAD^{tree}');
    repository.git('checkout', '--quiet', 'judge');
    repository.git('revert', '--no-edit', bad);
    expect(ours).toBe(repository.git('rev-parse', 'HEAD^{tree}'));
  });

  it('takes back a merge, and the very first commit', async () => {
    const repository = temporary.repository();
    repository.write('a', 'a');
    const first = repository.commit('first');
    repository.git('checkout', '--quiet', '-b', 'side');
    repository.write('b', 'b');
    repository.commit('side');
    repository.git('checkout', '--quiet', 'main');
    repository.git('merge', '--quiet', '--no-ff', '-m', 'merge', 'side');
    expect((await revertCommit({ dir: repository.dir, commit: 'HEAD', author, at })).ok).toBe(true);
    expect(repository.git('rev-parse', 'HEAD^{tree}')).toBe(repository.git('rev-parse', `${first}^{tree}`));
    expect((await revertCommit({ dir: repository.dir, commit: first, author, at })).ok).toBe(true);
    expect(repository.git('ls-tree', '-r', 'HEAD')).toBe('');
  });

  it('leaves to git what would need a merge, and refuses to lose work', async () => {
    const repository = temporary.repository();
    repository.write('a', '1');
    repository.commit('first');
    repository.write('a', '2');
    const second = repository.commit('second');
    repository.write('a', '3');
    const third = repository.commit('third');
    const codeFor = async (commit: string) => {
      const answer = await revertCommit({ dir: repository.dir, commit, author, at });
      return answer.ok ? 'ok' : answer.error.code;
    };
    expect(await codeFor(second)).toBe('CONFLICT');
    expect(await codeFor('f'.repeat(40))).toBe('NOT_FOUND');
    repository.write('a', 'edited');
    expect(await codeFor(third)).toBe('DIRTY');
    expect(repository.git('rev-parse', 'HEAD')).toBe(third);
  });
});

describe('readAuthor', () => {
  it('finds who commits as git does', async () => {
    const repository = temporary.repository();
    const home = temporary.folder();
    const env = { HOME: home };
    expect(await readAuthor({ dir: repository.dir, env })).toBeNull();
    repositoryAt(home).write(
      '.gitconfig',
      '[core]\n\tname = no\n[user]\n\tname = "Ada \\"F\\" Field" ; in the field\n\temail = ada@example.org # hers\n',
    );
    expect(await readAuthor({ dir: repository.dir, env })).toEqual({ name: 'Ada "F" Field', email: 'ada@example.org' });
    repository.git('config', 'user.email', 'local@example.org');
    expect(await readAuthor({ dir: repository.dir, env })).toEqual({ name: 'Ada "F" Field', email: 'local@example.org' });
    const given = { ...env, GIT_AUTHOR_NAME: 'Bo', GIT_AUTHOR_EMAIL: 'bo@example.org' };
    expect(await readAuthor({ dir: repository.dir, env: given })).toEqual({ name: 'Bo', email: 'bo@example.org' });
  });
});
