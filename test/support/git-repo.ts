import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Instant } from '#model/ids.ts';
import type { ScenarioRepo } from '#sim/scenario/stage.ts';

const run = promisify(execFile);

/** A copy of a folder as a real git repository on branch main; commits carry the given time, so their ids repeat. */
export async function makeGitRepo(folder: string, at: Instant): Promise<ScenarioRepo> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-repo-'));
  await cp(folder, dir, { recursive: true });
  const git = async (args: readonly string[], when: Instant): Promise<string> => {
    const date = `${Math.floor(when / 1000)} +0000`;
    const who = {
      GIT_AUTHOR_NAME: 'Field Team',
      GIT_AUTHOR_EMAIL: 'field@example.org',
      GIT_COMMITTER_NAME: 'Field Team',
      GIT_COMMITTER_EMAIL: 'field@example.org',
    };
    const env = { PATH: process.env['PATH'], HOME: dir, GIT_CONFIG_NOSYSTEM: '1', GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date, ...who };
    const { stdout } = await run(
      'git',
      ['-c', 'commit.gpgsign=false', '-c', 'core.autocrlf=false', '-c', 'maintenance.auto=false', ...args],
      { cwd: dir, env },
    );
    return stdout.trim();
  };
  // What `git rev-parse main` says of a branch that nothing has packed, without a process.
  const head = async (): Promise<string> => (await readFile(join(dir, '.git/refs/heads/main'), 'utf8')).trim();
  const commit = async (message: string, when: Instant): Promise<string> => {
    await git(['add', '-A'], when);
    await git(['commit', '-q', '--allow-empty', '-m', message], when);
    return head();
  };
  await git(['init', '-q', '-b', 'main', '--template='], at);
  await commit('The fleet as it stands', at);
  return {
    dir,
    commit,
    read: (path) => readFile(join(dir, path), 'utf8'),
    write: async (path, text) => {
      await mkdir(dirname(join(dir, path)), { recursive: true });
      await writeFile(join(dir, path), text);
    },
    remove: (path) => rm(join(dir, path)),
    revert: async (when) => {
      await git(['revert', '--no-edit', 'HEAD'], when);
      return head();
    },
    close: () => rm(dir, { recursive: true, force: true }),
  };
}
