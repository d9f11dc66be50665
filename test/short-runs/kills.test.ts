import { describe, expect, it } from 'vitest';
import { doneTo } from '#test/crash/end-state.ts';
import { OPERATIONS, tellWithKills } from './kills.ts';

/** After the first of two performs, and after the intents are recorded. test/long has all points, in git and in a bucket. */
const KILLS = new Map([
  [1, 2],
  [3, 1],
]);

describe('a short run that is killed (SIGKILL)', () => {
  it('leaves a ledger in git with which the next run goes on, and nothing is doubled', { timeout: 120_000 }, async () => {
    const { end, operations, killed, lives } = await tellWithKills('git', KILLS);
    expect(killed).toBe(2);
    expect(lives[1]).toEqual(['append', 'perform']);
    expect(lives[3]).toEqual(['append']);
    expect(operations).toEqual(OPERATIONS);
    expect(doneTo(end)).toEqual({ 'logger-01': '1 flash, 1 program', 'van-01': '1 flash' });
    expect(end.ledger.open).toBe(0);
  });
});
