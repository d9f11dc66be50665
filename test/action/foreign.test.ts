import { chmodSync, cpSync, existsSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildAction, runBundle } from '#test/support/action-run.ts';
import type { ActionBundle, ActionRun } from '#test/support/action-run.ts';
import { openPull } from '#test/support/git-merge.ts';
import type { CheckedOutPull } from '#test/support/git-merge.ts';
import { git, repositoryAt } from '#test/support/git-repository.ts';
import type { GitRepository } from '#test/support/git-repository.ts';
import { startRestApi } from '#test/support/rest-api.ts';
import type { RestApi } from '#test/support/rest-api.ts';

const REPOSITORY = 'upland/fleet';
const SECRETS = { MQTT_PASSWORD: 'not-for-strangers', AWS_SECRET_ACCESS_KEY: 'nor-this-one-at-all' };

let bundle: ActionBundle;
let api: RestApi;
/** Where the broker and the bucket would be: nobody may knock. */
let door: Server;
let knocks = 0;
let dir: string;
let pull: CheckedOutPull;

beforeAll(async () => {
  bundle = await buildAction();
  api = await startRestApi();
  door = createServer((socket) => {
    knocks += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  dir = mkdtempSync(join(bundle.scratch, 'fleet-'));
  cpSync('fleet-example', dir, { recursive: true });
  git(dir, ['init', '--quiet', '--initial-branch=main']);
  repositoryAt(dir).commit('The network as it stands');
  pull = openPull(dir, 'stranger', hostile);
}, 60_000);

afterAll(async () => {
  await api.close();
  await new Promise<void>((resolve) => door.close(() => resolve()));
  bundle.close();
});

beforeEach(() => {
  knocks = 0;
  api.comments.clear();
  api.taken();
  api.pulls.set(7, { head: { sha: pull.head, repo: { full_name: 'stranger/fleet' } } });
});

/** All that a tree can hold to make a reader of it do something: none of it may. */
function hostile(repository: GitRepository): void {
  repository.write('groups/more.yaml', 'kind: Window\nname: mine\nallow: [ { days: mon-fri, from: "01:00", to: "02:00" } ]\n');
  repository.write('.gitattributes', '* filter=evil\n');
  repository.write('.gitconfig', `[core]\n\thooksPath = hooks\n[filter "evil"]\n\tsmudge = touch ${join(dir, 'pwned')}\n`);
  repository.write('hooks/post-checkout', `#!/bin/sh\ntouch ${join(dir, 'pwned')}\n`);
  chmodSync(join(repository.dir, 'hooks/post-checkout'), 0o755);
  repository.write('package.json', `{"scripts":{"preinstall":"touch ${join(dir, 'pwned')}"}}\n`);
  repository.write('.env', 'NODE_OPTIONS=--require ./evil.js\n');
  symlinkSync('/etc', join(repository.dir, 'files/etc'));
  repository.git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},files/sub`);
  repository.git('config', 'filter.evil.smudge', `touch ${join(dir, 'pwned')} && cat`);
}

interface Asked {
  readonly inputs?: Readonly<Record<string, string>>;
  readonly name?: string;
  readonly payload?: unknown;
  readonly workspace?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function run({ inputs = {}, name = 'pull_request', payload = forkEvent(), workspace = dir, env = {} }: Asked): Promise<ActionRun> {
  const { port } = door.address() as AddressInfo;
  return runBundle(bundle, {
    workspace,
    inputs: { token: 'read-only-token', ...inputs },
    event: { name, payload },
    env: {
      ...SECRETS,
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      MQTT_URL: `mqtt://127.0.0.1:${port}`,
      S3_ENDPOINT: `http://127.0.0.1:${port}`,
      GITHUB_API_URL: api.url,
      GITHUB_SERVER_URL: 'https://forge.example.org',
      GITHUB_REPOSITORY: REPOSITORY,
      GITHUB_RUN_ID: '41',
      ...env,
    },
  });
}

function forkEvent(): unknown {
  return {
    number: 7,
    pull_request: {
      number: 7,
      head: { sha: pull.head, repo: { full_name: 'stranger/fleet' } },
      base: { sha: pull.base, ref: 'main', repo: { full_name: REPOSITORY } },
    },
    repository: { full_name: REPOSITORY },
  };
}

function afterwards(head = pull.head): unknown {
  return { workflow_run: { head_sha: head, head_repository: { full_name: 'stranger/fleet' } }, repository: { full_name: REPOSITORY } };
}

function expectUntouched(done: ActionRun): void {
  expect(knocks).toBe(0);
  const seen = [done.log.replaceAll(/^::add-mask::.*$/gm, ''), done.summary, done.comment, ...api.calls.map(({ body }) => body)].join('\n');
  expect(Object.values(SECRETS).filter((secret) => seen.includes(secret))).toEqual([]);
  expect(seen).not.toMatch(/root:x:0|nobody:/);
  expect(existsSync(join(dir, '.headgate'))).toBe(false);
}

describe('the tree of a stranger', { timeout: 60_000 }, () => {
  it('is read by its commits, and does nothing', async () => {
    // The checkout above is git's own doing, with its filter: what matters is what comes after it.
    git(dir, ['config', '--unset', 'filter.evil.smudge']);
    const marker = join(dir, 'pwned');
    git(dir, ['clean', '-fdq', '--', 'pwned']);
    expect(existsSync(marker)).toBe(false);
    git(dir, ['config', 'filter.evil.smudge', `touch ${marker} && cat`]);
    const done = await run({ inputs: { command: 'validate' } });
    expectUntouched(done);
    expect(existsSync(marker)).toBe(false);
    const planned = await run({});
    expectUntouched(planned);
    expect(existsSync(marker)).toBe(false);
    expect(planned).toMatchObject({ code: 0, outputs: { 'declared-only': 'true', changes: '0' } });
    expect(planned.comment).toContain('mine');
    expect(planned.log).toContain('stranger/fleet, a fork');
  });

  it.each(['apply', 'status'])('is not used for %s', async (command) => {
    const done = await run({ inputs: { command } });
    expect(done).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(done.log).toContain('::error title=FOREIGN::');
    expectUntouched(done);
  });

  it('is not read as a working tree', async () => {
    const done = await run({ inputs: { ref: 'WORKTREE' } });
    expect(done).toMatchObject({ code: 1 });
    expect(done.log).toContain('not a working tree');
  });

  it('gets no secrets by pull_request_target either, which is warned of', async () => {
    const done = await run({ name: 'pull_request_target' });
    expect(done.log).toContain('::warning title=PULL_REQUEST_TARGET::');
    expect(done).toMatchObject({ code: 0, outputs: { 'declared-only': 'true' } });
    expect(done.comment).toContain('mine');
    expectUntouched(done);
  });

  it('may lie behind a name that leads out of the workspace', async () => {
    const done = await run({ inputs: { path: 'files/etc' } });
    expect(done).toMatchObject({ code: 1 });
    expect(done.log).toContain('leads out of the workspace');
  });
});

describe('a clone without its past', { timeout: 60_000 }, () => {
  it('says which checkout is needed', async () => {
    const shallow = join(bundle.scratch, 'shallow');
    git(bundle.scratch, ['-c', 'filter.evil.smudge=cat', 'clone', '--quiet', '--depth', '1', `file://${dir}`, shallow]);
    const done = await run({ workspace: shallow });
    expect(done).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(done.log).toContain('fetch-depth: 0');
    expect(done.log).toContain('title=SHALLOW');
  });
});

describe('a comment that a run of a fork wrote', { timeout: 60_000 }, () => {
  async function written(): Promise<string> {
    const { comment } = await run({ inputs: { comment: 'false' } });
    api.taken();
    return comment;
  }

  async function posted(text: string, payload: unknown = afterwards()): Promise<ActionRun> {
    const workspace = mkdtempSync(join(bundle.scratch, 'posting-'));
    writeFileSync(join(workspace, 'comment.md'), text);
    return run({ workspace, inputs: { command: 'comment', 'comment-file': 'comment.md' }, name: 'workflow_run', payload });
  }

  it('is posted by the run after it', async () => {
    const done = await posted(await written());
    expect(done).toMatchObject({ code: 0, outputs: { exit: '0' } });
    const [comment] = api.comments.get(7) ?? [];
    expect(comment?.body).toMatch(/^<!-- headgate:comment path=\. -->\n## /);
    expect(comment?.body).toContain('nobody has verified');
    expect(comment?.body).toContain('command=comment');
  });

  it('calls nobody and leads nowhere when the stranger wrote it', async () => {
    const text = (await written()).replace('\n## ', '\n@ada [approve](https://evil.example) ![p](https://evil.example/p) <!-- x -->\n## ');
    await posted(text);
    const [comment] = api.comments.get(7) ?? [];
    expect(comment?.body).not.toMatch(/@ada|\]\(https:\/\/evil|!\[p|<!-- x/);
  });

  it.each([
    ['another pull request', (text: string) => text.replace('pull=7', 'pull=8'), undefined],
    ['another commit', (text: string) => text.replace(/head=\w+/, `head=${'c'.repeat(40)}`), undefined],
    ['another folder', (text: string) => text.replace('path=.', 'path=north'), undefined],
    ['no comment of ours', () => 'hello', undefined],
    ['more than a comment holds', (text: string) => text.replace('\n', `\n${'x'.repeat(70_000)}\n`), undefined],
    ['a run of somebody else', (text: string) => text, 'other/fleet'],
  ])('is refused when it is of %s', async (_name, forge, from) => {
    if (from !== undefined) api.pulls.set(7, { head: { sha: pull.head, repo: { full_name: from } } });
    api.pulls.set(8, { head: { sha: 'd'.repeat(40), repo: { full_name: 'victim/fleet' } } });
    const done = await posted(forge(await written()));
    expect(done).toMatchObject({ code: 1 });
    expect(api.comments.size).toBe(0);
  });
});
