import { digestOf } from '#kit/digest.ts';
import { foldRecords, emptyView } from '#ledger/fold.ts';
import type {
  ApprovalDeclaration,
  BudgetRule,
  Declared,
  DeclaredDevice,
  DeclaredItem,
  GateRules,
  GroupDeclaration,
  RolloutRules,
  WaveRules,
  WindowDeclaration,
} from '#model/declared.ts';
import { deviceId, digest, groupName, releaseId } from '#model/ids.ts';
import type { DeviceId, GroupName, Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { Delivery, OpenOperation, OperationDraft } from '#model/operation.ts';
import type { Plan } from '#model/plan.ts';
import type { LedgerView, OutcomeResult, RecordBody } from '#model/records.ts';
import type { ReportedDevice, ReportedItem, Sign } from '#model/reported.ts';
import type { Admitted, Decision } from '#model/rollout.ts';
import { makePlan } from '#plan/plan.ts';
import type { Family } from '#ports/family.ts';
import { reportedFor } from '#observe/reported.ts';
import { convergedRecords, decisionRecords, inventoryRecord, outcomeRecords } from '#reconcile/records.ts';
import { decide } from '#rollout/decide.ts';
import { applyRolloutEvent } from '#rollout/state.ts';

/**
 * A fleet, its ledger and its devices without any wire: plan, decide, fold and what the devices make of it, one pass
 * after the other on a virtual clock. For tests of rollouts over many passes.
 */
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const START = Date.parse('2026-11-23T09:00:00Z');
export const LOST_AFTER = 60 * MINUTE;
export const DEADLINE = 10 * MINUTE;
const PLACE = { file: 'world.yaml', line: 1, column: 1 };

/** What a device does with an operation. `brick` shows life when it takes it, and none after. */
export type Behaviour = 'good' | 'boots-back' | 'brick' | 'ignores' | 'deaf' | 'unhealthy';

export interface DeviceSpec {
  readonly id: string;
  readonly group?: string;
  readonly model?: string;
  readonly site?: string | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly values?: Readonly<Record<string, string>>;
  readonly serial?: string;
  readonly zone?: string;
  readonly frozen?: boolean;
  readonly retiredFrom?: Instant | null;
  readonly rollout?: string | null;
}

export interface GroupSpec {
  /** Versions by item: each is a part of the release. */
  readonly versions: Readonly<Partial<Record<ItemName, string>>>;
  readonly rollout?: string;
  readonly health?: GroupDeclaration['health'];
  readonly before?: GroupDeclaration['before'];
  readonly watchMs?: number;
  readonly after?: GroupDeclaration['after'];
  readonly silenceMs?: number;
  readonly drift?: DeclaredItem['drift'];
}

export interface RevisionSpec {
  readonly commit: string;
  readonly devices: readonly DeviceSpec[];
  readonly groups: Readonly<Record<string, GroupSpec>>;
  readonly rollouts?: Readonly<Record<string, Partial<RolloutRules>>>;
  readonly windows?: readonly WindowDeclaration[];
  readonly approvals?: readonly Partial<ApprovalDeclaration>[];
  readonly limits?: Partial<Declared['fleet']['limits']>;
}

export const GATE: GateRules = { success: 1, minimum: 1, quorum: 0.8, patienceMs: 14 * 24 * HOUR, then: 'ask', soakMs: 0 };

export function wave(name: string, change: Partial<Omit<WaveRules, 'gate'>> & { readonly gate?: Partial<GateRules> } = {}): WaveRules {
  return { name, place: PLACE, select: null, count: null, share: null, ...change, gate: { ...GATE, ...change.gate } };
}

export function labelled(label: string, value: string): NonNullable<WaveRules['select']> {
  return { all: false, family: null, model: null, ids: null, labels: { [label]: [value] }, groups: null, not: null };
}

function rules(name: string, change: Partial<RolloutRules> = {}): RolloutRules {
  return {
    name,
    place: PLACE,
    waves: [wave('all')],
    budget: [],
    windows: [],
    onFailure: 'halt',
    rollback: { waves: [wave('all')], windows: [] },
    together: false,
    ...change,
  };
}

export function slots(count: number, by: string | null = null): BudgetRule {
  return { max: { kind: 'count', count }, by };
}

export function revision(spec: RevisionSpec): Declared {
  const specs = spec.devices.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const devices = specs.map((device, row) => declaredDevice(spec, device, row));
  const rows = new Map(devices.map((device) => [device.id, device.row]));
  const groups = new Map(Object.entries(spec.groups).map(([name, group]) => [groupName(name), declaredGroup({ name, group, devices })]));
  const rollouts = { careful: {}, ...spec.rollouts };
  return {
    revision: {
      commit: spec.commit,
      tree: digest(digestOf(spec)),
      mergeTree: digest(digestOf({ ...spec, approvals: [], commit: '' })),
      subject: spec.commit,
      author: 'test',
      committedAt: 0,
    },
    fleet: {
      name: 'world',
      place: PLACE,
      branch: 'main',
      zone: 'UTC',
      ledger: { store: 'sqlite', path: 'ledger.db', id: 'world', lasting: true, place: PLACE },
      connections: new Map(),
      artifacts: { via: null, urls: 'direct', publicUrl: null },
      commitsMustBeSigned: false,
      limits: {
        change: 1,
        leave: 1000,
        personal: 5,
        operationsPerMinute: 120,
        maxAttempts: 3,
        passLimitMs: 5 * MINUTE,
        observeDeadlineMs: MINUTE,
        ...spec.limits,
      },
    },
    size: devices.length,
    deviceAt: (row) => {
      const found = devices[row];
      if (found === undefined) throw new RangeError(`no row ${row}`);
      return found;
    },
    rowOf: (id) => rows.get(id),
    groups,
    rollouts: new Map(Object.entries(rollouts).map(([name, change]) => [name, rules(name, change)])),
    windows: new Map((spec.windows ?? []).map((window) => [window.name, window])),
    overrides: [],
    approvals: (spec.approvals ?? []).map((approval) => ({
      place: PLACE,
      reason: 'seen to it',
      group: null,
      release: null,
      wave: null,
      unblock: false,
      again: [],
      merge: null,
      change: null,
      leave: null,
      ...approval,
    })),
    itemsUnder: (older, device) => {
      const group = device.group === null ? undefined : older.groups.get(device.group);
      const [first] = group?.rows ?? [];
      if (group === undefined || first === undefined) return undefined;
      // Items of these fleets depend on the group and on the device's values only.
      const versions = VERSIONS.get(group) ?? {};
      return itemsOf(versions, device.values, 'correct');
    },
  };
}

const VERSIONS = new WeakMap<GroupDeclaration, GroupSpec['versions']>();

function declaredDevice(spec: RevisionSpec, device: DeviceSpec, row: number): DeclaredDevice {
  const group = device.group ?? 'met';
  const owner = spec.groups[group];
  const values = device.values ?? {};
  const serial = device.serial ?? device.id;
  return {
    row,
    id: deviceId(device.id),
    place: PLACE,
    family: 'modelled',
    via: { connection: 'field', to: null },
    model: device.model ?? 'A',
    serial,
    address: null,
    site: device.site === undefined ? device.id : device.site,
    zone: device.zone ?? 'UTC',
    labels: device.labels ?? {},
    values,
    options: {},
    hardware: digest(digestOf(serial)),
    group: owner === undefined ? null : groupName(group),
    retiredFrom: device.retiredFrom ?? null,
    freeze: device.frozen === true ? { override: 'hold', reason: 'dye tracing', until: null } : null,
    rollout: device.rollout ?? null,
    items: itemsOf(owner?.versions ?? {}, values, owner?.drift ?? 'correct'),
    personal: digest(digestOf([values, serial])),
  };
}

function itemsOf(versions: GroupSpec['versions'], values: Readonly<Record<string, string>>, drift: DeclaredItem['drift']): DeclaredItem[] {
  return (['firmware', 'config'] as const).flatMap((item) => {
    const version = versions[item];
    if (version === undefined) return [];
    const own = item === 'config' && values['tip'] !== undefined ? ` tip ${values['tip']}` : '';
    return [
      {
        item,
        place: PLACE,
        version,
        artifact: `${item}@${version}`,
        part: `${item} ${item}@${version}`,
        value: `${version}${own}`,
        facts: null,
        content: null,
        needs: { firmware: null, neverBelow: null },
        drift,
      },
    ];
  });
}

function declaredGroup(request: {
  readonly name: string;
  readonly group: GroupSpec;
  readonly devices: readonly DeclaredDevice[];
}): GroupDeclaration {
  const { name, group, devices } = request;
  const parts = Object.entries(group.versions).map(([item, version]) => ({
    id: `${item} ${item}@${version}`,
    digest: digest(digestOf([item, version])),
  }));
  const declared: GroupDeclaration = {
    name: groupName(name),
    place: PLACE,
    release: { id: releaseId(digestOf(parts)), parts },
    rows: devices.filter((device) => device.group === name).map((device) => device.row),
    rollout: group.rollout ?? 'careful',
    silenceMs: group.silenceMs ?? 24 * HOUR,
    health: group.health ?? [],
    before: group.before ?? [],
    watchMs: group.watchMs ?? 0,
    after: group.after ?? null,
  };
  VERSIONS.set(declared, group.versions);
  return declared;
}

interface ModelledDevice {
  readonly id: DeviceId;
  readonly values: Map<ItemName, string>;
  online: boolean;
  bricked: boolean;
  behaviour: Behaviour;
  heardAt: Instant | null;
  signs: Sign[];
  battery: string;
  errors: number;
  /** Pushes that arrived and were not carried out yet. */
  inbox: Admitted['operation'][];
  /** What was really done, in order: `firmware=2`. */
  readonly effects: { readonly operation: string; readonly what: string }[];
}

export interface PassResult {
  readonly plan: Plan;
  readonly decision: Decision;
  readonly before: LedgerView;
  readonly after: LedgerView;
  readonly outcomes: readonly { readonly admitted: Admitted; readonly result: OutcomeResult }[];
}

export interface World {
  now: Instant;
  declared: Declared;
  view: LedgerView;
  readonly delivery: Delivery;
  readonly revisions: Map<string, Declared>;
  readonly devices: Map<string, ModelledDevice>;
  /** Untaken offers at the wire, by device and item. */
  readonly offers: Map<string, Admitted['operation']>;
  /** Answers in the place of performing: trouble of the wire, or a crash that leaves no outcome. */
  fails: (operation: Admitted['operation'], attempt: number) => 'trouble' | 'refused' | 'crash-before' | 'crash-after' | null;
  commit(spec: RevisionSpec): void;
  tick(ms: number): void;
  /** What would be decided now, without recording or doing any of it. */
  look(options?: PassOptions): { readonly plan: Plan; readonly decision: Decision };
  pass(options?: PassOptions): PassResult;
  device(id: string): ModelledDevice;
}

export interface PassOptions {
  readonly genesis?: boolean;
  readonly nextPassMs?: number | null;
  /** A new engine plans more than the one before, and nobody has accepted that. */
  readonly grown?: boolean;
}

export function makeWorld(spec: RevisionSpec, delivery: Delivery = 'push', family: Family = modelledFamily(delivery)): World {
  const families = new Map([['modelled', family]]);
  const first = revision(spec);
  const world: World = {
    now: START,
    declared: first,
    view: emptyView(),
    delivery,
    revisions: new Map([[spec.commit, first]]),
    devices: new Map(),
    offers: new Map(),
    fails: () => null,
    commit: (next) => {
      world.declared = revision(next);
      world.revisions.set(next.commit, world.declared);
      addDevices(world);
    },
    tick: (ms) => {
      world.now += ms;
      for (const device of world.devices.values()) live(world, device);
    },
    look: (options) => look(world, families, options ?? {}),
    pass: (options) => pass(world, families, options ?? {}),
    device: (id) => {
      const found = world.devices.get(id);
      if (found === undefined) throw new Error(`no such device: ${id}`);
      return found;
    },
  };
  addDevices(world);
  return world;
}

function addDevices(world: World): void {
  for (let row = 0; row < world.declared.size; row += 1) {
    const declared = world.declared.deviceAt(row);
    if (world.devices.has(declared.id)) continue;
    world.devices.set(declared.id, {
      id: declared.id,
      values: new Map(declared.items.map((item) => [item.item, item.value])),
      online: true,
      bricked: false,
      behaviour: 'good',
      heardAt: world.now,
      signs: [],
      battery: '12.6',
      errors: 0,
      inbox: [],
      effects: [],
    });
  }
}

/** A device that is awake fetches its offer, carries out what it was told, and reports. */
function live(world: World, device: ModelledDevice): void {
  if (!device.online || device.bricked) return;
  for (const [key, operation] of world.offers) {
    if (operation.device !== device.id || device.behaviour === 'deaf') continue;
    world.offers.delete(key);
    device.inbox.push(operation);
  }
  const inbox = device.inbox.splice(0);
  for (const operation of inbox) carryOut(world, device, operation);
  if (!device.bricked) device.heardAt = world.now;
}

function carryOut(world: World, device: ModelledDevice, operation: Admitted['operation']): void {
  if (device.bricked || device.behaviour === 'deaf') return;
  device.heardAt = world.now;
  device.signs.push({ code: 'TAKEN', item: operation.item, at: world.now, text: 'took it' });
  switch (device.behaviour) {
    case 'good':
    case 'unhealthy':
      device.values.set(operation.item, operation.declared);
      device.effects.push({ operation: operation.id, what: `${operation.item}=${operation.declared}` });
      if (device.behaviour === 'unhealthy') device.errors += 1;
      return;
    case 'boots-back':
      device.effects.push({ operation: operation.id, what: `${operation.item} tried` });
      device.signs.push({ code: 'BOOTED_BACK', item: operation.item, at: world.now, text: 'booted back' });
      return;
    case 'brick':
      device.effects.push({ operation: operation.id, what: `${operation.item} bricked it` });
      device.bricked = true;
      device.online = false;
      return;
    default:
      return;
  }
}

function reportOf(device: ModelledDevice): ReportedDevice {
  const items: Partial<Record<ItemName, ReportedItem>> = {};
  for (const [item, value] of device.values)
    items[item] = { kind: 'value', value, facts: null, madeNotBefore: device.heardAt, source: 'model' };
  return {
    device: device.id,
    serial: device.id,
    model: null,
    heardAt: device.heardAt,
    online: device.online && !device.bricked,
    gapMs: MINUTE,
    problem: null,
    items,
    measures: {
      battery: { value: device.battery, madeNotBefore: device.heardAt },
      errors: { value: String(device.errors), madeNotBefore: device.heardAt },
    },
    signs: device.signs.slice(-32),
    memo: {},
  };
}

function look(
  world: World,
  families: ReadonlyMap<string, Family>,
  options: PassOptions,
): { plan: Plan; decision: Decision; records: RecordBody[] } {
  const reports = [...world.devices.values()].map(reportOf);
  const { declared, view } = world;
  const planInput = { declared, reported: reportedFor(declared, reports), view, families, older: world.revisions };
  const plan = makePlan(planInput);
  const decision = decide({
    plan,
    declared,
    reported: planInput.reported,
    view,
    families,
    now: world.now,
    nextPassMs: options.nextPassMs ?? MINUTE,
    genesis: options.genesis ?? false,
    grown: options.grown ?? false,
  });
  const inventory = decision.mergeHeld === null ? inventoryRecord(declared, view) : null;
  const converged = convergedRecords(planInput);
  const { commit, tree } = declared.revision;
  const records: RecordBody[] = [
    ...(view.ledger === null ? [{ type: 'genesis', ledger: 'world', fleet: 'world', engine: '0' } as const] : []),
    ...(inventory === null ? [] : [inventory]),
    ...(decision.mergeHeld === null ? [{ type: 'pass', commit, tree, engine: '0', planned: 0, at: world.now } as const, ...converged] : []),
    ...decisionRecords(decision),
  ];
  return { plan, decision, records };
}

function pass(world: World, families: ReadonlyMap<string, Family>, options: PassOptions): PassResult {
  const before = world.view;
  const { plan, decision, records } = look(world, families, options);
  append(world, records);
  const outcomes = decision.admitted.flatMap((admitted) => {
    const result = perform(world, admitted);
    return result === null ? [] : [{ admitted, result }];
  });
  append(world, [...outcomeRecords(outcomes, world.now)]);
  return { plan, decision, before, after: world.view, outcomes };
}

function append(world: World, bodies: readonly RecordBody[]): void {
  let { seq } = world.view;
  const records = bodies.map((body) => {
    seq += 1;
    return { version: 1, seq, fencing: 1, prev: null, hash: digest(String(seq)), body } as const;
  });
  world.view = foldRecords(records, { event: applyRolloutEvent, from: world.view });
}

function perform(world: World, { operation, attempt }: Admitted): OutcomeResult | null {
  const fault = world.fails(operation, attempt);
  if (fault === 'crash-before') return null;
  if (fault === 'trouble') return { kind: 'trouble', code: 'UNREACHABLE', evidence: 'wire broke', retryAt: world.now + attempt * MINUTE };
  if (fault === 'refused') return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'BUSY: at somebody else’s update' };
  const key = `${operation.device} ${operation.item}`;
  const done = { kind: 'performed', reference: world.now, undo: null } as const;
  if (operation.kind === 'withdraw') {
    if (world.offers.get(key)?.id === operation.withdraws) world.offers.delete(key);
  } else if (operation.delivery === 'offer') {
    if (world.offers.get(key)?.id === operation.id) return { ...done, kind: 'already' };
    world.offers.set(key, operation);
  } else {
    const device = world.device(operation.device);
    if (device.online && !device.bricked) device.inbox.push(operation);
  }
  return fault === 'crash-after' ? null : done;
}

/** The least family with verdicts, signs and withdrawals: firmware before config. */
export function modelledFamily(delivery: Delivery, change: Partial<Family> = {}): Family {
  return {
    name: 'modelled',
    items: ['firmware', 'config'],
    measures: { battery: 'V', errors: '' },
    optionsSchema: {},
    settingsSchema: null,
    models: [],
    lint: () => [],
    series: () => null,
    compareVersions: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
    expectation: (_device, pin) => ({ ok: true, value: { value: pin.item, version: pin.item, facts: null, content: null } }),
    agrees: () => false,
    operations: ({ items, drifted, reported }) => ({
      drafts: items.filter((item) => drifted.includes(item.item)).map((item) => draftOf(item, reported.items[item.item], delivery)),
      impossible: [],
    }),
    confirm,
    withdrawal: ({ operation }) => [
      {
        ...draftBase(operation.item, 'offer'),
        step: `withdraw-${operation.item}`,
        kind: 'withdraw',
        declared: operation.expected ?? '',
        expected: operation.declared,
        disturbs: false,
      },
    ],
    lostAfterMs: () => LOST_AFTER,
    attention: null,
    reasons: { BOOTED_BACK: { class: 'verdict', text: 'booted the old one' } },
    ...change,
  };
}

function draftBase(
  item: ItemName,
  delivery: Delivery,
): Pick<OperationDraft, 'item' | 'delivery' | 'facts' | 'content' | 'deadlineMs' | 'effects'> {
  return { item, delivery, facts: null, content: null, deadlineMs: DEADLINE, effects: [] };
}

function draftOf(item: DeclaredItem, now: ReportedItem | undefined, delivery: Delivery): OperationDraft {
  const expected = now?.kind === 'value' ? now.value : null;
  return { ...draftBase(item.item, delivery), step: item.item, kind: 'change', declared: item.value, expected, disturbs: true };
}

function confirm(open: OpenOperation, reported: ReportedDevice): ReturnType<Family['confirm']> {
  const { operation } = open;
  if (operation.kind === 'withdraw') return { kind: 'confirmed', evidence: 'taken back' };
  const since = open.reference ?? open.intendedAt;
  const signs = reported.signs.filter((sign) => sign.item === operation.item && sign.at !== null && sign.at > since);
  if (signs.some((sign) => sign.code === 'BOOTED_BACK')) return { kind: 'failed', code: 'BOOTED_BACK', evidence: 'runs the old one again' };
  const item = reported.items[operation.item];
  const fresh = item?.kind === 'value' && item.madeNotBefore !== null && item.madeNotBefore > since;
  if (fresh && item.value === operation.declared) return { kind: 'confirmed', evidence: `reports ${item.value}` };
  const takenAt = signs[0]?.at ?? null;
  const phase = takenAt !== null ? 'VERIFYING' : operation.delivery === 'offer' ? 'OFFERED' : 'IN_FLIGHT';
  return { kind: 'open', phase, takenAt, oldValueSeenAt: fresh ? item.madeNotBefore : null, evidence: 'waiting' };
}

/** The one hold of a device, or undefined. */
export function holdOf(decision: Decision, device: string): Decision['held'][number] | undefined {
  return decision.held.find((hold) => hold.device === device);
}

export function changesIn(decision: Decision): readonly string[] {
  return decision.admitted.filter(({ operation }) => operation.kind === 'change').map(({ operation }) => operation.device);
}

export function kindsOf(decision: Decision, group?: GroupName): readonly string[] {
  return decision.events
    .filter((event) => group === undefined || (event.kind === 'rollout-began' ? event.rollout.group : event.group) === group)
    .map((event) => event.kind);
}
