import { describe, expect, it } from 'vitest';
import { didYouMean, nearest } from './nearest.ts';

const KEYS = ['select', 'settings', 'silence', 'rollout', 'pins', 'health'];

describe('nearest', () => {
  it.each([
    ['selct', 'select'],
    ['rolluot', 'rollout'],
    ['Silence', 'silence'],
    ['pin', 'pins'],
    ['setings', 'settings'],
    ['entirely', undefined],
    ['', undefined],
    ['x', undefined],
  ])('%j means %j', (word, meant) => {
    expect(nearest(word, KEYS)).toBe(meant);
  });

  it('takes the closest of several, the first of equals', () => {
    expect(nearest('CR100XX', ['CR1000', 'CR100X', 'CR100'])).toBe('CR100X');
    expect(nearest('tess', ['tees', 'test'])).toBe('tees');
  });

  it('makes a hint, or none', () => {
    expect(didYouMean('selct', KEYS)).toBe('did you mean `select`?');
    expect(didYouMean('xxxxxxxx', KEYS)).toBeUndefined();
  });
});
