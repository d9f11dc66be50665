import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, matchesGlob } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse, parseAllDocuments } from 'yaml';
import { afterAll, describe, expect, it } from 'vitest';
import { BRIEFS } from '#cli/help.ts';
import { runCli } from '#cli/run.ts';
import { fakeProcess } from '#test/support/fake-process.ts';

type Tree = Readonly<Record<string, unknown>>;

const dir = mkdtempSync(join(tmpdir(), 'headgate-init-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function headgate(...args: readonly string[]) {
  const process = fakeProcess({ cwd: dir });
  return { code: await runCli(args, process), out: process.out(), err: process.err() };
}

let made = 0;

/** A new repo, and its files by path. */
async function starter(...flags: readonly string[]): Promise<{ readonly name: string; readonly files: ReadonlyMap<string, string> }> {
  const name = `fleet-${++made}`;
  expect(await headgate('init', name, ...flags)).toMatchObject({ code: 0, err: '' });
  return { name, files: filesOf(join(dir, name)) };
}

function filesOf(root: string): ReadonlyMap<string, string> {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(root, path)).isFile());
  return new Map(paths.toSorted().map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

const VARIANTS = ['campbell', 'canedge', 'both'].flatMap((family) =>
  ['github', 'gitea', 'gitlab', 'none'].flatMap((host) => [
    ['--family', family, '--host', host],
    ['--family', family, '--host', host, '--endpoint', 'https://s3.example.org'],
  ]),
);
/** In a list each, because a test takes the members of a list as its arguments. */
const ALL = [...VARIANTS, ['--trial']].map((flags) => [flags]);
const WITH_ACTION = VARIANTS.filter((flags) => flags.includes('github') || flags.includes('gitea')).map((flags) => [flags]);
const ON_GITLAB = VARIANTS.filter((flags) => flags.includes('gitlab')).map((flags) => [flags]);

describe('a repo written by init', () => {
  it.each(ALL)('%j is valid without a warning', async (flags) => {
    const { name } = await starter(...flags);
    expect(JSON.parse((await headgate('validate', '--repo', name, '--json')).out)).toEqual({ valid: true, diagnostics: [] });
  });

  it.each(ALL)('%j names only commands that there are, in its page and its workflows', async (flags) => {
    const { files } = await starter(...flags);
    const known = new Set(Object.keys(BRIEFS));
    const texts = [...files].filter(([path]) => path === 'README.md' || /\.ya?ml$/.test(path)).map(([, text]) => text);
    const lines = texts.flatMap((text) => [...text.matchAll(/(?:^ *(?:- )?|`)headgate ([a-z]+)([^`\n#|]*)/gm)]);
    expect(lines.length).toBeGreaterThan(5);
    for (const [, command = '', rest = ''] of lines) {
      expect(known, command).toContain(command);
      const help = (await headgate(command, '--help')).out;
      for (const [flag] of rest.matchAll(/--[a-z-]+/g)) expect(help, `${command} ${flag}`).toContain(flag);
    }
  });

  it('takes its name from the folder or as given, and refuses one that is none', async () => {
    expect((await starter()).files.get('fleet.yaml')).toMatch(/^name: fleet-\d+$/m);
    expect((await starter('--name', 'upland.2')).files.get('fleet.yaml')).toMatch(/^name: upland\.2\n[^]*id: upland\.2 /m);
    expect(await headgate('init', 'x', '--name', 'a b')).toMatchObject({ code: 1, err: expect.stringMatching(/^BAD_NAME: /) as string });
  });

  it.each([
    [['--endpoint', 'not a url'], 'BAD_ENDPOINT'],
    [['--endpoint', 'https://${env:X}'], 'BAD_ENDPOINT'],
    [['--endpoint', 'file:///etc'], 'BAD_ENDPOINT'],
    [['--action', 'x@y\n  run: echo'], 'BAD_NAME'],
    [['--owner', 'nobody'], 'BAD_NAME'],
    [['--trial', '--family', 'both'], 'BAD_FLAGS'],
    [['--schemas'], 'NO_FLEET'],
  ])('%j is refused with %s and writes nothing', async (flags, code) => {
    const { code: exit, err } = await headgate('init', 'refused', ...flags);
    expect([exit, err]).toEqual([1, expect.stringMatching(new RegExp(`^${code}: `))]);
    expect(existsSync(join(dir, 'refused'))).toBe(false);
  });

  it('overwrites nothing, whichever file is there', async () => {
    const { name, files } = await starter();
    const again = await headgate('init', name);
    expect(again).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/^EXISTS: fleet-\d+\/fleet\.yaml is there already/) as string,
    });
    expect(filesOf(join(dir, name))).toEqual(files);
  });

  it('writes the schemas anew when asked to, and nothing else', async () => {
    const { name, files } = await starter();
    writeFileSync(join(dir, name, '.headgate/schemas/group.json'), '{}');
    expect(await headgate('init', name, '--schemas')).toMatchObject({ code: 0, out: expect.stringMatching(/^11 schemas in /) as string });
    expect(filesOf(join(dir, name))).toEqual(files);
  });
});

describe('its editor settings', () => {
  it.each([[['--family', 'both']], [['--trial']]])('%j: name a schema of the repo that accepts all of its YAML', async (flags) => {
    const { files } = await starter(...flags);
    const settings = JSON.parse(files.get('.vscode/settings.json') ?? '') as {
      'yaml.schemas': Readonly<Record<string, readonly string[]>>;
    };
    const mappings = Object.entries(settings['yaml.schemas']);
    expect(mappings).toHaveLength(1);
    const [schema, globs] = mappings[0] ?? ['', []];
    const schemas = new Map(
      [...files].filter(([path]) => path.startsWith('.headgate/schemas/')).map(([path, text]) => [path, JSON.parse(text) as Tree]),
    );
    const ajv = new Ajv2020({ strict: false, schemas: [...schemas.values()] });
    const accepts = ajv.getSchema(String(schemas.get(schema.replace('./', ''))?.['$id']));
    const declarations = [...files.keys()].filter((path) => path.endsWith('.yaml'));
    const covered = declarations.filter((path) => globs.some((glob) => matchesGlob(`/${path}`, glob)));
    expect(covered).toEqual(declarations);
    for (const path of declarations) {
      // As an editor reads it: numbers and switches are what YAML makes of them.
      for (const document of parseAllDocuments(files.get(path) ?? '')) {
        expect(accepts?.(document.toJS()), `${path} ${JSON.stringify(accepts?.errors)}`).toBe(true);
        expect(accepts?.({ ...(document.toJS() as Tree), nonsense: 1 }), path).toBe(false);
      }
    }
  });

  it('are left to git while caches and ledgers are not', async () => {
    const ignore = (await starter()).files.get('.gitignore');
    expect(ignore).toMatch(/^\.headgate\/\*\n!\.headgate\/schemas\/$/m);
  });
});

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly if?: string;
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly concurrency: { readonly group: string; readonly 'cancel-in-progress': boolean };
  readonly jobs: Readonly<Record<string, { readonly if?: string; readonly steps: readonly Step[] }>>;
}

function workflow(files: ReadonlyMap<string, string>, name: string): Workflow {
  const path = [...files.keys()].find((one) => one.endsWith(`/workflows/${name}.yml`)) ?? '';
  return parse(files.get(path) ?? '', { schema: 'core' }) as Workflow;
}

const stepsOf = (flow: Workflow): readonly Step[] => Object.values(flow.jobs).flatMap(({ steps }) => steps);

describe.each(WITH_ACTION)('its workflows: %j', (flags) => {
  it('use inputs that action.yml has, and run nothing that a pull request could have written', async () => {
    const { files } = await starter(...flags);
    const action = parse(readFileSync('action.yml', 'utf8')) as { readonly inputs: Tree };
    for (const name of ['plan', 'apply']) {
      const steps = stepsOf(workflow(files, name));
      const ours = steps.filter(({ uses }) => uses === 'OWNER/headgate@v0');
      expect(ours).toHaveLength(1);
      expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(ours[0]?.with ?? {})));
      expect(ours[0]?.with?.['command']).toBe(name);
      expect(steps.filter(({ run }) => run !== undefined)).toEqual([]);
      const written = JSON.stringify(steps);
      const expressions = [...written.matchAll(/\$\{\{ (.*?) \}\}/g)].map(([, text = '']) => text);
      for (const text of expressions)
        expect(text).toMatch(/^((secrets|vars)\.[A-Z0-9_]+|inputs\.[a-z-]+ (\|\| 'false'|&& '35m' \|\| ''))$/);
    }
  });

  it('may do what they need and no more, and cut off no apply', async () => {
    const { files } = await starter(...flags);
    const [plan, apply] = [workflow(files, 'plan'), workflow(files, 'apply')];
    const role = flags.includes('github') && !flags.includes('--endpoint') ? { 'id-token': 'write' } : {};
    expect(plan.permissions).toEqual({ contents: 'read', 'pull-requests': 'write', ...role });
    expect(apply.permissions).toEqual({ contents: 'write', ...role });
    expect(Object.keys(plan.on)).toEqual(['pull_request']);
    expect(Object.keys(apply.on)).toEqual(['push', 'schedule', 'workflow_dispatch']);
    expect(apply.concurrency).toEqual({ group: expect.stringMatching(/^fleet-\d+-apply$/) as string, 'cancel-in-progress': false });
    expect(plan.concurrency.group).not.toBe(apply.concurrency.group);
    expect(Object.values(apply.jobs).map((job) => job.if)).toEqual(["github.ref == 'refs/heads/main'"]);
    for (const step of [...stepsOf(plan), ...stepsOf(apply)].filter(({ uses }) => uses?.includes('actions/checkout')))
      expect(step.with).toEqual({ 'fetch-depth': 0, 'persist-credentials': false });
  });

  it('hand over each secret that fleet.yaml refers to, by name', async () => {
    const { files } = await starter(...flags);
    const named = [...(files.get('fleet.yaml') ?? '').matchAll(/\$\{env:([A-Z0-9_]+)\}/g)].map(([, name = '']) => name);
    for (const flow of [workflow(files, 'plan'), workflow(files, 'apply')]) {
      const env = stepsOf(flow).at(-1)?.env ?? {};
      for (const name of named) expect(env[name]).toBe(`\${{ secrets.${name} }}`);
      const keys = stepsOf(flow).find(({ uses }) => uses?.startsWith('aws-actions/'));
      const stored = flags.includes('--endpoint') || 'AWS_ACCESS_KEY_ID' in env;
      expect(keys === undefined).toBe(stored);
    }
    const ofPlan = stepsOf(workflow(files, 'plan')).find(({ uses }) => uses?.startsWith('aws-actions/'));
    expect(ofPlan?.if ?? 'same').toMatch(/^same$|head\.repo\.full_name == github\.repository/);
  });
});

describe.each(ON_GITLAB)('its pipeline: %j', (flags) => {
  it('plans merge requests, applies main alone, and cuts off no apply', async () => {
    const { files } = await starter(...flags);
    const pipeline = parse(files.get('.gitlab-ci.yml') ?? '') as Readonly<
      Record<
        string,
        {
          readonly rules: readonly { readonly if: string }[];
          readonly interruptible: boolean;
          readonly resource_group?: string;
          readonly script: readonly string[];
        }
      >
    >;
    for (const name of ['apply', 'begin']) {
      expect(pipeline[name]?.interruptible).toBe(false);
      expect(pipeline[name]?.resource_group).toMatch(/^fleet-\d+-apply$/);
      for (const rule of pipeline[name]?.rules ?? []) expect(rule.if).toContain('$CI_COMMIT_BRANCH == "main"');
    }
    expect(pipeline['plan']?.rules).toEqual([{ if: '$CI_PIPELINE_SOURCE == "merge_request_event"' }]);
    // Titles, branches and messages are written by strangers.
    const scripts = ['plan', 'apply', 'begin'].flatMap((name) => pipeline[name]?.script ?? []).join('\n');
    const variables = new Set([...scripts.matchAll(/\$\{?([A-Za-z_]+)/g)].map(([, name = '']) => name));
    const known = ['AWS_TOKEN', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'CI_MERGE_REQUEST_DIFF_BASE_SHA'];
    expect([...variables].filter((name) => !known.includes(name))).toEqual([]);
    const named = [...(files.get('fleet.yaml') ?? '').matchAll(/\$\{env:([A-Z0-9_]+)\}/g)].map(([, name = '']) => name);
    for (const name of named) expect(files.get('.gitlab-ci.yml')).toContain(name);
  });
});
