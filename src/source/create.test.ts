import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createRepository } from './create.ts';

it('makes a repository that git itself reads, with every file and nothing to commit', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-create-'));
  try {
    await mkdir(join(dir, 'devices'));
    await writeFile(join(dir, 'fleet.yaml'), 'kind: Fleet\n');
    await writeFile(join(dir, 'devices', 'a.csv'), 'id\r\n1\r\n');
    const author = { name: 'Field Team', email: 'field@example.org' };
    const commit = await createRepository({ dir, branch: 'main', message: 'Begin', author, at: 1_790_000_000_000 });
    const run = (...args: readonly string[]) => execFileSync('git', args, { cwd: dir, encoding: 'utf8' }).trim();
    expect(run('rev-parse', 'main')).toBe(commit);
    expect(run('ls-tree', '-r', '--name-only', 'HEAD')).toBe('devices/a.csv\nfleet.yaml');
    expect(run('status', '--porcelain')).toBe('');
    expect(run('log', '-1', '--format=%an %at')).toBe('Field Team 1790000000');
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
