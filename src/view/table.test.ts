import { describe, expect, it } from 'vitest';
import { alignRows, painter, seenWidth, tableText } from './table.ts';

describe('tables', () => {
  it('aligns columns, numbers to the right, without space at the end of a line', () => {
    expect(
      alignRows(
        [
          ['a', '1', 'x'],
          ['long', '100', ''],
        ],
        [1],
      ),
    ).toEqual(['a       1  x', 'long  100']);
  });

  it('takes rows of different lengths', () => {
    expect(alignRows([['a'], ['b', 'c']])).toEqual(['a', 'b  c']);
  });

  it('gives colour no room', () => {
    const paint = painter(true);
    expect(seenWidth(paint('bad', 'four'))).toBe(4);
    expect(
      alignRows([
        [paint('bad', 'x'), 'y'],
        ['long', 'z'],
      ])[0],
    ).toBe(`${paint('bad', 'x')}     y`);
  });

  it('colours only when asked', () => {
    expect(painter(false)('bad', 'x')).toBe('x');
    expect(painter(true)('bad', 'x')).toContain('\u001B[31m');
    expect(tableText(['h'], [['r']])).toBe('h\nr');
  });
});
