import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ScaledClock } from '#sim/clock.ts';
import { buildAction, runBundle } from '#test/support/action-run.ts';
import type { ActionBundle, ActionRun } from '#test/support/action-run.ts';
import { startExampleWorld, type ExampleWorld } from '#test/support/example-world.ts';
import { mergePull, openPull } from '#test/support/git-merge.ts';
import type { CheckedOutPull } from '#test/support/git-merge.ts';
import { startRestApi } from '#test/support/rest-api.ts';
import type { RestApi } from '#test/support/rest-api.ts';

/** A Monday morning in term time: windows are open, and stay so for the length of the test. */
const START = Date.UTC(2026, 10, 23, 9);
const REPOSITORY = 'upland/fleet';
const TOKEN = 'ghs_0123456789abcdefTOKEN';
const PULL = 7;

let bundle: ActionBundle;
let world: ExampleWorld;
let api: RestApi;
let runs = 1000;
const everything: ActionRun[] = [];
const ownDate = Date;

beforeAll(async () => {
  bundle = await buildAction();
  // The servers of the world keep this process's time; its devices live a minute in a second.
  process.env['SET_CLOCK'] = String(START);
  const { shiftMs } = await import('#test/support/set-clock.ts');
  if (Number.isNaN(shiftMs)) throw new Error('the clock was not set');
  world = await startExampleWorld(new ScaledClock(Date.now(), 60));
  api = await startRestApi({ pageSize: 2 });
}, 60_000);

afterAll(async () => {
  await api.close();
  await world.close();
  bundle.close();
  // Other files run in this process after this one.
  delete process.env['SET_CLOCK'];
  globalThis.Date = ownDate;
});

interface Asked {
  readonly inputs: Readonly<Record<string, string>>;
  readonly event: { readonly name: string; readonly payload: unknown };
  readonly env?: Readonly<Record<string, string>>;
}

async function run({ inputs, event, env }: Asked): Promise<ActionRun> {
  runs += 1;
  const done = await runBundle(bundle, {
    workspace: world.dir,
    inputs: { token: TOKEN, ...inputs },
    event,
    now: Date.now(),
    env: {
      ...world.env,
      GITHUB_API_URL: api.url,
      GITHUB_SERVER_URL: 'https://forge.example.org',
      GITHUB_REPOSITORY: REPOSITORY,
      GITHUB_RUN_ID: String(runs),
      ...env,
    },
  });
  everything.push(done);
  return done;
}

function pullEvent({ head, base }: CheckedOutPull, from = REPOSITORY): Asked['event'] {
  api.pulls.set(PULL, { head: { sha: head, repo: { full_name: from } } });
  const pull = {
    number: PULL,
    head: { sha: head, ref: 'change', repo: { full_name: from } },
    base: { sha: base, ref: 'main', repo: { full_name: REPOSITORY } },
  };
  return { name: 'pull_request', payload: { number: PULL, pull_request: pull, repository: { full_name: REPOSITORY } } };
}

const PUSH = { name: 'push', payload: { repository: { full_name: REPOSITORY } } };
const SCHEDULE = { name: 'schedule', payload: { schedule: '*/30 * * * *', repository: { full_name: REPOSITORY } } };

/** What differs from run to run: the commits of a repository made on the spot, run numbers, the time of day. */
function golden(name: string, text: string): void {
  const steady = text
    .replaceAll(/\b[0-9a-f]{40}\b/g, 'COMMIT')
    .replaceAll(/(commit|Plan) `[0-9a-f]{7,12}`/g, '$1 `SOME`')
    .replaceAll(/`[0-9a-f]{7}` → `[0-9a-f]{7}` · fleet/g, '`SOME` → `SOME` · fleet')
    .replaceAll(/actions\/runs\/\d+/g, 'actions/runs/RUN')
    .replaceAll(/run=\d+\.\d+/g, 'run=RUN')
    .replaceAll(/\b\d{1,2}:\d\d\b/g, 'HH:MM')
    .replaceAll(/\b\d+ (?:s|min|minutes?|seconds?) ago\b/g, 'a while ago');
  const path = join('test/action/golden', name);
  if (process.env['GOLDEN'] === 'write') {
    mkdirSync('test/action/golden', { recursive: true });
    writeFileSync(path, steady);
  }
  expect(steady).toBe(readFileSync(path, 'utf8'));
}

function comment(): string {
  const list = api.comments.get(PULL) ?? [];
  expect(list).toHaveLength(1);
  return list[0]?.body ?? '';
}

function edit(dir: string, file: string, replace: readonly (readonly [string, string])[]): void {
  let text = readFileSync(join(dir, file), 'utf8');
  for (const [from, to] of replace) {
    expect(text).toContain(from);
    text = text.replace(from, to);
  }
  writeFileSync(join(dir, file), text);
}

const VEHICLES = 'groups/vehicles.yaml';
const NEWER: readonly (readonly [string, string])[] = [
  ['canedge2@01.08.05', 'canedge2@01.09.03'],
  ['canedge3-gnss@01.08.05', 'canedge3-gnss@01.09.03'],
];

describe('a fleet that lives in pull requests', { timeout: 60_000 }, () => {
  it('fails a plan that knows nothing of devices, and says of how many and why', async () => {
    const done = await run({ inputs: {}, event: SCHEDULE, env: { MQTT_URL: 'mqtt://127.0.0.1:1' } });
    expect(done).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(done.log).toMatch(/::error::nothing is known of \d+ of \d+ devices: field ECONNREFUSED/);
    expect(done.summary).toMatch(/^## nothing is known of \d+ of \d+ devices: field ECONNREFUSED/);
  });

  it('begins its ledger once', async () => {
    const done = await run({ inputs: { command: 'apply', 'new-ledger': 'true' }, event: PUSH });
    expect(done.log).not.toContain('::error');
    expect(done.code).toBe(0);
    expect(api.taken()).toEqual([]);
  });

  it('says in one comment what merging does', async () => {
    api.comments.set(PULL, [{ id: 900, body: 'Looks good', user: { login: 'ada', id: 1, type: 'User' } }]);
    const pull = openPull(world.dir, 'newer', () => edit(world.dir, VEHICLES, NEWER));
    const done = await run({ inputs: { plan: 'plan.json' }, event: pullEvent(pull) });
    expect(done).toMatchObject({ code: 0, outputs: { exit: '2', changes: '8', 'declared-only': 'false', leave: '0', errors: '0' } });
    expect(done.outputs['plan-file']).toBe(join(world.dir, 'plan.json'));
    rmSync(join(world.dir, 'plan.json'));
    expect(api.taken()).toEqual([
      'GET /repos/upland/fleet/issues/7/comments',
      'GET /repos/upland/fleet/pulls/7',
      'POST /repos/upland/fleet/issues/7/comments',
      'GET /repos/upland/fleet/issues/7/comments',
    ]);
    api.comments.set(
      PULL,
      (api.comments.get(PULL) ?? []).filter(({ id }) => id !== 900),
    );
    expect(comment().split('\n', 1)[0]).toBe('<!-- headgate:comment path=. -->');
    expect(done.comment).toBe(comment());
    expect(comment()).toContain(`/blob/${pull.head}/groups/vehicles.yaml#L`);
    golden('plan-comment.md', comment());
    golden('plan-summary.md', done.summary);
  });

  it('changes that comment when the branch moves, and leaves it alone when an older run comes late', async () => {
    const before = comment();
    const older = { head: /head=(\w+)/.exec(before)?.[1] ?? '', base: '', merge: '' };
    const pull = openPull(world.dir, 'newer', () => edit(world.dir, 'rollouts/by-depot.yaml', [['max: 50%', 'max: 25%']]));
    const done = await run({ inputs: {}, event: pullEvent(pull) });
    expect(done.code).toBe(0);
    expect(api.taken().map((call) => call.split(' ')[0])).toEqual(['GET', 'GET', 'PATCH']);
    expect(comment()).not.toBe(before);
    expect(comment()).toContain(`head=${pull.head} `);
    const event = pullEvent({ ...older, base: pull.base });
    api.pulls.set(PULL, { head: { sha: pull.head, repo: { full_name: REPOSITORY } } });
    const late = await run({ inputs: {}, event });
    expect(late.log).toContain('a newer commit has its own run');
    expect(late.code).toBe(0);
    expect(api.taken().every((call) => call.startsWith('GET '))).toBe(true);
  });

  it('does not fail a plan whose comment is not allowed', async () => {
    const pull = openPull(world.dir, 'newer', (repository) => repository.write('notes.txt', 'nothing that a fleet reads\n'));
    api.faults.push({ match: /^PATCH /, fault: { status: 403, headers: { 'x-ratelimit-remaining': '4999' } } });
    const done = await run({ inputs: {}, event: pullEvent(pull) });
    expect(done).toMatchObject({ code: 0, outputs: { exit: '2' } });
    expect(done.log).toContain('::warning title=COMMENT_FORBIDDEN::');
    expect(done.log).toContain('permissions: pull-requests: write');
    api.taken();
  });

  it('puts mistakes on their lines and into the comment, and fails', async () => {
    const pull = openPull(world.dir, 'newer', () => edit(world.dir, VEHICLES, [['rollout: by-depot', 'rolout: by-depot']]));
    const done = await run({ inputs: {}, event: pullEvent(pull) });
    expect(done).toMatchObject({ code: 1, outputs: { exit: '1', errors: '1' } });
    expect(done.log).toMatch(/^::error title=UNKNOWN_KEY,file=groups\/vehicles\.yaml,line=\d+,col=\d+::/m);
    golden('mistakes-comment.md', comment());
    golden('mistakes-summary.md', done.summary);
    const again = await run({ inputs: { command: 'validate' }, event: pullEvent(pull) });
    expect(again.code).toBe(1);
    openPull(world.dir, 'newer', () => edit(world.dir, VEHICLES, [['rolout: by-depot', 'rollout: by-depot']]));
    api.taken();
  });

  it('compares what a fork declares, and has neither secrets nor connections for it', async () => {
    api.comments.delete(PULL);
    const pull = openPull(world.dir, 'forked', () => edit(world.dir, VEHICLES, NEWER));
    const refusal = { match: /^POST /, fault: { status: 403, headers: { 'x-ratelimit-remaining': '4999' } } };
    api.faults.push(refusal);
    const done = await run({
      inputs: {},
      event: pullEvent(pull, 'stranger/fleet'),
      env: { MQTT_URL: 'mqtt://127.0.0.1:1', S3_ENDPOINT: 'http://127.0.0.1:1' },
    });
    expect(done).toMatchObject({ code: 0, outputs: { exit: '2', changes: '8', 'declared-only': 'true' } });
    expect(done.outputs['plan']).toBeUndefined();
    expect(done.log).toContain('::notice title=COMMENT_FORBIDDEN::');
    expect(done.log).toContain('workflow_run');
    golden('fork-comment.md', done.comment);
    golden('fork-summary.md', done.summary);
    api.taken();
  });

  it('does without what a pull request of the repository itself has no secrets for', async () => {
    const pull = openPull(world.dir, 'forked', (repository) => repository.write('notes.txt', 'more\n'));
    const done = await run({ inputs: {}, event: pullEvent(pull), env: { MQTT_PASSWORD: '' } });
    expect(done).toMatchObject({ code: 0, outputs: { 'declared-only': 'true' } });
    expect(done.log).toContain('none of MQTT_PASSWORD is set');
    api.taken();
  });

  it('applies what was merged, and speaks in the summary only', async () => {
    mergePull(world.dir, 'newer');
    const done = await run({ inputs: { command: 'apply' }, event: PUSH });
    expect(done).toMatchObject({ code: 0, outputs: { exit: '2', halted: '[]' } });
    expect(done.log).toMatch(/van-01 config .*: offered/);
    expect(api.taken()).toEqual([]);
    golden('apply-summary.md', done.summary);
  });

  it('keeps it true on a schedule, and tells where it stands', async () => {
    const done = await run({ inputs: { command: 'apply' }, event: SCHEDULE });
    expect(done.code).toBe(0);
    expect(done.outputs['exit']).toMatch(/^[02]$/);
    const told = await run({ inputs: { command: 'status' }, event: SCHEDULE });
    expect(told).toMatchObject({ code: 0, outputs: { exit: '0' } });
    expect(told.log).toMatch(/\d+ of 18 devices converged/);
    expect(told.summary).not.toBe('');
    const strict = await run({ inputs: { command: 'status', 'fail-on': 'held' }, event: SCHEDULE });
    expect(strict).toMatchObject({ code: 1, outputs: { exit: '0' } });
    expect(api.taken()).toEqual([]);
  });

  it('has told nobody a secret', () => {
    const secrets = [world.env['MQTT_PASSWORD'] ?? '', world.env['AWS_SECRET_ACCESS_KEY'] ?? '', TOKEN];
    const forms = secrets.flatMap((secret) => [secret, Buffer.from(secret).toString('base64'), encodeURIComponent(secret)]);
    expect(forms.every((form) => form.length > 8)).toBe(true);
    const logs = everything.map(({ log }) => log.replaceAll(/^::add-mask::.*$/gm, ''));
    const calls = api.calls.map(({ path, body }) => `${path} ${body}`);
    const files = everything.flatMap(({ summary, comment: text, outputs }) => [summary, text, JSON.stringify(outputs)]);
    const seen = [...logs, ...calls, ...files].join('\n');
    expect(forms.filter((form) => seen.includes(form))).toEqual([]);
    expect(everything.every(({ log }) => log.includes(`::add-mask::${TOKEN}`))).toBe(true);
    expect(api.calls.every(({ authorization }) => authorization === `token ${TOKEN}`)).toBe(true);
  });
});
