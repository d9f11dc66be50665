import { describe, expect, it } from 'vitest';
import { byLabel, metricsText, single } from './metrics.ts';

describe('metrics as text', () => {
  it('have help and type once, samples sorted by label, and nothing for what has no sample', () => {
    const samples = byLabel(
      'reason',
      new Map([
        ['WINDOW_CLOSED', 2],
        ['OFFLINE', 1],
      ]),
    );
    const text = metricsText([
      { name: 'headgate_holds', type: 'gauge', help: 'Devices that wait', samples },
      { name: 'headgate_nothing', type: 'gauge', help: 'No sample', samples: [] },
      { name: 'headgate_up', type: 'gauge', help: 'Up', samples: single(1) },
    ]);
    expect(text).toBe(`# HELP headgate_holds Devices that wait
# TYPE headgate_holds gauge
headgate_holds{reason="OFFLINE"} 1
headgate_holds{reason="WINDOW_CLOSED"} 2
# HELP headgate_up Up
# TYPE headgate_up gauge
headgate_up 1
`);
  });

  it('keep hostile names within their quotes, and say what is no number', () => {
    const samples = byLabel('group', [
      ['a"} 1\nevil 2 # \\', Number.NaN],
      ['b', Number.POSITIVE_INFINITY],
    ]);
    const text = metricsText([{ name: 'x', type: 'gauge', help: 'two\nlines \\', samples }]);
    expect(text.split('\n')).toEqual([
      '# HELP x two\\nlines \\\\',
      '# TYPE x gauge',
      String.raw`x{group="a\"} 1\nevil 2 # \\"} NaN`,
      'x{group="b"} +Inf',
      '',
    ]);
  });
});
