import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { git } from '#test/support/git-repository.ts';
import { serveGit } from '#test/support/git-server.ts';

const run = promisify(execFile);

const RUNNER = 'runner:a-token-of-the-job';

/**
 * Only main is protected, as a branch rule of a forge has it: whoever pushes over HTTP is a runner, and the ledger's branch
 * is all that a runner may move. What people merge arrives by another way.
 */
const UPDATE_HOOK = `#!/bin/sh
if [ "$1" = refs/heads/main ]; then
  echo "main is protected" >&2
  exit 1
fi
`;

/** A repository on a real git server, with the work tree of the people who merge. */
export interface Origin {
  /** With the runner's credentials. */
  readonly url: string;
  /** The bare repository itself. */
  readonly bare: string;
  /** Changes files in the work tree (`from` must stand in them) and merges the change. */
  merge(message: string, change: readonly Edit[]): Promise<string>;
  /** Merges the inverse of the last change. */
  revert(): Promise<string>;
  head(branch: string): string;
  /** A fresh clone by the real git, as a checkout of a whole history makes it. */
  clone(): Promise<string>;
  close(): Promise<void>;
}

export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Serves a folder as a repository by `git http-backend`, its content as the first commit of main. Takes the folder over. */
export async function startOrigin(work: string): Promise<Origin> {
  const root = await mkdtemp(join(tmpdir(), 'headgate-short-origin-'));
  const bare = join(root, 'fleet.git');
  git(root, ['init', '--quiet', '--bare', '--initial-branch=main', bare]);
  for (const [key, value] of [
    ['http.receivepack', 'true'],
    ['receive.denyNonFastForwards', 'true'],
    ['receive.denyDeletes', 'true'],
  ] as const)
    git(bare, ['config', key, value]);
  await writeFile(join(bare, 'hooks', 'update'), UPDATE_HOOK);
  await chmod(join(bare, 'hooks', 'update'), 0o755);
  git(work, ['init', '--quiet', '--initial-branch=main']);
  // Past the hook, as a forge itself moves the branch when somebody presses the button.
  const publish = (): string => {
    git(bare, ['fetch', '--quiet', work, '+refs/heads/main:refs/heads/main']);
    return git(bare, ['rev-parse', 'main']);
  };
  const commit = (message: string): string => {
    git(work, ['add', '--all']);
    git(work, ['commit', '--quiet', '-m', message]);
    return publish();
  };
  commit('The fleet as it stands');
  const server = await serveGit({ root, credentials: RUNNER });
  const url = `${server.url.replace('//', `//${RUNNER}@`)}/fleet.git`;
  return {
    url,
    bare,
    merge: async (message, change) => {
      for (const { file, from, to } of change) {
        const text = await readFile(join(work, file), 'utf8');
        if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
        await writeFile(join(work, file), text.replaceAll(from, to));
      }
      return commit(message);
    },
    revert: async () => {
      git(work, ['revert', '--no-edit', 'HEAD']);
      return publish();
    },
    head: (branch) => git(bare, ['rev-parse', branch]),
    clone: async () => {
      const dir = await mkdtemp(join(tmpdir(), 'headgate-short-clone-'));
      await runGit(dir, ['clone', '--quiet', url, '.']);
      return dir;
    },
    close: async () => {
      await server.close();
      for (const dir of [root, work]) await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** The real git beside the server that this process is: it must not wait for it standing still. */
export async function runGit(dir: string, args: readonly string[]): Promise<string> {
  const { PATH } = process.env;
  const env = { PATH, HOME: dir, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
  return (await run('git', args, { cwd: dir, env })).stdout.trim();
}
