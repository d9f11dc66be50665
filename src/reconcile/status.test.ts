import { describe, expect, it } from 'vitest';
import { reportedFor } from '#observe/reported.ts';
import { viewFleet } from '#test/support/view-fleet.ts';
import type { PassResult } from './report.ts';
import { exitCode } from './status.ts';

const view = viewFleet();
const { declared, plan } = view;
const troubles = [{ connection: declared.deviceAt(0).via.connection, code: 'UNREACHABLE', message: 'no route' }];
const nothing: Partial<PassResult> = { plan: { ...plan, devices: [] } };
const unread: Partial<PassResult> = { reported: reportedFor(declared, []) };

describe('the exit code of a plan', () => {
  it.each<readonly [string, Partial<PassResult>, number]>([
    ['nothing to do', nothing, 0],
    ['changes', {}, 2],
    ['devices that never reported over a connection that works', { ...nothing, ...unread }, 0],
    ['devices behind a broken connection that were never read', { ...nothing, ...unread, troubles }, 1],
    ['changes beside such devices', { ...unread, troubles }, 1],
    ['a broken connection whose devices were all read before', { ...nothing, troubles, reported: allRead() }, 0],
  ])('of %s', (_name, changed, exit) => {
    const result = { ...view, reports: [], troubles: [], executed: [], objectCalls: [], fellBack: false, ...changed };
    expect(exitCode('plan', result)).toBe(exit);
  });
});

describe('the exit code of an apply', () => {
  const { operations = [] } = plan.devices.find((device) => device.operations.length > 0) ?? {};
  const [operation] = operations;
  if (operation === undefined) throw new Error('the fleet has nothing to do');
  const admitted = { operation, attempt: 1, notBefore: 0 };
  const settled: Partial<PassResult> = {
    view: { ...view.view, open: new Map(), groups: new Map() },
    decision: { ...view.decision, held: [], admitted: [admitted] },
  };
  it.each<readonly [string, Partial<PassResult>, number]>([
    ['a fleet in which nothing is open or held', settled, 0],
    [
      'a pass in which a device refused what was begun on it',
      { ...settled, executed: [{ admitted, result: { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'BUSY' } }] },
      2,
    ],
  ])('of %s', (_name, changed, exit) => {
    const result = { ...view, reports: [], troubles: [], executed: [], objectCalls: [], fellBack: false, ...changed };
    expect(exitCode('apply', result)).toBe(exit);
  });
});

function allRead(): PassResult['reported'] {
  return { ...view.reported, deviceAt: (row) => view.reported.deviceAt(row) ?? view.reported.deviceAt(0) };
}
