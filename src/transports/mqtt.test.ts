import { duplexPair, type Duplex } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import type { BusOptions, LiveBus } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import { systemClock } from './clock.ts';
import { openBus } from './mqtt.ts';

const CONNACK_OK = [0x20, 3, 0, 0, 0];

/** A broker that says what it is told, byte by byte, once it has got something. */
function scripted(answers: readonly (readonly number[] | 'end' | 'cut')[]): { readonly stream: () => Duplex; readonly heard: Buffer[] } {
  const heard: Buffer[] = [];
  const left = [...answers];
  const stream = (): Duplex => {
    const [near, far] = duplexPair();
    far.on('data', (chunk: Buffer) => {
      heard.push(chunk);
      const answer = left.shift();
      if (answer === 'end') far.end();
      else if (answer === 'cut') near.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
      else if (answer !== undefined) far.write(Buffer.from(answer));
    });
    return near;
  };
  return { stream, heard };
}

/** Time that passes by itself, far faster than real time. */
function hurriedClock(): Clock {
  return {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal),
    monotonicMs: () => systemClock.monotonicMs() * 10_000,
  };
}

describe('openBus against a broker that says what it is told', () => {
  const buses: LiveBus[] = [];
  const open = async (stream: () => Duplex, more: Partial<BusOptions> = {}): Promise<LiveBus> => {
    const options = {
      url: 'scripted',
      clientId: 'c',
      clean: true,
      clock: systemClock,
      markerTopic: null,
      reconnect: false,
      keepAliveSeconds: 0,
    };
    const bus = await openBus({ ...options, streamBuilder: stream, ...more });
    buses.push(bus);
    return bus;
  };
  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.drop();
  });

  test.each([
    ['bad user or password (3.1.1)', 4, [0x20, 2, 0, 4], 'MQTT_NOT_AUTHORIZED', 'never'],
    ['not authorized (3.1.1)', 4, [0x20, 2, 0, 5], 'MQTT_NOT_AUTHORIZED', 'never'],
    ['unavailable (3.1.1)', 4, [0x20, 2, 0, 3], 'MQTT_UNAVAILABLE', 'later'],
    ['client id refused', 5, [0x20, 3, 0, 0x85, 0], 'MQTT_CLIENT_ID_REFUSED', 'never'],
    ['not authorized', 5, [0x20, 3, 0, 0x87, 0], 'MQTT_NOT_AUTHORIZED', 'never'],
    ['busy', 5, [0x20, 3, 0, 0x89, 0], 'MQTT_UNAVAILABLE', 'later'],
    ['quota', 5, [0x20, 3, 0, 0x97, 0], 'MQTT_QUOTA', 'later'],
    ['a code of its own', 5, [0x20, 3, 0, 0x9d, 0], 'MQTT_REFUSED_157', 'later'],
    ['reset', 5, 'cut', 'ECONNRESET', 'later'],
    ['closed without a word', 5, 'end', 'CLOSED_BEFORE_CONNACK', 'later'],
  ] as const)('a refusal is an error with a code: %s', async (...[, protocol, answer, code, retry]) => {
    await expect(open(scripted([answer]).stream, { protocol })).rejects.toMatchObject({ name: 'WireError', code, retry });
  });

  test('a broker that refuses protocol 5, or just hangs up, is asked again with 3.1.1', async () => {
    for (const refusal of [[0x20, 2, 0, 1], [0x20, 3, 0, 0x84, 0], 'end'] as const) {
      const broker = scripted([refusal, [0x20, 2, 0, 0]]);
      const bus = await open(broker.stream);
      expect(bus.expires).toBe(false);
      // The level byte of CONNECT: MQTT 3.1.1 §3.1.2.2.
      expect(broker.heard.map((connect) => connect[8])).toEqual([5, 4]);
    }
  });

  test('a broker that never answers is a TIMEOUT', async () => {
    await expect(open(scripted([]).stream, { protocol: 5, limitClock: hurriedClock() })).rejects.toMatchObject({
      code: 'TIMEOUT',
      retry: 'later',
    });
  });

  test('connecting ends with the reason of the signal', async () => {
    const reason = new Error('enough');
    const control = new AbortController();
    const opening = openBus(
      { url: 'scripted', clientId: 'c', clean: true, clock: systemClock, streamBuilder: scripted([]).stream },
      control.signal,
    );
    control.abort(reason);
    await expect(opening).rejects.toBe(reason);
  });

  test('a publish that is never acknowledged is a TIMEOUT, one cut short says that the connection was lost', async () => {
    const silent = await open(scripted([CONNACK_OK]).stream, { protocol: 5, limitClock: hurriedClock() });
    await expect(silent.publish('t', Buffer.from('x'), { qos: 1 })).rejects.toMatchObject({ code: 'TIMEOUT', retry: 'later' });
    const cut = await open(scripted([CONNACK_OK, 'end']).stream, { protocol: 5 });
    await expect(cut.publish('t', Buffer.from('x'), { qos: 1 })).rejects.toMatchObject({ code: 'CONNECTION_LOST', retry: 'later' });
  });

  test("the broker's last word is heard before the end", async () => {
    // DISCONNECT with reason 142, session taken over (MQTT 5 §3.14).
    const [near, far] = duplexPair();
    far.once('data', () => far.write(Buffer.from(CONNACK_OK)));
    const bus = await open(() => near, { protocol: 5 });
    const lost = new Promise<void>((resolve) => bus.onLost(resolve));
    far.end(Buffer.from([0xe0, 2, 0x8e, 0]));
    await lost;
    await expect(bus.publish('t', Buffer.from('x'), { qos: 1 })).rejects.toMatchObject({
      code: 'NOT_CONNECTED',
      message: expect.stringContaining('MQTT_TAKEN_OVER') as unknown,
    });
  });

  test('what the broker refuses to take is said at the call', async () => {
    const [near, far] = duplexPair();
    far.once('data', () => {
      far.write(Buffer.from(CONNACK_OK));
      // The packet id stands behind topic length and topic (MQTT 5 §3.3.2); it goes into PUBACK with reason 135.
      far.once('data', (publish: Buffer) => far.write(Buffer.from([0x40, 3, publish[10] ?? 0, publish[11] ?? 0, 0x87])));
    });
    const bus = await open(() => near, { protocol: 5 });
    await expect(bus.publish('secret', Buffer.from('x'), { qos: 1 })).rejects.toMatchObject({
      code: 'MQTT_NOT_AUTHORIZED',
      retry: 'never',
    });
    const limited = await open(scripted([[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 100]]).stream, { protocol: 5 });
    await expect(limited.publish('t', new Uint8Array(200), { qos: 1 })).rejects.toMatchObject({
      code: 'MQTT_PACKET_TOO_LARGE',
      retry: 'never',
    });
  });

  test('a lost connection is tried again with growing delays until it stands', async () => {
    const delays: number[] = [];
    const clock: Clock = {
      now: () => 0,
      monotonicMs: () => 0,
      sleep: async (ms, signal) => {
        delays.push(ms);
        await systemClock.sleep(0, signal);
      },
    };
    const [near, far] = duplexPair();
    far.once('data', () => far.write(Buffer.from(CONNACK_OK)));
    const builders = [() => near, ...Array.from({ length: 8 }, () => scripted(['cut']).stream), scripted([CONNACK_OK]).stream];
    const bus = await open(() => (builders.shift() ?? scripted([]).stream)(), {
      protocol: 5,
      reconnect: true,
      clock,
      limitClock: systemClock,
    });
    const restored = new Promise<void>((resolve) => bus.onRestored(resolve));
    far.destroy();
    near.destroy();
    await restored;
    expect(delays).toHaveLength(9);
    for (const [n, delay] of delays.entries()) {
      const full = Math.min(60_000, 1000 * 2 ** n);
      expect(delay).toBeGreaterThanOrEqual(full / 2);
      expect(delay).toBeLessThanOrEqual(full);
    }
  });
});
