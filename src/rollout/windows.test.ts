import { describe, expect, it } from 'vitest';
import type { WindowDeclaration } from '#model/declared.ts';
import { neverOpen } from '#model/window.ts';
import { windowState } from './windows.ts';

const PLACE = { file: 'windows/w.yaml', line: 1, column: 1 };
const HOUR = 3_600_000;
const at = (text: string): number => Date.parse(text);

function window(change: Partial<WindowDeclaration>): WindowDeclaration {
  return {
    name: 'working-hours',
    place: PLACE,
    zone: 'Europe/London',
    allow: [{ days: [1, 2, 3, 4, 5], from: 8 * 60, to: 16 * 60 }],
    deny: [],
    marginMs: 0,
    ...change,
  };
}
const every = [1, 2, 3, 4, 5, 6, 7];

describe('windowState', () => {
  it.each([
    ['before it opens', '2026-11-23T07:59:59Z', { open: false, opensAt: at('2026-11-23T08:00:00Z') }],
    ['at the first instant', '2026-11-23T08:00:00Z', { open: true, closesAt: at('2026-11-23T16:00:00Z') }],
    ['at the end, which it does not include', '2026-11-23T16:00:00Z', { open: false, opensAt: at('2026-11-24T08:00:00Z') }],
    ['on a Friday evening', '2026-11-20T17:00:00Z', { open: false, opensAt: at('2026-11-23T08:00:00Z') }],
    ['in summer an hour earlier in UTC', '2026-07-01T07:30:00Z', { open: true, closesAt: at('2026-07-01T15:00:00Z') }],
  ])('%s', (_, now, expected) => {
    expect(windowState([window({})], 'UTC', at(now))).toMatchObject(expected);
  });

  it('does not begin later than the margin before the end', () => {
    const margin = window({ marginMs: HOUR / 2 });
    expect(windowState([margin], 'UTC', at('2026-11-23T15:29:59Z')).open).toBe(true);
    expect(windowState([margin], 'UTC', at('2026-11-23T15:30:00Z'))).toMatchObject({ open: false, opensAt: at('2026-11-24T08:00:00Z') });
  });

  it('passes over denied days and says why', () => {
    const closed = window({ deny: [{ first: '2026-12-20', last: '2027-01-03', why: 'nobody can drive up there' }] });
    const state = windowState([closed], 'UTC', at('2026-12-21T10:00:00Z'));
    expect(state).toMatchObject({ open: false, opensAt: at('2027-01-04T08:00:00Z') });
    expect(state.why).toContain('nobody can drive up there');
  });

  it('ends a night at the midnight of a denied day', () => {
    const night = window({
      allow: [{ days: every, from: 22 * 60, to: 4 * 60 }],
      deny: [{ first: '2026-11-24', last: '2026-11-24', why: 'x' }],
    });
    expect(windowState([night], 'UTC', at('2026-11-23T23:00:00Z'))).toMatchObject({ open: true, closesAt: at('2026-11-24T00:00:00Z') });
    expect(windowState([night], 'UTC', at('2026-11-24T01:00:00Z'))).toMatchObject({ open: false, opensAt: at('2026-11-25T22:00:00Z') });
  });

  it('joins spans that meet at midnight, so that the margin counts once', () => {
    const joined = window({
      allow: [
        { days: every, from: 22 * 60, to: 1440 },
        { days: every, from: 0, to: 4 * 60 },
      ],
      marginMs: HOUR,
    });
    expect(windowState([joined], 'UTC', at('2026-11-23T23:30:00Z'))).toMatchObject({ open: true, closesAt: at('2026-11-24T03:00:00Z') });
  });

  it('takes a time that spring leaves out as the moment of the change', () => {
    const early = window({ allow: [{ days: every, from: 90, to: 5 * 60 }] });
    // 01:30 to 02:00 do not exist on 2027-03-28 in London: 01:00 GMT is 02:00 BST.
    expect(windowState([early], 'UTC', at('2027-03-28T00:59:59Z'))).toMatchObject({ open: false, opensAt: at('2027-03-28T01:00:00Z') });
    const whole = window({ allow: [{ days: every, from: 0, to: 3 * 60 }] });
    expect(windowState([whole], 'UTC', at('2027-03-28T00:30:00Z'))).toMatchObject({ closesAt: at('2027-03-28T02:00:00Z') });
  });

  it('opens at the first and closes at the last of an hour that autumn repeats', () => {
    const half = window({ allow: [{ days: every, from: 90, to: 100 }] });
    // 01:30 BST is 00:30Z, 01:40 GMT is 01:40Z.
    expect(windowState([half], 'UTC', at('2026-10-25T00:30:00Z'))).toMatchObject({ open: true, closesAt: at('2026-10-25T01:40:00Z') });
    expect(windowState([half], 'UTC', at('2026-10-25T00:29:59Z')).open).toBe(false);
  });

  it('is judged in the zone of the device when it says so', () => {
    const local = window({ zone: 'device' });
    expect(windowState([local], 'Australia/Sydney', at('2026-11-22T21:00:00Z')).open).toBe(true);
    expect(windowState([local], 'America/Denver', at('2026-11-22T21:00:00Z')).open).toBe(false);
  });

  it('is open when one of several is, until the last of them closes', () => {
    const late = window({ name: 'late', allow: [{ days: every, from: 15 * 60, to: 20 * 60 }] });
    expect(windowState([window({}), late], 'UTC', at('2026-11-23T15:30:00Z'))).toMatchObject({ closesAt: at('2026-11-23T20:00:00Z') });
  });

  it('has no end when it is open around the clock, and no windows mean any time', () => {
    const always = window({ allow: [{ days: every, from: 0, to: 1440 }], marginMs: HOUR });
    expect(windowState([always], 'UTC', at('2026-11-23T23:59:00Z'))).toMatchObject({ open: true, closesAt: null });
    expect(windowState([], 'UTC', 0)).toMatchObject({ open: true, closesAt: null });
  });

  it('never opens in a bad zone, and does not throw', () => {
    expect(windowState([window({ zone: 'device' })], 'Middle/Earth', at('2026-11-23T10:00:00Z'))).toMatchObject({
      open: false,
      opensAt: null,
    });
  });
});

describe('neverOpen', () => {
  it.each([
    ['no span', { allow: [], marginMs: 0 }, true],
    ['an empty span', { allow: [{ days: every, from: 60, to: 60 }], marginMs: 0 }, true],
    ['a span as short as the margin', { allow: [{ days: [1], from: 0, to: 30 }], marginMs: HOUR / 2 }, true],
    ['a span longer than the margin', { allow: [{ days: [1], from: 0, to: 31 }], marginMs: HOUR / 2 }, false],
    [
      'two that only together are long enough, over the end of the week',
      {
        allow: [
          { days: [7], from: 23 * 60, to: 1440 },
          { days: [1], from: 0, to: 60 },
        ],
        marginMs: HOUR,
      },
      false,
    ],
    ['the whole week with any margin', { allow: [{ days: every, from: 0, to: 1440 }], marginMs: 400 * 24 * HOUR }, false],
  ])('%s', (_, declared, expected) => {
    expect(neverOpen(declared)).toBe(expected);
  });
});
