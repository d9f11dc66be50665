import { describe, expect, test } from 'vitest';
import { droppedBusContract, messageBusContract, type DroppingBroker } from '#test/contract/message-bus.ts';
import type { LiveBus } from '#ports/clients.ts';
import type { BusMessage } from '#ports/message-bus.ts';
import { openBus } from '#transports/mqtt.ts';
import { memoryBroker, startBroker, type Broker } from './broker.ts';
import type { BrokerRules } from './broker-rules.ts';
import { VirtualClock } from './clock.ts';

function underTest(broker: Broker): DroppingBroker {
  return {
    connection: broker.url === null ? { url: 'memory', streamBuilder: () => broker.stream() } : { url: broker.url },
    expires: false,
    dropClient: (id) => void broker.dropClient(id),
    close: () => broker.close(),
  };
}

for (const contract of [messageBusContract, droppedBusContract]) {
  contract('the embedded broker in memory', async () => underTest(memoryBroker()));
  contract('the embedded broker on TCP', async () => underTest(await startBroker()));
}

describe('the embedded broker', () => {
  const START = Date.UTC(2026, 10, 23);

  async function scene(
    run: (scene: { broker: Broker; clock: VirtualClock; connect: (id: string, clean?: boolean) => Promise<LiveBus> }) => Promise<void>,
  ): Promise<void> {
    const clock = new VirtualClock(START);
    const broker = memoryBroker({ clock });
    const buses: LiveBus[] = [];
    const connect = async (clientId: string, clean = true): Promise<LiveBus> => {
      const streamBuilder = (): ReturnType<Broker['stream']> => broker.stream();
      const bus = await openBus({
        url: 'memory',
        streamBuilder,
        clientId,
        clean,
        clock,
        limitClock: clock,
        protocol: 4,
        keepAliveSeconds: 0,
      });
      buses.push(bus);
      return bus;
    };
    // The client is loaded on the first use, which is no business of the virtual clock.
    await clock.track(import('mqtt'));
    await clock.run(run({ broker, clock, connect }));
    await clock.run(Promise.all(buses.map((bus) => bus.close())));
    await broker.close();
  }

  test('on a virtual clock messages take no time', () =>
    scene(async ({ clock, connect }) => {
      const [reader, writer] = [await connect('reader'), await connect('writer')];
      const messages: BusMessage[] = [];
      reader.listen((message) => messages.push(message));
      await reader.subscribe(['#'], 1);
      await reader.settle();
      for (let n = 0; n < 100; n += 1) await writer.publish(`t/${n}`, Buffer.from('x'), { qos: 1 });
      await reader.settle();
      expect(messages.filter(({ topic }) => topic.startsWith('t/')).map(({ fresh, receivedAt }) => [fresh, receivedAt])).toEqual(
        Array.from({ length: 100 }, () => [true, START]),
      );
      expect(clock.now()).toBe(START);
    }));

  test('nothing comes to a session before it is let in, and nothing of it is lost', () =>
    scene(async ({ broker, connect }) => {
      const before = await connect('holder', false);
      await before.subscribe(['t/#'], 1);
      await before.close();
      const enough = new AbortController();
      const told: string[] = [];
      const flood = async (): Promise<void> => {
        while (!enough.signal.aborted) {
          told.push(`t/${told.length}`);
          broker.publish({ topic: told.at(-1) ?? '', payload: Buffer.from('x'), qos: 1, retain: false });
          await new Promise(setImmediate);
        }
      };
      const flooding = flood();
      const holder = await connect('holder', false);
      const heard = new Set<string>();
      holder.listen(({ topic }) => heard.add(topic));
      enough.abort();
      await flooding;
      await holder.settle();
      expect(told.length).toBeGreaterThan(3);
      expect([...heard].filter((topic) => topic.startsWith('t/')).toSorted()).toEqual(told.toSorted());
    }));

  test.each([
    ['with its CONNECT', true],
    ['once it is let in', false],
  ])('what a client says and then takes its leave is taken, and is not its will: %s', async (_when, atOnce) => {
    const said: string[] = [];
    const clock = new VirtualClock(START);
    const rules: BrokerRules = {
      publish: (_session, { topic, will }) => {
        said.push(`${topic} ${will ? 'will' : 'own'}`);
        return 'take';
      },
      taken: (_session, { topic }) => said.push(`${topic} taken`),
      subscribe: () => true,
      sessionMs: Number.POSITIVE_INFINITY,
      filters: () => true,
      retained: () => true,
    };
    const broker = memoryBroker({ clock, rules });
    const stream = broker.stream();
    // MQTT 3.1.1: client id `a`, topic `t`.
    const connect = Buffer.from('100d00044d5154540402003c000161', 'hex');
    const last = Buffer.from('300400017478e000', 'hex');
    if (atOnce) stream.write(Buffer.concat([connect, last]));
    else {
      stream.once('data', () => stream.write(last));
      stream.write(connect);
    }
    stream.resume();
    await clock.settled();
    expect(said).toEqual(['t own', 't taken']);
    await broker.close();
  });

  test('a delay holds each message back on the clock', () =>
    scene(async ({ broker, clock, connect }) => {
      const writer = await connect('writer');
      await broker.faults({ delayMs: 5_000 });
      await writer.publish('t', Buffer.from('x'), { qos: 1 });
      expect(clock.now() - START).toBe(5_000);
    }));

  test('duplicates arrive twice and are counted once', () =>
    scene(async ({ broker, connect }) => {
      const [reader, writer] = [await connect('reader'), await connect('writer')];
      const topics: string[] = [];
      reader.listen(({ topic }) => topics.push(topic));
      await reader.subscribe(['t/#'], 1);
      await reader.settle();
      const counted: string[] = [];
      broker.onPublish((topic, payload, clientId) => counted.push(`${clientId} ${topic} ${Buffer.from(payload).toString('utf8')}`));
      await broker.faults({ duplicate: true });
      await writer.publish('t/1', Buffer.from('abc'), { qos: 1 });
      await reader.settle();
      await reader.settle();
      expect(topics).toEqual(['t/1', 't/1']);
      expect(counted.filter((line) => line.startsWith('writer t/'))).toEqual(['writer t/1 abc']);
    }));

  test('refusing cuts all off and lets nobody in; clients come back afterwards', () =>
    scene(async ({ broker, clock, connect }) => {
      const reader = await connect('reader');
      const lost = new Promise<void>((resolve) => reader.onLost(resolve));
      const restored = new Promise<number>((resolve) => reader.onRestored(() => resolve(clock.now())));
      await broker.faults({ refuse: true });
      await lost;
      await expect(connect('late')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      expect(broker.clients).toEqual([]);
      await clock.advance(600_000);
      await broker.faults({ refuse: false });
      // Back-off is at most a minute.
      expect((await restored) - START).toBeLessThanOrEqual(660_000);
      expect(broker.clients).toEqual(['reader']);
    }));

  test('who speaks to a shadow that nobody keeps stays connected', () =>
    scene(async ({ broker, connect }) => {
      const board = await connect('board');
      await board.publish('$aws/things/board/shadow/get', Buffer.from(''), { qos: 1 });
      expect(broker.clients).toEqual(['board']);
    }));

  test('users, passwords and rules', async () => {
    const broker = memoryBroker({
      auth: { users: { ann: 'secret' }, allow: (_user, action, topic) => action === 'publish' || !topic.startsWith('private') },
    });
    const connect = (login: { readonly username?: string; readonly password?: string }): Promise<LiveBus> =>
      openBus({
        url: 'memory',
        streamBuilder: () => broker.stream(),
        clientId: 'c',
        clean: true,
        clock: new VirtualClock(START),
        ...login,
      });
    for (const login of [
      {},
      { username: 'ann', password: 'wrong' },
      { username: 'bob', password: 'secret' },
      { username: 'toString', password: 'x' },
    ]) {
      await expect(connect(login)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED', retry: 'never' });
    }
    const bus = await connect({ username: 'ann', password: 'secret' });
    await bus.subscribe(['public/#'], 1);
    await expect(bus.subscribe(['private/#'], 1)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED', retry: 'never' });
    await bus.close();
    await broker.close();
  });

  test('on TCP a refused connection is a closed port, and the port is the same afterwards', async () => {
    const broker = await startBroker();
    const url = broker.url ?? '';
    const connect = (): Promise<LiveBus> => openBus({ url, clientId: 'c', clean: true, clock: new VirtualClock(START) });
    await broker.faults({ refuse: true });
    await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED', retry: 'later' });
    await broker.faults({ refuse: false });
    expect(broker.url).toBe(url);
    const bus = await connect();
    await bus.settle();
    await bus.close();
    await broker.close();
  });
});
