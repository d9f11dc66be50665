import { describe, expect, it } from 'vitest';
import { HOUR, MINUTE, changesIn, holdOf, makeWorld, wave } from '#test/support/rollout-world.ts';
import type { RevisionSpec, World } from '#test/support/rollout-world.ts';

function spec(firmware: string, change: Partial<RevisionSpec> = {}): RevisionSpec {
  return {
    commit: firmware,
    devices: [{ id: 'd0' }, { id: 'd1' }],
    groups: { met: { versions: { firmware } } },
    rollouts: { careful: { waves: [wave('all')] } },
    ...change,
  };
}

/** A fleet in which one device refuses whatever is begun on it, for a reason that no report tells. */
function refusing(): World {
  const world = makeWorld(spec('1'));
  world.tick(MINUTE);
  world.pass({ genesis: true });
  world.commit(spec('2'));
  world.fails = ({ device }) => (device === 'd0' ? 'refused' : null);
  return world;
}

function step(world: World, ms = MINUTE): ReturnType<World['pass']> {
  world.tick(ms);
  return world.pass();
}

describe('a device that refuses what is begun on it', () => {
  it('is asked ever more seldom, and told no more to the ledger in between', () => {
    const world = refusing();
    const asked: number[] = [];
    for (let minute = 0; minute < 600; minute += 1) {
      const { decision } = step(world);
      if (changesIn(decision).includes('d0')) asked.push(minute);
      else expect(holdOf(decision, 'd0')).toMatchObject({ reason: 'PRECONDITION_MOVED', evidence: 'BUSY: at somebody else’s update' });
    }
    // With the very next pass, in which a report may say more; then after one minute, two, four, at most an hour and a quarter.
    expect(asked.slice(0, 2)).toEqual([0, 1]);
    expect(asked.length).toBeLessThan(18);
    expect(Math.max(...asked.map((minute, index) => minute - (asked[index - 1] ?? 0)))).toBeLessThanOrEqual(75);
  });

  it('has spent no attempt by that, and takes the change once it can', () => {
    const world = refusing();
    for (let minute = 0; minute < 60; minute += 1) step(world);
    world.fails = () => null;
    const decisions = Array.from({ length: 120 }, () => step(world).decision);
    const admitted = decisions.flatMap((decision) => decision.admitted);
    expect(admitted.map(({ operation, attempt }) => [operation.device, attempt])).toEqual([['d0', 1]]);
    expect(world.device('d0').values.get('firmware')).toBe('2');
    expect(world.view.devices.get(world.device('d0').id)?.refused ?? {}).toEqual({});
  });

  it('is asked at once for something else, and where it reports something else', () => {
    const world = refusing();
    for (let minute = 0; minute < 60; minute += 1) step(world);
    world.device('d0').values.set('firmware', '0');
    expect(changesIn(step(world).decision)).toEqual(['d0']);
    for (let minute = 0; minute < 60; minute += 1) step(world);
    world.commit(spec('3'));
    expect(changesIn(step(world).decision)).toContain('d0');
  });

  it('wakes the engine when it may be asked again', () => {
    const world = refusing();
    for (let minute = 0; minute < 3; minute += 1) step(world);
    const { decision } = step(world, 1);
    const until = holdOf(decision, 'd0')?.until ?? 0;
    expect(until).toBeGreaterThan(world.now);
    expect(decision.wakeAt).toBeLessThanOrEqual(until);
    world.now = until;
    expect(changesIn(step(world, 0).decision)).toEqual(['d0']);
    expect(until - world.now).toBeLessThan(HOUR);
  });
});
