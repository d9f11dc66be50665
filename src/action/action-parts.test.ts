import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOccasion } from './event.ts';
import { fleetFolder, folderInRepository, readFileFor, writeFileFor } from './files.ts';
import { readInputs } from './inputs.ts';
import { readStore } from './ledger.ts';
import { inWorkspace, lineLinks } from './links.ts';
import { declaredOf } from '#test/support/memory-fleet.ts';
import { mongooseFiles } from '#test/support/mongoose-fleet.ts';
import { annotationOf } from './runner.ts';
import type { Runner } from './runner.ts';
import { redact, secretForms, secretNames, secretValues } from './secrets.ts';
import { tamed } from './untrusted.ts';

let dir: string;
let runner: Runner;

beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'headgate-parts-')));
  mkdirSync(join(dir, 'work/fleets/north/.git'), { recursive: true });
  mkdirSync(join(dir, 'work/fleets/north/deep'));
  mkdirSync(join(dir, 'outside'));
  writeFileSync(join(dir, 'outside/secret.txt'), 'kept');
  symlinkSync(join(dir, 'outside'), join(dir, 'work/away'));
  symlinkSync(join(dir, 'outside/secret.txt'), join(dir, 'work/plan.json'));
  const nothing = (): void => undefined;
  runner = {
    env: {},
    workspace: join(dir, 'work'),
    input: () => '',
    output: nothing,
    mask: nothing,
    info: nothing,
    annotate: nothing,
    summary: () => Promise.resolve(),
    fail: nothing,
  };
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('inputs', () => {
  const inputs = (values: Readonly<Record<string, string>>) => readInputs((name) => values[name] ?? '');

  it.each([
    [{ command: 'plan', wait: 'yes' }, 'wait'],
    [{ command: 'plan', listen: 'long' }, 'listen'],
    [{ command: 'plan', comment: 'maybe' }, 'comment'],
    [{ command: 'plan', ledger: 'somewhere' }, 'ledger'],
    [{ command: 'plan', ledger: 's3:depot' }, 'ledger'],
    [{ command: 'plan', 'fail-on': 'halted, trouble' }, 'fail-on'],
    [{}, 'command'],
  ])('names the wrong one of %j', (values, name) => {
    const read = inputs(values);
    expect(read.ok ? '' : read.error).toMatch(new RegExp(`^${name}: `));
  });

  it('takes what is left out as not asked for', () => {
    const read = inputs({ command: 'apply' });
    expect(read.ok && [...read.value.failOn]).toEqual(['failed', 'halted']);
    expect(read.ok && read.value).toMatchObject({
      path: '.',
      ref: null,
      base: null,
      ledger: null,
      comment: 'auto',
      commentFile: null,
      wait: false,
    });
  });

  it('takes the list of what fails as it is written, and failures always', () => {
    const read = inputs({ command: 'plan', 'fail-on': ' refused\nleave, changes' });
    expect(read.ok && [...read.value.failOn]).toEqual(['failed', 'refused', 'leave', 'changes']);
  });

  it.each([
    ['git', { store: 'git' }],
    ['s3:depot/ledger/north', { store: 's3', connection: 'depot', prefix: 'ledger/north' }],
    ['sqlite:/var/lib/headgate/ledger.db', { store: 'sqlite', path: '/var/lib/headgate/ledger.db' }],
    ['postgres://db.example.org/headgate', { store: 'postgres', url: 'postgres://db.example.org/headgate' }],
  ])('reads the store %s', (text, store) => {
    expect(readStore(text)).toEqual(store);
  });
});

describe('secrets', () => {
  it('are the AWS credentials, but no text of a letter or two', () => {
    expect(secretValues(null, { AWS_SECRET_ACCESS_KEY: 'very-secret', AWS_SESSION_TOKEN: 'x', HOME: '/home/someone' })).toContain(
      'very-secret',
    );
    expect(secretValues(null, { AWS_SESSION_TOKEN: 'x', HOME: '/home/someone' })).toEqual([]);
  });

  it('are what fleet.yaml refers to by telling names, and passwords in URLs by any name', () => {
    const text = 'url: "${env:BROKER}" password: "${env:MQTT_PASSWORD}" region: "${env:REGION}"';
    const env = { BROKER: 'mqtts://headgate:p%40ss-word@broker.example.org', MQTT_PASSWORD: 'hunter-22', REGION: 'eu-west-2' };
    const found = secretValues(null, env, text);
    expect(found).toEqual(expect.arrayContaining(['hunter-22', 'p%40ss-word', 'p@ss-word']));
    expect(found).toContain(Buffer.from('headgate:p@ss-word').toString('base64'));
    expect(found.filter((one) => /broker|eu-west/.test(one))).toEqual([]);
  });

  it('are what secret fields of connections refer to, by whatever name', () => {
    const declared = declaredOf(mongooseFiles({ rpcPassword: '${env:BOARDS}' }));
    expect(secretNames(declared)).toEqual(['BOARDS', 'HUB_KEY', 'MDASH_KEY']);
    expect(secretValues(declared, { BOARDS: 'hunter-33' })).toContain('hunter-33');
  });

  it('are hidden in every form in which they travel', () => {
    const forms = secretForms('a b/c"d+e');
    expect(forms).toEqual(expect.arrayContaining(['a%20b%2Fc%22d%2Be', 'a+b%2Fc%22d%2Be', 'a b/c\\"d+e']));
    expect(forms).toContain(Buffer.from('a b/c"d+e').toString('base64'));
    expect(redact('x a b/c"d+e y', forms)).toBe('x *** y');
    expect(secretForms('line one\nline two')).toEqual(expect.arrayContaining(['line one', 'line two']));
  });
});

describe('where a run stands', () => {
  const occasion = (payload: unknown, env: Readonly<Record<string, string>> = {}) => {
    writeFileSync(join(dir, 'event.json'), typeof payload === 'string' ? payload : JSON.stringify(payload));
    return readOccasion({ GITHUB_EVENT_PATH: join(dir, 'event.json'), GITHUB_EVENT_NAME: 'pull_request', ...env });
  };
  const pull = (head: unknown) => ({
    number: 7,
    pull_request: { number: 7, head, base: { sha: 'b'.repeat(40), ref: 'main', repo: { full_name: 'upland/fleet' } } },
  });
  const sha = 'a'.repeat(40);

  it.each([
    ['its own branch', pull({ sha, repo: { full_name: 'Upland/Fleet' } }), null],
    ['a fork', pull({ sha, repo: { full_name: 'stranger/fleet' } }), /stranger\/fleet, a fork/],
    ['a fork that was deleted', pull({ sha, repo: null }), /does not say/],
    ['a comment on a pull request', { issue: { number: 7, pull_request: {} } }, /does not say/],
    ['a comment on an issue', { issue: { number: 7 } }, null],
    ['a push', { ref: 'refs/heads/main' }, null],
    [
      'a run after that of a fork',
      { workflow_run: { head_sha: sha, head_repository: { full_name: 'x/y' } }, repository: { full_name: 'upland/fleet' } },
      /x\/y, a fork/,
    ],
    [
      'a run after one of its own',
      { workflow_run: { head_sha: sha, head_repository: { full_name: 'a/b' } }, repository: { full_name: 'a/b' } },
      null,
    ],
    ['a file that is no JSON', '{', null],
  ])('tells %s', async (_name, payload, foreign) => {
    const found = await occasion(payload);
    if (foreign === null) expect(found.foreign).toBeNull();
    else expect(found.foreign).toMatch(foreign);
  });

  it('believes no number, commit or address that is none', async () => {
    const odd = { number: '7; rm', pull_request: { number: -1, head: { sha: '--output=x' }, base: { sha: '../..' } } };
    expect(await occasion(odd)).toMatchObject({ pull: null });
    const found = await occasion(pull({ sha: 'HEAD', repo: null }), { GITHUB_API_URL: 'file:///etc', GITHUB_REPOSITORY: 'a/b/../c' });
    expect(found).toMatchObject({ api: null, repository: null, pull: { headSha: null } });
  });

  it('makes addresses as GitHub and as Gitea have them', async () => {
    const place = { file: 'groups/a b.yaml', line: 6, column: 1 };
    const env = {
      GITHUB_SERVER_URL: 'https://forge.example.org',
      GITHUB_REPOSITORY: 'upland/fleet',
      GITHUB_RUN_ID: '900',
      GITHUB_RUN_NUMBER: '12',
    };
    const github = await occasion({}, env);
    expect(lineLinks(github, sha, '.')(place)).toBe(`https://forge.example.org/upland/fleet/blob/${sha}/groups/a%20b.yaml#L6`);
    expect(github.run.url).toBe('https://forge.example.org/upland/fleet/actions/runs/900');
    const gitea = await occasion({}, { ...env, GITEA_ACTIONS: 'true' });
    expect(lineLinks(gitea, sha, 'north')(place)).toBe(
      `https://forge.example.org/upland/fleet/src/commit/${sha}/north/groups/a%20b.yaml#L6`,
    );
    expect(gitea.run.url).toBe('https://forge.example.org/upland/fleet/actions/runs/12');
    expect(lineLinks(await occasion({}), sha, '.')(place)).toBeNull();
  });
});

describe('files of a workspace that a stranger has filled', () => {
  it('are found in it and nowhere else', async () => {
    expect(await fleetFolder(runner, '.')).toMatchObject({ ok: true, value: join(dir, 'work') });
    expect(await fleetFolder(runner, 'fleets/north')).toMatchObject({ ok: true });
    for (const path of ['away', '..', '../outside', '/etc', 'missing']) expect((await fleetFolder(runner, path)).ok).toBe(false);
  });

  it('are called as their repository calls them', async () => {
    expect(await folderInRepository(runner, join(dir, 'work/fleets/north'))).toBe('.');
    expect(await folderInRepository(runner, join(dir, 'work/fleets/north/deep'))).toBe('deep');
    expect(await folderInRepository(runner, join(dir, 'work'))).toBe('.');
  });

  it('are not written or read through symlinks', async () => {
    expect((await writeFileFor(runner, 'plan.json', 'x')).ok).toBe(false);
    expect((await writeFileFor(runner, 'away/plan.json', 'x')).ok).toBe(false);
    expect((await writeFileFor(runner, '../outside/secret.txt', 'x')).ok).toBe(false);
    expect(readFileSync(join(dir, 'outside/secret.txt'), 'utf8')).toBe('kept');
    expect(await readFileFor(runner, 'plan.json', 1000)).toBeNull();
    expect(await writeFileFor(runner, 'fleets/plan.json', 'x')).toEqual({ ok: true, value: join(dir, 'work/fleets/plan.json') });
    expect(await readFileFor(runner, 'fleets/plan.json', 1000)).toBe('x');
    expect(await readFileFor(runner, 'fleets/plan.json', 0)).toBeNull();
  });

  it('are annotated where the workspace has them', () => {
    const place = { file: 'groups/a.yaml', line: 6, column: 3 };
    expect(annotationOf('X', place, '.')).toEqual({ title: 'X', file: 'groups/a.yaml', startLine: 6, startColumn: 3 });
    expect(inWorkspace('./fleet/', 'a.yaml')).toBe('fleet/a.yaml');
  });
});

describe('markdown of a stranger', () => {
  const HOME = 'https://forge.example.org/upland/fleet';

  it.each([
    ['calls nobody', 'ask @ada and @upland/field', /@(ada|upland)/],
    ['hides nothing', 'seen <!-- unseen --> <!-- open', /unseen|open/],
    ['loads no picture', '![x](https://evil.example/p.png)', /!\[/],
    ['leads nowhere under another name', '[approve](https://evil.example/)', /\]\(https:\/\/evil/],
    ['has no definition of a link elsewhere', '[approve]: https://evil.example/', /\[approve\]:/],
    ['leaves no folder of its home', `[x](${HOME}/../../evil/x)`, /\]\(https/],
    ['has no HTML but what folds and lists', '<img src=x><a href="https://evil.example">x</a><script>1</script>', /<(img|a|script)/],
    ['gives bots no commands', 'fine\n/merge now', /^\/merge/m],
    ['turns no text around', 'abc\u202Edef', /\u202E/],
  ])('%s', (_name, text, refused) => {
    expect(tamed(text, HOME)).not.toMatch(refused);
  });

  it('keeps what our own comments are made of', () => {
    const text = `## 3 of 4 devices\n\n<details><summary>Guards</summary>\n\n- [\`a.yaml:1\`](${HOME}/blob/x/a.yaml#L1)\n\n</details>\n\n| a | b |\n| --- | --- |\n| 1 | 2 |`;
    expect(tamed(text, HOME).startsWith(text)).toBe(true);
    expect(tamed(text, HOME)).toContain('nobody has verified');
  });
});
