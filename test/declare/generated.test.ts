import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('the generated types are those of the schemas', () => {
  const root = join(import.meta.dirname, '..', '..');
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'gen.ts'), '--check'], { cwd: root, encoding: 'utf8' });
  expect(stderr.replaceAll(/^.*Warning.*$/gm, '').trim()).toBe('');
  expect(status).toBe(0);
});
