import { expect, it } from 'vitest';
import { groupName } from '#model/ids.ts';
import { HOUR, MINUTE, holdOf, makeWorld, wave } from '#test/support/rollout-world.ts';
import type { RevisionSpec, World } from '#test/support/rollout-world.ts';

const MET = groupName('met');

function spec(commit: string, firmware: string, change: Partial<RevisionSpec> = {}): RevisionSpec {
  return {
    commit,
    devices: ['d0', 'd1', 'd2', 'd3'].map((id) => ({ id })),
    groups: { met: { versions: { firmware, config: 'a' }, watchMs: 3 * HOUR } },
    rollouts: { careful: { waves: [wave('all')] } },
    ...change,
  };
}

/** Release 2 reached everybody, failed on d3 while it was watched, and its way back failed there too. */
function failedBothWays(): World {
  const world = makeWorld(spec('c0', '1'));
  world.tick(MINUTE);
  world.pass({ genesis: true });
  world.commit(spec('c1', '2'));
  world.pass();
  world.tick(MINUTE);
  world.pass();
  world.device('d3').behaviour = 'boots-back';
  world.device('d3').values.set('config', 'by hand');
  world.pass();
  world.tick(MINUTE);
  world.pass();
  world.commit(spec('c2', '1'));
  world.pass();
  world.tick(MINUTE);
  world.pass();
  return world;
}

it('gives a release that failed in its watch to nobody again, in no later pass, when it is declared once more', () => {
  const world = failedBothWays();
  expect(world.view.groups.get(MET)?.rollout).toMatchObject({ phase: 'halted', direction: 'rollback' });
  expect(world.device('d0').values.get('firmware')).toBe('1');
  world.commit(spec('c3', '2'));
  for (let pass = 0; pass < 4; pass += 1) {
    const { decision } = world.pass();
    expect(decision.admitted).toEqual([]);
    expect(holdOf(decision, 'd0')).toMatchObject({ reason: 'RELEASE_BLOCKED' });
    world.tick(10 * MINUTE);
  }
  // A person has looked, and lets it go.
  const release = world.declared.groups.get(MET)?.release.id ?? '';
  world.commit(spec('c4', '2', { approvals: [{ group: MET, release, unblock: true, reason: 'it was the power supply' }] }));
  const given = new Set<string>();
  for (let pass = 0; pass < 4; pass += 1) {
    for (const { operation } of world.pass().decision.admitted) given.add(operation.device);
    world.tick(10 * MINUTE);
  }
  expect([...given].toSorted()).toEqual(['d0', 'd1', 'd2']);
});
