import { describe, expect, it } from 'vitest';
import { memoryClient, mqttSubject, prefixOf, type ShadowPrefix } from '#test/support/shadow-wires.ts';
import { judgeVector, SHADOW_ERRORS, SHADOW_VECTORS, VECTORS_START } from '#test/support/shadow-vectors.ts';
import type { LiveBus } from '#ports/clients.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeAwsIot, type AwsIot, type AwsIotOptions } from './aws-iot.ts';

const CLASSIC: ShadowPrefix = { thing: 'logger-7', shadow: null };
const FLEET: ShadowPrefix = { thing: 'logger-7', shadow: 'fleet' };
const UPDATE = `${prefixOf(FLEET)}/update`;

interface Scene {
  readonly aws: AwsIot;
  readonly clock: VirtualClock;
  connect(clientId: string): Promise<LiveBus>;
}

async function scene(run: (scene: Scene) => Promise<void>, switches: AwsIotOptions['switches'] = {}): Promise<void> {
  const clock = new VirtualClock(VECTORS_START);
  const aws = makeAwsIot({ clock, switches });
  const buses: LiveBus[] = [];
  const connect = async (clientId: string): Promise<LiveBus> => {
    const bus = await memoryClient(aws.broker, clock, { clientId, username: '?SDK=JavaScript&Version=1.22.0' });
    buses.push(bus);
    return bus;
  };
  // The client is loaded on the first use, which is no business of the virtual clock.
  await clock.track(import('mqtt'));
  await clock.run(run({ aws, clock, connect }));
  await clock.run(Promise.all(buses.map((bus) => bus.close())));
  await aws.close();
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

describe.each([CLASSIC, FLEET])('vectors over MQTT, shadow $shadow', (place) => {
  it.each(SHADOW_VECTORS)('$id $note', (vector) =>
    scene(async ({ clock, connect }) => {
      expect(await judgeVector(vector, await mqttSubject(await connect('logger-7'), clock, place))).toBe(vector.get.version);
    }),
  );

  it('refuses on rejected what the page refuses, each with its code and words', () =>
    scene(async ({ clock, connect }) => {
      const subject = await mqttSubject(await connect('logger-7'), clock, place);
      for (const { bytes, code, message } of SHADOW_ERRORS) {
        expect(await subject.update(bytes)).toMatchObject({ rejected: { code, message } });
      }
      const name = place.shadow === null ? 'logger-7' : 'logger-7~fleet';
      expect(await subject.get()).toMatchObject({ code: 404, message: `No shadow exists with name: '${name}'` });
    }));
});

it('sends delta, documents and accepted in this order, to everybody who listens', () =>
  scene(async ({ clock, connect }) => {
    const [device, other] = [await connect('logger-7'), await connect('other')];
    const { heard } = await mqttSubject(device, clock, FLEET);
    const { heard: others } = await mqttSubject(other, clock, FLEET);
    await device.publish(UPDATE, json({ state: { desired: { a: 1 } } }), { qos: 0 });
    await clock.settled();
    for (const listener of [heard, others]) {
      expect(listener.take(prefixOf(FLEET)).map(([topic]) => topic)).toEqual(['update/delta', 'update/documents', 'update/accepted']);
    }
  }));

it('answers an update over HTTP on MQTT too, or by its delta alone', async () => {
  const heardAfter = async (httpOriginAccepted: boolean): Promise<readonly string[]> => {
    let topics: readonly string[] = [];
    const run = async ({ aws, clock, connect }: Scene): Promise<void> => {
      const { heard } = await mqttSubject(await connect('logger-7'), clock, CLASSIC);
      const call = (method: string, body: Uint8Array): Promise<unknown> =>
        aws.endpoint.handle({ method, target: '/things/logger-7/shadow', headers: {}, body, certificate: null });
      await call('POST', json({ state: { desired: { a: 1 } } }));
      await call('POST', json({ state: { desired: 7 } }));
      await call('GET', new Uint8Array());
      await clock.settled();
      topics = heard.take(prefixOf(CLASSIC)).map(([topic]) => topic);
    };
    await scene(run, { httpOriginAccepted });
    return topics;
  };
  expect(await heardAfter(true)).toEqual(['update/delta', 'update/documents', 'update/accepted']);
  expect(await heardAfter(false)).toEqual(['update/delta']);
});

describe('what goes wrong', () => {
  it('loses, repeats, turns round and delays answers, and cuts connections', () =>
    scene(async ({ aws, clock, connect }) => {
      const device = await connect('logger-7');
      const { heard } = await mqttSubject(device, clock, FLEET);
      const after = async (value: number): Promise<readonly string[]> => {
        await device.publish(UPDATE, json({ state: { desired: { value } } }), { qos: 1 });
        await clock.settled();
        return heard.take(prefixOf(FLEET)).map(([topic]) => topic.replace('update/', ''));
      };
      aws.faults.addToAnswers({ kind: 'drop' }, { answers: ['accepted'], times: 1 });
      expect(await after(1)).toEqual(['delta', 'documents']);
      aws.faults.addToAnswers({ kind: 'duplicate' }, { answers: ['delta'], times: 1 });
      expect(await after(2)).toEqual(['delta', 'delta', 'documents', 'accepted']);
      aws.faults.addToAnswers({ kind: 'reverse' }, { answers: ['delta'], times: 1, skip: 1 });
      expect(await after(3)).toEqual(['delta', 'documents', 'accepted']);
      expect(await after(4)).toEqual(['accepted', 'documents', 'delta']);
      aws.faults.addToAnswers({ kind: 'delay', ms: 30_000 }, { answers: ['accepted'], prefix: 'logger-7', times: 1 });
      aws.faults.addToAnswers({ kind: 'drop' }, { prefix: 'logger-8' });
      expect(await after(5)).toEqual(['delta', 'documents']);
      await clock.advance(30_000);
      expect(heard.take(prefixOf(FLEET))).toEqual([['update/accepted', expect.objectContaining({ version: 5 })]]);
      aws.faults.addToAnswers({ kind: 'cut-after' }, { answers: ['documents'], times: 1 });
      await after(6);
      expect(aws.broker.clients).toEqual([]);
      expect(aws.shadows.contentOf(FLEET)?.version).toBe(6);
    }));

  it('refuses what comes while ten requests of the connection are unanswered', () =>
    scene(async ({ aws, clock, connect }) => {
      const [device, other] = [await connect('logger-7'), await connect('other')];
      const { heard } = await mqttSubject(device, clock, FLEET);
      aws.faults.addToAnswers({ kind: 'delay', ms: 1000 }, { answers: ['accepted'] });
      for (let value = 0; value < 12; value += 1) {
        await device.publish(UPDATE, json({ state: { reported: { value } }, clientToken: `t${value}` }), { qos: 1 });
      }
      await other.publish(UPDATE, json({ state: { reported: { value: 'of another' } } }), { qos: 1 });
      await clock.settled();
      const rejected = heard.take(prefixOf(FLEET)).filter(([topic]) => topic === 'update/rejected');
      expect(rejected.map(([, document]) => document)).toEqual(
        ['t10', 't11'].map((clientToken) => expect.objectContaining({ code: 429, clientToken }) as unknown),
      );
      expect(aws.shadows.contentOf(FLEET)).toMatchObject({ version: 11, state: { reported: { value: 'of another' } } });
      await clock.advance(1000);
      expect(heard.take(prefixOf(FLEET)).map(([topic]) => topic)).toEqual(Array.from({ length: 11 }, () => 'update/accepted'));
    }));
});

it('counts requests without an answer, not the news that are late besides', () =>
  scene(async ({ aws, clock, connect }) => {
    const device = await connect('logger-7');
    const { heard } = await mqttSubject(device, clock, FLEET);
    aws.faults.addToAnswers({ kind: 'delay', ms: 1000 });
    for (let value = 0; value < 11; value += 1) {
      await device.publish(UPDATE, json({ state: { desired: { value } } }), { qos: 1 });
    }
    await clock.settled();
    expect(aws.shadows.contentOf(FLEET)?.version).toBe(10);
    await clock.advance(1000);
    expect(heard.take(prefixOf(FLEET)).filter(([topic]) => topic === 'update/rejected')).toHaveLength(1);
  }));

describe('reserved topics', () => {
  it.each(['ignore', 'refuse'] as const)('a client that speaks for the service: %s', (publishToOwned) =>
    scene(
      async ({ aws, clock, connect }) => {
        const { heard } = await mqttSubject(await connect('reader'), clock, FLEET);
        const liar = await connect('liar');
        await liar.publish(`${UPDATE}/delta`, json({ version: 9, state: { a: 1 } }), { qos: 1 }).catch(() => undefined);
        await clock.settled();
        expect(heard.take(prefixOf(FLEET))).toEqual([]);
        expect(aws.broker.clients).toEqual(publishToOwned === 'ignore' ? ['liar', 'reader'] : ['reader']);
      },
      { publishToOwned },
    ),
  );

  it.each([
    ['a topic that AWS does not have', '$aws/elsewhere', 1],
    ['a name of a thing that is none', '$aws/things/a b/shadow/update', 1],
    ['a topic of the broker itself', '$SYS/x', 1],
    ['too many levels', 'a/b/c/d/e/f/g/h/i', 1],
    ['a topic of 257 bytes', 'é'.repeat(128) + 'a', 1],
    ['128 KB and a byte', 'data', 128 * 1024 + 1],
  ])('ends the connection of who publishes to %s', (_, topic, size) =>
    scene(async ({ aws, clock, connect }) => {
      const device = await connect('logger-7');
      await device.publish(topic, new Uint8Array(size), { qos: 1 }).catch(() => undefined);
      await clock.settled();
      expect(aws.broker.clients).toEqual([]);
    }),
  );

  it('grants no more than 50 filters, and ends the connection of who asks for 9 at once', () =>
    scene(async ({ aws, clock, connect }) => {
      const device = await connect('logger-7');
      for (let count = 0; count < 50; count += 1) await device.subscribe([`a/${count}`], 1);
      await expect(device.subscribe(['a/50'], 1)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
      expect(Object.keys(aws.broker.subscriptionsOf('logger-7') ?? {})).toHaveLength(50);
      const greedy = await connect('greedy');
      await greedy
        .subscribe(
          Array.from({ length: 9 }, (_, count) => `b/${count}`),
          1,
        )
        .catch(() => undefined);
      await clock.settled();
      expect(aws.broker.clients).toEqual(['logger-7']);
    }));

  it('sends what is retained to those alone who name its topic', () =>
    scene(async ({ clock, connect }) => {
      const [device, wide, exact] = [await connect('logger-7'), await connect('wide'), await connect('exact')];
      await device.publish('state/logger-7', Buffer.from('x'), { qos: 1, retain: true });
      await clock.settled();
      const heard: string[] = [];
      for (const bus of [wide, exact]) bus.listen(({ topic }) => heard.push(`${bus.clientId} ${topic}`));
      await wide.subscribe(['state/+'], 1);
      await exact.subscribe(['state/logger-7'], 1);
      await clock.settled();
      expect(heard).toEqual(['exact state/logger-7']);
      await device.publish('state/logger-7', Buffer.from('y'), { qos: 1, retain: true });
      await clock.settled();
      expect(heard.toSorted()).toEqual(['exact state/logger-7', 'exact state/logger-7', 'wide state/logger-7']);
    }));

  it.each([
    [3_600_000, ['kept', 'live']],
    [3_600_001, []],
  ])('keeps a persistent session for an hour: after %i ms it hears %j', (ms, expected) =>
    scene(async ({ aws, clock, connect }) => {
      const writer = await connect('writer');
      const heard: string[] = [];
      const listener = async (): Promise<LiveBus> => {
        const bus = await memoryClient(aws.broker, clock, { clientId: 'listener', clean: false });
        bus.listen(({ payload }) => heard.push(Buffer.from(payload).toString()));
        return bus;
      };
      const first = await listener();
      await first.subscribe(['data'], 1);
      await first.drop();
      await clock.settled();
      await writer.publish('data', Buffer.from('kept'), { qos: 1 });
      await clock.advance(ms);
      const again = await listener();
      await clock.settled();
      await writer.publish('data', Buffer.from('live'), { qos: 1 });
      await clock.settled();
      expect(heard).toEqual(expected);
      await again.subscribe(['data'], 1);
      await writer.publish('data', Buffer.from('new'), { qos: 1 });
      await clock.settled();
      expect(heard).toEqual([...expected, 'new']);
      await again.close();
    }),
  );

  it('does not look at a will on a topic of its own', () =>
    scene(async ({ aws, clock, connect }) => {
      const { heard } = await mqttSubject(await connect('reader'), clock, FLEET);
      const will = { topic: UPDATE, payload: json({ state: { reported: { gone: true } } }), qos: 1, retain: false } as const;
      const device = await memoryClient(aws.broker, clock, { clientId: 'logger-7', will });
      await device.drop();
      await clock.settled();
      expect(heard.take(prefixOf(FLEET))).toEqual([]);
      expect(aws.shadows.things).toEqual([]);
    }));
});
