import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { annotationOf } from '#action/runner.ts';
import { readInputs } from '#action/inputs.ts';
import { secretValues } from '#action/secrets.ts';
import { ScaledClock } from '#sim/clock.ts';
import { startExampleWorld, type ExampleWorld } from '#test/support/example-world.ts';

interface Run {
  readonly code: number;
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
}

const BUNDLE = resolve('dist/action.js');

let world: ExampleWorld;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'headgate-action-'));
  // The action keeps real time; the devices of its world live a minute in a second.
  world = await startExampleWorld(new ScaledClock(Date.now(), 60));
}, 60_000);

afterAll(async () => {
  await world.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Runs the bundle as a workflow's runner does: inputs in the environment, outputs and summary in files. */
async function runBundle(inputs: Readonly<Record<string, string>>): Promise<Run> {
  const [output, summary] = [join(scratch, 'output'), join(scratch, 'summary')];
  writeFileSync(output, '');
  writeFileSync(summary, '');
  const env: Record<string, string> = { ...world.env, PATH: process.env['PATH'] ?? '', CI: 'true', GITHUB_ACTIONS: 'true' };
  for (const [name, value] of Object.entries(inputs)) env[`INPUT_${name.toUpperCase()}`] = value;
  Object.assign(env, { GITHUB_WORKSPACE: world.dir, GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary });
  const child = spawn(process.execPath, [BUNDLE], { env, cwd: scratch, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise<number>((settle) => child.on('close', (status) => settle(status ?? -1)));
  const log = Buffer.concat(chunks).toString('utf8');
  return { code, log, outputs: outputsOf(readFileSync(output, 'utf8')), summary: readFileSync(summary, 'utf8') };
}

/** `name<<delimiter`, the value, the delimiter: how runners read multi-line outputs. */
function outputsOf(text: string): Readonly<Record<string, string>> {
  const found = text.matchAll(/^([\w-]+)<<(\S+)\r?\n([\s\S]*?)\r?\n\2$/gm);
  return Object.fromEntries([...found].map(([, name = '', , value = '']) => [name, value]));
}

describe('the action, run as a runner would', { timeout: 60_000 }, () => {
  it('validates what is checked out', async () => {
    const run = await runBundle({ command: 'validate' });
    expect(run).toMatchObject({ code: 0, outputs: { exit: '0' } });
    expect(run.log).toContain('valid: 18 devices in 2 groups');
    expect(run.summary).toContain('### No mistakes');
  });

  it('begins the ledger with what is reported', async () => {
    const run = await runBundle({ command: 'apply', 'new-ledger': 'true', listen: '4s' });
    expect(run.log).not.toContain('::error');
    expect(run.code).toBe(0);
    expect(run.outputs['exit']).toMatch(/^[02]$/);
  });

  it('plans an upgrade: outputs for later steps, a summary for people, secrets masked', async () => {
    await world.change('groups/vehicles.yaml', [
      ['canedge2@01.08.05', 'canedge2@01.09.03'],
      ['canedge3-gnss@01.08.05', 'canedge3-gnss@01.09.03'],
    ]);
    const run = await runBundle({ command: 'plan', plan: 'plan.json' });
    expect(run).toMatchObject({ code: 0, outputs: { exit: '2', changes: '8', converged: 'false' } });
    expect(run.outputs['plan']).toMatch(/^[0-9a-f]{64}$/);
    expect(run.summary).toMatch(/^### 8 of 18 devices change/);
    expect(run.summary).toContain('#### vehicles: ');
    expect(run.log).toContain('::add-mask::nobody-checks-it');
    expect(run.log.replaceAll(/^::add-mask::.*$/gm, '')).not.toContain('nobody-checks-it');
  });

  it('applies exactly that plan, then refuses it', async () => {
    const run = await runBundle({ command: 'apply', plan: 'plan.json' });
    expect(run).toMatchObject({ code: 0, outputs: { exit: '2' } });
    expect(run.log).toMatch(/van-01 config .*: offered/);
    const again = await runBundle({ command: 'apply', plan: 'plan.json' });
    expect(again).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(again.log).toContain('::error title=PLAN_MOVED::');
  });

  it('puts mistakes on their lines, and fails', async () => {
    await world.change('groups/vehicles.yaml', [['rollout: by-depot', 'rolout: by-depot']]);
    const run = await runBundle({ command: 'validate' });
    expect(run).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(run.log).toMatch(/^::error title=[A-Z_]+,file=groups\/vehicles\.yaml,line=\d+,col=\d+::/m);
    expect(run.summary).toMatch(/^### \d+ errors?, /);
    await world.change('groups/vehicles.yaml', [['rolout: by-depot', 'rollout: by-depot']]);
  });

  it('refuses a ledger that goes away with the runner', async () => {
    await world.change('fleet.yaml', [[', lasting: true', '']]);
    const run = await runBundle({ command: 'plan' });
    expect(run).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(run.log).toContain('NOT_LASTING');
  });

  it('says which input is wrong', async () => {
    expect(await runBundle({ command: 'deploy' })).toMatchObject({
      code: 1,
      log: expect.stringContaining('"deploy" is none of validate, plan, apply') as string,
    });
  });
});

describe('the parts of the action', () => {
  const inputs = (values: Readonly<Record<string, string>>) => readInputs((name) => values[name] ?? '');

  it.each([
    [{ command: 'plan', wait: 'yes' }, 'wait'],
    [{ command: 'plan', listen: 'long' }, 'listen'],
    [{}, 'command'],
  ])('names the wrong input of %j', (values, name) => {
    const read = inputs(values);
    expect(read.ok ? '' : read.error).toMatch(new RegExp(`^${name}: `));
  });

  it('takes what is left out as not asked for', () => {
    expect(inputs({ command: 'apply' })).toEqual({
      ok: true,
      value: {
        command: 'apply',
        path: '.',
        ref: null,
        base: null,
        plan: null,
        listenMs: null,
        wait: false,
        newLedger: false,
        acceptEngine: false,
      },
    });
  });

  it('places annotations in the workspace', () => {
    const place = { file: 'groups/a.yaml', line: 6, column: 3 };
    expect(annotationOf('X', place, '.')).toEqual({ title: 'X', file: 'groups/a.yaml', startLine: 6, startColumn: 3 });
    expect(annotationOf('X', place, 'fleet/').file).toBe('fleet/groups/a.yaml');
  });

  it('masks what connections refer to and AWS credentials, but no text of a letter or two', () => {
    expect(secretValues(null, { AWS_SECRET_ACCESS_KEY: 'very-secret', AWS_SESSION_TOKEN: 'x', HOME: '/home/someone' })).toEqual([
      'very-secret',
    ]);
  });

  it('names in action.yml the inputs and outputs that the code knows', () => {
    const text = readFileSync('action.yml', 'utf8');
    const section = (name: string): readonly string[] => {
      const [, body = ''] = new RegExp(`^${name}:\\n((?: .*\\n)+)`, 'm').exec(text) ?? [];
      return [...body.matchAll(/^ {2}([\w-]+):/gm)].map(([, key = '']) => key).toSorted();
    };
    expect(section('inputs')).toEqual(
      [...['accept-engine', 'base', 'command', 'comment', 'comment-file', 'fail-on', 'ledger', 'listen', 'new-ledger', 'path', 'plan']]
        .concat(['ref', 'token', 'wait'])
        .toSorted(),
    );
    expect(section('outputs')).toContain('declared-only');
    expect(text).toContain('using: node24');
  });
});
