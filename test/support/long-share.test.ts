import { describe, expect, it } from 'vitest';
import { countOf, shareOf } from './long-share.ts';

const cases = Array.from({ length: 47 }, (_, index) => index);

function share(long: string, seed: string, of: readonly number[] = cases): readonly number[] {
  return shareOf(of, 'crash', { HEADGATE_LONG: long, HEADGATE_SEED: seed });
}

describe('shareOf', () => {
  it('gives all cases where nothing is said, and with a share of 1', () => {
    expect(shareOf(cases, 'crash', {})).toEqual(cases);
    expect(share('1', 'a')).toEqual(cases);
  });

  it('gives the same part for the same seed, and all cases over the seeds', () => {
    expect(share('0.1', 'a')).toEqual(share('0.1', 'a'));
    expect([4, 5]).toContain(share('0.1', 'a').length);
    const seen = new Set(Array.from({ length: 200 }, (_, seed) => share('0.1', String(seed))).flat());
    expect([...seen].toSorted((a, b) => a - b)).toEqual(cases);
  });

  it('gives at least one of few cases', () => {
    for (let seed = 0; seed < 50; seed += 1) expect(share('0.1', String(seed), [1, 2, 3])).toHaveLength(1);
    expect(share('0.1', 'a', [])).toEqual([]);
  });

  it.each(['0', '2', '-1', 'some'])('refuses a share of %s', (long) => {
    expect(() => share(long, 'a')).toThrow(RangeError);
  });
});

describe('countOf', () => {
  it('gives that share of equal cases, at least one', () => {
    expect(countOf(200, {})).toBe(200);
    expect(countOf(200, { HEADGATE_LONG: '0.1' })).toBe(20);
    expect(countOf(3, { HEADGATE_LONG: '0.1' })).toBe(1);
  });
});
