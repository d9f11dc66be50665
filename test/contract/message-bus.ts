import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';
import type { BusOptions, LiveBus } from '#ports/clients.ts';
import type { BusMessage } from '#ports/message-bus.ts';
import type { SimWill } from '#ports/sim.ts';

/** A broker as this contract needs it: how to reach it, and how to cut a client off. */
export interface BrokerUnderTest {
  readonly connection: Pick<BusOptions, 'url' | 'username' | 'password' | 'ca' | 'cert' | 'key' | 'streamBuilder' | 'protocol'>;
  readonly expires: boolean;
  close(): Promise<void>;
}

const text = (payload: Uint8Array): string => Buffer.from(payload).toString('utf8');
const bytes = (content: string): Uint8Array => Buffer.from(content);

export interface DroppingBroker extends BrokerUnderTest {
  /** Cuts that client's connection from the broker's side. */
  dropClient(id: string): void;
}

/** Opens the broker when first needed in a test, and closes all after it. */
function laboratory<B extends BrokerUnderTest>(
  open: () => Promise<B>,
): {
  connect(clientId: string, more?: Partial<BusOptions>): Promise<LiveBus>;
  broker(): B;
} {
  let broker: B | null = null;
  const buses: LiveBus[] = [];
  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.close();
    await broker?.close();
    broker = null;
  });
  return {
    async connect(clientId, more = {}) {
      broker ??= await open();
      const bus = await openBus({ clientId, clean: true, clock: systemClock, ...broker.connection, ...more });
      buses.push(bus);
      return bus;
    },
    broker() {
      if (broker === null) throw new Error('nobody has connected yet');
      return broker;
    },
  };
}

function collect(bus: LiveBus): BusMessage[] {
  const messages: BusMessage[] = [];
  bus.listen((message) => messages.push(message));
  return messages;
}

/** What every MessageBus over every broker must do. */
export function messageBusContract(name: string, open: () => Promise<BrokerUnderTest>): void {
  describe(`message bus over ${name}`, () => {
    const lab = laboratory(open);
    const { connect } = lab;
    const arrival = (bus: LiveBus, topic: string): Promise<BusMessage> =>
      new Promise((resolve) => bus.listen((message) => (message.topic === topic ? resolve(message) : undefined)));

    test('what is published after the marker is fresh, byte for byte and in order', async () => {
      const reader = await connect('reader');
      const messages = collect(reader);
      await reader.subscribe(['up/+/a', 'up/#'], 1);
      await reader.settle();
      const writer = await connect('writer');
      const payloads = [...Array(50).keys()].map((n) => Uint8Array.from([n, 0, 255, 128]));
      for (const [n, payload] of payloads.entries()) await writer.publish(`up/${n}/b`, payload, { qos: 1 });
      await reader.settle();
      expect(messages.map((message) => [message.topic, [...message.payload], message.fresh, message.retained])).toEqual(
        payloads.map((payload, n) => [`up/${n}/b`, [...payload], true, false]),
      );
    });

    test('a retained message is never fresh, the same topic live is', async () => {
      const writer = await connect('writer');
      await writer.publish('state/x', bytes('old'), { qos: 1, retain: true });
      const reader = await connect('reader');
      await reader.settle();
      const messages = collect(reader);
      await reader.subscribe(['state/#'], 1);
      await reader.settle();
      await writer.publish('state/x', bytes('new'), { qos: 1, retain: true });
      await reader.settle();
      expect(messages.map((message) => [text(message.payload), message.retained, message.fresh])).toEqual([
        ['old', true, false],
        ['new', false, true],
      ]);
    });

    test('what was queued for a persistent session comes back as not fresh, before settle ends, ahead of what is new', async () => {
      const first = await connect('holder', { clean: false });
      await first.subscribe(['q/#'], 1);
      await first.close();
      const writer = await connect('writer');
      for (let n = 0; n < 60; n += 1) await writer.publish(`q/${n}`, bytes(`queued ${n}`), { qos: 1 });
      const second = await connect('holder', { clean: false });
      const messages = collect(second);
      await second.settle();
      expect(messages.map((message) => message.topic)).toEqual([...Array(60).keys()].map((n) => `q/${n}`));
      expect(messages.filter((message) => message.fresh)).toEqual([]);
      expect(messages.filter((message) => message.retained)).toEqual([]);
      await writer.publish('q/live', bytes('live'), { qos: 1 });
      await second.settle();
      expect(messages.at(-1)).toMatchObject({ topic: 'q/live', fresh: true });
      expect(messages).toHaveLength(61);
    });

    test('a clean session gets nothing of what was sent while it was away', async () => {
      const first = await connect('reader');
      await first.subscribe(['q/#'], 1);
      await first.close();
      const writer = await connect('writer');
      await writer.publish('q/1', bytes('missed'), { qos: 1 });
      const second = await connect('reader');
      const messages = collect(second);
      await second.subscribe(['q/#'], 1);
      await second.settle();
      expect(messages).toEqual([]);
    });

    test('nothing that arrives before a listener is lost', async () => {
      const first = await connect('holder', { clean: false });
      await first.subscribe(['q/#'], 1);
      await first.close();
      const writer = await connect('writer');
      await writer.publish('q/1', bytes('early'), { qos: 1 });
      const second = await connect('holder', { clean: false });
      await second.settle();
      const late = collect(second);
      expect(late.map((message) => [message.topic, message.fresh])).toEqual([['q/1', false]]);
      expect(collect(second)).toEqual([]);
    });

    test('the will is sent when the connection drops, and not when it is closed', async () => {
      const reader = await connect('reader');
      const messages = collect(reader);
      await reader.subscribe(['will/#'], 1);
      const will = (topic: string): SimWill => ({ topic, payload: bytes('gone'), qos: 1, retain: false });
      const polite = await connect('polite', { will: will('will/polite'), markerTopic: null, reconnect: false });
      const rude = await connect('rude', { will: will('will/rude'), markerTopic: null, reconnect: false });
      const arrived = arrival(reader, 'will/rude');
      await polite.close();
      await rude.drop();
      expect(text((await arrived).payload)).toBe('gone');
      await reader.settle();
      expect(messages.map((message) => message.topic)).toEqual(['will/rude']);
      await expect(rude.publish('x', bytes(''), { qos: 0 })).rejects.toMatchObject({ code: 'CLOSED' });
    });

    test('a message over the limit is skipped, counted and acknowledged; the ones around it arrive', async () => {
      const reader = await connect('reader', { clean: false, maxPacketBytes: 10_000 });
      const messages = collect(reader);
      await reader.subscribe(['big/#'], 1);
      const writer = await connect('writer');
      for (const qos of [0, 1] as const) {
        await writer.publish('big/1', bytes('small'), { qos });
        await writer.publish('big/2', new Uint8Array(50_000), { qos });
        await writer.publish('big/3', bytes('small'), { qos });
      }
      await reader.settle();
      await reader.close();
      const again = await connect('reader', { clean: false, maxPacketBytes: 10_000 });
      const redelivered = collect(again);
      await again.settle();
      expect(messages.map((message) => message.topic)).toEqual(['big/1', 'big/3', 'big/1', 'big/3']);
      expect(redelivered).toEqual([]);
      // A broker that speaks MQTT 5 knows our limit and does not even send it.
      expect(reader.skipped).toBe(lab.broker().expires ? 0 : 2);
    });

    test('says whether expiry is honoured', async () => {
      const bus = await connect('reader');
      expect(bus.expires).toBe(lab.broker().expires);
    });

    test('settle ends with the reason of its signal', async () => {
      const bus = await connect('reader');
      const reason = new Error('enough');
      await expect(bus.settle(AbortSignal.abort(reason))).rejects.toBe(reason);
      await bus.settle();
    });

    test('after close every call says so', async () => {
      const bus = await connect('reader');
      await bus.close();
      await bus.close();
      await expect(bus.publish('x', bytes('y'), { qos: 1 })).rejects.toMatchObject({ name: 'WireError', code: 'CLOSED' });
      await expect(bus.subscribe(['x'], 1)).rejects.toMatchObject({ code: 'CLOSED' });
      await expect(bus.settle()).rejects.toMatchObject({ code: 'CLOSED' });
    });
  });
}

/** What it must do besides where the broker can cut a single client off. */
export function droppedBusContract(name: string, open: () => Promise<DroppingBroker>): void {
  describe(`dropped message bus over ${name}`, () => {
    const lab = laboratory(open);
    const { connect } = lab;
    const restored = (bus: LiveBus): Promise<void> => new Promise((resolve) => bus.onRestored(resolve));
    const lost = (bus: LiveBus): Promise<void> => new Promise((resolve) => bus.onLost(resolve));

    test('a connection that the broker cuts comes back with its subscriptions, and what was missed is not fresh', async () => {
      const reader = await connect('reader', { clean: false });
      const messages = collect(reader);
      await reader.subscribe(['q/#'], 1);
      await reader.settle();
      const writer = await connect('writer');
      const [gone, back] = [lost(reader), restored(reader)];
      lab.broker().dropClient('reader');
      await gone;
      expect(reader.connected).toBe(false);
      await expect(reader.publish('q/0', bytes(''), { qos: 1 })).rejects.toMatchObject({ code: 'NOT_CONNECTED', retry: 'later' });
      await writer.publish('q/1', bytes('missed'), { qos: 1 });
      await back;
      await reader.settle();
      await writer.publish('q/2', bytes('live'), { qos: 1 });
      await reader.settle();
      expect(messages.map((message) => [message.topic, message.fresh])).toEqual([
        ['q/1', false],
        ['q/2', true],
      ]);
    });
  });
}
