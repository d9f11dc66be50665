import { expect, it } from 'vitest';
import { VirtualClock } from '#sim/clock.ts';
import { SimLife } from './sim-life.ts';

it('lets whoever waits go at the end of the life, and nobody wait until the next', async () => {
  const clock = new VirtualClock(0);
  const life = new SimLife(clock);
  const first = life.next();
  const waits = life.pause(1000);
  life.end();
  expect(await waits).toBe(false);
  expect(await life.pause(1000)).toBe(false);
  const second = life.next();
  expect([first.aborted, second.aborted, clock.now()]).toEqual([true, false, 0]);
  expect(await life.pause(1000, first)).toBe(false);
  expect(await clock.run(life.pause(1000))).toBe(true);
  expect(clock.now()).toBe(1000);
});

it('ends the life that is when the next begins', async () => {
  const clock = new VirtualClock(0);
  const life = new SimLife(clock);
  const waits = life.pause(1000);
  life.next();
  expect(await waits).toBe(false);
  expect(clock.now()).toBe(0);
});
