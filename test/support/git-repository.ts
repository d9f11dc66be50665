import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A repository made with the real git, apart from whatever configuration the machine has. */
export interface GitRepository {
  readonly dir: string;
  /** Runs git in it and gives its output without the last line end. */
  git(...args: readonly string[]): string;
  write(path: string, content: string | Uint8Array): void;
  /** Adds everything and commits it; gives the oid. */
  commit(message: string): string;
}

const ENV = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Ada Field',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada Field',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_AUTHOR_DATE: '2026-11-21T08:00:00Z',
  GIT_COMMITTER_DATE: '2026-11-21T08:00:00Z',
};

export function git(dir: string, args: readonly string[], input?: string | Uint8Array): string {
  const env = { ...process.env, ...ENV };
  const options = { cwd: dir, env, stdio: ['pipe', 'pipe', 'pipe'] as ['pipe', 'pipe', 'pipe'], ...(input === undefined ? {} : { input }) };
  return execFileSync('git', ['-c', 'protocol.file.allow=always', '-c', 'maintenance.auto=false', ...args], options)
    .toString('utf8')
    .replace(/\n$/, '');
}

export function repositoryAt(dir: string): GitRepository {
  return {
    dir,
    git: (...args) => git(dir, args),
    write: (path, content) => {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), content);
    },
    commit: (message) => {
      git(dir, ['add', '--all']);
      git(dir, ['commit', '--quiet', '--allow-empty', '-m', message]);
      return git(dir, ['rev-parse', 'HEAD']);
    },
  };
}

/** Folders that are removed at the end of the test file: hand `clean` to afterAll. */
export function scratch(): { folder(): string; repository(): GitRepository; clean(): void } {
  const made: string[] = [];
  const folder = (): string => {
    const dir = mkdtempSync(join(tmpdir(), 'headgate-'));
    made.push(dir);
    return dir;
  };
  return {
    folder,
    repository: () => {
      const dir = folder();
      git(dir, ['init', '--quiet', '--initial-branch=main', '--template=']);
      return repositoryAt(dir);
    },
    clean: () => {
      for (const dir of made) rmSync(dir, { recursive: true, force: true });
    },
  };
}
