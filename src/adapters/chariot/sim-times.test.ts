import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import type { SimPorts } from '#ports/sim.ts';
import { VirtualClock } from '#sim/clock.ts';
import { SimDaemon } from './sim-daemon.ts';
import { FaultSwitches } from './sim-faults.ts';

const THING = 'logger-07';
const PREFIX = `$aws/things/${THING}/shadow/`;
const START = Date.UTC(2026, 10, 23);

/** What happened, each with the milliseconds since the start. */
type Event = readonly [number, string];

/** A broker that does as it is told: refuses, answers nothing, rejects, or is cut. */
class Broker {
  readonly events: Event[] = [];
  reachable = true;
  answers: (verb: string, body: Readonly<Record<string, unknown>>) => readonly [string, object] | null = () => null;
  readonly #clock: VirtualClock;
  readonly #listeners = new Set<(message: BusMessage) => void>();
  #lost: (() => void) | null = null;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  note(what: string): void {
    this.events.push([this.#clock.now() - START, what]);
  }

  times(what: string): readonly number[] {
    return this.events.filter(([, one]) => one === what).map(([at]) => at);
  }

  tell(what: string, body: object): void {
    const payload = new TextEncoder().encode(JSON.stringify(body));
    for (const listener of this.#listeners) listener({ topic: PREFIX + what, payload, retained: false, receivedAt: 0, fresh: true });
  }

  cut(): void {
    this.#listeners.clear();
    this.#lost?.();
  }

  connect: SimPorts['connect'] = () => {
    this.note('connect');
    if (!this.reachable) return Promise.reject(new Error('refused'));
    this.#listeners.clear();
    const bus: MessageBus = {
      clientId: THING,
      expires: false,
      subscribe: (filters) => Promise.resolve(this.note(`subscribe ${filters.length}`)),
      publish: (topic, payload) => Promise.resolve(this.#take(topic.slice(PREFIX.length), payload)),
      listen: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      settle: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    return Promise.resolve({ bus, onLost: (listener) => void (this.#lost = listener), drop: () => Promise.resolve() });
  };

  #take(verb: string, payload: Uint8Array): void {
    this.note(verb);
    const answer = this.answers(verb, JSON.parse(new TextDecoder().decode(payload)) as Readonly<Record<string, unknown>>);
    if (answer !== null) this.tell(...answer);
  }
}

let clock: VirtualClock;
let broker: Broker;
let daemon: SimDaemon;

beforeEach(() => {
  clock = new VirtualClock(START);
  broker = new Broker(clock);
  const ports: SimPorts = {
    clock,
    log: SILENT_LOG,
    random: () => 0.5,
    connect: broker.connect,
    objects: () => Promise.reject(new Error('no bucket')),
    get: () => Promise.reject(new Error('no files')),
  };
  const service = { key: 'app', format: 'JSON', ephemeral: false, outkeys: () => null, notify: () => undefined } as const;
  daemon = new SimDaemon(ports, {
    thing: THING,
    services: [{ ...service, validate: (value) => value }],
    switches: new FaultSwitches(),
    exited: (why) => broker.note(`exit: ${why}`),
  });
});

afterEach(() => daemon.stop());

async function run(ms: number): Promise<void> {
  if (broker.events.length === 0) void daemon.start();
  await clock.advance(ms);
}

const EMPTY = ['get/accepted', { state: {}, version: 7, clientToken: `FETCH:${THING}` }] as const;

/** docs/protocols/shadow-devices.md §2.2, §2.10, §2.11. */
describe('chariotd keeps the times of its page', () => {
  it('tries a broker that it cannot reach after 1, 2, 4, 8, 16 s, and ends where the sixth attempt would start', async () => {
    broker.reachable = false;
    await run(35 * SECOND_MS);
    expect(broker.times('connect')).toEqual([0, 1000, 3000, 7000, 15_000]);
    expect(broker.times('exit: the broker cannot be reached')).toEqual([31_000]);
    // Its supervisor starts it, and it begins anew.
    broker.reachable = true;
    await run(5 * SECOND_MS);
    expect(broker.times('connect').slice(5)).toEqual([36_000]);
    expect(broker.times('get')).toEqual([36_250]);
  });

  it('subscribes in one packet, and asks a tick later', async () => {
    broker.answers = (verb) => (verb === 'get' ? EMPTY : null);
    await run(SECOND_MS);
    expect(broker.events.slice(0, 3)).toEqual([
      [0, 'connect'],
      [0, 'subscribe 7'],
      [250, 'get'],
    ]);
  });

  it('asks again every 10 s where nobody answers, and ends after 50 s', async () => {
    await run(54 * SECOND_MS);
    expect(broker.times('get')).toEqual([250, 10_250, 20_250, 30_250, 40_250]);
    expect(broker.times('exit: requests are not answered')).toEqual([50_250]);
  });

  it('asks again after 5 s where it is refused, for ever', async () => {
    const refused = ['get/rejected', { code: 500, message: 'Internal service failure', clientToken: `FETCH:${THING}` }] as const;
    broker.answers = (verb) => (verb === 'get' ? refused : null);
    await run(61 * SECOND_MS);
    expect(broker.times('get')).toEqual(Array.from({ length: 13 }, (_, count) => 250 + count * 5000));
    expect(broker.events.some(([, what]) => what.startsWith('exit'))).toBe(false);
  });

  it('says it again after 3 s where a report is refused, after 10 s where nobody answers', async () => {
    const answers = [
      ['update/rejected', { code: 409, message: 'Version conflict', clientToken: `UPDATE:${THING}` }],
      null,
      ['update/accepted', { state: {}, version: 9, clientToken: `UPDATE:${THING}` }],
    ] as const;
    let count = 0;
    broker.answers = (verb) => (verb === 'get' ? EMPTY : (answers[count++] ?? null));
    await run(SECOND_MS);
    expect(broker.times('update')).toEqual([250]);
    await run(59 * SECOND_MS);
    expect(broker.times('update')).toEqual([250, 3250, 13_250]);
  });

  it('begins the back-off anew only after a connection of 20 s, and misses deltas while it subscribes again', async () => {
    broker.answers = (verb) => (verb === 'get' ? EMPTY : null);
    await run(SECOND_MS);
    broker.cut();
    await run(2 * SECOND_MS);
    expect(broker.times('connect')).toEqual([0, 2000]);
    broker.cut();
    // Two seconds this time: the connection had not lasted.
    await run(3 * SECOND_MS);
    expect(broker.times('connect')).toEqual([0, 2000, 5000]);
    expect(broker.times('subscribe 1').slice(-5)).toEqual([5000, 5250, 5500, 5750, 6000]);
    await run(25 * SECOND_MS);
    broker.cut();
    await run(SECOND_MS);
    expect(broker.times('connect').at(-1)).toBe(32_000);
    expect(broker.times('get')).toEqual([250, 6750]);
  });

  it('never reports what came while it asked, until it connects anew', async () => {
    broker.answers = () => null;
    await run(300);
    broker.tell('update/delta', { state: { app: { level: 4 } }, version: 8 });
    broker.tell(...EMPTY);
    await run(40 * SECOND_MS);
    expect(daemon.valueOf('app')).toEqual({ level: 4 });
    expect(broker.times('update')).toEqual([]);
    broker.answers = (verb) => (verb === 'get' ? EMPTY : null);
    broker.cut();
    await run(5 * SECOND_MS);
    expect(broker.times('update')).toHaveLength(1);
  });
});
