import { describe, expect, it } from 'vitest';
import { Switches } from './switches.ts';

describe('switches', () => {
  const make = (): Switches<'mute' | 'slow'> => new Switches('a node', ['slow', 'mute']);

  it('refuses a name of which it does not know, and says which there are', () => {
    expect(() => make().set('dance', true)).toThrow(new RangeError('a node has no fault "dance"; it knows mute, slow'));
  });

  it('tells the parameter, and the usual one where it was only switched on', () => {
    const switches = make();
    expect(switches.set('slow', 3)).toBe('slow');
    switches.set('mute', true);
    expect([switches.number('slow', 2), switches.text('slow', 'x'), switches.number('mute', 2), switches.text('mute', 'x')]).toEqual([
      3,
      'x',
      2,
      'x',
    ]);
  });

  it.each([false, null])('is off after %s', (value) => {
    const switches = make();
    switches.set('slow', 3);
    switches.set('slow', value);
    expect([switches.on('slow'), switches.value('slow'), switches.number('slow', 2)]).toEqual([false, undefined, 2]);
  });

  it('is off after off', () => {
    const switches = make();
    switches.set('mute', 0);
    expect(switches.on('mute')).toBe(true);
    switches.off('mute');
    expect(switches.on('mute')).toBe(false);
  });
});
