import { afterEach, describe, expect, it } from 'vitest';
import { HOUR_MS, SECOND_MS } from '#kit/duration.ts';
import { makeSas } from '#kit/sas.ts';
import type { LiveBus } from '#ports/clients.ts';
import { VirtualClock } from '#sim/clock.ts';
import { networkClients } from '#transports/wires.ts';
import { makeAzureHub, type AzureHub, type AzureHubOptions } from './hub.ts';

const START = Date.UTC(2026, 10, 2, 9, 0, 0);
const HOST = 'upland.azure-devices.net';
const DEVICE_KEY = Buffer.from('key of the device').toString('base64');
const SERVICE_KEY = Buffer.from('key of the service').toString('base64');
const ID = 'logger-7';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A hub with one device, and everything that device was told. */
class Stage {
  readonly clock = new VirtualClock(START);
  readonly hub: AzureHub;
  readonly heard: string[] = [];

  constructor(options: Partial<AzureHubOptions> = {}) {
    this.hub = makeAzureHub({ clock: this.clock, host: HOST, ...options });
    this.hub.twins.addDevice(ID, { keys: [DEVICE_KEY] });
    ends.push(() => this.clock.run(this.hub.close()));
  }

  async device(login: { readonly clientId?: string; readonly username?: string; readonly password?: string } = {}): Promise<LiveBus> {
    const { clientId = ID, ...credentials } = login;
    const bus = await this.run(() =>
      networkClients.openBus({
        url: 'memory:hub',
        clientId,
        clean: true,
        clock: this.clock,
        limitClock: this.clock,
        streamBuilder: () => this.hub.broker.stream(),
        protocol: 4,
        keepAliveSeconds: 0,
        markerTopic: null,
        reconnect: false,
        ...credentials,
      }),
    );
    bus.listen(({ topic, payload }) => this.heard.push(`${topic} ${new TextDecoder().decode(payload)}`.trim()));
    return bus;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return this.clock.run(work());
  }

  /** What the device is told by what it does. */
  async told(work: () => Promise<unknown>): Promise<readonly string[]> {
    this.heard.length = 0;
    await this.run(async () => {
      await work();
      await this.clock.sleep(SECOND_MS);
    });
    return [...this.heard];
  }

  async call(
    method: string,
    target: string,
    { body, headers = {} }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    const bytes = body === undefined ? new Uint8Array() : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const request = { method, target: `${target}?api-version=2021-04-12`, headers, body: bytes, certificate: null };
    const answer = await this.run(() => this.hub.endpoint.handle(request));
    if (typeof answer === 'string') throw new Error(answer);
    return {
      status: answer.status,
      headers: answer.headers,
      body: JSON.parse(Buffer.from(answer.bytes).toString()) as unknown,
    };
  }
}

const listen = (bus: LiveBus): Promise<void> =>
  bus.subscribe(['$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#', '$iothub/methods/POST/#'], 1);
const say = (bus: LiveBus, topic: string, body: unknown = ''): Promise<void> =>
  bus.publish(topic, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), { qos: 1 });

describe('vector D1 of docs/protocols/shadow-devices.md §8', () => {
  it('answers the get, takes the report of Mongoose OS without an answer, and tells the change', async () => {
    const stage = new Stage();
    for (let version = 2; version <= 4; version += 1)
      stage.hub.twins.write(ID, { desired: { ota: { url: 'https://fw.example/a/2.0.zip?attempt=1' } }, replace: false, ifMatch: null });
    for (let version = 2; version <= 9; version += 1) stage.hub.twins.report(ID, { ota: null });
    const bus = await stage.device({ username: `${HOST}/${ID}/api-version=2016-11-14` });
    await stage.run(() => listen(bus));
    expect(await stage.told(() => say(bus, '$iothub/twin/GET/?$rid=get17'))).toEqual([
      '$iothub/twin/res/200/?$rid=get17 {"desired":{"ota":{"url":"https://fw.example/a/2.0.zip?attempt=1"},"$version":4},"reported":{"$version":9}}',
    ]);
    const report = { ota: { status: 1, message: 'progress', progress_percent: 5 } };
    expect(await stage.told(() => say(bus, '$iothub/twin/PATCH/properties/reported/?rid=upd18', report))).toEqual([]);
    expect(stage.hub.twins.readByDevice(ID)['reported']).toEqual({ ...report, $version: 10 });
    const desired = { ota: { url: 'https://fw.example/a/2.1.zip?attempt=1' } };
    expect(await stage.told(() => stage.call('PATCH', `/twins/${ID}`, { body: { properties: { desired } } }))).toEqual([
      `$iothub/twin/PATCH/properties/desired/?$version=5 ${JSON.stringify({ ...desired, $version: 5 })}`,
    ]);
  });
});

describe('the device side', () => {
  it.each([
    ['a patch', '{"a":1}', '$iothub/twin/res/204/?$rid=7&$version=2'],
    ['no JSON', '{"a"', '$iothub/twin/res/400/?$rid=7'],
    ['a list', '[1]', '$iothub/twin/res/400/?$rid=7'],
    ['a key with a dot', '{"fw.bin":1}', '$iothub/twin/res/400/?$rid=7'],
    ['a key with a dollar', '{"a":{"$b":1}}', '$iothub/twin/res/400/?$rid=7'],
    ['a key with a space', '{"a b":1}', '$iothub/twin/res/400/?$rid=7'],
    ['a control character', '{"a\\u0085":1}', '$iothub/twin/res/400/?$rid=7'],
    ['4096 bytes of text', JSON.stringify({ a: 'x'.repeat(4096) }), '$iothub/twin/res/204/?$rid=7&$version=2'],
    ['one more', JSON.stringify({ a: 'x'.repeat(4097) }), '$iothub/twin/res/400/?$rid=7'],
    ['ten levels', nested(10), '$iothub/twin/res/204/?$rid=7&$version=2'],
    ['eleven levels', nested(11), '$iothub/twin/res/400/?$rid=7'],
    ['an integer out of range', '{"a":4503599627370496}', '$iothub/twin/res/400/?$rid=7'],
    ['the last integer', '{"a":4503599627370495}', '$iothub/twin/res/204/?$rid=7&$version=2'],
    [
      '33 KB',
      JSON.stringify(Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`k${at}`, 'x'.repeat(4000)]))),
      '$iothub/twin/res/400/?$rid=7',
    ],
  ])('answers %s', async (_what, body, answer) => {
    const stage = new Stage();
    const bus = await stage.device();
    await stage.run(() => listen(bus));
    expect(await stage.told(() => say(bus, '$iothub/twin/PATCH/properties/reported/?$rid=7', body))).toEqual([answer]);
  });

  it.each([
    ['QoS 2', (bus: LiveBus) => bus.publish('$iothub/twin/GET/?$rid=1', new Uint8Array(), { qos: 2 as 1 })],
    ['a topic that a hub does not have', (bus: LiveBus) => say(bus, 'logger-7/rpc', '{}')],
    ['telemetry of another device', (bus: LiveBus) => say(bus, 'devices/logger-8/messages/events/', '{}')],
  ])('ends the connection for %s', async (_what, act) => {
    const stage = new Stage();
    const bus = await stage.device();
    let lost = false;
    bus.onLost(() => (lost = true));
    await stage.told(() => act(bus).catch(() => undefined));
    expect(lost).toBe(true);
  });

  it('keeps one connection for each device: the second pushes the first off', async () => {
    const stage = new Stage();
    const first = await stage.device();
    let lost = false;
    first.onLost(() => (lost = true));
    const second = await stage.device();
    await stage.run(() => listen(second));
    expect(lost).toBe(true);
    expect(await stage.told(() => say(second, '$iothub/twin/GET/?$rid=1'))).toHaveLength(1);
  });

  it('tells a change to nobody who is not there, and does not keep it for later', async () => {
    const stage = new Stage();
    await stage.call('PATCH', `/twins/${ID}`, { body: { properties: { desired: { a: 1 } } } });
    const bus = await stage.device();
    expect(await stage.told(() => listen(bus))).toEqual([]);
    expect(await stage.told(() => stage.call('PATCH', `/twins/${ID}`, { body: { tags: { site: 'moor' } } }))).toEqual([]);
  });

  it('grants the documented filters alone', async () => {
    const stage = new Stage();
    const bus = await stage.device();
    await stage.run(() => bus.subscribe(['#', '$iothub/#', 'devices/logger-8/messages/devicebound/#'], 1).catch(() => undefined));
    expect(stage.hub.broker.subscriptionsOf(ID)).toEqual({});
  });

  it('throttles, drops and repeats where a fault says so', async () => {
    const stage = new Stage();
    const bus = await stage.device();
    await stage.run(() => listen(bus));
    const get = (): Promise<void> => say(bus, '$iothub/twin/GET/?$rid=1');
    stage.hub.faults.addToAnswers({ kind: 'throttle' }, { times: 1 });
    expect(await stage.told(get)).toEqual(['$iothub/twin/res/429/?$rid=1']);
    stage.hub.faults.addToAnswers({ kind: 'duplicate' }, { times: 1, answers: ['get'] });
    expect(await stage.told(get)).toHaveLength(2);
    stage.hub.faults.addToAnswers({ kind: 'drop' }, { times: 1, prefix: 'logger' });
    expect(await stage.told(get)).toEqual([]);
    expect(await stage.told(get)).toHaveLength(1);
  });
});

function nested(levels: number): string {
  return `${'{"a":'.repeat(levels + 1)}1${'}'.repeat(levels + 1)}`;
}

const POLICIES = new Map([
  ['service', { keys: [SERVICE_KEY], permissions: ['ServiceConnect'] as const }],
  ['device', { keys: [SERVICE_KEY], permissions: ['DeviceConnect'] as const }],
]);
const soon = Math.floor(START / SECOND_MS) + 3600;

describe('who may connect', () => {
  const good = { resource: `${HOST}/devices/${ID}`, key: DEVICE_KEY, expiry: soon, policy: null };
  const username = `${HOST}/${ID}/?api-version=2021-04-12`;
  it.each([
    ['its own key', { username, password: makeSas(good) }, true],
    ['the old user name', { username: `${HOST}/${ID}/api-version=2016-11-14`, password: makeSas(good) }, true],
    ['what an SDK adds', { username: `${username}&DeviceClientType=py-azure-iot-device%2F2`, password: makeSas(good) }, true],
    [
      'a token as older tools write it',
      { username, password: makeSas({ ...good, resource: `${good.resource}/api-version=2016-11-14` }) },
      true,
    ],
    ['a token for the whole hub', { username, password: makeSas({ ...good, resource: HOST, key: SERVICE_KEY, policy: 'device' }) }, true],
    ['a policy for owners', { username, password: makeSas({ ...good, key: SERVICE_KEY, policy: 'service' }) }, false],
    ['no token', { username }, false],
    ['a token that has run out', { username, password: makeSas({ ...good, expiry: soon - 7200 }) }, false],
    ['a token of another device', { username, password: makeSas({ ...good, resource: `${HOST}/devices/logger-70` }) }, false],
    ['another key', { username, password: makeSas({ ...good, key: SERVICE_KEY }) }, false],
    ['another hub', { username: `other.azure-devices.net/${ID}/?api-version=2021-04-12`, password: makeSas(good) }, false],
    ['no version of the API', { username: `${HOST}/${ID}/?v=1`, password: makeSas(good) }, false],
    ['another client id', { username, password: makeSas(good), clientId: 'logger-8' }, false],
  ])('%s', async (_what, login, admitted) => {
    const stage = new Stage({ policies: POLICIES });
    const connected = stage.device(login).then(
      () => true,
      () => false,
    );
    expect(await connected).toBe(admitted);
  });

  it('ends a connection when its token runs out, and not one that stands by a newer one', async () => {
    const stage = new Stage({ policies: POLICIES });
    await stage.device({ username, password: makeSas(good) });
    await stage.clock.advance(HOUR_MS / 2);
    const bus = await stage.device({ username, password: makeSas({ ...good, expiry: soon + 3600 }) });
    await stage.clock.advance(HOUR_MS);
    expect(bus.connected).toBe(true);
    await stage.clock.advance(HOUR_MS);
    expect(bus.connected).toBe(false);
  });
});

describe('the owner side', () => {
  const owner = { resource: HOST, key: SERVICE_KEY, expiry: soon, policy: 'service' };
  it.each([
    ['a good token', makeSas(owner), 200],
    ['none', undefined, 401],
    ['a policy of devices', makeSas({ ...owner, policy: 'device' }), 401],
    ['a policy that is none', makeSas({ ...owner, policy: 'x' }), 401],
    ['a changed signature', makeSas(owner).replace(/sig=./, 'sig=_'), 401],
    ['one that has run out', makeSas({ ...owner, expiry: soon - 7200 }), 401],
    ['one of another hub', makeSas({ ...owner, resource: 'other.azure-devices.net' }), 401],
  ])('%s', async (_what, authorization, status) => {
    const stage = new Stage({ policies: POLICIES });
    const headers = authorization === undefined ? {} : { authorization };
    expect((await stage.call('GET', `/twins/${ID}`, { headers })).status).toBe(status);
  });

  it('keeps versions, times at every level, and an ETag for conditional writes', async () => {
    const stage = new Stage();
    const { body: fresh } = await stage.call('GET', `/twins/${ID}`);
    expect(fresh).toMatchObject({ deviceId: ID, etag: 'AAAAAAAAAAE=', version: 2, connectionState: 'Disconnected' });
    const patch = { properties: { desired: { fw: { version: '1.1', url: 'u' } } }, tags: { site: 'moor' } };
    const first = await stage.call('PATCH', `/twins/${ID}`, { body: patch, headers: { 'if-match': '"AAAAAAAAAAE="' } });
    expect(first.headers['etag']).toBe('"AAAAAAAAAAI="');
    await stage.clock.advance(SECOND_MS);
    const second = await stage.call('PATCH', `/twins/${ID}`, { body: { properties: { desired: { fw: { url: null } } } } });
    const [at, later] = ['2026-11-02T09:00:00.000Z', '2026-11-02T09:00:01.000Z'];
    expect(second.body).toMatchObject({
      tags: { site: 'moor' },
      version: 4,
      properties: {
        desired: {
          fw: { version: '1.1' },
          $version: 3,
          $metadata: { $lastUpdated: later, fw: { $lastUpdated: later, version: { $lastUpdated: at } } },
        },
      },
    });
    const stale = await stage.call('PATCH', `/twins/${ID}`, { body: patch, headers: { 'if-match': '"AAAAAAAAAAI="' } });
    expect([stale.status, (stale.body as { readonly Message: string }).Message]).toEqual([
      412,
      expect.stringContaining('ErrorCode:PreconditionFailed;'),
    ]);
    stage.hub.twins.report(ID, { fw: 1 });
    expect((await stage.call('PATCH', `/twins/${ID}`, { body: patch, headers: { 'if-match': '"AAAAAAAAAAM="' } })).status).toBe(200);
    const put = await stage.call('PUT', `/twins/${ID}`, { body: { properties: { desired: { a: 1 } } }, headers: { 'if-match': '*' } });
    expect(put.body).toMatchObject({ tags: { site: 'moor' }, properties: { desired: { a: 1, $version: 5 } } });
    expect((put.body as { readonly properties: { readonly desired: object } }).properties.desired).not.toHaveProperty('fw');
  });

  it.each([
    ['GET', '/twins/nobody', undefined, 404],
    ['PATCH', `/twins/${ID}`, '[]', 400],
    ['PATCH', `/twins/${ID}`, { properties: { desired: { 'a.b': 1 } } }, 400],
    ['PATCH', `/twins/${ID}`, { tags: Object.fromEntries([0, 1, 2].map((at) => [`k${at}`, 'x'.repeat(4000)])) }, 400],
    ['DELETE', `/twins/${ID}`, undefined, 405],
    ['GET', '/elsewhere', undefined, 404],
  ])('%s %s %j', async (method, target, body, status) => {
    expect((await new Stage().call(method, target, body === undefined ? {} : { body })).status).toBe(status);
  });

  it('calls a direct method, and says who is not there or does not answer', async () => {
    const stage = new Stage();
    const invoke = (seconds: number) =>
      stage.call('POST', `/twins/${ID}/methods`, {
        body: { methodName: 'OTA.Commit', payload: { a: 1 }, responseTimeoutInSeconds: seconds },
      });
    expect((await invoke(5)).status).toBe(404);
    for (const seconds of [4, 301]) expect((await invoke(seconds)).status).toBe(400);
    const large = { methodName: 'OTA.Write', payload: 'x'.repeat(128 * 1024) };
    expect((await stage.call('POST', `/twins/${ID}/methods`, { body: large })).status).toBe(400);
    const bus = await stage.device();
    await stage.run(() => listen(bus));
    expect((await invoke(5)).status).toBe(504);
    bus.listen(({ topic }) => {
      const [, rid = ''] = /\$rid=(\w+)/.exec(topic) ?? [];
      if (topic.startsWith('$iothub/methods/POST/OTA.Commit/')) void say(bus, `$iothub/methods/res/200/?$rid=${rid}`, { done: true });
    });
    expect((await invoke(5)).body).toEqual({ status: 200, payload: { done: true } });
  });

  it('lets go of a device that is deleted, and knows nothing of it when it is made again', async () => {
    const stage = new Stage();
    await stage.device();
    const twin = async () => (await stage.call('GET', `/twins/${ID}`)).body;
    stage.hub.twins.report(ID, { a: 1 });
    expect(await twin()).toMatchObject({ connectionState: 'Connected', properties: { reported: { $version: 2 } } });
    stage.hub.twins.removeDevice(ID);
    await stage.clock.advance(SECOND_MS);
    expect((await stage.call('GET', `/twins/${ID}`)).status).toBe(404);
    stage.hub.twins.addDevice(ID);
    expect(await twin()).toMatchObject({ connectionState: 'Disconnected', properties: { reported: { $version: 1 } } });
  });

  it('throttles what comes too fast', async () => {
    const stage = new Stage({ quotas: { getTwin: 2 } });
    const statuses = [];
    for (let count = 0; count < 3; count += 1) statuses.push((await stage.call('GET', `/twins/${ID}`)).status);
    expect(statuses).toEqual([200, 200, 429]);
    await stage.clock.advance(SECOND_MS);
    expect((await stage.call('GET', `/twins/${ID}`)).status).toBe(200);
  });

  it('finds twins by queries, a page at a time', async () => {
    const stage = new Stage();
    for (let count = 0; count < 5; count += 1) stage.hub.twins.addDevice(`gw-${count}`);
    stage.hub.twins.report('gw-1', { fw: { version: '1.1' }, n: 5 });
    stage.hub.twins.report('gw-2', { fw: { version: '1.0' } });
    const found = async (where: string): Promise<readonly string[]> => {
      const { body, status } = await stage.call('POST', '/devices/query', { body: { query: `SELECT * FROM devices${where}` } });
      return status === 200 ? (body as { readonly deviceId: string }[]).map(({ deviceId }) => deviceId) : [String(status)];
    };
    expect(await found('')).toHaveLength(6);
    expect(await found(" WHERE properties.reported.fw.version = '1.1'")).toEqual(['gw-1']);
    expect(await found(" WHERE NOT (properties.reported.fw.version = '1.1')")).toEqual(['gw-2']);
    expect(await found(" WHERE NOT (IS_DEFINED(properties.reported.fw.version) AND properties.reported.fw.version = '1.1')")).toHaveLength(
      5,
    );
    expect(await found(" WHERE deviceId IN ['gw-3', 'gw-4'] OR properties.reported.n >= 5")).toEqual(['gw-1', 'gw-3', 'gw-4']);
    stage.hub.twins.report('gw-4', { site: "a'b\\\n" });
    const site = 'WHERE properties.reported.site =';
    expect(await found(String.raw` ${site} 'a\'b\\\u000a'`)).toEqual(['gw-4']);
    expect(await found(String.raw` ${site} "a'b\\\u000A"`)).toEqual(['gw-4']);
    expect(await found(` ${site} 'a''b'`)).toEqual(['400']);
    expect(await found(String.raw` ${site} '\n'`)).toEqual(['400']);
    expect(await found(' WHERE fw =')).toEqual(['400']);
    expect(await found('; DROP')).toEqual(['400']);
    const query = { query: 'SELECT * FROM devices' };
    const first = await stage.call('POST', '/devices/query', { body: query, headers: { 'x-ms-max-item-count': '4' } });
    const next = first.headers['x-ms-continuation'] ?? '';
    const second = await stage.call('POST', '/devices/query', {
      body: query,
      headers: { 'x-ms-max-item-count': '4', 'x-ms-continuation': next },
    });
    expect([(first.body as unknown[]).length, (second.body as unknown[]).length, second.headers['x-ms-continuation']]).toEqual([
      4,
      2,
      undefined,
    ]);
  });
});

describe('switches', () => {
  it('counts reports in the ETag where it is told to', async () => {
    const stage = new Stage({ switches: { etagCoversReported: true } });
    stage.hub.twins.report(ID, { a: 1 });
    expect((await stage.call('GET', `/twins/${ID}`)).body).toMatchObject({ etag: 'AAAAAAAAAAI=', version: 3 });
  });

  it('lets times stand, keeps still about nothing, and lags behind in queries', async () => {
    const stage = new Stage({ switches: { lastUpdatedOfUnchanged: 'stays', patchOfNothing: 'silent', queryLagMs: 60_000 } });
    const bus = await stage.device();
    await stage.run(() => listen(bus));
    stage.hub.twins.report(ID, { a: 1 });
    await stage.call('PATCH', `/twins/${ID}`, { body: { properties: { desired: { a: 1 } } } });
    await stage.clock.advance(SECOND_MS);
    stage.hub.twins.report(ID, { a: 1 });
    expect(await stage.told(() => stage.call('PATCH', `/twins/${ID}`, { body: { properties: { desired: { a: 1 } } } }))).toEqual([]);
    const { body } = await stage.call('GET', `/twins/${ID}`);
    expect(body).toMatchObject({
      properties: { desired: { $version: 2 }, reported: { $version: 3, $metadata: { a: { $lastUpdated: '2026-11-02T09:00:00.000Z' } } } },
    });
    const queried = async (): Promise<unknown> =>
      ((await stage.call('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } })).body as unknown[])[0];
    expect(await queried()).toMatchObject({ properties: { reported: { $version: 1 } } });
    await stage.clock.advance(60_000);
    expect(await queried()).toMatchObject({ properties: { reported: { $version: 3 } } });
  });

  it('answers a report without a dollar where it is told to', async () => {
    const stage = new Stage({ switches: { ridWithoutDollar: 'answer' } });
    const bus = await stage.device();
    await stage.run(() => listen(bus));
    expect(await stage.told(() => say(bus, '$iothub/twin/PATCH/properties/reported/?rid=upd1', '{}'))).toEqual([
      '$iothub/twin/res/204/?$rid=upd1&$version=2',
    ]);
  });
});
