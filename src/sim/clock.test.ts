import { describe, expect, test } from 'vitest';
import { ScaledClock, VirtualClock } from './clock.ts';

const START = Date.UTC(2026, 10, 23);
const HOUR = 3_600_000;

describe('VirtualClock', () => {
  test('fires timers in order of instant, then of insertion, at their own instant', async () => {
    const clock = new VirtualClock(START);
    const seen: string[] = [];
    for (const [name, ms] of [
      ['c', 30],
      ['a', 10],
      ['b1', 20],
      ['b2', 20],
      ['zero', 0],
    ] as const) {
      void clock.sleep(ms).then(() => seen.push(`${name}@${clock.now() - START}`));
    }
    await clock.advance(25);
    expect(seen).toEqual(['zero@0', 'a@10', 'b1@20', 'b2@20']);
    expect([clock.now() - START, clock.monotonicMs()]).toEqual([25, 25]);
    await clock.advance(5);
    expect(seen.at(-1)).toBe('c@30');
  });

  test('what a timer sets off comes to rest before the next one fires', async () => {
    const clock = new VirtualClock(START);
    const seen: string[] = [];
    const turns = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    void (async () => {
      await clock.sleep(10);
      await turns(5);
      await clock.sleep(0);
      await turns(5);
      seen.push(`slow@${clock.now() - START}`);
    })();
    void clock.sleep(11).then(() => seen.push(`next@${clock.now() - START}`));
    await clock.advance(20);
    expect(seen).toEqual(['slow@10', 'next@11']);
  });

  test('the same script gives the same order of events each time', async () => {
    const script = async (): Promise<readonly string[]> => {
      const clock = new VirtualClock(START);
      const seen: string[] = [];
      const device = async (id: number): Promise<void> => {
        for (let n = 0; n < 20; n += 1) {
          await clock.sleep(((id * 7 + n * 13) % 11) * 1000);
          seen.push(`${id}.${n}@${clock.now() - START}`);
        }
      };
      await clock.run(Promise.all([...Array(10).keys()].map(device)));
      return seen;
    };
    const first = await script();
    expect(first).toHaveLength(200);
    expect(await script()).toEqual(first);
  });

  test('run moves time only as far as the work needs', async () => {
    const clock = new VirtualClock(START);
    let later = false;
    void clock.sleep(3 * HOUR).then(() => (later = true));
    const answer = await clock.run(clock.sleep(2 * HOUR).then(() => 'done'));
    expect([answer, clock.now() - START, later]).toEqual(['done', 2 * HOUR, false]);
  });

  test('run gives the error of the work', async () => {
    const clock = new VirtualClock(START);
    const failure = new Error('no');
    await expect(clock.run(clock.sleep(5).then(() => Promise.reject(failure)))).rejects.toBe(failure);
  });

  test('driven work may itself advance and run', async () => {
    const clock = new VirtualClock(START);
    const seen: number[] = [];
    const work = async (): Promise<void> => {
      await clock.advance(10);
      seen.push(clock.now() - START);
      await clock.run(clock.sleep(5));
      seen.push(clock.now() - START);
    };
    await clock.run(work());
    expect(seen).toEqual([10, 15]);
  });

  test('two that drive at once both get where they want', async () => {
    const clock = new VirtualClock(START);
    await Promise.all([clock.advance(10), clock.advance(20), clock.run(clock.sleep(30))]);
    expect(clock.now() - START).toBe(30);
  });

  test('time stands still while tracked work is under way', async () => {
    const clock = new VirtualClock(START);
    const ticks: number[] = [];
    void (async () => {
      for (;;) {
        await clock.sleep(1000);
        ticks.push(clock.now());
      }
    })();
    const port = clock.tracked({
      read: () => new Promise<number>((resolve) => setTimeout(() => resolve(ticks.length), 50)),
      nested: { size: 3 },
    });
    expect(await clock.run(port.read())).toBe(0);
    expect(port.nested.size).toBe(3);
    expect(ticks).toEqual([]);
  });

  test('tracks nested ports with private state, and leaves the excepted alone', async () => {
    class Store {
      readonly #rows = [1, 2];
      readonly reports = { load: async (): Promise<readonly number[]> => Promise.resolve(this.#rows) };
      constructor(readonly_: VirtualClock) {
        this.acquire = () => readonly_.sleep(90_000);
      }
      acquire: () => Promise<void>;
    }
    const clock = new VirtualClock(START);
    const store = clock.tracked(new Store(clock), ['acquire']);
    expect(await clock.run(store.reports.load())).toEqual([1, 2]);
    expect(store.reports).toBe(store.reports);
    await clock.run(store.acquire());
    expect(clock.now() - START).toBe(90_000);
  });

  test('an aborted sleep rejects with the reason and does not fire', async () => {
    const clock = new VirtualClock(START);
    const control = new AbortController();
    const reason = new Error('enough');
    const sleeping = clock.sleep(10, control.signal);
    control.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    await expect(clock.sleep(10, control.signal)).rejects.toBe(reason);
    await clock.advance(20);
    expect(clock.now() - START).toBe(20);
  });

  test('work that never ends beside ticking devices is an error, not for ever', async () => {
    const clock = new VirtualClock(START);
    void (async () => {
      for (;;) await clock.sleep(30 * 24 * HOUR);
    })();
    await expect(clock.run(new Promise(() => undefined))).rejects.toThrow('does not end');
  });
});

describe('ScaledClock', () => {
  test('runs so many times as fast, and an abort ends its sleep', async () => {
    const clock = new ScaledClock(START, 36_000);
    expect(clock.now()).toBeGreaterThanOrEqual(START);
    const began = clock.monotonicMs();
    await clock.sleep(HOUR);
    expect(clock.monotonicMs() - began).toBeGreaterThanOrEqual(HOUR - 1);
    expect(clock.monotonicMs() - began).toBeLessThan(200 * HOUR);
    const reason = new Error('enough');
    await expect(clock.sleep(HOUR * 1e6, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
