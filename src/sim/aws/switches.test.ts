import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readSwitches, SHADOW_SWITCHES, SWITCH_VALUES, WIRE_SWITCHES } from './switches.ts';

const DEFAULTS: Readonly<Record<string, unknown>> = { ...SHADOW_SWITCHES, ...WIRE_SWITCHES };

describe('switches', () => {
  it('reads each value of each, and refuses others by name', () => {
    for (const [name, values] of Object.entries(SWITCH_VALUES)) {
      for (const value of values) expect(readSwitches({ [name]: String(value) })).toEqual({ [name]: value });
      expect(() => readSwitches({ [name]: 'sometimes' })).toThrow(name);
      expect(() => readSwitches({ [name]: '' })).toThrow(RangeError);
    }
    expect(() => readSwitches({ depthLimit: '101' })).toThrow('depthLimit is a number from 1 to 100, not "101"');
    expect(() => readSwitches({ toString: 'x' })).toThrow('"toString" is no switch');
  });

  it('are all on the page, with their defaults', () => {
    const page = readFileSync('src/sim/aws/readme.md', 'utf8');
    const rows = [...page.matchAll(/^\| `(\w+)` \| ([^|]+) \|$/gm)].map(([, name = '', values = '']) => [name, values.trim()]);
    const expected = Object.entries(SWITCH_VALUES).map(([name, values]) => {
      const [least, most] = values;
      if (typeof least === 'number') return [name, `${String(DEFAULTS[name])}; a number from ${least} to ${String(most)}`];
      expect(values[0]).toBe(DEFAULTS[name]);
      return [name, values.map(String).join(', ')];
    });
    expect(rows).toEqual(expected);
  });
});
