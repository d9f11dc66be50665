import { describe, expect, it } from 'vitest';
import type { Plan } from '#model/plan.ts';
import { reportedFor } from '#observe/reported.ts';
import { makePlan } from '#plan/plan.ts';
import { syntheticDeclared, syntheticFamily, syntheticReports, syntheticView } from '#test/support/synthetic.ts';
import { operationsIn, planGrew } from './engine.ts';

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

it('counts what ends a trial as nothing more: that it is due now is what the device did', () => {
  const completes = { step: 'update', healthySince: null };
  const asEnding = (operations: Plan['devices'][number]['operations']) => operations.map((operation) => ({ ...operation, completes }));
  const tried = { ...plan, devices: plan.devices.map((device) => ({ ...device, operations: asEnding(device.operations) })) };
  expect(operationsIn(plan)).toBeGreaterThan(0);
  expect(operationsIn(tried)).toBe(0);
});
