import { describe, expect, it } from 'vitest';
import { VirtualClock } from '#sim/clock.ts';
import { TokenBuckets } from './token-bucket.ts';

describe('token buckets', () => {
  it('let one second of calls through at once and hold the rest to the rate, in their order', async () => {
    const clock = new VirtualClock(0);
    const buckets = new TokenBuckets(clock, () => 10);
    const done: (readonly [number, number])[] = [];
    const all = Array.from({ length: 35 }, async (_, index) => {
      await buckets.take('get');
      done.push([index, clock.now()]);
    });
    await clock.run(Promise.all(all));
    expect(done.map(([index]) => index)).toEqual(Array.from({ length: 35 }, (_, index) => index));
    expect(done.filter(([, at]) => at === 0)).toHaveLength(10);
    expect(done.at(-1)?.[1]).toBe(2500);
    await clock.advance(400);
    const before = clock.now();
    await clock.run(Promise.all(Array.from({ length: 5 }, () => buckets.take('get'))));
    expect(clock.now() - before).toBe(100);
  });

  it('keep kinds apart, and give a turn back that was not taken', async () => {
    const clock = new VirtualClock(0);
    const buckets = new TokenBuckets<'search' | 'get'>(clock, (kind) => (kind === 'search' ? 1 : 100));
    await clock.run(buckets.take('search'));
    await clock.run(buckets.take('get'));
    expect(clock.now()).toBe(0);
    const controller = new AbortController();
    const waiting = buckets.take('search', controller.signal);
    controller.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    await clock.run(buckets.take('search'));
    expect(clock.now()).toBe(1000);
  });
});
