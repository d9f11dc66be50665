import { afterAll, expect, it } from 'vitest';
import { repositoryAt, scratch } from '#test/support/git-repository.ts';
import { createRepository } from './create.ts';

const temporary = scratch();
afterAll(() => temporary.clean());

it('makes a repository that git finds whole and clean', async () => {
  const folder = repositoryAt(temporary.folder());
  folder.write('fleet.yaml', 'kind: Fleet');
  folder.write('files/Ström.CR1X', 'program');
  const author = { name: 'Ada Field', email: 'ada@example.org' };
  const at = Date.UTC(2026, 10, 21, 9);
  const commit = await createRepository({ dir: folder.dir, branch: 'main', message: 'The fleet as it stands', author, at });
  expect(folder.git('rev-parse', 'main')).toBe(commit);
  expect(folder.git('symbolic-ref', 'HEAD')).toBe('refs/heads/main');
  expect(folder.git('status', '--porcelain')).toBe('');
  expect(folder.git('-c', 'core.quotePath=false', 'ls-files').split('\n')).toEqual(['files/Ström.CR1X', 'fleet.yaml']);
  expect(folder.git('log', '--format=%an %ae %ct %s')).toBe(`Ada Field ada@example.org ${at / 1000} The fleet as it stands`);
  expect(folder.git('fsck', '--strict')).toBe('');
});
