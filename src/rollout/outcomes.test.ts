import { describe, expect, it } from 'vitest';
import type { OpenOperation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { DEADLINE, LOST_AFTER, makeWorld, MINUTE, modelledFamily } from '#test/support/rollout-world.ts';
import { settleOpen } from './outcomes.ts';
import type { OpenCase, Verdict } from './outcomes.ts';

/** An operation that was sent and of which nothing is known since. */
function sent(): OpenOperation {
  const groups = (firmware: string) => ({ met: { versions: { firmware } } });
  const devices = [{ id: 'd0' }];
  const world = makeWorld({ commit: 'one', devices, groups: groups('1') });
  world.tick(MINUTE);
  world.pass({ genesis: true });
  world.commit({ commit: 'two', devices, groups: groups('2') });
  world.tick(MINUTE);
  const [open] = [...world.pass().after.open.values()].flat();
  if (open === undefined) throw new Error('nothing was sent');
  return open;
}

const open = sent();
const reference = open.reference ?? 0;

function reportedAt(heardAt: number, change: Partial<ReportedDevice> = {}): ReportedDevice {
  const { device } = open.operation;
  const none = { serial: null, model: null, problem: null, items: {}, measures: {}, signs: [], memo: {} };
  return { device, ...none, heardAt, online: null, gapMs: MINUTE, ...change };
}

function settled(change: Partial<OpenCase>): Verdict {
  return settleOpen({
    open,
    confirmation: { kind: 'open', phase: 'IN_FLIGHT', takenAt: reference + 1, oldValueSeenAt: null, evidence: 'downloads' },
    reported: reportedAt(reference + 1),
    family: modelledFamily('push'),
    now: reference + LOST_AFTER + DEADLINE,
    maxAttempts: 3,
    wanted: true,
    givenUp: false,
    health: [],
    before: undefined,
    ...change,
  });
}

describe('an open operation', () => {
  const mismatch = { reason: 'IDENTITY_MISMATCH', detail: 'reports serial 7777, declared is 1000' } as const;

  it('is lost where the device took it and is silent since', () => {
    expect(settled({})).toMatchObject({ kind: 'closed', closing: 'failed', code: 'LOST' });
  });

  it('is lost for what its family puts the silence down to', () => {
    const confirmation = { kind: 'open', phase: 'VERIFYING', takenAt: reference + 1, oldValueSeenAt: null, evidence: 'silent' } as const;
    expect(settled({ confirmation })).toMatchObject({ evidence: 'alive when it took firmware, silent since' });
    expect(settled({ confirmation: { ...confirmation, lost: 'locked out' } })).toMatchObject({ code: 'LOST', evidence: 'locked out' });
  });

  it('that was sent to a release which a new commit ended keeps its slot until its deadline, though nothing was heard', () => {
    const confirmation = { kind: 'open', phase: 'IN_FLIGHT', takenAt: null, oldValueSeenAt: null, evidence: 'sent' } as const;
    const unheard = { confirmation, reported: reportedAt(reference - 1), wanted: false };
    // A push that is open counts against the budget unless its device is OFFLINE: budget.ts.
    expect(settled({ ...unheard, now: reference + DEADLINE - 1 })).toMatchObject({ kind: 'open', refusal: { reason: 'IN_FLIGHT' } });
    expect(settled({ ...unheard, now: reference + DEADLINE })).toMatchObject({ kind: 'closed', closing: 'superseded' });
  });

  it('is not lost by a silence to which nobody listened', () => {
    const silent = (silentMs: number) => settled({ reported: reportedAt(reference + 1, { silentMs }) });
    expect(silent(MINUTE)).toMatchObject({ kind: 'open', refusal: { until: reference + 1 + 2 * LOST_AFTER + DEADLINE - MINUTE } });
    expect(silent(LOST_AFTER)).toMatchObject({ kind: 'open' });
    expect(silent(LOST_AFTER + 1)).toMatchObject({ kind: 'closed', code: 'LOST' });
  });

  it('is not lost where other hardware answers at the address: that is the reason', () => {
    const verdict = settled({ reported: reportedAt(reference + 1, { problem: mismatch }) });
    expect(verdict).toMatchObject({ kind: 'open', refusal: { reason: 'IDENTITY_MISMATCH', evidence: mismatch.detail } });
  });

  it('waits for reports that can be read, and says so', () => {
    const problem = { reason: 'REPORT_UNREADABLE', detail: 'the file is cut short' } as const;
    const reported = reportedAt(reference + LOST_AFTER, { problem });
    const verdict = settled({ reported, now: reference + LOST_AFTER + MINUTE });
    expect(verdict).toMatchObject({ kind: 'open', refusal: { reason: 'REPORT_UNREADABLE', evidence: 'the file is cut short' } });
    expect(settled({ reported, now: reference + 3 * LOST_AFTER })).toMatchObject({ kind: 'closed', code: 'LOST' });
  });
});
