import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '#cli/run.ts';
import { VERSION } from '#cli/help.ts';
import { ScaledClock } from '#sim/clock.ts';
import { startExampleWorld, type ExampleWorld } from '#test/support/example-world.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { systemClock } from '#transports/clock.ts';
import { ENGINE } from '#world.ts';

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Ten in the morning of a Monday: the window of the stations is open. Ten simulated minutes pass in a second. */
const clock = new ScaledClock(Date.UTC(2026, 10, 23, 10), 600);

let world: ExampleWorld;

beforeAll(async () => {
  world = await startExampleWorld(clock);
}, 60_000);

afterAll(async () => {
  await world.close();
});

async function headgate(...args: readonly string[]): Promise<Answer> {
  const process = fakeProcess({ env: world.env, cwd: world.dir, clock, wireClock: systemClock });
  const code = await runCli(args, process);
  return { code, out: process.out(), err: process.err() };
}

function json(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.out) as Record<string, unknown>;
}

describe('a fleet from its first pass to a rollout', { timeout: 120_000 }, () => {
  it('refuses to begin an empty ledger unasked, and says how', async () => {
    const { code, err } = await headgate('apply');
    expect(code).toBe(1);
    expect(err).toMatch(/^EMPTY_LEDGER: .*apply --new-ledger/);
  });

  it('adopts what is reported and sends nothing', async () => {
    const answer = await headgate('apply', '--new-ledger', '--listen', '35m', '--json');
    expect(json(answer)).toMatchObject({ refusal: null, operations: [], diagnostics: [] });
    expect(answer.code).toBe(0);
    expect(json(answer)['status']).toMatchObject({ devices: 18, converged: 18 });
  });

  it('finds nothing to do then, and performs nothing in a second pass', async () => {
    const plan = await headgate('plan');
    expect(plan.out).toMatch(/^nothing changes, 18 devices · 0 refused/);
    expect(plan.code).toBe(0);
    expect(json(await headgate('apply', '--json'))).toMatchObject({ exit: 0, operations: [] });
  });

  it('shows where the fleet is, by group, device by device, and of one', async () => {
    expect((await headgate('status')).out).toMatch(/^18 of 18 devices converged/);
    expect((await headgate('status', 'upland-met')).out.trim().split('\n')).toHaveLength(11);
    expect((await headgate('explain', 'moor-house')).out).toMatch(/^moor-house {2}converged/);
    expect((await headgate('explain', 'moor-house', '--json')).out).toContain('"battery"');
    expect(await headgate('explain', 'nobody')).toMatchObject({ code: 1, err: expect.stringMatching(/^NO_SUCH_DEVICE/) as string });
    expect(await headgate('status', 'nobody')).toMatchObject({ code: 1, err: expect.stringMatching(/^NO_SUCH_GROUP/) as string });
  });

  it('plans an upgrade, the same bytes each time for the same reports and time', async () => {
    await world.change('groups/vehicles.yaml', [
      ['canedge2@01.08.05', 'canedge2@01.09.03'],
      ['canedge3-gnss@01.08.05', 'canedge3-gnss@01.09.03'],
    ]);
    expect(await headgate('observe', '--out', 'reports.ndjson')).toEqual({ code: 0, out: '', err: '18 reports in reports.ndjson\n' });
    const args = ['plan', '--reported', 'reports.ndjson', '--at', '2026-11-23T11:00Z', '--json'];
    const first = await headgate(...args);
    expect(first.code).toBe(2);
    expect((await headgate(...args)).out).toBe(first.out);
    expect(json(first)['summary']).toMatchObject({ devices: 18, changing: 8 });
    expect(first.out).not.toMatch(/https?:\/\//);
  });

  it('says the plan in words: the first wave, and what it proves', async () => {
    const { out, code } = await headgate('plan', '--out', 'plan.json');
    expect(out).toMatch(/^8 of 18 devices change · 0 refused · 0 frozen · 0 leave · first: 1 device now/);
    expect(out).toMatch(/^~ vehicles +release [0-9a-f]{7} → [0-9a-f]{7} {3}rollout by-depot, forward$/m);
    expect(out).toMatch(/wave 1 pilot +1 device +open +proves: failure rate below 95 % at 95 %/);
    expect(code).toBe(2);
  });

  it('tells what is declared otherwise than in the base, without asking anybody', async () => {
    const { out, code } = await headgate('validate', '--ref', 'main', '--base', 'main~1');
    expect(code).toBe(0);
    expect(out).toMatch(/^8 of 18 devices are declared otherwise$/m);
    expect(out).toMatch(/^ {4}firmware +01\.08\.05 → 01\.09\.03 +\(5 CANedge2, 3 CANedge3 GNSS\) +groups\/vehicles\.yaml:\d$/m);
    expect(out).toContain('It asked no device and read no ledger');
  });

  it('writes the comment of a pull request to a file, with links to lines', async () => {
    const links = 'https://git.example.org/fleet/-/blob/main/{file}#L{line}';
    const { code, err } = await headgate('plan', '--comment', 'comment.md', '--links', links);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('comment.md') as string });
    const text = readFileSync(join(world.dir, 'comment.md'), 'utf8');
    expect(text).toMatch(/^<!-- headgate:comment path=\. -->\n## 8 of 18 devices change; pilot first: 1 device\n/);
    expect(text).toContain('](https://git.example.org/fleet/-/blob/main/groups/vehicles.yaml#L6)');
  });

  it('applies exactly the saved plan, and refuses it when the world has moved', async () => {
    const applied = await headgate('apply', 'plan.json', '--json');
    expect(json(applied)).toMatchObject({ exit: 2, operations: [{ device: 'van-01', item: 'config', outcome: 'performed' }] });
    const again = await headgate('apply', 'plan.json');
    expect(again).toMatchObject({ code: 1, err: expect.stringMatching(/^PLAN_MOVED/) as string });
    expect(await headgate('apply', 'reports.ndjson')).toMatchObject({ code: 1, err: expect.stringMatching(/^NOT_A_PLAN/) as string });
  });

  it('keeps waiting until something was proven, when told to wait', async () => {
    const stop = new AbortController();
    const written: string[] = [];
    const write = (text: string): void => {
      written.push(text);
      // Ctrl-C, once the firmware lies ready too.
      if (text.includes('van-01 firmware')) stop.abort();
    };
    const process = fakeProcess({ env: world.env, cwd: world.dir, clock, wireClock: systemClock, stdout: { write }, signal: stop.signal });
    expect(await runCli(['apply', '--wait'], process)).toBe(2);
    const text = written.join('');
    expect(text).toMatch(/van-01 config succeeded/);
    expect(text).toMatch(/van-01 firmware 01\.08\.05 → 01\.09\.03: offered/);
  });

  it('tells rollouts and history, each tied to a commit', async () => {
    const rollouts = await headgate('rollouts');
    expect(rollouts.out).toMatch(
      /^vehicles {2}[0-9a-f]{7} → [0-9a-f]{7} {2}forward {2}rolling\n {2}8 devices, rules by-depot, .*commit [0-9a-f]{7}/,
    );
    const history = await headgate('history', 'van-01');
    expect(history.out).toMatch(/van-01 config 01\.08 .* → 01\.09 .*: attempt 1/);
    expect(history.out).not.toContain('van-02 config');
    expect((await headgate('history', '--last', '2')).out.trim().split('\n')).toHaveLength(2);
  });
});

describe('what people write', { timeout: 60_000 }, () => {
  function lastCommit(): { readonly subject: string; readonly files: readonly string[] } {
    const git = (...args: readonly string[]): string => execFileSync('git', ['-C', world.dir, ...args], { encoding: 'utf8' }).trim();
    return { subject: git('log', '-1', '--format=%s'), files: git('show', '--name-only', '--format=', 'HEAD').split('\n') };
  }

  it('approves a wave: one file, one commit, valid', async () => {
    const answer = await headgate('approve', 'vehicles', '--wave', 'alston', '--reason', 'seen on the bench: fine');
    expect(answer).toMatchObject({ code: 0, err: '' });
    expect(answer.out).toMatch(/^kind: Approval\ngroup: vehicles\nrelease: [0-9a-f]{12}\nwave: alston\nreason: "seen on the bench: fine"/);
    expect(lastCommit().subject).toMatch(/^Approve alston of vehicles for release/);
    expect(lastCommit().files).toEqual([expect.stringMatching(/^approvals\/vehicles-[0-9a-f]{7}-alston\.yaml$/)]);
    expect((await headgate('validate', '--json')).out).toContain('"valid": true');
  });

  it.each([
    [['approve', 'vehicles', '--wave', 'nowhere', '--reason', 'x'], 'NO_SUCH_WAVE'],
    [['approve', 'nobody', '--unblock', '--reason', 'x'], 'NO_SUCH_GROUP'],
    [['approve', 'vehicles', '--again', 'moor-house', '--reason', 'x'], 'NO_SUCH_DEVICE'],
    [['approve', 'vehicles', '--reason', 'x'], 'NOTHING_APPROVED'],
    [['approve', '--merge', '--reason', 'x'], 'NOTHING_APPROVED'],
    [['approve', '--unblock', '--reason', 'x'], 'NO_GROUP'],
    [['freeze', 'nobody', '--reason', 'x', '--until', '2027-01-01'], 'NO_SUCH_DEVICE'],
    [['freeze', 'trout-beck', '--reason', 'x'], 'NO_END'],
    [['devices', '--select', 'tees'], 'BAD_SELECT'],
    [['rollback', '0000000'], 'NOT_FOUND'],
  ])('%j is refused with %s and commits nothing', async (args, code) => {
    const before = lastCommit();
    expect(await headgate(...args)).toMatchObject({ code: 1, err: expect.stringMatching(new RegExp(`^${code}: `)) as string });
    expect(lastCommit()).toEqual(before);
  });

  it('freezes a station, which then shows in the plan, and takes it back', async () => {
    expect(await headgate('freeze', 'trout-beck', '--reason', 'dye tracing', '--until', '2027-03-31')).toMatchObject({ code: 0 });
    expect(lastCommit()).toEqual({ subject: 'Freeze trout-beck', files: ['overrides/freeze-trout-beck.yaml'] });
    expect((await headgate('plan')).out).toContain('1 frozen');
    expect(await headgate('freeze', 'trout-beck', '--reason', 'x', '--until', '2027-03-31')).toMatchObject({ code: 1 });
    expect(await headgate('rollback', 'HEAD')).toMatchObject({ code: 0 });
    expect(lastCommit().subject).toBe('Revert "Freeze trout-beck"');
    expect((await headgate('plan')).out).toContain('0 frozen');
  });

  it('takes back the commit of the rollout under way, when no commit is named', async () => {
    expect(await headgate('rollback')).toMatchObject({ code: 0 });
    expect(lastCommit()).toEqual({ subject: 'Revert "Change groups/vehicles.yaml"', files: ['groups/vehicles.yaml'] });
  });

  it('selects devices by field and label, all of which must hold', async () => {
    expect((await headgate('devices', '--select', 'catchment=tees', '--select', 'model=CR6')).out).toMatch(/\n3 devices\n$/);
    expect((await headgate('devices', '--select', 'site=nowhere')).out).toBe('0 devices\n');
  });
});

describe('the command line itself', () => {
  let dir: string;

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'headgate-cli-'));
  });

  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  async function run(...args: readonly string[]): Promise<Answer> {
    const process = fakeProcess({ cwd: dir });
    const code = await runCli(args, process);
    return { code, out: process.out(), err: process.err() };
  }

  it('writes a starter repo of about fifty lines that is valid as it stands, and overwrites nothing', async () => {
    const first = await run('init', 'upland');
    expect(first).toMatchObject({ code: 0, err: '' });
    const yaml = first.out.split('\n').filter((line) => /\.(yaml|csv)$/.test(line));
    const lines = yaml.flatMap((path) =>
      readFileSync(join(dir, 'upland', path), 'utf8')
        .trimEnd()
        .split('\n'),
    );
    expect(lines.length).toBeGreaterThan(40);
    expect(lines.length).toBeLessThan(60);
    expect(JSON.parse((await run('validate', '--repo', 'upland', '--json')).out)).toEqual({ valid: true, diagnostics: [] });
    expect(await run('init', 'upland')).toMatchObject({ code: 1, err: expect.stringMatching(/^EXISTS: /) as string });
  });

  it('shows every mistake with its line, and fails', async () => {
    const answer = await run('validate', '--repo', join(process.cwd(), 'test/fixtures/broken/duplicate-id'));
    expect(answer.code).toBe(1);
    expect(answer.out).toMatch(/^error [A-Z_]+ {2}\S+:\d+:\d+\n/);
    expect(answer.out).toMatch(/\d+ errors?, \d+ warnings?\n$/);
  });

  it.each([
    [['nonsense']],
    [['plan', '--at', 'tomorrow']],
    [['plan', '--listen', '5 min']],
    [['apply', '--nonsense']],
    [['explain']],
    [['sim', 's3', '--port', 'x']],
  ])('%j fails with 1 and a word of what is wrong', async (args) => {
    const answer = await run(...args);
    expect(answer.code).toBe(1);
    expect(answer.err.length).toBeGreaterThan(10);
    expect(answer.out).toBe('');
  });

  it('has an example in the help of each command', async () => {
    const root = await run('--help');
    const commands = [...root.out.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name = '']) => name);
    expect(commands.length).toBeGreaterThanOrEqual(15);
    for (const command of commands.filter((name) => name !== 'sim')) {
      expect((await run(command, '--help')).out, command).toMatch(/Examples?:\n {2}headgate /);
    }
    for (const part of ['broker', 's3', 'campbell', 'canedge'])
      expect((await run('sim', part, '--help')).out).toMatch(/Examples?:\n {2}headgate sim /);
  });

  it('shows the help when nothing is asked, and one version everywhere', async () => {
    expect((await run()).out).toContain('USAGE');
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
    expect((await run('--version')).out.trim()).toBe(version);
    expect([VERSION, ENGINE]).toEqual([version, version]);
  });
});
