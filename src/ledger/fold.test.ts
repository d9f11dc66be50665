import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeviceId, type Digest, deviceId, digest, groupName, operationId, releaseId } from '#model/ids.ts';
import type { OperationRecord } from '#model/operation.ts';
import type { LedgerRecord, LedgerView, OutcomeResult, RecordBody } from '#model/records.ts';
import type { GroupHistory, RolloutEvent } from '#model/rollout.ts';
import { sealRecords, EMPTY_HEAD } from './chain.ts';
import { emptyView, foldRecords } from './fold.ts';

const GROUP = groupName('upland-met');
const RELEASE = releaseId('7f3c1a9');

function hash(text: string): Digest {
  return digest(text.repeat(64).slice(0, 64));
}

/** Stands for rollout's reducer: counts the halts it is handed, so that a test sees which group was given what. */
function countHalts(history: GroupHistory, event: RolloutEvent): GroupHistory {
  return event.kind === 'rollout-halted' ? { ...history, blocked: [...history.blocked, ...event.blocked] } : history;
}

function recordsOf(bodies: readonly RecordBody[]): readonly LedgerRecord[] {
  return sealRecords(bodies, EMPTY_HEAD, 1).map(({ record }) => record);
}

function viewOf(...bodies: readonly RecordBody[]): LedgerView {
  return foldRecords(recordsOf(bodies), { event: countHalts });
}

function operation(id: string, change: Partial<OperationRecord> = {}): OperationRecord {
  return {
    id: operationId(id),
    device: deviceId('moor-house'),
    family: 'campbell',
    connection: 'field',
    hardware: hash('a'),
    group: GROUP,
    release: RELEASE,
    occasion: 0,
    cause: 'rollout',
    item: 'firmware',
    step: 'os',
    kind: 'change',
    delivery: 'push',
    declared: '8.2.1',
    expected: '8.1.0',
    facts: null,
    content: null,
    deadlineMs: 1000,
    effects: [],
    disturbs: true,
    ...change,
  };
}

const joined = (device = 'moor-house', hardware = 'a', [personal, tree] = ['b', 't']): RecordBody => ({
  type: 'inventory',
  tree: hash(tree),
  set: [{ device: deviceId(device), hardware: hash(hardware), group: GROUP, personal: hash(personal) }],
  left: [],
});
const left = (device = 'moor-house'): RecordBody => ({ type: 'inventory', tree: hash('u'), set: [], left: [deviceId(device)] });
const intent = (id: string, at: number, attempt = 1): RecordBody => ({ type: 'intent', operation: operation(id), attempt, at });
const outcome = (id: string, result: OutcomeResult, attempt = 1): RecordBody => ({
  type: 'outcome',
  operation: operationId(id),
  attempt,
  at: 50,
  result,
});
const performed = (reference: number): OutcomeResult => ({ kind: 'performed', reference, undo: { etag: `e${reference}` } });
const trouble: OutcomeResult = { kind: 'trouble', code: 'S3_503', evidence: 'slow down', retryAt: 900 };
const refused: OutcomeResult = { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'the object is another' };
const taken = (id: string, at: number): RecordBody => ({ type: 'taken', operation: operationId(id), at });
const closed = (
  id: string,
  closing: 'succeeded' | 'failed' | 'withdrawn' | 'superseded' | 'quarantined',
  code: string | null = null,
): RecordBody => ({
  type: 'closed',
  operation: operationId(id),
  device: deviceId('moor-house'),
  item: 'firmware',
  closing,
  code,
  evidence: 'seen',
  at: 70,
});

const DEVICE = deviceId('moor-house');
const openOf = (view: LedgerView, device: DeviceId = DEVICE) => view.open.get(device) ?? [];

describe('an operation', () => {
  it('is open from its intent on, and perhaps done until an outcome is recorded', () => {
    expect(openOf(viewOf(joined(), intent('x', 10)))).toEqual([
      {
        operation: operation('x'),
        attempt: 1,
        intendedAt: 10,
        reference: null,
        takenAt: null,
        undo: null,
        retryAt: null,
        lastTrouble: null,
      },
    ]);
  });

  it.each(['performed', 'already'] as const)('gets its reference and undo when it was %s', (kind) => {
    const [open] = openOf(viewOf(joined(), intent('x', 10), outcome('x', { kind, reference: 20, undo: { key: 'k' } })));
    expect(open).toMatchObject({ reference: 20, undo: { key: 'k' }, retryAt: null });
  });

  it('stays open in trouble, and begins its next attempt without losing what must be put back', () => {
    const [waiting] = openOf(viewOf(joined(), intent('x', 10), outcome('x', performed(20)), outcome('x', trouble)));
    expect(waiting).toMatchObject({ retryAt: 900, lastTrouble: 'S3_503: slow down' });
    const [again] = openOf(
      viewOf(joined(), intent('x', 10), outcome('x', performed(20)), taken('x', 30), outcome('x', trouble), intent('x', 900, 2)),
    );
    expect(again).toMatchObject({
      attempt: 2,
      intendedAt: 900,
      reference: null,
      takenAt: null,
      retryAt: null,
      undo: { etag: 'e20' },
      lastTrouble: 'S3_503: slow down',
    });
  });

  it('is told nothing by the outcome of an earlier attempt, nor of another operation', () => {
    const base = [joined(), intent('x', 10), intent('x', 900, 2)];
    const before = openOf(viewOf(...base));
    for (const late of [
      outcome('x', performed(20), 1),
      outcome('x', refused, 1),
      outcome('x', trouble, 1),
      outcome('y', performed(20), 2),
    ]) {
      expect(openOf(viewOf(...base, late))).toEqual(before);
    }
  });

  it('keeps the first sign that it was taken', () => {
    expect(openOf(viewOf(joined(), intent('x', 10), taken('x', 30), taken('x', 20)))[0]?.takenAt).toBe(30);
  });

  it('ends when it is refused or closed, and the record that ended it is the next occasion', () => {
    for (const end of [outcome('x', refused), closed('x', 'succeeded'), closed('x', 'withdrawn'), closed('x', 'superseded')]) {
      const view = viewOf(joined(), intent('x', 10), end);
      expect(view.open.size).toBe(0);
      expect(view.devices.get(DEVICE)).toMatchObject({ lastClosed: { firmware: 3 }, failed: new Map(), personalDone: null });
    }
  });

  it.each(['failed', 'quarantined'] as const)('stands as a failure of its release when %s', (closing) => {
    const view = viewOf(joined(), intent('x', 10), closed('x', closing, 'BOOTED_BACK'), intent('y', 80), closed('y', closing));
    expect(view.devices.get(DEVICE)?.failed).toEqual(
      new Map([
        ['x', { code: 'BOOTED_BACK', evidence: 'seen', release: RELEASE, at: 70 }],
        ['y', { code: closing, evidence: 'seen', release: RELEASE, at: 70 }],
      ]),
    );
    expect(view.devices.get(DEVICE)?.lastClosed).toEqual({ firmware: 5 });
  });

  it.each(['OFFLINE', 'IN_FLIGHT', 'REPORT_UNREADABLE', 'IDENTITY_MISMATCH'] as const)(
    'stays open, its attempts as they were, when a repeat is refused with %s',
    (reason) => {
      const notNow: OutcomeResult = { kind: 'refused', reason, evidence: 'not now' };
      const view = viewOf(joined(), intent('x', 10), outcome('x', trouble), intent('x', 40, 2), outcome('x', notNow, 2));
      const [open] = view.open.get(deviceId('moor-house')) ?? [];
      expect(open).toMatchObject({ attempt: 1, reference: null, lastTrouble: `${reason}: not now` });
      expect(open?.retryAt).toBeGreaterThan(50);
      expect(viewOf(joined(), intent('x', 10), outcome('x', notNow)).open.size).toBe(0);
      expect(viewOf(joined(), intent('x', 10), outcome('x', trouble), intent('x', 40, 2), outcome('x', refused, 2)).open.size).toBe(0);
    },
  );

  it('counts attempts on when a repeat finds its precondition moved, until it succeeds or something else is declared', () => {
    const past = [joined(), intent('x', 10), outcome('x', performed(12)), intent('x', 40, 2), outcome('x', refused, 2)];
    const spentIn = (...more: readonly RecordBody[]): unknown => viewOf(...past, ...more).devices.get(deviceId('moor-house'))?.spent;
    expect(viewOf(...past).open.size).toBe(0);
    expect(spentIn()).toEqual({ firmware: { release: RELEASE, attempts: 1 } });
    expect(spentIn(intent('y', 60, 2), outcome('y', performed(61), 2), intent('y', 70, 3), outcome('y', refused, 3))).toEqual({
      firmware: { release: RELEASE, attempts: 2 },
    });
    expect(spentIn(intent('y', 60, 2), closed('y', 'succeeded'))).toEqual({});
    expect(spentIn(joined('moor-house', 'a', ['other', 'u']))).toEqual({});
  });

  it('of a change begins one at the device, until it is seen converged again; a correction of drift does not', () => {
    const seen: RecordBody = { type: 'converged', release: RELEASE, entries: [{ device: deviceId('moor-house'), personal: hash('b') }] };
    const changing = (...bodies: readonly RecordBody[]): unknown =>
      viewOf(joined(), ...bodies).devices.get(deviceId('moor-house'))?.changing;
    const drift: RecordBody = { type: 'intent', operation: operation('x', { cause: 'drift' }), attempt: 1, at: 10 };
    expect(changing(seen, intent('x', 10), outcome('x', performed(12)))).toBe(true);
    expect(changing(seen, intent('x', 10), closed('x', 'failed', 'BOOTED_BACK'))).toBe(true);
    expect(changing(seen, intent('x', 10), closed('x', 'succeeded'), seen)).toBe(false);
    expect(changing(seen, drift)).not.toBe(true);
  });

  it('may be tried again when an Approval says so', () => {
    const again: RecordBody = {
      type: 'event',
      event: { kind: 'device-again', group: GROUP, device: DEVICE, approval: hash('c'), at: 80 },
    };
    const history = viewOf(joined(), intent('x', 10), closed('x', 'failed'), again).devices.get(DEVICE);
    expect(history?.failed.size).toBe(0);
    expect(history?.lastClosed).toEqual({ firmware: 3 });
  });

  it('stands beside others of its device, oldest first, until it ends', () => {
    const view = viewOf(
      joined(),
      intent('x', 10),
      { type: 'intent', operation: operation('y', { item: 'program' }), attempt: 1, at: 11 },
      intent('z', 12),
      intent('x', 13, 2),
      closed('y', 'succeeded'),
    );
    expect(openOf(view).map((open) => [open.operation.id, open.attempt])).toEqual([
      ['x', 2],
      ['z', 1],
    ]);
  });
});

describe('the inventory', () => {
  it('forgets the hardware that was replaced, and nothing when only the rest changes', () => {
    const past = [joined(), intent('x', 10), closed('x', 'failed'), intent('y', 20)];
    const moved = viewOf(...past, joined('moor-house', 'a', ['c', 'v']));
    expect(moved.devices.get(DEVICE)).toMatchObject({ lastClosed: { firmware: 3 }, personal: hash('c'), personalTree: hash('v') });
    expect(moved.devices.get(DEVICE)?.failed.size, 'a verdict on other values says nothing of these').toBe(0);
    expect(openOf(moved).length).toBe(1);
    expect(viewOf(...past, joined('moor-house', 'a', ['b', 'v'])).devices.get(DEVICE)?.failed.size).toBe(1);
    const replaced = viewOf(...past, joined('moor-house', 'n', ['b', 'v']));
    expect(replaced.devices.get(DEVICE)).toEqual({
      hardware: hash('n'),
      group: GROUP,
      personal: hash('b'),
      personalTree: hash('v'),
      personalDone: null,
      releaseDone: null,
      lastClosed: {},
      failed: new Map(),
    });
    expect(openOf(replaced)).toEqual([]);
    expect(openOf(viewOf(...past, joined('moor-house', 'n'), outcome('y', performed(30))))).toEqual([]);
  });

  it('keeps the tree that brought a personal part when a later one does not change it', () => {
    expect(viewOf(joined('a', 'a', ['b', 'first']), joined('a', 'a', ['b', 'second'])).devices.get(deviceId('a'))?.personalTree).toBe(
      hash('first'),
    );
  });

  it('forgets who left, with what was open there', () => {
    const view = viewOf(joined(), joined('trout-beck'), intent('x', 10), left(), closed('x', 'succeeded'), taken('x', 20));
    expect([...view.devices.keys()]).toEqual(['trout-beck']);
    expect(view.open.size).toBe(0);
  });

  it('knows what was last seen converged, of the devices it knows', () => {
    const body: RecordBody = {
      type: 'converged',
      release: RELEASE,
      entries: [
        { device: DEVICE, personal: hash('b') },
        { device: deviceId('stranger'), personal: hash('b') },
      ],
    };
    const view = viewOf(joined(), body);
    expect(view.devices.get(DEVICE)).toMatchObject({ personalDone: hash('b'), releaseDone: RELEASE });
    expect(view.devices.size).toBe(1);
  });
});

describe('the rest of the view', () => {
  it('holds the ledger, the last pass, and the groups as rollout folds them', () => {
    const blocked = { id: 'firmware a@1', digest: hash('d'), release: RELEASE, why: 'booted back', at: 5 };
    const halted: RecordBody = {
      type: 'event',
      event: { kind: 'rollout-halted', group: GROUP, reason: 'GATE_FAILED', wave: 'canary', evidence: '', blocked: [blocked], at: 5 },
    };
    const view = viewOf(
      { type: 'genesis', ledger: 'upland', fleet: 'upland-network', engine: '0.1.0' },
      { type: 'pass', commit: 'c1', tree: hash('1'), engine: '0.1.0', planned: 9, at: 1 },
      { type: 'pass', commit: 'c2', tree: hash('2'), engine: '0.2.0', planned: 4, at: 2 },
      halted,
    );
    expect(view).toMatchObject({ ledger: 'upland', seq: 4, engine: '0.2.0', commit: 'c2', tree: hash('2'), planned: 4 });
    expect([...view.groups]).toEqual([[GROUP, { lineage: [], blocked: [blocked], rollout: null, past: [] }]]);
  });

  it('remembers the intents of the minute before the newest one', () => {
    expect(viewOf(intent('a', 1000), intent('b', 61_000), intent('c', 30_000), intent('d', 60_999)).recentIntents).toEqual([
      30_000, 60_999, 61_000,
    ]);
    expect(viewOf(intent('a', 1001), intent('b', 61_000)).recentIntents).toEqual([1001, 61_000]);
  });
});

const anyBody = fc.oneof(
  fc
    .record({ device: fc.constantFrom('moor-house', 'b', 'c'), hardware: fc.constantFrom('a', 'n') })
    .map(({ device, hardware }) => joined(device, hardware)),
  fc.constantFrom('moor-house', 'b').map(left),
  fc
    .record({ id: fc.constantFrom('x', 'y', 'z'), at: fc.integer({ min: 0, max: 200_000 }), attempt: fc.integer({ min: 1, max: 3 }) })
    .map(({ id, at, attempt }) => intent(id, at, attempt)),
  fc
    .record({
      id: fc.constantFrom('x', 'y', 'z'),
      result: fc.constantFrom(performed(5), trouble, refused),
      attempt: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ id, result, attempt }) => outcome(id, result, attempt)),
  fc
    .record({ id: fc.constantFrom('x', 'y', 'z'), closing: fc.constantFrom('failed' as const, 'succeeded' as const) })
    .map(({ id, closing }) => closed(id, closing)),
  fc.constantFrom('x', 'y').map((id) => taken(id, 3)),
);

describe('folding', () => {
  it('gives the same from an earlier view as from the beginning, and leaves that view as it was', () => {
    fc.assert(
      fc.property(fc.array(anyBody, { maxLength: 40 }), fc.nat(40), (bodies, cut) => {
        const records = recordsOf(bodies);
        const whole = foldRecords(records, { event: countHalts });
        const prefix = foldRecords(records.slice(0, cut), { event: countHalts });
        const frozen = structuredClone(prefix);
        expect(foldRecords(records.slice(cut), { event: countHalts, from: prefix })).toEqual(whole);
        expect(foldRecords(records, { event: countHalts, from: prefix })).toEqual(whole);
        expect(prefix).toEqual(frozen);
      }),
      { numRuns: 1000 },
    );
  });

  it('hands back the very view when there is nothing new', () => {
    const view = viewOf(joined());
    expect(foldRecords([], { event: countHalts, from: view })).toBe(view);
    expect(foldRecords(recordsOf([joined()]), { event: countHalts, from: view })).toBe(view);
    expect(foldRecords([], { event: countHalts })).toEqual(emptyView());
  });
});
