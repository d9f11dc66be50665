import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BudgetRule, WaveRules } from '#model/declared.ts';
import { groupName } from '#model/ids.ts';
import type { DeviceId } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { GroupHistory, RolloutState, WaveState } from '#model/rollout.ts';
import { DEADLINE, HOUR, MINUTE, changesIn, labelled, makeWorld, wave } from '#test/support/rollout-world.ts';
import type { Behaviour, DeviceSpec, PassResult, RevisionSpec, World } from '#test/support/rollout-world.ts';

const RUNS = { numRuns: 1000 };
const MET = groupName('met');

/** One thing that happens to the fleet; a pass follows each. */
type Act =
  | { readonly kind: 'tick'; readonly ms: number }
  | { readonly kind: 'power' | 'freeze' | 'label' | 'leave' | 'drift' | 'tip'; readonly device: number }
  | { readonly kind: 'behave'; readonly device: number; readonly behaviour: Behaviour }
  | { readonly kind: 'commit'; readonly version: string }
  | { readonly kind: 'join' | 'unblock' }
  | { readonly kind: 'grown' }
  | { readonly kind: 'fault'; readonly fault: 'trouble' | 'refused' | 'crash-before' | 'crash-after' };

const index = fc.nat({ max: 9 });
const behaviour = fc.constantFrom<Behaviour[]>('good', 'good', 'boots-back', 'brick', 'ignores', 'deaf', 'unhealthy');
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.constantFrom(MINUTE, 11 * MINUTE, 2 * HOUR) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('power' as const), device: index }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('freeze' as const, 'label' as const, 'leave' as const, 'drift' as const, 'tip' as const),
      device: index,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('behave' as const), device: index, behaviour }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const), version: fc.constantFrom('1', '2', '3') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('join' as const, 'unblock' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('grown' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      fault: fc.constantFrom('trouble' as const, 'refused' as const, 'crash-before' as const, 'crash-after' as const),
    }),
  },
);

const gate = fc.record({
  success: fc.constantFrom(1, 0.8, 0.5),
  minimum: fc.constantFrom(0, 1, 3),
  quorum: fc.constantFrom(1, 0.8, 0.5),
  soakMs: fc.constantFrom(0, 5 * MINUTE),
  patienceMs: fc.constantFrom(HOUR, 100 * HOUR),
  then: fc.constantFrom('ask' as const, 'go-on' as const),
});
const rule: fc.Arbitrary<Partial<Omit<WaveRules, 'gate'>>> = fc.oneof(
  fc.constant({ select: labelled('ring', 'canary') }),
  fc.record({ count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ share: fc.constantFrom(0.1, 0.3, 0.5) }),
);
const budget: fc.Arbitrary<readonly BudgetRule[]> = fc.constantFrom<(readonly BudgetRule[])[]>(
  [],
  [{ max: { kind: 'count', count: 1 }, by: 'site' }],
  [{ max: { kind: 'share', share: 0.3 }, by: null }],
  [
    { max: { kind: 'count', count: 1 }, by: 'site' },
    { max: { kind: 'count', count: 2 }, by: null },
  ],
);
const setting = fc.record({
  devices: fc.array(
    fc.record({ model: fc.constantFrom('A', 'B'), site: fc.constantFrom('north', 'south', 'west'), canary: fc.boolean() }),
    {
      minLength: 1,
      maxLength: 8,
    },
  ),
  waves: fc.array(fc.record({ rule, gate }), { maxLength: 2 }),
  last: gate,
  budget,
  delivery: fc.constantFrom('push' as const, 'offer' as const),
  watchMs: fc.constantFrom(0, 3 * HOUR),
});

type Drawn = typeof setting extends fc.Arbitrary<infer Value> ? Value : never;

/** Two offers that were taken before anybody heard of it, both lost: more are down than have slots, and a new release comes. */
const BOTH_LOST: [Drawn, Act[]] = [
  {
    devices: [
      { model: 'A', site: 'north', canary: false },
      { model: 'A', site: 'north', canary: false },
    ],
    waves: [],
    last: { success: 1, minimum: 0, quorum: 1, soakMs: 0, patienceMs: HOUR, then: 'ask' },
    budget: [{ max: { kind: 'count', count: 1 }, by: 'site' }],
    delivery: 'offer',
    watchMs: 0,
  },
  [
    { kind: 'behave', device: 0, behaviour: 'brick' },
    { kind: 'behave', device: 1, behaviour: 'brick' },
    { kind: 'tick', ms: MINUTE },
    { kind: 'tick', ms: 2 * HOUR },
    { kind: 'commit', version: '3' },
    { kind: 'fault', fault: 'trouble' },
  ],
];

interface Story {
  readonly world: World;
  spec: RevisionSpec;
  /** Members of every wave as they were when it opened, by rollout and wave. */
  readonly opened: Map<string, readonly DeviceId[]>;
  commits: number;
  /** A new engine plans more in this pass, and nobody has accepted that. */
  grown: boolean;
}

function begin(drawn: Drawn): Story {
  const waves = [...drawn.waves.map((one, at) => wave(`w${at}`, { ...one.rule, gate: one.gate })), wave('rest', { gate: drawn.last })];
  const devices: readonly DeviceSpec[] = drawn.devices.map(({ model, site, canary }, at) => ({
    id: `d${at}`,
    model,
    site,
    labels: canary ? { ring: 'canary' } : {},
  }));
  const spec: RevisionSpec = {
    commit: 'c0',
    devices,
    groups: {
      met: {
        versions: { firmware: '1', config: 'a' },
        watchMs: drawn.watchMs,
        health: [{ measure: 'errors', test: 'no-rise', value: null }],
      },
    },
    rollouts: { careful: { waves, budget: drawn.budget } },
    limits: { personal: 2 },
  };
  const world = makeWorld(spec, drawn.delivery);
  world.tick(MINUTE);
  world.pass({ genesis: true });
  return { world, spec, opened: new Map(), commits: 0, grown: false };
}

function commit(story: Story, change: Partial<RevisionSpec>): void {
  story.commits += 1;
  story.spec = { ...story.spec, ...change, commit: `c${story.commits}` };
  story.world.commit(story.spec);
}

function changeDevice(story: Story, at: number, change: (device: DeviceSpec) => DeviceSpec | null): void {
  const devices = story.spec.devices.flatMap((device, place) => (place === at ? (change(device) ?? []) : [device]));
  if (devices.length > 0) commit(story, { devices });
}

/** Does it to the fleet. Everything a device holds in memory is gone when its power is. */
function happen(story: Story, doing: Act): void {
  const { world } = story;
  world.fails = () => null;
  story.grown = doing.kind === 'grown';
  const device = 'device' in doing ? world.devices.get(story.spec.devices[doing.device]?.id ?? '') : undefined;
  switch (doing.kind) {
    case 'tick':
      world.tick(doing.ms);
      return;
    case 'grown':
      world.tick(MINUTE);
      return;
    case 'power':
      if (device === undefined) return;
      device.online = !device.online;
      device.inbox.splice(0);
      return;
    case 'behave':
      if (device !== undefined) device.behaviour = doing.behaviour;
      return;
    case 'drift':
      device?.values.set('config', 'by hand');
      return;
    case 'freeze':
      changeDevice(story, doing.device, (one) => ({ ...one, frozen: one.frozen !== true }));
      return;
    case 'label':
      changeDevice(story, doing.device, (one) => ({ ...one, labels: one.labels?.['ring'] === undefined ? { ring: 'canary' } : {} }));
      return;
    case 'tip':
      changeDevice(story, doing.device, (one) => ({ ...one, values: one.values?.['tip'] === undefined ? { tip: '0.5' } : {} }));
      return;
    case 'leave':
      changeDevice(story, doing.device, () => null);
      return;
    case 'join':
      commit(story, { devices: [...story.spec.devices, { id: `late${story.commits}`, site: 'north' }] });
      return;
    case 'commit':
      commit(story, { groups: { met: { ...story.spec.groups['met'], versions: { firmware: doing.version, config: 'a' } } } });
      return;
    case 'unblock': {
      const release = world.declared.groups.get(MET)?.release.id ?? '';
      commit(story, { approvals: [{ group: MET, release, unblock: true, reason: `after ${story.commits}` }] });
      return;
    }
    default:
      world.tick(MINUTE);
      world.fails = (operation) => (operation.kind === 'change' ? doing.fault : null);
  }
}

function passOf({ world, grown }: Story): PassResult {
  return world.pass({ grown });
}

function rolloutOf(view: { readonly groups: ReadonlyMap<string, GroupHistory> }): RolloutState | null {
  return view.groups.get(MET)?.rollout ?? null;
}

function rolloutsOf(result: PassResult): readonly RolloutState[] {
  const { rollout = null, past = [] } = result.after.groups.get(MET) ?? {};
  return rollout === null ? past : [...past, rollout];
}

const checks: Record<string, (story: Story, result: PassResult) => void> = {
  /** Waves are disjoint, hold only what the release changes, and stay as they were when they opened. */
  waves: (story, result) => {
    for (const rollout of rolloutsOf(result)) {
      const all = rollout.waves.flatMap((one) => one.members ?? []);
      expect(new Set(all).size).toBe(all.length);
      const changed = new Set(rollout.changed);
      for (const id of all) expect(changed).toContain(id);
      for (const { name, members } of rollout.waves) {
        if (members === null) continue;
        const key = `${rollout.id} ${name}`;
        const before = story.opened.get(key);
        if (before === undefined) story.opened.set(key, members);
        else expect(members).toEqual(before);
      }
    }
  },

  /** When the last wave is open, every device that is still to change is in one, or came or was barred later. */
  cover: (story, result) => {
    for (const event of result.decision.events) {
      const rollout = rolloutOf({ groups: result.decision.groups });
      if (event.kind !== 'wave-opened' || rollout === null || rollout.waves.at(-1)?.name !== event.wave) continue;
      const members = new Set(rollout.waves.flatMap((one) => one.members ?? []));
      for (const id of rollout.changed) {
        const plan = result.plan.devices.find((one) => one.device === id);
        const row = story.world.declared.rowOf(id);
        if (plan === undefined || plan.converged || plan.impossible.length > 0 || row === undefined) continue;
        if (story.world.declared.deviceAt(row).freeze === null) expect(members).toContain(id);
      }
    }
  },

  /** A wave opens only when all before it have passed, and passes only as its gate says. */
  gates: (story, result) => {
    for (const rollout of rolloutsOf(result)) {
      for (const [at, one] of rollout.waves.entries()) {
        if (one.members !== null) for (const earlier of rollout.waves.slice(0, at)) expect(earlier.passedAt).not.toBeNull();
      }
    }
    for (const event of result.decision.events) {
      if (event.kind !== 'wave-passed' || (event.because !== 'gate' && event.because !== 'patience')) continue;
      const { rollout, past } = result.decision.groups.get(MET) ?? { rollout: null, past: [] };
      const state = rollout ?? past.at(-1);
      const one = state?.waves.find(({ name }) => name === event.wave);
      if (state !== undefined && one !== undefined) passedRightly(story, result, { state, one });
    }
  },

  /** What is called a success shows what is declared. */
  truth: (story, result) => {
    for (const event of result.decision.events) {
      if (event.kind !== 'device-outcomes') continue;
      for (const { device, outcome } of event.outcomes) {
        const row = story.world.declared.rowOf(device);
        if (outcome.kind !== 'succeeded' || row === undefined) continue;
        const { values } = story.world.device(device);
        for (const item of story.world.declared.deviceAt(row).items) expect(values.get(item.item)).toBe(item.value);
      }
    }
  },

  /** No admission takes a slot that is not there; no untaken offer stays where none is left. */
  budget: (story, result) => {
    const { declared } = story.world;
    for (const slot of declared.rollouts.get('careful')?.budget ?? []) {
      const keys = new Set(story.spec.devices.map((device) => keyOf(slot, device)));
      for (const key of keys) {
        const under = story.spec.devices.filter((device) => keyOf(slot, device) === key);
        const count = under.filter((device) => isBusy(story, result, device.id)).length;
        const slots = Math.max(1, slot.max.kind === 'count' ? slot.max.count : Math.floor(slot.max.share * declared.size + 1e-9));
        // One that is down counts already, and may be told what brings it back.
        const down = result.after.groups.get(MET)?.down;
        const fresh = result.decision.admitted.filter(
          ({ operation, attempt }) =>
            attempt === 1 &&
            operation.kind === 'change' &&
            down?.has(operation.device) !== true &&
            under.some((device) => device.id === operation.device),
        );
        if (fresh.length > 0) expect(count).toBeLessThanOrEqual(slots);
        if (count < slots) continue;
        const idle = [...story.world.offers.values()].filter(
          ({ device }) => under.some((one) => one.id === device) && !isBusy(story, result, device),
        );
        expect(idle.map((operation) => operation.device)).toEqual([]);
      }
    }
  },

  /** Folding the decision and deciding again says nothing new, unless it said that a pass must follow at once. */
  idempotent: (story, result) => {
    const { world } = story;
    if (bringsNews(result)) return;
    let last = result;
    for (let passes = 0; last.decision.wakeAt === world.now; passes += 1) {
      expect(passes).toBeLessThan(6);
      last = passOf(story);
      if (bringsNews(last)) return;
    }
    const { decision } = world.look({ grown: story.grown });
    expect(decision.events).toEqual([]);
    expect(decision.admitted).toEqual([]);
    expect(decision.closed).toEqual([]);
    expect(decision.taken).toEqual([]);
  },

  /** Each device that is not converged has one hold, or one operation that is on its way. */
  reasons: (_, { plan, decision }) => {
    const held = decision.held.map((hold) => hold.device);
    expect(new Set(held).size).toBe(held.length);
    expect(held).toEqual(held.toSorted());
    const going = changesIn(decision);
    expect(new Set(going).size).toBe(going.length);
    const all = new Set<string>([...held, ...going]);
    expect(all.size).toBe(held.length + going.length);
    for (const device of plan.devices) if (!device.converged) expect(all).toContain(device.device);
  },

  /** Nothing of a halted release is sent, and no offer of it lies untaken: but for what keeps a device on one that others return to. */
  halted: (story, result) => {
    const rollout = rolloutOf(result.after);
    if (rollout?.phase !== 'halted') return;
    const isOfIt = ({ kind, release, cause }: Operation): boolean =>
      kind === 'change' && release === rollout.to && (rollout.direction !== 'rollback' || cause === 'rollout');
    const sent = result.decision.admitted.filter(({ operation }) => isOfIt(operation));
    expect(sent).toEqual([]);
    expect([...story.world.offers.values()].filter(isOfIt).map(({ device }) => device)).toEqual([]);
  },

  /** What failed, in the same bytes, is given to nobody new until a person says so. */
  blocked: (_, { decision, after }) => {
    const failed = new Set(after.groups.get(MET)?.blocked.map(({ id }) => id));
    const given = decision.admitted.filter(
      ({ operation: { kind, cause, item, declared } }) =>
        kind === 'change' && cause !== 'drift' && failed.has(`${item} ${item}@${declared}`),
    );
    expect(given).toEqual([]);
  },

  /** Whatever is stopped: an offer that lies untaken leads to the release of a group that still wants it. */
  offers: (story, result) => {
    if (result.decision.mergeHeld !== null) return;
    const group = result.after.groups.get(MET);
    const wanted = new Set([
      group?.rollout?.to,
      group?.lineage.at(-1)?.release,
      story.world.declared.groups.get(MET)?.release.id,
      group?.past.at(-1)?.to,
    ]);
    for (const operation of story.world.offers.values()) {
      if (story.world.declared.rowOf(operation.device) !== undefined) expect(wanted).toContain(operation.release);
    }
  },

  /** A verdict on the release that rolls is an outcome of its rollout, in the very pass that records it. */
  verdicts: (_, { before, after, decision }) => {
    const rollout = rolloutOf(after);
    for (const { operation: id, device, closing } of decision.closed) {
      const open = before.open.get(device)?.find(({ operation }) => operation.id === id);
      if (closing !== 'failed' && closing !== 'quarantined') continue;
      if (rollout === null || open?.operation.release !== rollout.to || rolloutOf(before)?.id !== rollout.id) continue;
      expect(rollout.outcomes.get(device)?.kind).toBe('failed');
    }
  },

  /** What a new engine would newly begin waits; what is under way goes on. */
  growth: (story, { before, decision }) => {
    if (!story.grown) return;
    const known = new Set([...before.open.values()].flat().map(({ operation }) => operation.id));
    for (const { operation } of decision.admitted) if (operation.kind === 'change') expect(known).toContain(operation.id);
    for (const event of decision.events) {
      expect(event.kind).not.toBe('rollout-began');
      if (event.kind === 'wave-opened') expect(event.members).toEqual([]);
    }
  },

  /** No effect twice at a device. */
  effects: (story) => {
    for (const { effects } of story.world.devices.values()) {
      const ids = effects.map((effect) => effect.operation);
      expect(new Set(ids).size).toBe(ids.length);
    }
  },
};

/** Whether the next decision hears news of this pass: an outcome that was not recorded, or met trouble. */
function bringsNews({ decision, outcomes }: PassResult): boolean {
  return (
    outcomes.length < decision.admitted.length || outcomes.some(({ result }) => result.kind === 'trouble' || result.kind === 'refused')
  );
}

function passedRightly(story: Story, result: PassResult, passed: { readonly state: RolloutState; readonly one: WaveState }): void {
  const { state, one } = passed;
  const rules = story.world.declared.rollouts.get('careful');
  const waves = state.direction === 'rollback' ? rules?.rollback.waves : rules?.waves;
  const gateRules = waves?.find(({ name }) => name === one.name)?.gate;
  if (gateRules === undefined || one.metAt === null || one.passedAt === null) throw new Error('passed without a gate');
  expect(one.passedAt - one.metAt).toBeGreaterThanOrEqual(gateRules.soakMs);
  let succeeded = 0;
  let failed = 0;
  let open = 0;
  for (const id of one.members ?? []) {
    const row = story.world.declared.rowOf(id);
    if (row !== undefined && story.world.declared.deviceAt(row).freeze !== null) continue;
    const outcome = state.outcomes.get(id);
    if (outcome?.kind === 'succeeded') succeeded += 1;
    else if (outcome?.kind === 'failed' && outcome.at > (state.resumedAt ?? 0)) {
      failed += 1;
      expect(outcome.at).toBeLessThanOrEqual(one.passedAt - gateRules.soakMs);
    } else if (outcome === undefined && row !== undefined) {
      const plan = result.plan.devices.find((device) => device.device === id);
      if (plan === undefined || plan.impossible.length === 0) open += 1;
    }
  }
  expect(succeeded).toBeGreaterThanOrEqual(gateRules.success * (succeeded + failed) - 1e-9);
  const late = one.openedAt !== null && one.passedAt - one.openedAt >= gateRules.patienceMs;
  if (!late) expect(succeeded + failed).toBeGreaterThanOrEqual(gateRules.quorum * (succeeded + failed + open) - 1e-9);
}

function keyOf(slot: BudgetRule, device: DeviceSpec): string {
  return slot.by === null ? 'met' : (device.site ?? device.id);
}

/** Told apart from decide: an open push that is not known to have come to nothing, an offer since which it was heard. */
function isBusy({ world }: Story, result: PassResult, id: string): boolean {
  const device = world.device(id);
  const history = result.after.groups.get(MET);
  if (history?.down?.has(device.id) === true) return true;
  const { heardAt } = device;
  const open = result.after.open.get(device.id) ?? [];
  return open.some((one) => one.operation.kind === 'change' && disturbs(one, { heardAt, now: world.now }));
}

function disturbs(open: OpenOperation, { heardAt, now }: { readonly heardAt: number | null; readonly now: number }): boolean {
  const since = open.reference ?? open.intendedAt;
  const alive = open.takenAt !== null || (heardAt !== null && heardAt > since);
  return open.operation.delivery === 'push' ? alive || now < since + DEADLINE : alive && open.reference !== null;
}

describe('any history of a fleet', () => {
  for (const [name, check] of Object.entries(checks)) {
    it(`keeps the rule of ${name}`, { timeout: 120_000 }, () => {
      fc.assert(
        fc.property(setting, fc.array(act, { minLength: 4, maxLength: 24 }), (drawn, acts) => {
          const story = begin(drawn);
          for (const doing of [{ kind: 'commit', version: '2' } as const, ...acts]) {
            happen(story, doing);
            check(story, passOf(story));
          }
        }),
        { ...RUNS, examples: [BOTH_LOST] },
      );
    });
  }

  it('in which all devices are good and awake ends with the release everywhere, once', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(setting, (drawn) => {
        const story = begin(drawn);
        happen(story, { kind: 'commit', version: '2' });
        for (let pass = 0; pass < 60; pass += 1) {
          story.world.pass();
          story.world.tick(6 * MINUTE);
        }
        const last = story.world.pass();
        expect(last.decision).toMatchObject({ admitted: [], held: [] });
        expect(last.after.groups.get(MET)?.lineage.map((entry) => entry.commit)).toEqual(['c0', 'c1']);
        for (const device of story.world.devices.values()) expect(device.effects.map((effect) => effect.what)).toEqual(['firmware=2']);
      }),
      { numRuns: 300 },
    );
  });
});
