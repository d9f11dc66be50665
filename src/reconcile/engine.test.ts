import { describe, expect, it } from 'vitest';
import { decide } from '#rollout/decide.ts';
import { reportedFor } from '#observe/reported.ts';
import { makePlan } from '#plan/plan.ts';
import { syntheticDeclared, syntheticFamily, syntheticReports, syntheticView } from '#test/support/synthetic.ts';
import { operationId } from '#model/ids.ts';
import { operationsIn, planGrew, withoutGrowth } from './engine.ts';

const declared = syntheticDeclared({ devices: 20, groups: 1 });
const families = new Map([['synthetic', syntheticFamily]]);
const reported = reportedFor(declared, syntheticReports(declared, { share: 0.1, version: '1.0.0' }));
const view = syntheticView(declared, declared);
const plan = makePlan({ declared, reported, view, families, older: new Map() });

describe('planGrew', () => {
  it.each([
    ['the same engine', { engine: '0.1.0', before: view }, false],
    ['another engine that plans more', { engine: '0.2.0', before: view }, true],
    ['another engine that plans as much', { engine: '0.2.0', before: { ...view, planned: operationsIn(plan) } }, false],
    ['another engine and another revision', { engine: '0.2.0', before: { ...view, commit: 'd'.repeat(40) } }, false],
    ['a ledger without a past', { engine: '0.2.0', before: { ...view, engine: null } }, false],
  ])('%s', (_name, { engine, before }, grew) => {
    expect(planGrew(engine, plan, before)).toBe(grew);
  });
});

it('holds what a new engine would newly begin, and keeps the state of its groups', () => {
  const decision = decide({ plan, declared, reported, view, families, now: 1_790_000_100_000, nextPassMs: null, genesis: false });
  expect(decision.admitted.length).toBeGreaterThan(0);
  const held = withoutGrowth(decision, view);
  expect(held.admitted).toEqual([]);
  expect(held.events).toEqual([]);
  const waiting = held.held.filter((hold) => hold.reason === 'APPROVAL_NEEDED').map((hold) => hold.device);
  expect(waiting).toEqual(decision.admitted.map(({ operation }) => operation.device).toSorted());
});

it('lets a new engine end what is on trial, and counts that as nothing more', () => {
  const decision = decide({ plan, declared, reported, view, families, now: 1_790_000_100_000, nextPassMs: null, genesis: false });
  const [first] = decision.admitted;
  if (first === undefined) throw new Error('nothing was admitted');
  const operation = { ...first.operation, content: null };
  const open = { operation, attempt: 1, intendedAt: 0, reference: 0, takenAt: 0, undo: null, retryAt: null, lastTrouble: null };
  const before = { ...view, open: new Map([[operation.device, [open]]]) };
  const completes = { step: operation.step, healthySince: null };
  const commit = { ...first, operation: { ...first.operation, id: operationId('c'.repeat(64)), step: 'commit', completes } };
  const strange = { ...commit, operation: { ...commit.operation, completes: { ...completes, step: 'other' } } };
  expect(withoutGrowth({ ...decision, admitted: [commit] }, before).admitted).toEqual([commit]);
  expect(withoutGrowth({ ...decision, admitted: [commit] }, view).admitted).toEqual([]);
  expect(withoutGrowth({ ...decision, admitted: [strange] }, before).admitted).toEqual([]);
  const tried = { ...plan, devices: plan.devices.map((device) => ({ ...device, operations: [commit.operation] })) };
  expect(operationsIn(tried)).toBe(0);
});
