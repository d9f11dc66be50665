import { describe, expect, it } from 'vitest';
import type { GateRules } from '#model/declared.ts';
import { judgeGate } from './gates.ts';
import type { Counts } from './gates.ts';

const GATE: GateRules = { success: 1, minimum: 1, quorum: 0.8, patienceMs: 1000, then: 'ask', soakMs: 0 };
const NONE: Counts = { size: 0, succeeded: 0, failed: 0, lost: 0 };

function judge(gate: Partial<GateRules>, counts: Partial<Counts>, now: number): ReturnType<typeof judgeGate> {
  return judgeGate({ gate: { ...GATE, ...gate }, counts: { ...NONE, ...counts }, openedAt: 0, now, emptied: false });
}

describe('judgeGate', () => {
  it.each<[string, Partial<GateRules>, Partial<Counts>, number, { met: boolean; doomed: boolean; asks: boolean }]>([
    ['nobody answered', {}, { size: 5 }, 0, { met: false, doomed: false, asks: false }],
    ['the quorum rounds up', {}, { size: 4, succeeded: 3 }, 0, { met: false, doomed: false, asks: false }],
    ['the quorum is met exactly', {}, { size: 5, succeeded: 4 }, 0, { met: true, doomed: false, asks: false }],
    ['one failure of three at 100 %', {}, { size: 3, failed: 1 }, 0, { met: false, doomed: true, asks: false }],
    [
      'one failure that 95 % of 20 allows',
      { success: 0.95 },
      { size: 20, succeeded: 19, failed: 1 },
      0,
      { met: true, doomed: false, asks: false },
    ],
    [
      'two failures that it does not',
      { success: 0.95 },
      { size: 20, succeeded: 10, failed: 2 },
      0,
      { met: false, doomed: true, asks: false },
    ],
    ['a failure early that may still average out', { success: 0.5 }, { size: 4, failed: 1 }, 0, { met: false, doomed: false, asks: false }],
    ['the same when patience is over', { success: 0.5 }, { size: 4, failed: 1 }, 1000, { met: false, doomed: true, asks: true }],
    [
      'a minimum above the size of the wave',
      { minimum: 5, quorum: 0 },
      { size: 2, succeeded: 2 },
      0,
      { met: true, doomed: false, asks: false },
    ],
    ['a minimum that was not reached', { minimum: 5, quorum: 0 }, { size: 9, succeeded: 4 }, 0, { met: false, doomed: false, asks: false }],
    [
      'a lost device answers nothing',
      { success: 0.5, quorum: 1 },
      { size: 4, succeeded: 3, failed: 1, lost: 1 },
      0,
      { met: false, doomed: false, asks: false },
    ],
    ['patience over, a person is asked', {}, { size: 5, succeeded: 2 }, 1000, { met: false, doomed: false, asks: true }],
    ['patience over, go on', { then: 'go-on' }, { size: 5, succeeded: 2 }, 1000, { met: true, doomed: false, asks: false }],
    [
      'go on, but the minimum still holds',
      { then: 'go-on', minimum: 3 },
      { size: 5, succeeded: 2 },
      1000,
      { met: false, doomed: false, asks: true },
    ],
    ['an empty wave', {}, {}, 0, { met: true, doomed: false, asks: false }],
  ])('%s', (...[, gate, counts, now, expected]) => {
    const state = judge(gate, counts, now);
    expect({ met: state.met, doomed: state.doomed !== null, asks: state.asks }).toEqual(expected);
  });

  it('is not met when all that were drawn have gone, and asks when patience is over', () => {
    const emptied = { gate: { ...GATE, then: 'go-on' as const }, counts: NONE, openedAt: 0, emptied: true };
    expect(judgeGate({ ...emptied, now: 0 })).toMatchObject({ met: false, asks: false });
    expect(judgeGate({ ...emptied, now: 1000 })).toMatchObject({ met: false, asks: true });
  });
});
