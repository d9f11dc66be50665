import type { Instant } from '#model/ids.ts';
import type { Clock } from '#ports/clock.ts';

/**
 * Turns of the event loop without a sign of activity after which a process counts as quiet. Two are enough for the
 * embedded broker and its clients (measured); the rest is margin for code that waits a turn of its own accord.
 */
const QUIET_TURNS = 12;
/** Real time that `run` waits with no timer left before it calls the work stuck. */
const STALL_LIMIT_MS = 60_000;
/** Virtual time that one `run` may cover: guards against work that never ends beside devices that tick for ever. */
const RUN_LIMIT_MS = 366 * 86_400_000;

interface Timer {
  readonly at: Instant;
  readonly order: number;
  cancelled: boolean;
  fire(): void;
}

/**
 * Time that moves only when told to. Timers fire in order of instant, then of insertion, each after everything that the
 * one before set off has come to rest, so the same script gives the same events in the same order.
 */
export class VirtualClock implements Clock {
  readonly #start: Instant;
  #now: Instant;
  #order = 0;
  /** Counts everything that moves: timers, messages, tracked work. Unchanged means quiet. */
  #activity = 0;
  #tracked = 0;
  #whenUntracked: (() => void)[] = [];
  #driving: Promise<void> | null = null;
  readonly #timers: Timer[] = [];

  constructor(start: Instant) {
    this.#start = start;
    this.#now = start;
  }

  now(): Instant {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now - this.#start;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const timer: Timer = {
        at: this.#now + Math.max(0, Number.isNaN(ms) ? 0 : ms),
        order: this.#order++,
        cancelled: false,
        fire: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      const abort = (): void => {
        timer.cancelled = true;
        this.moved();
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.moved();
      push(this.#timers, timer);
    });
  }

  /** Says that something in this process is on its way (a message in a memory stream), so it is not quiet yet. */
  moved(): void {
    this.#activity += 1;
  }

  /** Keeps time still while real I/O (git, SQLite, TCP) is under way. Not for work that sleeps on this clock itself. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.#tracked += 1;
    this.moved();
    try {
      return await work;
    } finally {
      this.#tracked -= 1;
      this.moved();
      if (this.#tracked === 0) for (const wake of this.#whenUntracked.splice(0)) wake();
    }
  }

  /**
   * The same port with every promise its methods return tracked, those of nested ports (`ledger.reports`) too. Methods
   * that sleep on this clock (a lease that is contended) must be named in `except`: time would stand still for them.
   */
  tracked<P extends object>(port: P, except: readonly string[] = []): P {
    return trackedPort(port, { clock: this, except: new Set(except), seen: new WeakMap() });
  }

  /** Lets everything that is under way come to rest without moving time. */
  async settled(): Promise<void> {
    let seen = this.#activity;
    let quiet = 0;
    while (quiet < QUIET_TURNS) {
      if (this.#tracked > 0) await new Promise<void>((resolve) => this.#whenUntracked.push(resolve));
      await turn();
      quiet = seen === this.#activity && this.#tracked === 0 ? quiet + 1 : 0;
      seen = this.#activity;
    }
  }

  advance(ms: number): Promise<void> {
    return this.advanceTo(this.#now + ms);
  }

  /** Moves time to that instant, through every timer on the way. Called from within driven work it just waits for it. */
  async advanceTo(instant: Instant): Promise<void> {
    if (this.#driving !== null) {
      await this.run(this.sleep(instant - this.#now));
      return;
    }
    await this.#drive(() => false, instant);
  }

  /**
   * Drives time forward while `work` waits on this clock, and only when nothing else is going on; gives what the work
   * gives. Throws when the work is stuck: no timer left for a minute of real time, or a year of virtual time gone by.
   */
  async run<T>(work: Promise<T>): Promise<T> {
    const state = { settled: false };
    const end = work.then(
      () => void (state.settled = true),
      () => void (state.settled = true),
    );
    while (!state.settled && this.#driving !== null) await Promise.race([end, this.#driving]);
    if (!state.settled) await this.#drive(() => state.settled, Number.POSITIVE_INFINITY);
    return work;
  }

  async #drive(done: () => boolean, limit: Instant): Promise<void> {
    const driving = this.#loop(done, limit).finally(() => (this.#driving = null));
    // Those who wait for their turn to drive must not see this one's error.
    this.#driving = driving.catch(() => undefined);
    await driving;
  }

  async #loop(done: () => boolean, limit: Instant): Promise<void> {
    const began = this.#now;
    let stalledSince: number | null = null;
    for (;;) {
      await this.settled();
      if (done()) return;
      const next = this.#take(limit);
      if (next !== undefined) {
        stalledSince = null;
        if (next.at - began > RUN_LIMIT_MS && limit === Number.POSITIVE_INFINITY) {
          throw new Error('the work on the virtual clock does not end: a year of virtual time has gone by');
        }
        this.#now = Math.max(this.#now, next.at);
        this.moved();
        next.fire();
        continue;
      }
      if (Number.isFinite(limit)) {
        this.#now = Math.max(this.#now, limit);
        return;
      }
      stalledSince ??= performance.now();
      if (performance.now() - stalledSince > STALL_LIMIT_MS) throw new Error('the work on the virtual clock waits for nothing on it');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #take(limit: Instant): Timer | undefined {
    for (;;) {
      const first = this.#timers[0];
      if (first === undefined || (!first.cancelled && first.at > limit)) return undefined;
      pop(this.#timers);
      if (!first.cancelled && Number.isFinite(first.at)) return first;
    }
  }
}

/** Real time from a start instant, so many times as fast: for the demo and `headgate sim`. */
export class ScaledClock implements Clock {
  readonly #start: Instant;
  readonly #scale: number;
  readonly #origin = performance.now();

  /** `scale` 60 makes a minute pass in a second. */
  constructor(start: Instant, scale: number) {
    if (!(scale > 0)) throw new RangeError('a scaled clock needs a scale above 0');
    this.#start = start;
    this.#scale = scale;
  }

  now(): Instant {
    return this.#start + Math.floor(this.monotonicMs());
  }

  monotonicMs(): number {
    return (performance.now() - this.#origin) * this.#scale;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const end = performance.now() + Math.max(0, ms) / this.#scale;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      let timer: ReturnType<typeof setTimeout> | undefined;
      const abort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const next = (): void => {
        const left = end - performance.now();
        // Node's timers hold 2^31 - 1 ms at most.
        if (left > 0) timer = setTimeout(next, Math.min(left, 2 ** 31 - 1));
        else {
          signal?.removeEventListener('abort', abort);
          resolve();
        }
      };
      signal?.addEventListener('abort', abort, { once: true });
      timer = setTimeout(next, Math.min(Math.max(0, end - performance.now()), 2 ** 31 - 1));
    });
  }
}

interface Tracking {
  readonly clock: VirtualClock;
  readonly except: ReadonlySet<string>;
  readonly seen: WeakMap<object, object>;
}

function trackedPort<P extends object>(port: P, tracking: Tracking): P {
  const known = tracking.seen.get(port);
  if (known !== undefined) return known as P;
  const proxy = new Proxy(port, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member === 'function') {
        return (...args: readonly unknown[]): unknown => {
          // Called on the port itself: private fields do not go through a proxy.
          const answer: unknown = Reflect.apply(member, target, args);
          const tracks = answer instanceof Promise && !(typeof name === 'string' && tracking.except.has(name));
          return tracks ? tracking.clock.track(answer) : answer;
        };
      }
      return isPort(member) ? trackedPort(member, tracking) : member;
    },
  });
  tracking.seen.set(port, proxy);
  return proxy;
}

/** A nested port has methods of its own; arrays, maps and bytes are data. */
function isPort(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value) || value instanceof Map || value instanceof Set || value instanceof Promise) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return true;
  return Object.values(value).some((member) => typeof member === 'function');
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.push(timer) - 1;
  while (index > 0) {
    const up = (index - 1) >> 1;
    const parent = heap[up];
    if (parent === undefined || !before(timer, parent)) break;
    heap[index] = parent;
    index = up;
  }
  heap[index] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const left = heap[2 * index + 1];
    const right = heap[2 * index + 2];
    if (left === undefined) break;
    const goRight = right !== undefined && before(right, left);
    const least = goRight ? right : left;
    if (!before(least, last)) break;
    heap[index] = least;
    index = 2 * index + (goRight ? 2 : 1);
  }
  heap[index] = last;
}
