import { describe, expect, it } from 'vitest';
import { digest, groupName } from '#model/ids.ts';
import {
  DEADLINE,
  GATE,
  HOUR,
  LOST_AFTER,
  MINUTE,
  START,
  changesIn,
  holdOf,
  kindsOf,
  labelled,
  makeWorld,
  modelledFamily,
  slots,
  wave,
} from '#test/support/rollout-world.ts';
import type { GroupSpec, RevisionSpec, World } from '#test/support/rollout-world.ts';

const MET = groupName('met');

function devices(count: number, change: (index: number) => object = () => ({})): RevisionSpec['devices'] {
  return Array.from({ length: count }, (_, index) => ({
    id: `d${index}`,
    labels: index === 0 ? { ring: 'canary' } : {},
    ...change(index),
  }));
}

function spec(firmware: string, change: Partial<RevisionSpec> & { readonly group?: Partial<GroupSpec> } = {}): RevisionSpec {
  const { group, ...rest } = change;
  return {
    commit: `commit-${firmware}`,
    devices: devices(5),
    groups: { met: { versions: { firmware }, ...group } },
    rollouts: { careful: { waves: [wave('canary', { select: labelled('ring', 'canary') }), wave('rest')] } },
    ...rest,
  };
}

/** A fleet that runs release 1, with that as its lineage. */
function settledOn(first: RevisionSpec, delivery: 'push' | 'offer' = 'push'): World {
  const world = makeWorld(first, delivery);
  world.tick(MINUTE);
  world.pass({ genesis: true });
  return world;
}

function step(world: World, ms = MINUTE): ReturnType<World['pass']> {
  world.tick(ms);
  return world.pass();
}

function rollout(world: World): NonNullable<ReturnType<World['view']['groups']['get']>>['rollout'] {
  return world.view.groups.get(MET)?.rollout ?? null;
}

function lineage(world: World): readonly string[] {
  const commits = world.view.groups.get(MET)?.lineage.map((entry) => entry.commit ?? 'reported');
  return commits ?? [];
}

describe('a new ledger', () => {
  it('adopts the declared release of a fleet that does not drift, and sends nothing', () => {
    const world = settledOn(spec('1'));
    expect(lineage(world)).toEqual(['commit-1']);
    const next = step(world);
    expect(next.decision).toMatchObject({ events: [], admitted: [], held: [] });
  });

  it('adopts what is reported where a group drifts, and sends nothing in that pass', () => {
    const world = makeWorld(spec('1'));
    world.device('d1').values.set('firmware', '0');
    const first = world.pass({ genesis: true });
    expect(first.decision.admitted).toEqual([]);
    expect(holdOf(first.decision, 'd1')).toMatchObject({ reason: 'WAVE_NOT_OPEN' });
    expect(lineage(world)).toEqual(['reported']);
    expect(kindsOf(step(world).decision)).toContain('rollout-began');
  });
});

describe('waves', () => {
  it('go one after the other, each only when the gate before it is met', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    const first = step(world);
    expect(changesIn(first.decision)).toEqual(['d0']);
    expect(holdOf(first.decision, 'd1')).toMatchObject({ reason: 'WAVE_NOT_OPEN', wave: 'rest' });
    const second = step(world);
    expect(kindsOf(second.decision)).toEqual(['device-outcomes', 'wave-met', 'wave-passed', 'wave-opened', 'devices-began']);
    expect(changesIn(second.decision)).toEqual(['d1', 'd2', 'd3', 'd4']);
    const third = step(world);
    expect(kindsOf(third.decision)).toContain('rollout-completed');
    expect(lineage(world)).toEqual(['commit-1', 'commit-2']);
    expect(step(world).decision).toMatchObject({ events: [], admitted: [], held: [] });
  });

  it('soak, and a failure that the gate allows begins the soak again', () => {
    const rules = {
      careful: { waves: [wave('first', { count: 4, gate: { success: 0.7, quorum: 0.75, soakMs: HOUR } }), wave('rest')] },
    };
    const world = settledOn(spec('1', { rollouts: rules }));
    world.commit(spec('2', { rollouts: rules }));
    const members = (): readonly string[] => rollout(world)?.waves[0]?.members ?? [];
    step(world);
    world.device(members()[3] ?? '').online = false;
    const met = step(world);
    expect(kindsOf(met.decision)).toContain('wave-met');
    expect(holdOf(met.decision, devicesOutside(world)[0] ?? '')).toMatchObject({ reason: 'SOAKING', until: world.now + HOUR });
    world.tick(HOUR / 2);
    const late = world.device(members()[3] ?? '');
    late.behaviour = 'boots-back';
    late.online = true;
    late.inbox.push(...(world.view.open.get(late.id) ?? []).map(({ operation }) => ({ ...operation, content: null })));
    const failed = step(world);
    expect(kindsOf(failed.decision)).toEqual(['device-outcomes', 'wave-met']);
    expect(kindsOf(step(world, HOUR - MINUTE).decision)).toEqual([]);
    expect(kindsOf(step(world).decision)).toContain('wave-passed');
  });

  it('of a group without a lineage begin from nothing', () => {
    const world = makeWorld(spec('1'));
    for (const device of world.devices.values()) device.values.set('firmware', '0');
    world.tick(MINUTE);
    const first = world.pass();
    expect(changesIn(first.decision)).toEqual(['d0']);
    expect(rollout(world)).toMatchObject({ from: null, direction: 'forward' });
  });

  it('take offline devices as the tail, which is asked for a person when patience is over', () => {
    const rules = { careful: { waves: [wave('canary', { count: 2, gate: { patienceMs: HOUR } }), wave('rest')] } };
    const world = settledOn(spec('1', { rollouts: rules }));
    world.commit(spec('2', { rollouts: rules }));
    for (const id of ['d0', 'd1', 'd2', 'd3', 'd4']) world.device(id).online = false;
    step(world);
    const [asleep = '', awake = ''] = rollout(world)?.waves[0]?.members ?? [];
    world.device(awake).online = true;
    step(world);
    const waiting = step(world);
    expect(holdOf(waiting.decision, asleep)).toMatchObject({ reason: 'OFFLINE', wave: 'canary' });
    expect(waiting.decision.held.find((hold) => hold.wave === 'rest')).toMatchObject({
      reason: 'WAVE_NOT_OPEN',
      until: START + 2 * MINUTE + HOUR,
    });
    const asked = step(world, HOUR);
    const hold = asked.decision.held.find((one) => one.wave === 'rest');
    expect(hold).toMatchObject({ reason: 'APPROVAL_NEEDED', person: expect.stringContaining('wave: rest') as string });

    const release = rollout(world)?.to.slice(0, 7) ?? '';
    world.commit(spec('2', { rollouts: rules, approvals: [{ group: MET, release, wave: 'rest' }] }));
    expect(kindsOf(step(world).decision)).toEqual(['wave-passed', 'wave-opened']);
    for (const id of ['d0', 'd1', 'd2', 'd3', 'd4']) world.device(id).online = true;
    step(world);
    const end = step(world);
    expect(kindsOf(end.decision)).toContain('rollout-completed');
    expect(end.decision.held).toEqual([]);
  });

  it('let a late joiner in with the last wave, or at once when it has passed, and count it in no gate', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    step(world);
    world.commit(spec('2', { devices: [...devices(5), { id: 'late' }] }));
    world.device('late').values.set('firmware', '1');
    world.tick(MINUTE / 2);
    const open = rollout(world)?.waves.map((one) => one.members);
    world.device('d0').heardAt = START;
    const early = world.pass();
    expect(early.decision.admitted).toEqual([]);
    expect(holdOf(early.decision, 'late')).toMatchObject({ reason: 'WAVE_NOT_OPEN' });
    expect(rollout(world)?.waves.map((one) => one.members)).toEqual(open);
    const last = step(world);
    expect(changesIn(last.decision)).toContain('late');
    expect(rollout(world)?.waves[1]?.members).toEqual(['d1', 'd2', 'd3', 'd4']);
  });

  it('keep their members when labels change', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    step(world);
    world.commit(spec('2', { devices: devices(5, (index) => ({ labels: index === 3 ? { ring: 'canary' } : {} })) }));
    step(world);
    expect(rollout(world)?.waves.map((one) => one.members)).toEqual([['d0'], ['d1', 'd2', 'd3', 'd4']]);
  });
});

function devicesOutside(world: World): readonly string[] {
  const members = new Set<string>(rollout(world)?.waves.flatMap((one) => one.members ?? []));
  return [...world.devices.keys()].filter((id) => !members.has(id));
}

describe('a failure', () => {
  it('by verdict halts the rollout, blocks its parts and is not tried again', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.device('d0').behaviour = 'boots-back';
    step(world);
    const halted = step(world);
    expect(kindsOf(halted.decision)).toEqual(['device-outcomes', 'rollout-halted']);
    expect(halted.decision.admitted).toEqual([]);
    expect(holdOf(halted.decision, 'd0')).toMatchObject({ reason: 'FAILED' });
    expect(holdOf(halted.decision, 'd1')).toMatchObject({ reason: 'HALTED', person: expect.stringContaining('unblock: true') as string });
    expect(world.view.groups.get(MET)?.blocked.map((part) => part.id)).toEqual(['firmware firmware@2']);
    for (let pass = 0; pass < 5; pass += 1) expect(step(world, HOUR).decision).toMatchObject({ events: [], admitted: [] });
    expect(world.device('d0').effects).toHaveLength(1);
  });

  it('by loss is told from being offline by the life that the device showed', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.device('d0').behaviour = 'brick';
    step(world);
    const silent = step(world);
    expect(holdOf(silent.decision, 'd0')).toMatchObject({ reason: 'VERIFYING' });
    const halted = step(world, LOST_AFTER + MINUTE);
    expect(kindsOf(halted.decision)).toContain('rollout-halted');
    expect(holdOf(halted.decision, 'd0')).toMatchObject({ reason: 'LOST' });
    expect(rollout(world)?.outcomes.get(world.device('d0').id)).toMatchObject({ kind: 'failed', code: 'LOST' });
  });

  it('of a device that never showed that it took the operation is none: it is offline', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.tick(MINUTE);
    world.pass();
    world.device('d0').online = false;
    const later = step(world, 30 * 24 * HOUR);
    expect(holdOf(later.decision, 'd0')).toMatchObject({ reason: 'OFFLINE' });
    expect(kindsOf(later.decision)).toEqual([]);
  });

  it('by health after the change counts, by readings made since', () => {
    const group = { health: [{ measure: 'errors', test: 'no-rise', value: null }] } as const;
    const world = settledOn(spec('1', { group }));
    world.commit(spec('2', { group }));
    world.device('d0').behaviour = 'unhealthy';
    step(world);
    const halted = step(world);
    expect(kindsOf(halted.decision)).toContain('rollout-halted');
    expect(holdOf(halted.decision, 'd0')).toMatchObject({ reason: 'FAILED', evidence: expect.stringContaining('errors is 1') as string });
  });

  it('in the watch after completion halts and blocks', () => {
    const group = { watchMs: 24 * HOUR, health: [{ measure: 'battery', test: 'at-least', value: '11.8' }] } as const;
    const world = settledOn(spec('1', { group }));
    world.commit(spec('2', { group }));
    for (let pass = 0; pass < 4; pass += 1) step(world);
    expect(rollout(world)).toMatchObject({ phase: 'watched' });
    world.device('d3').battery = '11.2';
    const halted = step(world);
    expect(kindsOf(halted.decision)).toEqual(['device-outcomes', 'rollout-halted']);
    expect(holdOf(halted.decision, 'd3')).toMatchObject({ reason: 'FAILED' });
    world.commit(spec('1', { commit: 'revert', group }));
    const back = step(world);
    expect(kindsOf(back.decision)).toEqual(['rollout-stopped', 'rollout-began', 'wave-opened', 'devices-began']);
    expect(rollout(world)).toMatchObject({ direction: 'rollback' });
    step(world);
    expect(lineage(world)).toEqual(['revert']);
  });

  it('of the tail counts against its wave and can halt the rollout', () => {
    const rules = { careful: { waves: [wave('canary', { count: 2, gate: { quorum: 0.5 } }), wave('rest', { gate: { soakMs: HOUR } })] } };
    const world = settledOn(spec('1', { rollouts: rules }));
    world.commit(spec('2', { rollouts: rules }));
    world.tick(MINUTE);
    world.pass();
    const [tail = ''] = rollout(world)?.waves[0]?.members ?? [];
    world.device(tail).online = false;
    step(world);
    expect(rollout(world)?.waves[0]?.passedAt).not.toBeNull();
    world.device(tail).behaviour = 'boots-back';
    world.device(tail).online = true;
    const halted = step(world);
    expect(halted.decision.events).toContainEqual(expect.objectContaining({ kind: 'rollout-halted', wave: 'canary' }));
  });
});

describe('trouble', () => {
  it('is tried again after a back-off, and quarantines when the attempts are spent', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.device('d0').behaviour = 'ignores';
    step(world);
    const attempts: number[] = [];
    for (let pass = 0; pass < 60; pass += 1) {
      const { decision } = step(world, 2 * MINUTE);
      attempts.push(...decision.admitted.map((admitted) => admitted.attempt));
    }
    expect(attempts).toEqual([2, 3]);
    const { decision } = step(world);
    expect(holdOf(decision, 'd0')).toMatchObject({ reason: 'QUARANTINED' });
    expect(rollout(world)?.phase).toBe('halted');
    expect(rollout(world)?.outcomes.get(world.device('d0').id)).toMatchObject({ code: 'ATTEMPTS_SPENT' });
  });

  it('never repeats a push without its deadline and a report of the old value', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.device('d0').behaviour = 'deaf';
    step(world);
    expect(step(world).decision.admitted).toEqual([]);
    world.device('d0').online = false;
    world.tick(DEADLINE);
    world.device('d0').heardAt = START;
    expect(world.pass().decision.admitted).toEqual([]);
    world.device('d0').online = true;
    world.device('d0').behaviour = 'good';
    expect(step(world).decision.admitted.map((admitted) => admitted.attempt)).toEqual([2]);
  });

  it('of the wire waits until the engine said so', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.fails = (_, attempt) => (attempt === 1 ? 'trouble' : null);
    step(world);
    const waiting = step(world, MINUTE / 2);
    expect(holdOf(waiting.decision, 'd0')).toMatchObject({ reason: 'RETRY_LATER', until: world.now + MINUTE / 2 });
    expect(step(world).decision.admitted.map((admitted) => admitted.attempt)).toEqual([2]);
  });

  it('of a crash repeats an offer at once, which the look before the act finds, and a push only with proof', () => {
    for (const delivery of ['offer', 'push'] as const) {
      const world = settledOn(spec('1'), delivery);
      world.commit(spec('2'));
      world.fails = (_, attempt) => (attempt === 1 ? 'crash-after' : null);
      world.tick(MINUTE);
      world.pass();
      const again = world.pass();
      expect(again.decision.admitted.map((admitted) => admitted.attempt)).toEqual(delivery === 'offer' ? [2] : []);
      expect(again.outcomes.map((outcome) => outcome.result.kind)).toEqual(delivery === 'offer' ? ['already'] : []);
      step(world);
      step(world);
      expect(world.device('d0').effects).toHaveLength(1);
    }
  });
});

describe('going back', () => {
  it('stops the bad rollout in the same pass and returns at once the devices that took it', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    step(world);
    step(world);
    world.commit(spec('1', { commit: 'revert' }));
    const back = step(world);
    expect(kindsOf(back.decision).slice(0, 2)).toEqual(['rollout-stopped', 'rollout-began']);
    // The others had just shown the bad release: what they need now is planned with the pass that follows at once.
    expect(changesIn(back.decision)).toEqual(['d0']);
    expect(back.decision.wakeAt).toBe(world.now);
    expect(changesIn(world.pass().decision)).toEqual(['d1', 'd2', 'd3', 'd4']);
    expect(world.view.groups.get(MET)?.past.at(-1)).toMatchObject({ end: 'rolled-back' });
    step(world);
    expect(lineage(world)).toEqual(['revert']);
    for (const device of world.devices.values()) expect(device.values.get('firmware')).toBe('1');
  });

  it('asks nothing of a device that never took the bad release', () => {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.device('d0').behaviour = 'boots-back';
    step(world);
    step(world);
    world.commit(spec('1', { commit: 'revert' }));
    const back = step(world);
    expect(back.decision.admitted).toEqual([]);
    expect(back.decision.held).toEqual([]);
    expect(lineage(world)).toEqual(['commit-1']);
  });

  it('withdraws the untaken offers of the bad release in the same pass', () => {
    const world = settledOn(spec('1'), 'offer');
    world.commit(spec('2'));
    world.device('d0').behaviour = 'good';
    step(world);
    for (const id of ['d1', 'd2']) world.device(id).online = false;
    step(world);
    expect(world.offers.size).toBe(4);
    world.tick(MINUTE);
    world.commit(spec('1', { commit: 'revert' }));
    const back = world.pass();
    expect(
      back.decision.admitted.filter(({ operation }) => operation.kind === 'withdraw').map(({ operation }) => operation.device),
    ).toEqual(['d1', 'd2']);
    expect([...world.offers.values()].filter((operation) => operation.declared === '2')).toEqual([]);
    const after = step(world);
    expect(after.decision.closed.map((closed) => closed.closing)).toContain('withdrawn');
    for (let pass = 0; pass < 4; pass += 1) step(world);
    expect(step(world).decision).toMatchObject({ events: [], admitted: [], held: [] });
    for (const device of world.devices.values()) expect(device.values.get('firmware')).toBe('1');
    expect(world.device('d1').effects).toEqual([]);
  });

  it('takes an offer that is gone for its own doing when a crash left no outcome of the withdrawal', () => {
    const { confirm } = modelledFamily('offer');
    // As a bucket shows it: an offer that is no longer there was fetched, for all that is known.
    const family = modelledFamily('offer', {
      confirm: (open, reported) => {
        const said = confirm(open, reported);
        const gone = said.kind === 'open' && open.reference !== null && !world.offers.has(`${open.operation.device} firmware`);
        return gone ? { ...said, phase: 'VERIFYING', takenAt: said.takenAt ?? world.now } : said;
      },
    });
    const world: World = makeWorld(spec('1'), 'offer', family);
    world.tick(MINUTE);
    world.pass({ genesis: true });
    world.commit(spec('2'));
    step(world);
    for (const id of ['d1', 'd2']) world.device(id).online = false;
    step(world);
    world.commit(spec('1', { commit: 'revert' }));
    world.fails = ({ kind }, attempt) => (kind === 'withdraw' && attempt === 1 ? 'crash-after' : null);
    step(world);
    expect([...world.offers.values()].filter((operation) => operation.declared === '2')).toEqual([]);
    const next = step(world);
    expect(next.decision.taken).toEqual([]);
    const again = next.decision.admitted.filter(({ operation }) => operation.kind === 'withdraw');
    expect(again.map(({ operation, attempt }) => [operation.device, attempt])).toEqual([
      ['d1', 2],
      ['d2', 2],
    ]);
    for (let pass = 0; pass < 4; pass += 1) step(world);
    world.tick(2 * LOST_AFTER);
    expect(world.pass().decision).toMatchObject({ events: [], admitted: [], held: [], closed: [] });
    expect(world.view.open.size).toBe(0);
  });

  it('follows an offer that was withdrawn and perhaps taken until a report tells', () => {
    const { confirm } = modelledFamily('offer');
    const family = modelledFamily('offer', {
      confirm: (open, reported) => {
        const said = confirm(open, reported);
        const silent = said.kind === 'open' && open.operation.declared === '2' && reported.online === false;
        return silent ? { ...said, perhapsTaken: 'silent since' } : said;
      },
    });
    const world: World = makeWorld(spec('1'), 'offer', family);
    world.tick(MINUTE);
    world.pass({ genesis: true });
    world.commit(spec('2'));
    world.device('d0').online = false;
    step(world);
    world.commit(spec('1', { commit: 'revert' }));
    for (let pass = 0; pass < 4; pass += 1) {
      expect(holdOf(step(world, HOUR).decision, 'd0')).toBeDefined();
      expect(world.offers.has('d0 firmware')).toBe(false);
    }
    expect(holdOf(step(world).decision, 'd0')).toMatchObject({ reason: 'OFFLINE', evidence: 'silent since' });
    world.device('d0').online = true;
    for (let pass = 0; pass < 2; pass += 1) step(world);
    expect(step(world).decision).toMatchObject({ events: [], admitted: [], held: [], closed: [] });
    expect(world.view.open.size).toBe(0);
  });

  it.each([
    ['at once', null, 1],
    ['after a crash that left no outcome', 'crash-before', 2],
    ['never, when the attempts are spent', 'trouble', 3],
  ] as const)('takes back what a device refused and that lies there still: %s', (_name, fault, attempts) => {
    const { confirm } = modelledFamily('offer');
    const refusing = modelledFamily('offer', {
      confirm: (open, reported) => {
        const refused = open.operation.kind === 'change' && open.operation.declared === '2' && open.reference !== null;
        if (!refused || world.now - open.intendedAt < 2 * MINUTE) return confirm(open, reported);
        return { kind: 'failed', code: 'REFUSED', evidence: 'shows the old one', takeBack: true };
      },
    });
    const world: World = makeWorld(spec('1'), 'offer', refusing);
    world.tick(MINUTE);
    world.pass({ genesis: true });
    world.device('d0').behaviour = 'deaf';
    world.commit(spec('2'));
    const seen: number[] = [];
    world.fails = ({ kind }, attempt) => {
      if (kind !== 'withdraw') return null;
      seen.push(attempt);
      return fault === 'crash-before' && attempt > 1 ? null : fault;
    };
    for (let pass = 0; pass < 4; pass += 1) step(world);
    for (let pass = 0; pass < 3; pass += 1) step(world, HOUR);
    expect(seen).toEqual(Array.from({ length: attempts }, (_, index) => index + 1));
    expect(world.offers.has('d0 firmware')).toBe(fault === 'trouble');
    expect(world.view.open.size).toBe(0);
    expect(holdOf(step(world).decision, 'd0')).toMatchObject({ reason: 'FAILED' });
    expect(step(world).decision).toMatchObject({ events: [], admitted: [], closed: [] });
  });

  it('runs in any window by default', () => {
    const windows = [
      {
        name: 'never',
        place: { file: 'w', line: 1, column: 1 },
        zone: 'UTC',
        allow: [{ days: [1], from: 540, to: 660 }],
        deny: [],
        marginMs: 0,
      },
    ];
    const rollouts = { careful: { windows: ['never'] } };
    const world = settledOn(spec('1', { windows, rollouts }));
    world.commit(spec('2', { windows, rollouts }));
    step(world);
    step(world);
    world.tick(24 * HOUR);
    world.commit(spec('1', { commit: 'revert', windows, rollouts }));
    // By then the release is completed and unwatched: a later return is an ordinary rollout and keeps to the windows.
    const later = world.pass();
    expect(rollout(world)).toMatchObject({ direction: 'forward' });
    expect(holdOf(later.decision, 'd0')).toMatchObject({ reason: 'WINDOW_CLOSED' });
  });

  it('is overtaken by a newer commit, which begins from what the group had', () => {
    const world = settledOn(spec('1'), 'offer');
    world.commit(spec('2'));
    world.device('d0').online = false;
    step(world);
    expect(world.offers.size).toBe(1);
    world.commit(spec('3'));
    const over = step(world);
    expect(kindsOf(over.decision).slice(0, 2)).toEqual(['rollout-stopped', 'rollout-began']);
    expect(world.view.groups.get(MET)?.past.at(-1)).toMatchObject({ end: 'superseded' });
    expect(world.offers.size).toBe(0);
    world.device('d0').online = true;
    for (let pass = 0; pass < 8; pass += 1) step(world);
    for (const device of world.devices.values()) expect(device.effects.map((effect) => effect.what)).toEqual(['firmware=3']);
    expect(lineage(world)).toEqual(['commit-1', 'commit-3']);
  });
});

describe('blocks and approvals', () => {
  function halted(): World {
    const world = settledOn(spec('1'));
    world.commit(spec('2'));
    world.device('d0').behaviour = 'boots-back';
    step(world);
    step(world);
    return world;
  }

  it('holds a later release that still contains what failed, until an Approval', () => {
    const world = halted();
    const group = { versions: { firmware: '2', config: 'a' } };
    world.commit(spec('2', { commit: 'more', group }));
    for (const device of world.devices.values()) device.values.set('config', '0');
    const blocked = step(world);
    expect(blocked.decision.admitted).toEqual([]);
    expect(holdOf(blocked.decision, 'd1')).toMatchObject({ reason: 'RELEASE_BLOCKED' });
    const release = world.declared.groups.get(MET)?.release.id.slice(0, 9) ?? '';
    world.device('d0').behaviour = 'good';
    world.commit(spec('2', { commit: 'approved', group, approvals: [{ group: MET, release, unblock: true }] }));
    const begun = step(world);
    expect(kindsOf(begun.decision)).toContain('rollout-began');
    expect(changesIn(begun.decision)).toEqual(['d0']);
  });

  it('resumes with an Approval, pardons what failed, and needs a new one when it fails again', () => {
    const world = halted();
    const release = rollout(world)?.to ?? '';
    world.commit(spec('2', { approvals: [{ group: MET, release, unblock: true }] }));
    const resumed = step(world);
    expect(kindsOf(resumed.decision)).toEqual(['rollout-resumed', 'wave-met', 'wave-passed', 'wave-opened', 'devices-began']);
    world.device('d2').behaviour = 'boots-back';
    const again = step(world);
    expect(kindsOf(again.decision)).toContain('rollout-halted');
    for (let pass = 0; pass < 3; pass += 1) expect(kindsOf(step(world).decision)).toEqual([]);
    expect(rollout(world)?.phase).toBe('halted');
  });

  it('is inert for any other release', () => {
    const world = halted();
    world.commit(spec('2', { approvals: [{ group: MET, release: 'f'.repeat(9), unblock: true }] }));
    expect(kindsOf(step(world).decision)).toEqual([]);
  });

  it('lets a device try again that an Approval names', () => {
    const world = halted();
    const release = rollout(world)?.to ?? '';
    world.device('d0').behaviour = 'good';
    world.commit(spec('2', { approvals: [{ group: MET, release, unblock: true, again: [world.device('d0').id] }] }));
    expect(kindsOf(step(world).decision)).toEqual(['device-again', 'rollout-resumed']);
    expect(changesIn(step(world).decision)).toEqual(['d0']);
    for (let pass = 0; pass < 4; pass += 1) step(world);
    expect(lineage(world)).toEqual(['commit-1', 'commit-2']);
  });
});

describe('budget', () => {
  it('lets no more devices of a value change at once than it says', () => {
    const rollouts = { careful: { waves: [wave('all')], budget: [slots(1, 'site')] } };
    const sites = (index: number): object => ({ site: index < 3 ? 'a' : 'b' });
    const world = settledOn(spec('1', { rollouts, devices: devices(5, sites) }));
    world.commit(spec('2', { rollouts, devices: devices(5, sites) }));
    const first = step(world);
    expect(changesIn(first.decision)).toEqual(['d0', 'd3']);
    expect(holdOf(first.decision, 'd1')).toMatchObject({ reason: 'BUDGET_SPENT' });
    expect(changesIn(step(world).decision)).toEqual(['d1', 'd4']);
  });

  it('withdraws the other offers once one shows life, and makes them again when a slot is free', () => {
    const rollouts = { careful: { waves: [wave('all')], budget: [slots(1, 'site')] } };
    const sites = (): object => ({ site: 'a' });
    const world = settledOn(spec('1', { rollouts, devices: devices(3, sites) }), 'offer');
    world.commit(spec('2', { rollouts, devices: devices(3, sites) }));
    for (const id of ['d1', 'd2']) world.device(id).online = false;
    step(world);
    expect(world.offers.size).toBe(3);
    world.device('d0').behaviour = 'ignores';
    const taken = step(world);
    expect(taken.decision.admitted.map(({ operation }) => [operation.device, operation.kind])).toEqual([
      ['d1', 'withdraw'],
      ['d2', 'withdraw'],
    ]);
    expect(holdOf(taken.decision, 'd1')).toMatchObject({ reason: 'BUDGET_SPENT' });
    expect(world.offers.size).toBe(0);
    step(world);
    world.device('d0').values.set('firmware', '2');
    const free = step(world);
    expect(changesIn(free.decision)).toEqual(['d1', 'd2']);
    expect(world.offers.size).toBe(2);
  });

  it('counts a lost device until it is heard again', () => {
    const rollouts = { careful: { waves: [wave('all', { gate: { success: 0.2 } })], budget: [slots(1)] } };
    const world = settledOn(spec('1', { rollouts }));
    world.commit(spec('2', { rollouts }));
    world.device('d0').behaviour = 'brick';
    step(world);
    step(world);
    const lost = step(world, LOST_AFTER + MINUTE);
    expect(holdOf(lost.decision, 'd0')).toMatchObject({ reason: 'LOST' });
    expect(lost.decision.admitted).toEqual([]);
    expect(holdOf(lost.decision, 'd1')).toMatchObject({ reason: 'BUDGET_SPENT' });
    world.device('d0').bricked = false;
    world.device('d0').online = true;
    const back = step(world);
    expect(changesIn(back.decision)).toEqual(['d1']);
    expect(holdOf(back.decision, 'd0')).toMatchObject({ reason: 'FAILED' });
  });
});

describe('rates', () => {
  it('spread a pass over its limit and hold the rest with the instant', () => {
    const limits = { operationsPerMinute: 2, passLimitMs: MINUTE };
    const rollouts = { careful: { waves: [wave('all')] } };
    const world = settledOn(spec('1', { limits, rollouts }));
    world.commit(spec('2', { limits, rollouts }));
    const { decision } = step(world);
    expect(decision.admitted.map((admitted) => admitted.notBefore - world.now)).toEqual([0, 0, MINUTE, MINUTE]);
    expect(holdOf(decision, 'd4')).toMatchObject({ reason: 'RATE_LIMITED', until: world.now + 2 * MINUTE });
  });
});

describe('what holds a change', () => {
  const together = { careful: { waves: [wave('all')] } };

  it('a freeze, which also takes the device out of all counts', () => {
    const world = settledOn(spec('1'));
    const frozen = devices(5, (index) => ({ frozen: index === 2 }));
    world.commit(spec('2', { devices: frozen }));
    step(world);
    step(world);
    const { decision } = step(world);
    expect(kindsOf(decision)).toContain('rollout-completed');
    expect(rollout(world)).toBeNull();
    expect(holdOf(decision, 'd2')).toMatchObject({ reason: 'FROZEN' });
    world.commit(spec('2'));
    expect(changesIn(step(world).decision)).toEqual(['d2']);
  });

  it('a condition that does not hold, or is not known to', () => {
    const group = { before: [{ measure: 'battery', test: 'at-least', value: '12.2' }] } as const;
    const world = settledOn(spec('1', { group, rollouts: together }));
    world.commit(spec('2', { group, rollouts: together }));
    world.device('d1').battery = '11.9';
    const { decision } = step(world);
    expect(holdOf(decision, 'd1')).toMatchObject({ reason: 'CONDITIONS_NOT_MET' });
    expect(changesIn(decision)).not.toContain('d1');
  });

  it('health of which nothing was reported yet', () => {
    const group = { health: [{ measure: 'sdi12', test: 'at-least', value: '1' }] } as const;
    const world = settledOn(spec('1', { group }));
    world.commit(spec('2', { group }));
    step(world);
    const { decision } = step(world);
    expect(holdOf(decision, 'd0')).toMatchObject({ reason: 'VERIFYING', evidence: expect.stringContaining('sdi12') as string });
    expect(decision.closed).toEqual([]);
  });

  it('another group that must complete the change first, and keep it', () => {
    const two = (firmware: string): RevisionSpec => ({
      ...spec(firmware, { commit: `commit-${firmware}` }),
      devices: [{ id: 'bench', group: 'bench' }, ...devices(2)],
      groups: {
        bench: { versions: { firmware } },
        met: { versions: { firmware }, after: { group: groupName('bench'), forMs: HOUR } },
      },
    });
    const world = settledOn(two('1'));
    world.commit(two('2'));
    const first = step(world);
    expect(changesIn(first.decision)).toEqual(['bench']);
    expect(holdOf(first.decision, 'd0')).toMatchObject({ reason: 'WAITS_FOR_GROUP', until: null });
    const done = step(world);
    expect(holdOf(done.decision, 'd0')).toMatchObject({ reason: 'WAITS_FOR_GROUP', until: world.now + HOUR });
    expect(changesIn(step(world, HOUR).decision)).toEqual(['d0']);
  });

  it('a merge that changes more than the fleet allows, until an Approval names its tree', () => {
    const limits = { change: 0.4 };
    const world = settledOn(spec('1', { limits }));
    world.commit(spec('2', { limits }));
    const held = step(world);
    expect(held.decision.admitted).toEqual([]);
    expect(held.decision.mergeHeld).not.toBeNull();
    expect(holdOf(held.decision, 'd1')).toMatchObject({ reason: 'CHANGE_LIMIT' });
    const tree = world.declared.revision.mergeTree ?? '';
    expect(held.decision.mergeHeld?.person).toContain(tree.slice(0, 7));
    world.commit(spec('2', { limits, approvals: [{ merge: digest(tree), change: 5 }] }));
    expect(changesIn(step(world).decision)).toEqual(['d0']);
  });

  it('a merge that loses more devices than the fleet allows', () => {
    const limits = { leave: 1 };
    const world = settledOn(spec('1', { limits }));
    world.commit(spec('1', { limits, commit: 'fewer', devices: devices(3) }));
    for (let pass = 0; pass < 2; pass += 1) {
      const held = step(world);
      expect(held.decision.mergeHeld?.person).toContain('leave: 2');
      expect(held.plan.leavers).toEqual(['d3', 'd4']);
    }
  });

  it('a family that needs a second step which no pass is sure to give', () => {
    const family = modelledFamily('push', { attention: { withinMs: 15 * MINUTE } });
    const world = makeWorld(spec('1'), 'push', family);
    world.pass({ genesis: true });
    world.commit(spec('2'));
    world.tick(MINUTE);
    const decisionIn = (nextPassMs: number): ReturnType<World['look']>['decision'] => world.look({ nextPassMs }).decision;
    const evidence = 'the device needs a second step from us within 15m: passes come every 6m, and must come every 5m at least';
    expect(holdOf(decisionIn(6 * MINUTE), 'd0')).toMatchObject({ reason: 'UNSUPPORTED', evidence });
    expect(changesIn(decisionIn(5 * MINUTE))).toEqual(['d0']);
  });

  it('retirement, from its day on', () => {
    const world = settledOn(spec('1', { rollouts: together }));
    world.commit(spec('2', { rollouts: together, devices: devices(5, (index) => (index === 1 ? { retiredFrom: START } : {})) }));
    const { decision } = step(world);
    expect(holdOf(decision, 'd1')).toMatchObject({ reason: 'UNMANAGED' });
    expect(changesIn(decision)).not.toContain('d1');
  });
});

describe('personal changes', () => {
  const config = { versions: { firmware: '1', config: 'a' } };
  const tipped = (count: number, tip: string): RevisionSpec['devices'] =>
    devices(8, (index) => ({ values: index >= 1 && index <= count ? { tip } : { tip: '0.2' } }));

  it('go at once, up to the limit', () => {
    const world = settledOn(spec('1', { group: config, devices: tipped(0, '0.2') }));
    world.commit(spec('1', { commit: 'personal', group: config, devices: tipped(5, '0.5') }));
    const { decision } = step(world);
    expect(changesIn(decision)).toEqual(['d1', 'd2', 'd3', 'd4', 'd5']);
    expect(kindsOf(decision)).toEqual(['devices-began']);
    step(world);
    expect(step(world).decision).toMatchObject({ events: [], held: [] });
  });

  it('above the limit are a rollout to a release of their own, in waves', () => {
    const rollouts = { careful: { waves: [wave('canary', { count: 2 }), wave('rest')] } };
    const world = settledOn(spec('1', { group: config, rollouts, devices: tipped(0, '0.2') }));
    world.commit(spec('1', { commit: 'personal', group: config, rollouts, devices: tipped(6, '0.5') }));
    const first = step(world);
    expect(kindsOf(first.decision)).toContain('rollout-began');
    expect(changesIn(first.decision)).toHaveLength(2);
    expect(rollout(world)?.to).not.toBe(rollout(world)?.declared);
    for (let pass = 0; pass < 4; pass += 1) step(world);
    expect(step(world).decision).toMatchObject({ events: [], admitted: [], held: [] });
    expect(lineage(world)).toEqual(['personal']);
    expect(world.view.groups.get(MET)?.past.at(-1)).toMatchObject({ end: 'completed' });
  });

  it.each([
    ['up to the limit go beside the waves of a release that changes with them', 3, ['d0', 'd1', 'd2', 'd3']],
    ['above the limit wait for the waves of a release that changes with them', 6, ['d0']],
  ])('%s', (_name, count, told) => {
    const rollouts = { careful: { waves: [wave('canary', { select: labelled('ring', 'canary') }), wave('rest')] } };
    const newer = { versions: { firmware: '2', config: 'a' } };
    const world = settledOn(spec('1', { group: config, rollouts, devices: tipped(0, '0.2') }));
    world.commit(spec('2', { group: newer, rollouts, devices: tipped(count, '0.5') }));
    const { decision } = step(world);
    expect(changesIn(decision).toSorted()).toEqual(told);
    for (let pass = 0; pass < 6; pass += 1) step(world);
    expect(step(world).decision).toMatchObject({ events: [], admitted: [], held: [] });
    for (const [id, { effects }] of world.devices) expect([id, effects.length]).toEqual([id, id > 'd0' && id <= `d${count}` ? 2 : 1]);
  });

  it('lift a verdict on their device in the very pass that brings them', () => {
    const world = settledOn(spec('1', { group: config, devices: tipped(0, '0.2') }));
    const newer = { versions: { firmware: '2', config: 'a' } };
    world.commit(spec('2', { group: newer, devices: tipped(0, '0.2') }));
    world.device('d0').behaviour = 'boots-back';
    for (let pass = 0; pass < 3; pass += 1) step(world);
    expect(holdOf(step(world).decision, 'd0')).toMatchObject({ reason: 'FAILED' });
    const release = world.declared.groups.get(MET)?.release.id;
    if (release === undefined) throw new Error('no such group');
    const approvals = [{ group: MET, release, unblock: true }];
    world.commit(spec('2', { commit: 'unblocked', group: newer, approvals, devices: tipped(0, '0.2') }));
    for (let pass = 0; pass < 3; pass += 1) step(world);
    const other = devices(8, (index) => ({ values: { tip: index === 0 ? '0.9' : '0.2' } }));
    world.commit(spec('2', { commit: 'other', group: newer, approvals, devices: other }));
    expect(changesIn(step(world).decision)).toContain('d0');
  });

  it('that fail in waves halt, and their revert brings the devices home', () => {
    const rollouts = { careful: { waves: [wave('canary', { count: 2, gate: { quorum: 1 } }), wave('rest')] } };
    const world = settledOn(spec('1', { group: config, rollouts, devices: tipped(0, '0.2') }));
    world.commit(spec('1', { commit: 'personal', group: config, rollouts, devices: tipped(6, '0.5') }));
    step(world);
    const [first = '', second = ''] = rollout(world)?.waves[0]?.members ?? [];
    world.device(second).behaviour = 'boots-back';
    expect(kindsOf(step(world).decision)).toContain('rollout-halted');
    expect(world.device(first).values.get('config')).toBe('a tip 0.5');
    world.device(second).behaviour = 'good';
    world.commit(spec('1', { commit: 'revert', group: config, rollouts, devices: tipped(0, '0.2') }));
    const back = step(world);
    expect(kindsOf(back.decision).slice(0, 2)).toEqual(['rollout-stopped', 'rollout-began']);
    expect(rollout(world)).toMatchObject({ direction: 'rollback' });
    expect(changesIn(back.decision)).toEqual([first]);
    step(world);
    expect(step(world).decision).toMatchObject({ events: [], admitted: [], held: [] });
  });
});

describe('groups that pass as one', () => {
  const two = (firmware: string): RevisionSpec => ({
    ...spec(firmware),
    devices: [...devices(3), ...devices(3).map((device) => ({ ...device, id: `e${device.id}`, group: 'east' }))],
    groups: { met: { versions: { firmware } }, east: { versions: { firmware } } },
    rollouts: { careful: { together: true, waves: [wave('canary', { select: labelled('ring', 'canary') }), wave('rest')] } },
  });

  it('wait for each other at each wave', () => {
    const world = settledOn(two('1'));
    world.commit(two('2'));
    world.tick(MINUTE);
    world.pass();
    world.device('ed0').online = false;
    const waiting = step(world);
    expect(waiting.decision.admitted).toEqual([]);
    expect(holdOf(waiting.decision, 'd1')).toMatchObject({ reason: 'WAITS_FOR_GROUP' });
    world.device('ed0').online = true;
    expect(changesIn(step(world).decision)).toEqual(['d1', 'd2', 'ed1', 'ed2']);
  });

  it('are all halted by one failure', () => {
    const world = settledOn(two('1'));
    world.commit(two('2'));
    world.device('ed0').behaviour = 'boots-back';
    step(world);
    step(world);
    expect([...world.view.groups.values()].map((group) => group.rollout?.phase)).toEqual(['halted', 'halted']);
  });
});

describe('an operation that takes a way back away', () => {
  it('waits until each device of the group is proven, and names those that are not', () => {
    const family = modelledFamily('push');
    const world = makeWorld(both('1'), 'push', {
      ...family,
      operations: (request) => {
        const { drafts, impossible } = family.operations(request);
        return { drafts: drafts.map((draft) => (draft.item === 'config' ? { ...draft, onceAllCarry: 'firmware' } : draft)), impossible };
      },
    });
    world.tick(MINUTE);
    world.pass({ genesis: true });
    world.commit(both('2'));
    world.device('d1').online = false;
    step(world);
    const waiting = step(world);
    expect(waiting.decision.admitted).toEqual([]);
    expect(holdOf(waiting.decision, 'd0')).toMatchObject({
      reason: 'WAITS_FOR_GROUP',
      evidence: 'not yet proven to carry firmware: d1',
    });
    world.device('d1').online = true;
    expect(changesIn(step(world).decision)).toEqual(['d1']);
    expect(changesIn(step(world).decision)).toEqual(['d0', 'd1', 'd2']);
  });

  function both(version: string): RevisionSpec {
    return {
      ...spec(version),
      devices: devices(3),
      groups: { met: { versions: { firmware: version, config: version } } },
      rollouts: { careful: { waves: [wave('all')] } },
    };
  }
});

describe('the gate of a wave', () => {
  it('is written as the defaults that tests build on', () => {
    expect(GATE.quorum).toBe(0.8);
  });
});
