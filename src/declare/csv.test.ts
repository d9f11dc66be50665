import { describe, expect, it } from 'vitest';
import { cellPlace, delimiterOf, lineStarts, readCsv, type Delimiter } from './csv.ts';

function rows(text: string, delimiter: Delimiter = delimiterOf(text)) {
  const found: { cells: string[]; line: number }[] = [];
  const problem = readCsv(text, delimiter, (cells, line) => found.push({ cells: [...cells], line }));
  return { found: found.map(({ cells, line }) => [line, ...cells]), problem };
}

describe('readCsv', () => {
  it('reads plain rows with the line of each', () => {
    expect(rows('a,b\nc,d')).toEqual({
      found: [
        [1, 'a', 'b'],
        [2, 'c', 'd'],
      ],
      problem: null,
    });
  });

  it('takes CRLF, a final line break, spaces around cells, and rows without text as nothing', () => {
    expect(rows('a,b\r\n c , d \r\n,,\r\n\r\n e,\r\n').found).toEqual([
      [1, 'a', 'b'],
      [2, 'c', 'd'],
      [5, 'e', ''],
    ]);
  });

  it('takes quotes as RFC 4180 has them', () => {
    expect(rows('a,"b,c",d\n"say ""hi""","",x\n').found).toEqual([
      [1, 'a', 'b,c', 'd'],
      [2, 'say "hi"', '', 'x'],
    ]);
  });

  it('counts lines through line breaks within quotes', () => {
    expect(rows('a,"one\ntwo\nthree"\nb,c\n').found).toEqual([
      [1, 'a', 'one\ntwo\nthree'],
      [4, 'b', 'c'],
    ]);
  });

  it('keeps a quote that stands within a cell', () => {
    expect(rows('a,5" pipe\nb,c\n').found).toEqual([
      [1, 'a', '5" pipe'],
      [2, 'b', 'c'],
    ]);
  });

  it.each([
    ['a,b\nc,"d\ne,f\n', { kind: 'unclosed-quote', line: 2, column: 3 }],
    ['a,b\n"c"x,d\n', { kind: 'text-after-quote', line: 2, column: 4 }],
  ])('stops at a broken quote: %j', (text, problem) => {
    expect(rows(text).problem).toEqual(problem);
  });

  it.each([
    ['a;b;c\n1,5;2', ';'],
    ['a\tb\n', '\t'],
    ['a,b\n', ','],
    ['"a,b,c";d\n', ';'],
    ['only\n', ','],
    ['sep=;\r\na;b\n', ';'],
  ])('finds the delimiter of %j', (text, delimiter) => {
    expect(delimiterOf(text)).toBe(delimiter);
  });

  it('does not take Excel’s sep= line for a row, and counts it', () => {
    expect(rows('sep=;\r\na;b\r\n').found).toEqual([[2, 'a', 'b']]);
  });
});

describe('cellPlace', () => {
  it.each([
    ['a,b\nc,d', { line: 2, index: 1 }, { line: 2, column: 3 }],
    ['a,"b,c",d', { line: 1, index: 2 }, { line: 1, column: 9 }],
    ['a,"b\nc",d', { line: 1, index: 2 }, { line: 2, column: 4 }],
    ['a,"b ""x"" c",d', { line: 1, index: 2 }, { line: 1, column: 15 }],
  ])('finds a cell of %j', (text, cell, place) => {
    const start = lineStarts(text)[cell.line - 1] ?? 0;
    expect(cellPlace(text, ',', { start, ...cell })).toEqual(place);
  });
});
