import { describe, expect, it } from 'vitest';
import { changedPart, readShadowUndo } from './undo.ts';

describe('what a withdrawal sends', () => {
  it.each([
    ['a key that is there', { want: null }, { want: 1 }, { want: null }],
    ['no key that has gone by itself', { want: null }, {}, null],
    ['what was there before', { want: { v: '1', url: null } }, { want: { v: '2' } }, { want: { v: '1' } }],
    ['nothing where all is back', { want: { v: '1', url: null } }, { want: { v: '1' } }, null],
    ['an object whole where there is none', { want: { v: '1' } }, { want: 3 }, { want: { v: '1' } }],
  ])('is %s', (_, inverse, state, sent) => {
    expect(changedPart(inverse, state)).toEqual(sent);
  });
});

describe('what a write left', () => {
  it.each([null, {}, { version: '1', inverse: {} }, { version: 1, inverse: [] }])('is nothing in %j', (undo) => {
    expect(readShadowUndo(undo)).toBeNull();
  });

  it('is read back', () => {
    const undo = { version: 3, at: 5000, inverse: { want: null }, expires: 6000 };
    expect(readShadowUndo({ ...undo, tries: 1 })).toEqual(undo);
    expect(readShadowUndo({ version: 3, inverse: {} })).toEqual({ version: 3, at: 0, inverse: {}, expires: null });
  });
});
