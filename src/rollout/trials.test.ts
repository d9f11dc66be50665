import { describe, expect, it } from 'vitest';
import { groupName } from '#model/ids.ts';
import type { Confirmation, OpenOperation, OperationDraft } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsRequest } from '#ports/family.ts';
import {
  START,
  changesIn,
  holdOf,
  kindsOf,
  labelled,
  makeWorld,
  MINUTE,
  modelledFamily,
  slots,
  wave,
  type PassOptions,
  type RevisionSpec,
  type World,
} from '#test/support/rollout-world.ts';

const MET = groupName('met');
const FAMILY = modelledFamily('push');

/** A device tries a firmware out (`2 on trial`) until it is told to keep it, or runs the old one again. */
const TRIES = modelledFamily('push', {
  attention: { withinMs: 10 * MINUTE },
  operations: (request) => ({ drafts: FAMILY.operations(request).drafts.map((draft) => stepOf(draft, request)), impossible: [] }),
  confirm: (open, reported) => confirmed(open, reported),
});

function stepOf(draft: OperationDraft, { reported }: OperationsRequest): OperationDraft {
  if (draft.expected === `${draft.declared} on trial`) {
    const healthySince = reported.signs.findLast(({ code }) => code === 'TAKEN')?.at ?? 0;
    return { ...draft, step: 'commit', disturbs: false, completes: { step: 'update', healthySince } };
  }
  if (draft.expected?.endsWith(' on trial') === true)
    return { ...draft, step: 'revert', completes: { step: 'update', healthySince: null } };
  return { ...draft, step: 'update', declared: `${draft.declared} on trial` };
}

function confirmed(open: OpenOperation, reported: ReportedDevice): Confirmation {
  const { operation, reference, intendedAt } = open;
  const item = reported.items[operation.item];
  const value = item?.kind === 'value' ? item.value : '';
  const taken = reported.signs.findLast(({ at }) => at !== null && at > (reference ?? intendedAt))?.at ?? open.takenAt;
  if (operation.step !== 'update') return FAMILY.confirm(open, reported);
  if (taken !== null && value === operation.expected)
    return { kind: 'failed', code: 'ROLLED_BACK', evidence: `runs ${value} again`, isBack: true };
  if (operation.declared === `${value} on trial`) return { kind: 'confirmed', evidence: `reports ${value}` };
  return { kind: 'open', phase: 'VERIFYING', takenAt: taken, oldValueSeenAt: null, evidence: `reports ${value}` };
}

function spec(firmware: string, change: Partial<RevisionSpec> = {}): RevisionSpec {
  const noRise = { measure: 'errors', test: 'no-rise', value: null } as const;
  return {
    commit: firmware,
    devices: [{ id: 'd0' }, { id: 'd1' }],
    groups: { met: { versions: { firmware }, health: [noRise], silenceMs: 60 * MINUTE } },
    rollouts: { careful: { waves: [wave('first', { count: 1 }), wave('rest')] } },
    ...change,
  };
}

function begun(change: Partial<RevisionSpec> = {}): World {
  const world = makeWorld(spec('1', change), 'push', TRIES);
  world.tick(MINUTE);
  world.pass({ genesis: true });
  world.commit(spec('2', change));
  return world;
}

/** What was sent is done at once; reports come again right before the pass. */
function step(world: World, ms = MINUTE, options: PassOptions = {}): ReturnType<World['pass']> {
  world.tick(1);
  world.tick(ms - 1);
  return world.pass(options);
}

const stepsIn = (result: ReturnType<World['pass']>): readonly string[] =>
  result.decision.admitted.map(({ operation }) => `${operation.device} ${operation.step}`);

function canary(world: World): string {
  const [device] = changesIn(step(world).decision);
  if (device === undefined) throw new Error('nothing began');
  return device;
}

describe('a device that tries a firmware out', () => {
  it('is told to keep it beside the open step, and both end together', () => {
    const world = begun();
    const device = canary(world);
    const second = step(world);
    expect(stepsIn(second)).toEqual([`${device} commit`]);
    expect(second.decision.closed).toEqual([]);
    const third = step(world);
    expect(third.decision.closed.map(({ closing }) => closing)).toEqual(['succeeded', 'succeeded']);
    expect(world.device(device).values.get('firmware')).toBe('2');
    expect(world.view.groups.get(MET)?.rollout?.outcomes.get(world.device(device).id)?.kind).toBe('succeeded');
  });

  it('is not told so while it is not well, and its way back by itself is the verdict', () => {
    const world = begun();
    const id = canary(world);
    const device = world.device(id);
    device.errors = 7;
    for (let minute = 0; minute < 3; minute += 1) {
      const { decision } = step(world);
      expect(decision.admitted).toEqual([]);
      expect(holdOf(decision, id)).toMatchObject({
        reason: 'CONDITIONS_NOT_MET',
        evidence: 'on trial, and errors is 7, was 0 before the change',
      });
    }
    device.values.set('firmware', '1');
    const last = step(world);
    expect(last.decision.closed).toMatchObject([{ closing: 'failed', code: 'ROLLED_BACK' }]);
    expect(world.view.groups.get(MET)?.rollout?.phase).toBe('halted');
    expect(step(world).decision.admitted).toEqual([]);
  });

  it('is told to keep it by a new engine that plans more elsewhere, and that nobody has accepted', () => {
    const world = begun();
    const device = canary(world);
    const second = step(world, MINUTE, { grown: true });
    expect(stepsIn(second)).toEqual([`${device} commit`]);
    expect(step(world, MINUTE, { grown: true }).decision.closed.map(({ closing }) => closing)).toEqual(['succeeded', 'succeeded']);
    expect(world.view.groups.get(MET)?.rollout?.outcomes.get(world.device(device).id)?.kind).toBe('succeeded');
  });

  it('counts as converged in the pass that ends its way back', () => {
    const world = begun({ rollouts: { careful: { waves: [wave('all')], budget: [slots(1)] } } });
    const device = canary(world);
    world.device(device).errors = 7;
    step(world);
    world.commit(spec('1'));
    expect(stepsIn(step(world))).toEqual([`${device} revert`]);
    const last = step(world);
    expect(last.decision.closed.map(({ closing }) => closing)).toEqual(['superseded', 'succeeded']);
    expect(kindsOf(last.decision)).toContain('rollout-completed');
    expect(last.plan.groups).toMatchObject([{ devices: 2, converged: 2 }]);
  });

  it('waits for a reading that was made since', () => {
    const world = begun({
      groups: { met: { versions: { firmware: '2' }, health: [{ measure: 'selfTest', test: 'equals', value: 'ok' }] } },
    });
    world.commit({
      ...spec('2'),
      groups: { met: { versions: { firmware: '3' }, health: [{ measure: 'selfTest', test: 'equals', value: 'ok' }] } },
    });
    const id = canary(world);
    expect(holdOf(step(world).decision, id)?.evidence).toBe('on trial, and selfTest was not reported since the change');
  });

  it('is told to keep it though its window has closed since', () => {
    const minutes = new Date(START).getUTCHours() * 60;
    const span = { days: [1, 2, 3, 4, 5, 6, 7], from: minutes, to: minutes + 3 };
    const place = { file: 'world.yaml', line: 1, column: 1 };
    const windows = [{ name: 'short', place, zone: 'UTC', allow: [span], deny: [], marginMs: 0 }];
    const world = begun({ windows, rollouts: { careful: { waves: [wave('all')], windows: ['short'] } } });
    expect(stepsIn(step(world))).toEqual(['d0 update', 'd1 update']);
    expect(stepsIn(step(world, 5 * MINUTE))).toEqual(['d0 commit', 'd1 commit']);
  });

  it('is not told so once the rollout is halted', () => {
    const world = begun({ rollouts: { careful: { waves: [wave('all')] } } });
    step(world);
    world.tick(1);
    for (const id of ['d0', 'd1']) world.device(id).errors = 1;
    step(world);
    world.device('d0').values.set('firmware', '1');
    world.device('d1').errors = 0;
    const { decision } = step(world);
    expect(decision.admitted).toEqual([]);
    expect(holdOf(decision, 'd1')?.reason).toMatch(/HALTED|RELEASE_BLOCKED/);
    // It goes back because nobody may commit it: that is no failure of its own, and it begins again when the halt is over.
    world.device('d1').values.set('firmware', '1');
    expect(step(world).decision.closed.map(({ device, closing, code }) => [device, closing, code])).toEqual([
      ['d1', 'superseded', 'ROLLED_BACK'],
    ]);
    const outcomes = world.view.groups.get(MET)?.rollout?.outcomes;
    expect([outcomes?.get(world.device('d0').id)?.kind, outcomes?.get(world.device('d1').id)]).toEqual(['failed', undefined]);
    const release = world.declared.groups.get(MET)?.release.id ?? '';
    world.commit({
      ...spec('2'),
      rollouts: { careful: { waves: [wave('all')] } },
      approvals: [{ group: MET, release, unblock: true, reason: 'd0 was repaired' }],
    });
    expect(stepsIn(step(world))).toEqual(['d1 update']);
  });

  it('goes back where the old release is declared again, which is no verdict on the new one', () => {
    const world = begun();
    const id = canary(world);
    world.device(id).errors = 1;
    step(world);
    world.commit(spec('1'));
    expect(stepsIn(step(world))).toEqual([`${id} revert`]);
    const { decision } = step(world);
    expect(decision.closed.map(({ closing, code }) => [closing, code])).toEqual([
      ['superseded', 'ROLLED_BACK'],
      ['succeeded', null],
    ]);
    expect(world.device(id).values.get('firmware')).toBe('1');
  });
});

describe('a trial that nobody means to end well', () => {
  const all = { rollouts: { careful: { waves: [wave('all')] } }, devices: [{ id: 'd0' }] };

  it('is no verdict where we told it to go back, even from the present release', () => {
    const world = begun();
    const id = canary(world);
    step(world);
    world.commit(spec('1'));
    step(world);
    expect(stepsIn(step(world))).toEqual([`${id} update`]);
    world.commit(spec('3'));
    expect(stepsIn(step(world))).toEqual([`${id} revert`]);
    world.tick(1);
    world.device(id).values.set('firmware', '2');
    expect(step(world).decision.closed).toMatchObject([{ closing: 'superseded', code: 'ROLLED_BACK' }]);
    expect(world.view.devices.get(world.device(id).id)?.failed?.size ?? 0).toBe(0);
  });

  it('is no verdict where the release is declared again after we told it to go back', () => {
    const world = begun();
    const id = canary(world);
    world.device(id).errors = 1;
    step(world);
    world.commit(spec('1'));
    expect(stepsIn(step(world))).toEqual([`${id} revert`]);
    world.commit(spec('2'));
    expect(step(world).decision.closed.map(({ closing, code }) => [closing, code])).toContainEqual(['superseded', 'ROLLED_BACK']);
  });

  it('is told nothing while it is frozen, goes back, and begins again afterwards', () => {
    const world = begun(all);
    expect(stepsIn(step(world))).toEqual(['d0 update']);
    world.commit(spec('2', { ...all, devices: [{ id: 'd0', frozen: true }] }));
    const frozen = step(world);
    expect([stepsIn(frozen), holdOf(frozen.decision, 'd0')?.reason]).toEqual([[], 'FROZEN']);
    world.device('d0').values.set('firmware', '1');
    expect(step(world).decision.closed).toMatchObject([{ closing: 'superseded', code: 'ROLLED_BACK' }]);
    world.commit(spec('2', all));
    expect(stepsIn(step(world))).toEqual(['d0 update']);
    expect(world.view.groups.get(MET)?.blocked).toEqual([]);
  });

  it('ends well where it keeps a device on its present release, whatever is declared for later waves', () => {
    const waves = { rollouts: { careful: { waves: [wave('first', { select: labelled('ring', 'canary') }), wave('rest')] } } };
    const change = { ...waves, devices: [{ id: 'd0', labels: { ring: 'canary' } }, { id: 'd1' }] };
    const world = makeWorld(spec('1', change), 'push', TRIES);
    world.tick(MINUTE);
    world.pass({ genesis: true });
    step(world);
    world.device('d0').online = false;
    world.commit(spec('2', change));
    step(world);
    world.device('d1').values.set('firmware', '0');
    expect(stepsIn(step(world))).toEqual(['d1 update']);
    expect(stepsIn(step(world))).toEqual(['d1 commit']);
    step(world);
    expect(world.device('d1').values.get('firmware')).toBe('1');
  });
});

describe('an offer that may have gone out', () => {
  it('holds its slot until it is known, as long as the device is there', () => {
    const offering = modelledFamily('offer');
    const family = modelledFamily('offer', {
      operations: (request) => ({
        drafts: offering.operations(request).drafts.map((draft) => ({ ...draft, prompt: true as const })),
        impossible: [],
      }),
    });
    const first = (id: string): Partial<RevisionSpec> => ({
      devices: ['d0', 'd1'].map((one) => ({ id: one, labels: { ring: one === id ? 'canary' : 'rest' } })),
      rollouts: { careful: { waves: [wave('first', { select: labelled('ring', 'canary') }), wave('rest')], budget: [slots(1)] } },
    });
    const world = makeWorld(spec('1', first('d1')), 'offer', family);
    world.tick(MINUTE);
    world.pass({ genesis: true });
    world.commit(spec('2', first('d1')));
    expect(changesIn(step(world).decision)).toEqual(['d1']);
    expect(changesIn(step(world).decision)).toEqual(['d0']);
    step(world);
    world.fails = () => 'crash-after';
    world.commit(spec('1', first('d1')));
    expect(changesIn(step(world).decision)).toEqual(['d1']);
    world.fails = () => null;
    world.commit(spec('3', first('d0')));
    world.now += 1000;
    const { decision } = world.look();
    expect([changesIn(decision), holdOf(decision, 'd0')?.reason]).toEqual([[], 'BUDGET_SPENT']);
    world.device('d1').online = false;
    expect(changesIn(world.look().decision)).toEqual(['d0']);
  });
});

describe('what needs a second step in time', () => {
  it.each([
    { says: 'the family', attentionMs: undefined, held: true },
    { says: 'the operation: sooner', attentionMs: 2 * MINUTE, held: true },
    { says: 'the operation: much later', attentionMs: 200 * MINUTE, held: false },
    { says: 'the operation: never', attentionMs: null, held: false },
  ])('is held where nobody is sure to come by then, as $says says', ({ attentionMs, held }) => {
    const family = modelledFamily('push', {
      attention: { withinMs: 10 * MINUTE },
      operations: (request) => {
        const { drafts, impossible } = FAMILY.operations(request);
        return { drafts: drafts.map((draft) => ({ ...draft, ...(attentionMs === undefined ? {} : { attentionMs }) })), impossible };
      },
    });
    const world = makeWorld(spec('1'), 'push', family);
    world.tick(MINUTE);
    world.pass({ genesis: true });
    world.commit(spec('2'));
    world.tick(MINUTE);
    const { decision } = world.look({ nextPassMs: 60 * MINUTE });
    expect(decision.admitted.length).toBe(held ? 0 : 1);
    expect(decision.held.some(({ reason }) => reason === 'UNSUPPORTED')).toBe(held);
  });
});

describe('a device that somebody else has put on trial', () => {
  /** What is on trial by somebody else can be told nothing until that is over. */
  const OCCUPIED = modelledFamily('push', {
    operations: (request) => {
      const { reported } = request;
      const item = reported.items.firmware;
      if (item?.kind !== 'value' || !item.value.endsWith(' on trial')) return FAMILY.operations(request);
      return { drafts: [], impossible: [{ item: 'firmware', reason: 'PRECONDITION_MOVED', evidence: 'TRIAL' }] };
    },
  });

  it('belongs to its wave, which waits for it: the rest does not go before the canary', () => {
    const canaries = {
      devices: [{ id: 'd0', labels: { ring: 'canary' } }, { id: 'd1' }],
      rollouts: { careful: { waves: [wave('canary', { select: labelled('ring', 'canary') }), wave('rest')] } },
    };
    const world = makeWorld(spec('1', canaries), 'push', OCCUPIED);
    world.tick(MINUTE);
    world.pass({ genesis: true });
    world.device('d0').values.set('firmware', '9 on trial');
    world.commit(spec('2', canaries));
    for (let pass = 0; pass < 3; pass += 1) expect(changesIn(step(world).decision)).toEqual([]);
    world.device('d0').values.set('firmware', '1');
    expect(changesIn(step(world).decision)).toEqual(['d0']);
    step(world);
    expect(changesIn(step(world).decision)).toEqual([]);
    expect(world.device('d1').values.get('firmware')).toBe('2');
  });
});
