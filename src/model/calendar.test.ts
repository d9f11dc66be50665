import { describe, expect, it } from 'vitest';
import { instantOf, isDay, isZone, startOfDay } from './calendar.ts';

describe('zones and days', () => {
  it.each([
    ['Europe/London', true],
    ['UTC', true],
    ['Europe/Londn', false],
    ['+01:00', false],
    ['', false],
    ['device', false],
  ])('%j is a zone: %j', (text, answer) => expect(isZone(text)).toBe(answer));

  it.each([
    ['2028-02-29', true],
    ['2027-02-29', false],
    ['2027-13-01', false],
    ['27-01-01', false],
    ['2027-01-01T00:00', false],
  ])('%j is a day: %j', (text, answer) => expect(isDay(text)).toBe(answer));

  it('begins a day in its own zone, summer time or not', () => {
    expect(startOfDay('2027-01-01', 'Europe/London')).toBe(Date.parse('2027-01-01T00:00:00Z'));
    expect(startOfDay('2027-07-01', 'Europe/London')).toBe(Date.parse('2027-06-30T23:00:00Z'));
    expect(startOfDay('2027-02-30', 'Europe/London')).toBeNull();
    expect(startOfDay('2027-01-01', 'Nowhere')).toBeNull();
  });
});

describe('instantOf', () => {
  it.each([
    ['2027-03-31', 'at', '2027-03-30T23:00:00Z'],
    ['2027-03-31', 'after', '2027-03-31T23:00:00Z'],
    ['2027-03-28', 'after', '2027-03-28T23:00:00Z'],
    ['2027-07-01T18:00', 'at', '2027-07-01T17:00:00Z'],
    ['2027-07-01 18:00', 'after', '2027-07-01T17:00:00Z'],
    ['2027-07-01T18:00Z', 'at', '2027-07-01T18:00:00Z'],
    ['2027-07-01T18:00:30+02:00', 'at', '2027-07-01T16:00:30Z'],
  ] as const)('%s (%s) is %s', (text, edge, iso) => {
    expect(instantOf(text, 'Europe/London', edge)).toBe(Date.parse(iso));
  });

  it.each(['2027-02-30', 'soon', '2027-07-01T25:00', '2027-07-01T25:00Z', ''])('%j is none', (text) => {
    expect(instantOf(text, 'Europe/London')).toBeNull();
  });
});
