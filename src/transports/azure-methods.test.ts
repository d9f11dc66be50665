import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { DeviceMethods, MethodReply } from '#ports/device-methods.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection, HttpAnswer } from '#ports/wires.ts';
import { makeAzureHub, type AzureHub, type AzureHubOptions } from '#sim/azure/hub.ts';
import { VirtualClock } from '#sim/clock.ts';
import { converse } from '#sim/tls-wire.ts';
import { memoryClient } from '#test/support/shadow-wires.ts';
import { openAzureMethods } from './azure-methods.ts';
import { systemClock } from './clock.ts';
import { openHttpExchange } from './http-exchange.ts';

const START = Date.UTC(2026, 10, 2, 9);
const KEY = Buffer.from('key of the owner').toString('base64');
const DEVICE = 'esp32_b0';
const CALL = { device: DEVICE, method: 'OTA.Status', payload: { of: 1 }, timeoutMs: 6 * SECOND_MS };

const connection = {
  name: 'hub',
  place: { file: '', line: 1, column: 1 },
  type: 'azure-iot',
  host: 'upland.azure-devices.net',
  policy: 'service',
  key: KEY,
  index: 'off',
  indexQuery: null,
} as const satisfies AzureIotConnection;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function policies(): NonNullable<AzureHubOptions['policies']> {
  return new Map([
    ['service', { keys: [KEY], permissions: ['ServiceConnect'] as const }],
    ['reader', { keys: [KEY], permissions: [] }],
  ]);
}

class Stage {
  readonly clock = new VirtualClock(START);
  readonly hub: AzureHub;
  readonly methods: DeviceMethods;
  readonly bodies: unknown[] = [];

  constructor(change: Partial<AzureIotConnection> = {}, options: Partial<AzureHubOptions> = {}) {
    this.hub = makeAzureHub({ clock: this.clock, host: connection.host, ...options });
    this.hub.twins.addDevice(DEVICE);
    this.methods = openAzureMethods(
      { ...connection, ...change },
      {
        clock: this.clock,
        exchange: async (request) => {
          this.bodies.push(JSON.parse(new TextDecoder().decode(request.body)));
          const answer = await this.hub.endpoint.handle({ ...request, certificate: null });
          if (typeof answer === 'string') throw new WireError('TIMEOUT', 'later', 'no answer');
          return answer;
        },
      },
    );
    ends.push(() => this.clock.run(this.hub.close()));
  }

  /** A device that answers so: the rest of the topic after `res/`, without the id; null for one that says nothing. */
  async device(status: number | null, body = ''): Promise<void> {
    await this.clock.track(import('mqtt'));
    const bus = await this.clock.run(
      memoryClient(this.hub.broker, this.clock, { clientId: DEVICE, username: `${connection.host}/${DEVICE}` }),
    );
    await this.clock.run(bus.subscribe(['$iothub/methods/POST/#'], 1));
    bus.listen(({ topic }) => {
      const rid = topic.split('$rid=')[1] ?? '';
      if (status !== null) void bus.publish(`$iothub/methods/res/${status}/?$rid=${rid}`, new TextEncoder().encode(body), { qos: 0 });
    });
    ends.unshift(() => this.clock.run(bus.close()));
  }

  async told(call = CALL): Promise<MethodReply | string> {
    return await this.clock.run(this.methods.invoke(call).catch((error: unknown) => codeOf(error)));
  }
}

function codeOf(error: unknown): string {
  return error instanceof WireError ? `${error.code} ${error.retry}` : String(error);
}

describe('a direct method', () => {
  it.each([
    [0, '{"state":1}', { status: 0, payload: { state: 1 } }],
    [-1, '{"code":-1}', { status: -1, payload: { code: -1 } }],
    [404, '{"code":404,"message":"No handler"}', { status: 404, payload: { code: 404, message: 'No handler' } }],
    [200, '', { status: 200, payload: null }],
  ])('has the answer of the device: %i %s', async (status, body, reply) => {
    const stage = new Stage();
    await stage.device(status, body);
    expect(await stage.told()).toEqual(reply);
    expect(stage.bodies).toEqual([
      { methodName: 'OTA.Status', responseTimeoutInSeconds: 6, connectTimeoutInSeconds: 0, payload: { of: 1 } },
    ]);
  });

  it('does not wait for a device that is away, or that the hub does not know', async () => {
    const stage = new Stage();
    expect(await stage.told()).toBe('DEVICE_OFFLINE later');
    expect(await stage.told({ ...CALL, device: 'esp32_b9' })).toBe('DEVICE_OFFLINE later');
    expect(stage.clock.now()).toBe(START);
  });

  it.each([
    [6 * SECOND_MS, 6],
    [100, 5],
    [4000 * SECOND_MS, 300],
  ])('gives a device that says nothing %i ms: %i s', async (timeoutMs, seconds) => {
    const stage = new Stage();
    await stage.device(null);
    expect(await stage.told({ ...CALL, timeoutMs })).toBe('DEVICE_SILENT later');
    expect(stage.clock.now() - START).toBe(seconds * SECOND_MS);
  });

  it('keeps to the throttle of an S1 unit', async () => {
    const stage = new Stage({}, { quotas: { invokeMethod: 40 } });
    const answers = await stage.clock.run(Promise.all(Array.from({ length: 120 }, () => stage.methods.invoke(CALL).catch(codeOf))));
    expect(new Set(answers)).toEqual(new Set(['DEVICE_OFFLINE later']));
    expect(stage.clock.now() - START).toBe(2 * SECOND_MS);
  });

  it.each([
    ['a key of nobody', { key: Buffer.from('other').toString('base64') }, 'SHADOW_401 never'],
    ['a policy without ServiceConnect', { policy: 'reader' }, 'SHADOW_401 never'],
  ])('is refused for %s', async (_why, change, code) => {
    expect(await new Stage(change, { policies: policies() }).told()).toBe(code);
  });

  it.each(['throttle', 'unavailable', 'internal'] as const)('tells of a hub that fails: %s', async (kind) => {
    const stage = new Stage();
    stage.hub.faults.addToCalls({ kind }, { operations: ['invokeMethod'] });
    expect(await stage.told()).toMatch(/^SHADOW_(429|503|500) later$/);
  });

  it.each(['not JSON', '[]', '{"payload":1}', '{"status":"0"}'])('makes nothing of %s', async (text) => {
    const answer: HttpAnswer = { status: 200, headers: {}, bytes: new TextEncoder().encode(text) };
    const methods = openAzureMethods(connection, { clock: new VirtualClock(START), exchange: async () => answer });
    await expect(methods.invoke(CALL)).rejects.toMatchObject({ code: 'METHOD_UNREADABLE' });
  });
});

/** A hub behind a port of this machine, without TLS: the client's own is what the network tests of hubs have. */
async function served(hub: AzureHub): Promise<HttpExchange> {
  const server: Server = createServer(
    (incoming, outgoing) => void converse((request) => hub.endpoint.handle(request), { incoming, outgoing }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = openHttpExchange(new URL(`http://127.0.0.1:${port}`), { maxBytes: 100_000 });
  ends.push(async () => {
    client.close();
    await new Promise((resolve) => server.close(resolve));
  });
  return client.exchange;
}

describe('over HTTP', () => {
  it('is called with a token, and told of', async () => {
    const hub = makeAzureHub({ clock: systemClock, host: connection.host, policies: policies() });
    hub.twins.addDevice(DEVICE);
    ends.push(() => hub.close());
    const methods = openAzureMethods(connection, { clock: systemClock, exchange: await served(hub) });
    expect(await methods.invoke(CALL).catch(codeOf)).toBe('DEVICE_OFFLINE later');
    hub.faults.addToCalls({ kind: 'reset-before' }, { operations: ['invokeMethod'] });
    expect(await methods.invoke(CALL).catch(codeOf)).toBe('ECONNRESET later');
    await expect(methods.invoke({ ...CALL, signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    expect(hub.endpoint.calls.get('invokeMethod')).toBe(2);
    await methods.close();
  });
});
