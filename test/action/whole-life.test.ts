import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ScaledClock } from '#sim/clock.ts';
import { buildAction, runBundle } from '#test/support/action-run.ts';
import type { ActionBundle, ActionRun } from '#test/support/action-run.ts';
import { startExampleWorld, type ExampleWorld } from '#test/support/example-world.ts';

let bundle: ActionBundle;
let world: ExampleWorld;

beforeAll(async () => {
  bundle = await buildAction();
  // The action keeps real time; the devices of its world live a minute in a second.
  world = await startExampleWorld(new ScaledClock(Date.now(), 60));
}, 60_000);

afterAll(async () => {
  await world.close();
  bundle.close();
});

function run(inputs: Readonly<Record<string, string>>): Promise<ActionRun> {
  return runBundle(bundle, { workspace: world.dir, inputs, env: world.env });
}

describe('the action, run as a runner would', { timeout: 60_000 }, () => {
  it('validates what is checked out', async () => {
    const done = await run({ command: 'validate' });
    expect(done).toMatchObject({ code: 0, outputs: { exit: '0' } });
    expect(done.log).toContain('valid: 18 devices in 2 groups');
    expect(done.summary).toMatch(/^#+ No mistakes|valid/i);
  });

  it('begins the ledger with what is reported', async () => {
    const done = await run({ command: 'apply', 'new-ledger': 'true', listen: '4s' });
    expect(done.log).not.toContain('::error');
    expect(done.code).toBe(0);
    expect(done.outputs['exit']).toMatch(/^[02]$/);
  });

  it('plans an upgrade: outputs for later steps, a summary for people, secrets masked', async () => {
    await world.change('groups/vehicles.yaml', [
      ['canedge2@01.08.05', 'canedge2@01.09.03'],
      ['canedge3-gnss@01.08.05', 'canedge3-gnss@01.09.03'],
    ]);
    const done = await run({ command: 'plan', plan: 'plan.json' });
    expect(done).toMatchObject({ code: 0, outputs: { exit: '2', changes: '8', converged: 'false' } });
    expect(done.outputs['plan']).toMatch(/^[0-9a-f]{64}$/);
    expect(done.summary).toMatch(/^#+ 8 of 18 devices change/);
    expect(done.summary).toContain('vehicles');
    expect(done.log).toContain('::add-mask::nobody-checks-it');
    expect(done.log.replaceAll(/^::add-mask::.*$/gm, '')).not.toContain('nobody-checks-it');
  });

  it('applies exactly that plan, then refuses it', async () => {
    const done = await run({ command: 'apply', plan: 'plan.json' });
    expect(done).toMatchObject({ code: 0, outputs: { exit: '2' } });
    expect(done.log).toMatch(/van-01 config .*: offered/);
    const again = await run({ command: 'apply', plan: 'plan.json' });
    expect(again).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(again.log).toContain('::error title=PLAN_MOVED::');
  });

  it('puts mistakes on their lines, and fails', async () => {
    await world.change('groups/vehicles.yaml', [['rollout: by-depot', 'rolout: by-depot']]);
    const done = await run({ command: 'validate' });
    expect(done).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(done.log).toMatch(/^::error title=[A-Z_]+,file=groups\/vehicles\.yaml,line=\d+,col=\d+::/m);
    expect(done.summary).toContain('1 error');
    await world.change('groups/vehicles.yaml', [['rolout: by-depot', 'rollout: by-depot']]);
  });

  it('refuses a ledger that goes away with the runner', async () => {
    await world.change('fleet.yaml', [[', lasting: true', '']]);
    const done = await run({ command: 'plan' });
    expect(done).toMatchObject({ code: 1, outputs: { exit: '1' } });
    expect(done.log).toContain('NOT_LASTING');
  });

  it('says which input is wrong', async () => {
    expect(await run({ command: 'deploy' })).toMatchObject({
      code: 1,
      log: expect.stringContaining('"deploy" is none of validate, plan, apply, status, comment') as string,
    });
  });
});
