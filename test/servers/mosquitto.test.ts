import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { messageBusContract } from '#test/contract/message-bus.ts';
import { makeCertificates, startMosquitto, type Certificates, type Mosquitto } from '#test/support/mosquitto.ts';
import type { BusOptions, LiveBus } from '#ports/clients.ts';
import type { BusMessage } from '#ports/message-bus.ts';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';

const run = promisify(execFile);
const bytes = (content: string): Uint8Array => Buffer.from(content);
const text = (message: BusMessage): string => Buffer.from(message.payload).toString('utf8');

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});
afterAll(() => certificates.remove());

messageBusContract('mosquitto', async () => {
  const mosquitto = await startMosquitto();
  return { connection: { url: mosquitto.url }, expires: true, close: () => mosquitto.close() };
});

messageBusContract('mosquitto, MQTT 3.1.1', async () => {
  const mosquitto = await startMosquitto();
  return { connection: { url: mosquitto.url, protocol: 4 }, expires: false, close: () => mosquitto.close() };
});

messageBusContract('mosquitto with TLS and client certificates', async () => {
  const mosquitto = await startMosquitto({ tls: certificates });
  const { ca, client } = certificates;
  return { connection: { url: mosquitto.url, ca, ...client }, expires: true, close: () => mosquitto.close() };
});

describe('mosquitto', () => {
  let mosquitto: Mosquitto | null = null;
  const buses: LiveBus[] = [];
  const connect = async (clientId: string, more: Partial<BusOptions> = {}): Promise<LiveBus> => {
    const bus = await openBus({ url: mosquitto?.url ?? '', clientId, clean: true, clock: systemClock, ...more });
    buses.push(bus);
    return bus;
  };
  const collect = (bus: LiveBus): BusMessage[] => {
    const messages: BusMessage[] = [];
    bus.listen((message) => messages.push(message));
    return messages;
  };
  const trusted = (): Partial<BusOptions> => ({ ca: certificates.ca, ...certificates.client });

  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.close();
    await mosquitto?.close();
    mosquitto = null;
  });

  test('an expired message is not delivered, one that lasts longer is', async () => {
    mosquitto = await startMosquitto();
    const device = await connect('device', { clean: false });
    await device.subscribe(['cc/#'], 1);
    await device.close();
    const writer = await connect('writer');
    await writer.publish('cc/short', bytes('too late'), { qos: 1, expirySeconds: 1 });
    await writer.publish('cc/long', bytes('in time'), { qos: 1, expirySeconds: 600 });
    // The broker counts in real seconds, and only it knows when one is over.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const again = await connect('device', { clean: false });
    const messages = collect(again);
    await again.settle();
    expect(messages.map((message) => [message.topic, text(message)])).toEqual([['cc/long', 'in time']]);
  });

  test('a broker that was restarted is found again, with the session and what was queued in it', async () => {
    mosquitto = await startMosquitto();
    const holder = await connect('holder', { clean: false });
    const messages = collect(holder);
    await holder.subscribe(['up/#'], 1);
    await holder.settle();
    const restored = new Promise<void>((resolve) => holder.onRestored(resolve));
    const lost = new Promise<void>((resolve) => holder.onLost(resolve));
    await mosquitto.stop();
    await lost;
    await expect(holder.settle()).rejects.toMatchObject({ code: 'NOT_CONNECTED', retry: 'later' });
    await mosquitto.start();
    await run('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(mosquitto.port), '-q', '1', '-t', 'up/1', '-m', 'while away']);
    await restored;
    await holder.settle();
    await run('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(mosquitto.port), '-q', '1', '-t', 'up/2', '-m', 'live']);
    await holder.settle();
    expect(messages.map((message) => [text(message), message.fresh])).toEqual([
      ['while away', false],
      ['live', true],
    ]);
  });

  test.each([
    ['signed by another CA', (): Partial<BusOptions> => ({ ...trusted(), ...certificates.stranger })],
    ['that has ended', (): Partial<BusOptions> => ({ ...trusted(), ...certificates.expired })],
    ['that is missing', (): Partial<BusOptions> => ({ ca: certificates.ca })],
  ])('a client certificate %s is refused with TLS_CLIENT_REFUSED', async (_name, options) => {
    mosquitto = await startMosquitto({ tls: certificates });
    for (let n = 0; n < 5; n += 1) {
      await expect(connect('client', options())).rejects.toMatchObject({ code: 'TLS_CLIENT_REFUSED', retry: 'never' });
    }
  });

  test('a broker whose certificate we do not trust, or that has another name, is refused by us', async () => {
    mosquitto = await startMosquitto({ tls: certificates });
    const other = { ...trusted(), ca: certificates.otherCa };
    await expect(connect('client', other)).rejects.toMatchObject({ code: 'TLS_SERVER_UNTRUSTED', retry: 'never' });
    const renamed = { ...trusted(), url: `mqtts://ip6-localhost:${mosquitto.port}` };
    await expect(connect('client', renamed)).rejects.toMatchObject({ name: 'WireError' });
  });

  test('a key that does not belong to the certificate is our own mistake', async () => {
    mosquitto = await startMosquitto({ tls: certificates });
    const mixed = { ca: certificates.ca, cert: certificates.client.cert, key: certificates.stranger.key };
    await expect(connect('client', mixed)).rejects.toMatchObject({ code: 'TLS_BAD_CREDENTIALS', retry: 'never' });
  });

  test('the name of the certificate is the user to whom rules apply', async () => {
    const acl = 'user headgate\ntopic readwrite allowed/#\ntopic readwrite headgate/marker/#\n';
    mosquitto = await startMosquitto({ tls: certificates, acl });
    const bus = await connect('client', trusted());
    const messages = collect(bus);
    // mosquitto grants the subscription and delivers nothing.
    await bus.subscribe(['allowed/#', 'secret/#'], 1);
    await bus.publish('allowed/x', bytes('yes'), { qos: 1 });
    await expect(bus.publish('secret/x', bytes('no'), { qos: 1 })).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
    await bus.settle();
    expect(messages.map((message) => message.topic)).toEqual(['allowed/x']);
  });

  test('a second client with the same id takes the session over', async () => {
    mosquitto = await startMosquitto();
    const first = await connect('twin', { reconnect: false });
    const lost = new Promise<void>((resolve) => first.onLost(resolve));
    const second = await connect('twin');
    await lost;
    await expect(first.settle()).rejects.toMatchObject({ code: 'NOT_CONNECTED', retry: 'later' });
    await second.settle();
  });

  test('a broker that wants a password refuses with MQTT_NOT_AUTHORIZED under both protocols', async () => {
    mosquitto = await startMosquitto({ config: ['allow_anonymous false'] });
    for (const protocol of [4, 5] as const) {
      const secret = { protocol, username: 'headgate', password: 'hunter2' };
      await expect(connect('client', secret)).rejects.toMatchObject({
        code: 'MQTT_NOT_AUTHORIZED',
        retry: 'never',
        message: expect.not.stringContaining('hunter2') as unknown,
      });
    }
  });
});
