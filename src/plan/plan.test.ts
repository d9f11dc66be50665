import { describe, expect, it } from 'vitest';
import { canonicalJson } from '#kit/canonical.ts';
import type { LedgerView } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { reportedFor } from '#observe/reported.ts';
import { syntheticDeclared, syntheticFamily, syntheticReports, syntheticView } from '#test/support/synthetic.ts';
import { isSettled, makePlan } from './plan.ts';
import type { PlanInput } from './plan.ts';

const declared = syntheticDeclared({ devices: 20, groups: 2 });
const families = new Map([['synthetic', syntheticFamily]]);

function inputOf(reports: readonly ReportedDevice[], view: LedgerView = syntheticView(declared, declared)): PlanInput {
  return { declared, reported: reportedFor(declared, reports), view, families, older: new Map() };
}

function withFirst(reports: readonly ReportedDevice[], change: Partial<ReportedDevice>): readonly ReportedDevice[] {
  return reports.map((report, index) => (index === 0 ? { ...report, ...change } : report));
}

const same = syntheticReports(declared, { share: 0, version: '1.0.0' });
const drifted = syntheticReports(declared, { share: 0.05, version: '1.0.0' });

describe('makePlan', () => {
  it('counts converged devices and lists none of them', () => {
    const plan = makePlan(inputOf(same));
    expect(plan.devices).toEqual([]);
    expect(plan.groups.map((group) => [group.devices, group.converged])).toEqual([
      [10, 10],
      [10, 10],
    ]);
  });

  it('gives the same bytes for the same input, whatever the order of the reports', () => {
    const again = makePlan(inputOf(drifted.toReversed()));
    expect(canonicalJson(again)).toBe(canonicalJson(makePlan(inputOf(drifted))));
  });

  it('makes operations in the order of the family, with the value they expect to find', () => {
    const [device] = makePlan(inputOf(drifted)).devices;
    expect(device?.operations.map((operation) => [operation.step, operation.expected, operation.cause])).toEqual([
      ['firmware', 'firmware 1.0.0', 'drift'],
      ['program', 'program 1.0.0', 'drift'],
      ['config', 'config 1.0.0', 'drift'],
      ['settings', 'settings 1.0.0', 'drift'],
    ]);
  });

  it('takes what differs for drift made at the device only where no change of ours was begun since', () => {
    const view = syntheticView(declared, declared);
    const id = declared.deviceAt(0).id;
    const history = view.devices.get(id);
    if (history === undefined) throw new Error('no history');
    const changing = { ...view, devices: new Map(view.devices).set(id, { ...history, changing: true }) };
    expect(makePlan(inputOf(drifted, changing)).devices[0]?.operations.map((operation) => operation.cause)).toEqual(
      Array.from({ length: 4 }, () => 'personal'),
    );
  });

  it('changes the identity of an operation with its occasion, and with nothing else of the ledger', () => {
    const view = syntheticView(declared, declared);
    const id = declared.deviceAt(0).id;
    const history = view.devices.get(id);
    if (history === undefined) throw new Error('no history');
    const closed = { ...view, devices: new Map(view.devices).set(id, { ...history, lastClosed: { firmware: 42 } }) };
    const idsOf = (one: LedgerView) => makePlan(inputOf(drifted, one)).devices[0]?.operations.map((operation) => operation.id);
    const [firmware, ...others] = idsOf(view) ?? [];
    const [firmwareLater, ...othersLater] = idsOf(closed) ?? [];
    expect(firmwareLater).not.toBe(firmware);
    expect(othersLater).toEqual(others);
    expect(idsOf({ ...view, seq: 99 })).toEqual(idsOf(view));
  });

  it('sends nothing to a device whose hardware reports another serial', () => {
    const [device] = makePlan(inputOf(withFirst(drifted, { serial: 'other' }))).devices;
    expect(device?.operations).toEqual([]);
    expect(device?.impossible.map((one) => one.reason)).toEqual(['IDENTITY_MISMATCH']);
  });

  it('holds an unknown value and never guesses it', () => {
    const unknown = { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: 'torn', source: 'test' } as const;
    const items = { ...same[0]?.items, firmware: unknown };
    const [device] = makePlan(inputOf(withFirst(same, { items }))).devices;
    expect(device?.converged).toBe(false);
    expect(device?.operations).toEqual([]);
    expect(device?.impossible).toEqual([{ item: 'firmware', reason: 'REPORT_UNREADABLE', evidence: 'torn' }]);
  });

  it('does not try a release again on a device that failed it', () => {
    const view = syntheticView(declared, declared);
    const { id, group } = declared.deviceAt(0);
    const history = view.devices.get(id);
    const release = group === null ? undefined : declared.groups.get(group)?.release.id;
    if (history === undefined || release === undefined) throw new Error('no history');
    const failure = { code: 'BOOTED_BACK', evidence: 'old version after restart', release, at: 1 };
    const failed = new Map([['x' as Parameters<typeof history.failed.get>[0], failure]]);
    const [device] = makePlan(inputOf(drifted, { ...view, devices: new Map(view.devices).set(id, { ...history, failed }) })).devices;
    expect(device?.operations).toEqual([]);
    expect(device?.impossible[0]?.reason).toBe('FAILED');
  });

  it('lists who joins and who is no longer in the inventory', () => {
    const more = syntheticDeclared({ devices: 21, groups: 2 });
    const fewer = syntheticDeclared({ devices: 19, groups: 2 });
    const view = syntheticView(declared, declared);
    const planFor = (one: typeof declared) => makePlan({ ...inputOf(same, view), declared: one, reported: reportedFor(one, same) });
    expect(planFor(more).joiners).toEqual(['device-0000020']);
    expect(planFor(fewer).leavers).toEqual(['device-0000019']);
  });
});

describe('isSettled', () => {
  const device = declared.deviceAt(0);

  it('holds for a device that shows all it is told', () => {
    expect(isSettled(inputOf(same), device)).toBe(true);
    expect(isSettled(inputOf(drifted), device)).toBe(false);
  });

  it('takes no report of unknown age for one: what is retained may be of before, or of somebody else', () => {
    const [report] = same;
    const { firmware } = report?.items ?? {};
    if (firmware?.kind !== 'value') throw new Error('no firmware is reported');
    const items = { ...report?.items, firmware: { ...firmware, madeNotBefore: null } };
    expect(isSettled(inputOf(withFirst(same, { items })), device)).toBe(false);
  });
});
