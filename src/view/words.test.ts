import { describe, expect, it } from 'vitest';
import { ago, dayAndTime, dayTimeZone, isoDay, isoInstant } from './time.ts';
import { counted, effectOf, failureBound, firstOf, percentText, tally, tallyText } from './words.ts';

describe('words', () => {
  it.each([
    [0, 'device', '0 devices'],
    [1, 'device', '1 device'],
    [3, 'batch', '3 batches'],
  ])('counts %i %s', (count, noun, text) => expect(counted(count, noun)).toBe(text));

  it.each([
    [1, 'erases stored tables', 'erases stored tables'],
    [41, 'erases stored tables', 'erase stored tables'],
    [2, 'flashes twice', 'flash twice'],
    [2, 'is down', 'are down'],
    [2, 'has no way back', 'have no way back'],
    [2, 'cannot come back to 8.1.0', 'cannot come back to 8.1.0'],
    [2, 'passes', 'pass'],
  ])('says of %i: %s', (count, effect, text) => expect(effectOf(count, effect)).toBe(text));

  it('names the first ones and counts the rest', () => {
    expect(firstOf(['a', 'b'], 2)).toBe('a, b');
    expect(firstOf(['a', 'b', 'c', 'd'], 2)).toBe('a, b and 2 more');
  });

  it('orders counts by size, then by name, whatever the order of the keys', () => {
    expect(tally(['b', 'a', 'c', 'c'])).toEqual([
      ['c', 2],
      ['a', 1],
      ['b', 1],
    ]);
    expect(tallyText(['CR6', 'CR1000X', 'CR6'])).toBe('2 CR6, 1 CR1000X');
  });

  it.each([
    [3, 0, 1 - 0.05 ** (1 / 3)],
    [38, 0, 1 - 0.05 ** (1 / 38)],
    // Clopper-Pearson, one-sided 95 %: the root of P(X ≤ 1 | n = 10) = 0.05.
    [10, 1, 0.3942],
    [20, 1, 0.2161],
    [4, 4, 1],
    [0, 0, 1],
  ])('bounds the failure rate of %i with %i failures', (trials, failures, bound) => {
    expect(failureBound(trials, failures)).toBeCloseTo(bound, 4);
  });

  it.each([
    [0.631, '63 %'],
    [0.0291, '2.9 %'],
    [0.02, '2 %'],
    [1, '100 %'],
  ])('writes %f as %s', (share, text) => expect(percentText(share)).toBe(text));
});

describe('time', () => {
  const winter = Date.UTC(2026, 10, 24, 8, 0);
  const summer = Date.UTC(2026, 5, 1, 23, 30);

  it.each([
    [winter, 'Europe/London', 'Tue 24 Nov 08:00', 'Tue 24 Nov 08:00 GMT', '2026-11-24'],
    [summer, 'Europe/London', 'Tue 2 Jun 00:30', 'Tue 2 Jun 00:30 BST', '2026-06-02'],
    [summer, 'UTC', 'Mon 1 Jun 23:30', 'Mon 1 Jun 23:30 UTC', '2026-06-01'],
  ])('says %i in %s', (at, zone, short, long, day) => {
    expect(dayAndTime(at, zone)).toBe(short);
    expect(dayTimeZone(at, zone)).toBe(long);
    expect(isoDay(at, zone)).toBe(day);
  });

  it('says how long ago, to the minute', () => {
    expect(ago(winter, winter + 59_999)).toBe('just now');
    expect(ago(winter, winter + 5 * 60_000 + 59_000)).toBe('5m ago');
    expect(ago(winter, winter + 75 * 3_600_000)).toBe('3d 3h ago');
  });

  it('keeps null in JSON', () => {
    expect(isoInstant(null)).toBeNull();
    expect(isoInstant(winter)).toBe('2026-11-24T08:00:00.000Z');
  });
});
