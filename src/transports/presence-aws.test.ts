import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import type { Presence } from '#ports/presence.ts';
import { makeAwsIot, shownAs, type AwsIot } from '#sim/aws/aws-iot.ts';
import { exchangeWith } from '#sim/accounts.ts';
import { VirtualClock } from '#sim/clock.ts';
import { memoryClient } from '#test/support/shadow-wires.ts';
import { openAwsPresence } from './presence-aws.ts';
import { openPresence, openRevocation } from './presence.ts';
import { openAwsRevocation, regionOf } from './revocation-aws.ts';

const START = Date.UTC(2026, 10, 23);
const [OLD, NEW] = ['a'.repeat(64), 'b'.repeat(64)];
const never = new AbortController().signal;
/** A policy that allows everything. */
const OPEN = JSON.stringify({ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } });

/** A bus on which this test says what is heard. */
function saying(): { readonly bus: MessageBus; readonly filters: string[]; say(topic: string, payload: string): void } {
  const listeners = new Set<(message: BusMessage) => void>();
  const filters: string[] = [];
  const done = (): Promise<void> => Promise.resolve();
  const bus: MessageBus = {
    clientId: 'headgate',
    expires: false,
    subscribe: (more) => {
      filters.push(...more);
      return done();
    },
    publish: done,
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    settle: done,
    close: done,
  };
  const say = (topic: string, payload: string): void => {
    const message = { topic, payload: new TextEncoder().encode(payload), retained: false, receivedAt: START, fresh: true };
    for (const listener of listeners) listener(message);
  };
  return { bus, filters, say };
}

function event(at: number, versionNumber: number, principalIdentifier: unknown = OLD): string {
  return JSON.stringify({ clientId: 'gw', timestamp: START + at, eventType: 'connected', principalIdentifier, versionNumber });
}

const TOPIC = '$aws/events/presence/connected/gw';

describe('presence of AWS IoT', () => {
  let presence: Presence;
  let heard: ReturnType<typeof saying>;

  beforeEach(async () => {
    heard = saying();
    presence = await openAwsPresence(heard.bus);
  });

  afterEach(() => presence.close());

  const seen = async (): Promise<unknown> => (await presence.newest(['gw', 'other'], never)).get('gw');

  it('knows nobody of whom nothing was heard', async () => {
    expect(heard.filters).toEqual(['$aws/events/presence/connected/+']);
    expect([...(await presence.newest(['gw'], never))]).toEqual([]);
  });

  it.each<[string, readonly string[], unknown]>([
    ['the first', [event(0, 0)], { fingerprint: OLD, at: START }],
    ['the newer count', [event(0, 3), event(SECOND_MS, 4, NEW)], { fingerprint: NEW, at: START + SECOND_MS }],
    ['the newer count, whatever its clock', [event(0, 3), event(-MINUTE_MS, 4, NEW)], { fingerprint: NEW, at: START - MINUTE_MS }],
    ['not one that comes late', [event(SECOND_MS, 4, NEW), event(0, 3)], { fingerprint: NEW, at: START + SECOND_MS }],
    ['one that comes twice once', [event(0, 3), event(0, 3, NEW)], { fingerprint: OLD, at: START }],
    ['a count that began anew', [event(0, 9), event(2 * HOUR_MS, 0, NEW)], { fingerprint: NEW, at: START + 2 * HOUR_MS }],
    ['not the count before, late', [event(2 * HOUR_MS, 0, NEW), event(0, 9)], { fingerprint: NEW, at: START + 2 * HOUR_MS }],
    ['somebody without a certificate', [event(0, 0, 'AROAEXAMPLE:session')], { fingerprint: null, at: START }],
    ['a principal that is no text', [event(0, 0, 7)], { fingerprint: null, at: START }],
  ])('takes %s', async (_, events, expected) => {
    for (const one of events) heard.say(TOPIC, one);
    expect(await seen()).toMatchObject({ clientId: 'gw', subject: null, ...(expected as object) });
  });

  it.each<[string, string, string]>([
    ['another topic', '$aws/events/presence/disconnected/gw', event(0, 0)],
    ['another client', '$aws/events/presence/connected/other', event(0, 0)],
    ['no JSON', TOPIC, 'connected'],
    ['a list', TOPIC, '[]'],
    ['no time', TOPIC, JSON.stringify({ clientId: 'gw', principalIdentifier: OLD })],
    ['a time that is none', TOPIC, JSON.stringify({ clientId: 'gw', timestamp: 1e300 })],
    ['far too much', TOPIC, JSON.stringify({ clientId: 'gw', timestamp: START, filler: 'x'.repeat(9000) })],
  ])('passes over %s', async (_, topic, payload) => {
    heard.say(topic, payload);
    expect(await seen()).toBe(undefined);
  });

  it('hears nothing more once it is closed', async () => {
    await presence.close();
    heard.say(TOPIC, event(0, 0));
    expect(await seen()).toBe(undefined);
  });
});

describe('with the embedded AWS IoT', () => {
  let clock: VirtualClock;
  let aws: AwsIot;
  let own: { readonly certificate: string; readonly key: string; readonly id: string };

  beforeEach(async () => {
    clock = new VirtualClock(START);
    aws = makeAwsIot({ clock, certificates: true });
    aws.registry.createPolicy('open', OPEN);
    own = await clock.run(clock.track(aws.enrol('gw', ['open'])));
  });

  afterEach(() => clock.run(aws.close()));

  const connect = (clientId: string): ReturnType<typeof memoryClient> =>
    clock.run(memoryClient(aws.broker, clock, { clientId, certificate: shownAs(own.certificate) }));

  it('tells which certificate connects, and lets it in no more once it is withdrawn', async () => {
    const watcher = await connect('watcher');
    const presence = await clock.run(
      openPresence({ name: 'field', presence: 'aws' } as Parameters<typeof openPresence>[0], () => Promise.resolve(watcher)),
    );
    const device = await connect('gw');
    await clock.advance(SECOND_MS);
    expect((await presence?.newest(['gw'], never))?.get('gw')).toMatchObject({ fingerprint: own.id, at: START });
    await clock.run(device.close());
    const revocation = await clock.run(
      clock.track(
        openAwsRevocation({
          region: 'eu-central-1',
          clock,
          credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
          exchange: exchangeWith(aws),
        }),
      ),
    );
    const { byFingerprint } = revocation;
    if (byFingerprint === undefined) throw new Error('AWS knows certificates by their fingerprints');
    const standing = (id: string) => clock.run(clock.track(byFingerprint.standing(id, never)));
    expect(await standing(own.id)).toEqual({ state: 'accepted', issuedAt: START });
    expect(await standing(NEW)).toEqual({ state: 'withdrawn', issuedAt: null });
    aws.registry.createThing('gw-shared');
    aws.registry.attachThing('gw-shared', aws.registry.arn(`cert/${own.id}`));
    expect(await clock.run(clock.track(byFingerprint.holders(own.id, never)))).toEqual(['gw', 'gw-shared']);
    await clock.run(clock.track(byFingerprint.withdraw(own.id, never)));
    await clock.run(clock.track(byFingerprint.withdraw(own.id, never)));
    expect(await standing(own.id)).toMatchObject({ state: 'withdrawn' });
    expect(aws.registry.certificate(own.id).status).toBe('INACTIVE');
    await expect(connect('gw')).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
    await revocation.close();
  });
});

it('finds the region in the endpoint of an account', () => {
  expect(regionOf('mqtts://a1b2c3-ats.iot.eu-west-2.amazonaws.com:8883')).toBe('eu-west-2');
  expect(regionOf('mqtts://a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn')).toBe('cn-north-1');
  expect(regionOf('mqtts://iot.example.org:8883')).toBe(null);
});

describe('withdrawal at AWS', () => {
  const connection = (url: string): Parameters<typeof openRevocation>[0] =>
    ({ name: 'field', url, withdraw: 'aws' }) as Parameters<typeof openRevocation>[0];
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
  const clock = new VirtualClock(START);

  it.each([
    ['the endpoint', 'mqtts://a1b2c3-ats.iot.eu-west-2.amazonaws.com:8883', {}],
    ['the environment', 'mqtts://iot.example.org', { AWS_REGION: 'eu-west-2' }],
  ])('takes the region of %s', async (_, url, env) => {
    const revocation = await openRevocation(connection(url), { env, clock, credentials });
    expect(revocation?.byFingerprint).toBeDefined();
    await revocation?.close();
  });

  it.each([{}, { AWS_REGION: '' }])('says what is missing', async (env) => {
    const opened = openRevocation(connection('mqtts://iot.example.org'), { env, clock, credentials });
    await expect(opened).rejects.toMatchObject({ code: 'MISSING_ENV' });
  });

  it('is left to a person where that is declared', async () => {
    const manual = { ...connection('mqtts://iot.example.org'), withdraw: 'manual' };
    expect(await openRevocation(manual, { env: {}, clock, credentials })).toBe(null);
  });
});
