import { describe, expect, it } from 'vitest';
import { groupName } from '#model/ids.ts';
import { HOUR, MINUTE, changesIn, holdOf, kindsOf, labelled, makeWorld, slots, wave } from '#test/support/rollout-world.ts';
import type { PassOptions, RevisionSpec, World } from '#test/support/rollout-world.ts';

const MET = groupName('met');
const GROWN: PassOptions = { grown: true };

function spec(firmware: string, change: Partial<RevisionSpec> = {}): RevisionSpec {
  return {
    commit: firmware,
    devices: ['d0', 'd1', 'd2', 'd3'].map((id) => ({ id, labels: id === 'd0' ? { ring: 'canary' } : {} })),
    groups: { met: { versions: { firmware } } },
    rollouts: { careful: { waves: [wave('canary', { select: labelled('ring', 'canary') }), wave('rest')] } },
    ...change,
  };
}

function begun(change: Partial<RevisionSpec> = {}): World {
  const world = makeWorld(spec('1', change));
  world.tick(MINUTE);
  world.pass({ genesis: true });
  world.commit(spec('2', change));
  return world;
}

const OFFERED: Partial<RevisionSpec> = { devices: [{ id: 'd0' }, { id: 'd1' }], rollouts: { careful: { waves: [wave('all')] } } };

/** Both devices were offered the firmware: one has taken it and boots back, the other has not come by. */
function halfOffered(wanted: RevisionSpec): World {
  const world = makeWorld(spec('1', OFFERED), 'offer');
  world.tick(MINUTE);
  world.pass({ genesis: true });
  world.commit(wanted);
  world.device('d0').behaviour = 'boots-back';
  world.device('d1').behaviour = 'deaf';
  step(world);
  expect(world.offers.size).toBe(2);
  return world;
}

function step(world: World, options: PassOptions = {}, ms = MINUTE): ReturnType<World['pass']> {
  world.tick(ms);
  return world.pass(options);
}

function rollout(world: World) {
  return world.view.groups.get(MET)?.rollout ?? null;
}

describe('a new engine that plans more for a revision that did not change', () => {
  it('still hears of a canary that failed, though another device of the group waits for a person', () => {
    const world = begun();
    world.device('d0').behaviour = 'boots-back';
    expect(changesIn(step(world).decision)).toEqual(['d0']);
    world.device('d3').values.set('firmware', '0');
    const { decision } = step(world, GROWN);
    expect(decision.closed).toMatchObject([{ device: 'd0', closing: 'failed', code: 'BOOTED_BACK' }]);
    expect(changesIn(decision)).toEqual([]);
    expect(holdOf(decision, 'd3')).toMatchObject({
      reason: 'APPROVAL_NEEDED',
      person: 'read the plan, then run headgate apply --accept-engine',
    });
    expect(rollout(world)).toMatchObject({ phase: 'halted' });
    // Accepted: the release that failed on the canary reaches nobody else.
    const after = step(world);
    expect(after.decision.admitted.map(({ operation }) => [operation.device, operation.declared])).toEqual([['d3', '1']]);
  });

  it('still counts a device that was lost in the budget', () => {
    const world = begun({ rollouts: { careful: { waves: [wave('all', { gate: { success: 0.1 } })], budget: [slots(1)] } } });
    for (const id of ['d0', 'd1', 'd2', 'd3']) world.device(id).behaviour = 'brick';
    const [lost] = changesIn(step(world).decision);
    if (lost === undefined) throw new Error('nothing began');
    step(world, GROWN);
    const { decision } = step(world, GROWN, 3 * HOUR);
    expect(decision.closed).toMatchObject([{ device: lost, code: 'LOST' }]);
    expect(world.view.groups.get(MET)?.down?.has(world.device(lost).id)).toBe(true);
    expect(changesIn(step(world).decision)).toEqual([]);
  });

  it('opens no wave and begins no rollout, and says nothing twice', () => {
    const world = begun();
    const first = step(world, GROWN);
    expect(first.decision).toMatchObject({ events: [], admitted: [], closed: [] });
    expect(first.decision.held.map(({ device, reason }) => `${device} ${reason}`)).toEqual([
      'd0 APPROVAL_NEEDED',
      'd1 APPROVAL_NEEDED',
      'd2 APPROVAL_NEEDED',
      'd3 APPROVAL_NEEDED',
    ]);
    step(world);
    const done = step(world, GROWN);
    expect(kindsOf(done.decision)).toEqual(['device-outcomes', 'wave-met', 'wave-passed']);
    expect(changesIn(done.decision)).toEqual([]);
    expect(step(world, GROWN).decision).toMatchObject({ events: [], admitted: [], closed: [] });
    expect(changesIn(step(world).decision)).toEqual(['d1', 'd2', 'd3']);
  });

  it('goes on with the rollout that is watched, though it would turn to another one', () => {
    const noRise = { measure: 'errors', test: 'no-rise', value: null } as const;
    const groups = { met: { versions: { firmware: '2' }, watchMs: 24 * HOUR, health: [noRise] } };
    const world = begun({ groups: { met: { ...groups.met, versions: { firmware: '1' } } } });
    world.commit(spec('2', { groups }));
    for (let pass = 0; pass < 4; pass += 1) step(world);
    expect(rollout(world)?.phase).toBe('watched');
    world.commit(
      spec('3', { groups, limits: { personal: 0 }, devices: ['d0', 'd1', 'd2', 'd3'].map((id) => ({ id, values: { tip: '0.1' } })) }),
    );
    world.device('d1').errors = 9;
    world.device('d1').values.set('firmware', '1');
    const { decision } = step(world, GROWN);
    expect(kindsOf(decision)).toEqual(['device-outcomes', 'rollout-halted']);
    expect(decision.admitted).toEqual([]);
  });

  it('withdraws the untaken offers of a rollout that halts', () => {
    const world = halfOffered(spec('2', OFFERED));
    const { decision } = step(world, GROWN);
    expect(rollout(world)?.phase).toBe('halted');
    expect(decision.admitted.map(({ operation }) => [operation.device, operation.kind])).toEqual([['d1', 'withdraw']]);
  });

  it('tries again what is open, and begins nothing else', () => {
    const world = begun();
    world.fails = (_operation, attempt) => (attempt === 1 ? 'trouble' : null);
    step(world);
    world.fails = () => null;
    const { decision } = step(world, GROWN, 2 * MINUTE);
    expect(decision.admitted.map(({ operation, attempt }) => [operation.device, attempt])).toEqual([['d0', 2]]);
  });
});

describe('a merge that waits for an Approval', () => {
  it('does not keep the untaken offers of the rollout before it, once that halts', () => {
    const world = halfOffered(spec('2', OFFERED));
    world.commit(spec('3', { ...OFFERED, limits: { change: 0 } }));
    const { decision } = step(world);
    expect(decision.mergeHeld).not.toBeNull();
    expect(rollout(world)?.phase).toBe('halted');
    expect(decision.admitted.map(({ operation }) => [operation.device, operation.kind])).toEqual([['d1', 'withdraw']]);
  });
});
