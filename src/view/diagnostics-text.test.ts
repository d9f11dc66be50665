import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '#kit/diagnostics.ts';
import { diagnosticsJson, diagnosticsText, diagnosticText, problemCount } from './diagnostics-text.ts';

const unknownKey: Diagnostic = {
  severity: 'error',
  code: 'UNKNOWN_KEY',
  summary: 'a Group has no `pinz`',
  fix: 'write `pins`',
  place: { file: 'groups/upland.yaml', line: 6, column: 3 },
  also: [{ file: 'groups/other.yaml', line: 2, column: 1 }],
};

describe('diagnosticsText', () => {
  it('shows the line with a caret under the column', () => {
    const text = diagnosticsText([unknownKey], { sourceLine: () => '  pinz:\r' });
    expect(text).toBe(
      [
        'error UNKNOWN_KEY  groups/upland.yaml:6:3',
        '  6 |   pinz:',
        '    |   ^',
        '  a Group has no `pinz`',
        '  also groups/other.yaml:2:1',
        '  fix: write `pins`',
        '',
        '1 error, 0 warnings',
      ].join('\n'),
    );
  });

  it('does without the line where there is none', () => {
    expect(diagnosticText(unknownKey).split('\n')[1]).toBe('  a Group has no `pinz`');
  });

  it('cuts a long line so that the place stays in sight', () => {
    const far = { ...unknownKey, place: { ...unknownKey.place, column: 501 } };
    const lines = diagnosticText(far, { sourceLine: () => `${'x'.repeat(500)}HERE${'y'.repeat(500)}` }).split('\n');
    const caret = lines[2]?.indexOf('^') ?? -1;
    expect(lines[1]?.slice(caret, caret + 4)).toBe('HERE');
    expect(lines[1]?.length).toBeLessThan(140);
  });

  it('counts errors and warnings apart', () => {
    expect(problemCount([unknownKey, { ...unknownKey, severity: 'warning' }])).toBe('1 error, 1 warning');
  });

  it('keeps place and fix for machines', () => {
    expect(diagnosticsJson([unknownKey])).toMatchObject([
      { code: 'UNKNOWN_KEY', file: 'groups/upland.yaml', line: 6, column: 3, fix: 'write `pins`' },
    ]);
  });
});
