import { ListThingsCommand } from '@aws-sdk/client-iot';
import {
  DeleteThingShadowCommand,
  GetThingShadowCommand,
  ListNamedShadowsForThingCommand,
  UpdateThingShadowCommand,
} from '@aws-sdk/client-iot-data-plane';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAwsStage } from '#test/support/aws-stage.ts';
import { ALL_UPDATES, Heard, sdkClients, sdkSubject } from '#test/support/shadow-wires.ts';
import {
  judgeVector,
  SHADOW_ERRORS,
  SHADOW_VECTORS,
  VECTORS_START,
  type ShadowSubject,
  type ShadowVector,
} from '#test/support/shadow-vectors.ts';
import type { LiveBus } from '#ports/clients.ts';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const parsed = (payload: Uint8Array | undefined): unknown => JSON.parse(Buffer.from(payload ?? []).toString());
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : 'none');

const stage = await openAwsStage();
const { clock, server, sdk, device } = stage;
afterAll(() => stage.close());

describe('shadows by the SDK', () => {
  let listener: LiveBus;
  beforeAll(async () => {
    listener = await device('listener');
    await listener.subscribe(ALL_UPDATES, 1);
  });

  /** Each with a thing of its own, at the time that the vectors begin at. */
  const shifted = (vector: ShadowVector, bySeconds: number): ShadowVector =>
    JSON.parse(JSON.stringify(vector), (key, value: unknown) =>
      key === 'timestamp' && typeof value === 'number' && value > 1e9 ? value + bySeconds : value,
    ) as ShadowVector;

  it.each(SHADOW_VECTORS)('$id $note', async (vector) => {
    const start = clock.now();
    const place = { thing: `thing-${vector.id}`, shadow: vector.id > 'S12' ? 'fleet' : null };
    const subject = sdkSubject(sdk.data, place, { listener, minute: () => clock.advance(60_000) });
    const here = shifted(vector, (start - VECTORS_START) / 1000);
    // A refusal over HTTP is told to nobody else.
    const spoken = { ...here, steps: here.steps.filter(({ error }) => error === undefined) };
    if (here.steps.length === spoken.steps.length) expect(await judgeVector(here, subject, start)).toBe(vector.get.version);
    else expect(await refusedByTheSdk(here, subject)).toEqual(here.steps.flatMap(({ error }) => (error === undefined ? [] : [error.code])));
  });

  async function refusedByTheSdk(vector: ShadowVector, subject: ShadowSubject): Promise<readonly unknown[]> {
    const codes: unknown[] = [];
    for (const { req, error } of vector.steps) {
      const seen = await subject.update(json(req));
      const refused = seen.rejected as { readonly message?: string; readonly $metadata?: { readonly httpStatusCode?: number } } | undefined;
      if (refused !== undefined) codes.push(refused.$metadata?.httpStatusCode);
      expect([refused?.message, seen.documents === undefined]).toEqual([error?.message, error !== undefined]);
      await clock.advance(60_000);
    }
    expect(await subject.get()).toMatchObject(vector.get);
    return codes;
  }

  it('throws what AWS throws, with its words', async () => {
    const names: Readonly<Record<number, string>> = {
      400: 'InvalidRequestException',
      413: 'RequestEntityTooLargeException',
      415: 'UnsupportedDocumentEncodingException',
    };
    for (const { bytes, code, message } of SHADOW_ERRORS) {
      const call = sdk.data.send(new UpdateThingShadowCommand({ thingName: 'errors', payload: bytes }));
      await expect(call).rejects.toMatchObject({ name: names[code], message, $metadata: { httpStatusCode: code } });
    }
    const [classic, named] = [{ thingName: 'logger-7' }, { thingName: 'logger-7', shadowName: 'fw' }];
    const missing = (name: string): object => ({ name: 'ResourceNotFoundException', message: `No shadow exists with name: '${name}'` });
    await expect(sdk.data.send(new GetThingShadowCommand(classic))).rejects.toMatchObject(missing('logger-7'));
    await expect(sdk.data.send(new GetThingShadowCommand(named))).rejects.toMatchObject(missing('logger-7~fw'));
    await expect(sdk.data.send(new DeleteThingShadowCommand(classic))).rejects.toMatchObject(missing('logger-7'));
    await expect(sdk.data.send(new DeleteThingShadowCommand(named))).rejects.toMatchObject(missing('logger-7~fw'));
    await expect(sdk.data.send(new GetThingShadowCommand({ thingName: 'a b' }))).rejects.toMatchObject({ name: 'InvalidRequestException' });
  });

  it('deletes, and lists named shadows by pages', async () => {
    for (const shadowName of ['b', 'a', 'c']) {
      await sdk.data.send(
        new UpdateThingShadowCommand({ thingName: 'many', shadowName, payload: json({ state: { reported: { a: 1 } } }) }),
      );
    }
    const page = await sdk.data.send(new ListNamedShadowsForThingCommand({ thingName: 'many', pageSize: 2 }));
    expect(page.results).toEqual(['a', 'b']);
    const rest = await sdk.data.send(
      new ListNamedShadowsForThingCommand({
        thingName: 'many',
        pageSize: 2,
        ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
      }),
    );
    expect(rest).toMatchObject({ results: ['c'], timestamp: Math.floor(clock.now() / 1000) });
    const gone = await sdk.data.send(new DeleteThingShadowCommand({ thingName: 'many', shadowName: 'a' }));
    expect(parsed(gone.payload)).toEqual({ version: 1, timestamp: Math.floor(clock.now() / 1000) });
  });
});

describe('who may call', () => {
  it('takes the keys of the account alone, over both planes', async () => {
    const stranger = sdkClients(server, { secretAccessKey: 'another' });
    await expect(stranger.data.send(new GetThingShadowCommand({ thingName: 'x' }))).rejects.toMatchObject({ name: 'ForbiddenException' });
    await expect(stranger.control.send(new ListThingsCommand({}))).rejects.toMatchObject({ name: 'UnrecognizedClientException' });
    stranger.destroy();
  });

  it.each([
    ['no signature', {}],
    [
      'a service that is another',
      { authorization: 'AWS4-HMAC-SHA256 Credential=headgate/20261121/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=00' },
    ],
  ])('refuses %s', async (_, headers: Readonly<Record<string, string>>) => {
    const answer = await server.endpoint.handle({
      method: 'GET',
      target: '/things/x/shadow',
      headers,
      body: new Uint8Array(),
      certificate: null,
    });
    expect(answer).toMatchObject({ status: 403, headers: { 'x-amzn-errortype': 'ForbiddenException' } });
  });

  it('does what faults say, the request carried out or not', async () => {
    const update = (value: number) =>
      sdk.data.send(new UpdateThingShadowCommand({ thingName: 'faulty', payload: json({ state: { reported: { value } } }) }));
    const version = (): number | undefined => server.shadows.contentOf({ thing: 'faulty', shadow: null })?.version;
    const seen: unknown[] = [];
    for (const kind of ['throttle', 'unavailable', 'internal', 'deny', 'timeout', 'reset-before', 'reset-after'] as const) {
      const takeBack = server.faults.addToCalls({ kind }, { operations: ['UpdateThingShadow'], prefix: 'faulty', times: 1 });
      const name = await update(1).then(() => 'none', nameOf);
      takeBack();
      seen.push([kind, name, version()]);
    }
    expect(seen).toEqual([
      ['throttle', 'ThrottlingException', undefined],
      ['unavailable', 'ServiceUnavailableException', undefined],
      ['internal', 'InternalFailureException', undefined],
      ['deny', 'ForbiddenException', undefined],
      ['timeout', 'GatewayTimeoutException', 1],
      ['reset-before', expect.any(String), 1],
      ['reset-after', expect.any(String), 2],
    ]);
    expect(server.endpoint.calls.get('UpdateThingShadow')).toBeGreaterThan(7);
  });
});

describe('TLS', () => {
  it('lets nobody in over MQTT without a certificate of the CA', async () => {
    const plain = {
      url: server.mqttUrl,
      clientId: 'nobody',
      clean: true,
      clock: systemClock,
      ca: server.caCertificate,
      protocol: 4,
      reconnect: false,
    } as const;
    await expect(openBus(plain)).rejects.toMatchObject({ name: 'WireError' });
  });

  it.each([
    ['x-amzn-mqtt-ca', true],
    ['http/1.1', false],
  ])('speaks by ALPN on the port of HTTPS: %s', async (protocol, mqtt) => {
    const { certificate, key } = await server.enrol(`alpn-${protocol.slice(0, 4)}`, ['open']);
    const { port } = new URL(server.httpsUrl);
    const socket = connectTls({
      host: '127.0.0.1',
      port: Number(port),
      ca: server.caCertificate,
      cert: certificate,
      key,
      ALPNProtocols: [protocol],
    });
    // CONNECT of MQTT 3.1.1 with client id `a`.
    const connect = Buffer.from('100d00044d5154540402003c000161', 'hex');
    const first = await new Promise<string>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('data', (bytes) => resolve(bytes.toString('latin1')));
      socket.once('secureConnect', () => socket.write(mqtt ? connect : 'GET /things/alpn/shadow HTTP/1.1\r\nhost: x\r\n\r\n'));
    });
    expect(socket.alpnProtocol).toBe(protocol);
    // CONNACK, or an answer to a device that calls by its certificate alone.
    expect(first.slice(0, 12)).toBe(mqtt ? '\u0020\u0002\u0000\u0000' : 'HTTP/1.1 404');
    socket.destroy();
  });
});

it('lets a device hear what the SDK writes, over TLS', async () => {
  const bus = await device('both');
  const heard = new Heard(bus);
  await bus.subscribe(['$aws/things/both/shadow/update/delta'], 1);
  await sdk.data.send(new UpdateThingShadowCommand({ thingName: 'both', payload: json({ state: { desired: { a: 1 } } }) }));
  await bus.settle();
  expect(heard.take('$aws/things/both/shadow/update')).toEqual([['delta', expect.objectContaining({ state: { a: 1 }, version: 1 })]]);
});
