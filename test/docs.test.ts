import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BRIEFS } from '#cli/help.ts';
import { runCli } from '#cli/run.ts';
import { fakeProcess } from '#test/support/fake-process.ts';

const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'fleet-example/README.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.startsWith('protocols'))
    .map((path) => join('docs', path)),
].toSorted();

async function help(...command: readonly string[]): Promise<string> {
  const process = fakeProcess();
  await runCli([...command, '--help'], process);
  return process.out();
}

describe.each(PAGES)('%s', (path) => {
  const page = readFileSync(path, 'utf8');

  it('leads nowhere that is not there', () => {
    const targets = [...page.replaceAll(/```.*?```/gs, '').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
    const local = targets.filter((target) => !/^[a-z]+:/.test(target));
    expect(local.filter((target) => !existsSync(join(dirname(path), target)))).toEqual([]);
  });

  it('names only commands and flags that there are', async () => {
    for (const [, command = '', part = '', rest = ''] of page.matchAll(/(?:^|`|&& )headgate ([a-z]+)(?: ([a-z0-9]+)\b)?([^`\n#|&]*)/gm)) {
      expect(Object.keys(BRIEFS), `headgate ${command}`).toContain(command);
      const text = ['sim', 'campbell', 'canedge'].includes(command) && part !== '' ? await help(command, part) : await help(command);
      for (const [flag] of rest.matchAll(/--[a-z-]+/g)) expect(text, `headgate ${command} ${flag}`).toContain(flag);
    }
  });
});
