import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { isSignedBy, makeSas, readSas } from '#kit/sas.ts';
import { VirtualClock } from '#sim/clock.ts';
import { networkClients } from '#transports/wires.ts';
import { makeAzureHub } from './hub.ts';
import { userName } from './topics.ts';

type Step =
  | { readonly kind: 'connect'; readonly clientId: string; readonly username: string; readonly clean: boolean }
  | { readonly kind: 'device' | 'hub'; readonly topic: string; readonly body: string }
  | {
      readonly kind: 'call';
      readonly method: string;
      readonly target: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
      readonly status: number;
      readonly answer: string;
    };

const { steps } = JSON.parse(readFileSync('src/sim/azure/fixtures/python-sdk.json', 'utf8')) as { readonly steps: readonly Step[] };

/** Times are of the day when it was recorded, and traces are counted. */
function timeless(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME').replaceAll(/trace-\d+/g, 'TRACE');
}

it('answers the Python SDKs of Azure as when they were satisfied: device and service', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 2));
  const hub = makeAzureHub({ clock, host: '127.0.0.2' });
  hub.twins.addDevice('logger-7');
  const connect = steps.find(({ kind }) => kind === 'connect');
  if (connect?.kind !== 'connect') throw new Error('nobody connects');
  const options = {
    url: 'memory:hub',
    clock,
    limitClock: clock,
    protocol: 4,
    keepAliveSeconds: 0,
    markerTopic: null,
    reconnect: false,
  } as const;
  const { clientId, username, clean } = connect;
  const bus = await clock.run(networkClients.openBus({ ...options, clientId, username, clean, streamBuilder: () => hub.broker.stream() }));
  await clock.run(bus.subscribe(['$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#', '$iothub/methods/POST/#'], 1));
  const told: string[] = [];
  bus.listen(({ topic, payload }) => told.push(`${topic} ${new TextDecoder().decode(payload)}`));
  const calls: Promise<void>[] = [];
  for (const step of steps) {
    if (step.kind === 'device') await clock.run(bus.publish(step.topic, Buffer.from(step.body), { qos: 1 }));
    if (step.kind === 'call') {
      const { method, target, headers, body, status, answer } = step;
      // A direct method is answered later: the device speaks in between.
      calls.push(
        hub.endpoint.handle({ method, target, headers, body: Buffer.from(body), certificate: null }).then((given) => {
          if (typeof given === 'string') throw new Error(given);
          expect([given.status, timeless(Buffer.from(given.bytes).toString())]).toEqual([status, timeless(answer)]);
        }),
      );
    }
    await clock.advance(100);
  }
  await clock.run(Promise.all(calls));
  expect(told).toEqual(steps.flatMap((step) => (step.kind === 'hub' ? [`${step.topic} ${step.body}`] : [])));
  await clock.run(bus.close());
  await clock.run(hub.close());
});

it.each([
  [
    'the user name of the SDK',
    '127.0.0.2/logger-7/?api-version=2019-10-01&DeviceClientType=azure%2F2',
    { host: '127.0.0.2', device: 'logger-7' },
  ],
  ['that of Mongoose OS', 'h.example/logger-7/api-version=2016-11-14', { host: 'h.example', device: 'logger-7' }],
  ['that of the page on tokens', 'h.example/logger-7', { host: 'h.example', device: 'logger-7' }],
  ['a module', 'h.example/logger-7/module/?api-version=2021-04-12', null],
  ['nobody', '', null],
])('reads %s', (_what, text, named) => {
  expect(userName(text)).toEqual(named);
});

/** docs/protocols/shadow-devices.md §8.4: made by the SDKs. */
const SERVICE_KEY = 'c2VydmljZS1rZXktb2YtdGhlLXNpbXVsYXRlZC1odWI=';
it.each([
  [
    'SharedAccessSignature sr=upland.azure-devices.net&sig=Lc0pA2PS45dRPIuqEPjftni%2BiNFK8xLZwr%2BhBSM4D1s%3D&se=1800000000&skn=service',
    SERVICE_KEY,
    { resource: 'upland.azure-devices.net', policy: 'service' },
  ],
  [
    'SharedAccessSignature sr=upland.azure-devices.net%2Fdevices%2Flogger+7&sig=WJApOMijH7BwUdK7qrUNJdTyF0Nn6uEoXHvLl4kg88Y%3D&se=1800000000',
    'ZGV2aWNlLWtleQ==',
    { resource: 'upland.azure-devices.net/devices/logger 7', policy: null },
  ],
  [
    'SharedAccessSignature sr=upland.azure-devices.net%2Fdevices%2Flogger-7&sig=LEXRp0eCIF0uB2fvyDJ2v%2FpbXJ0efHYjxgRjfHIkIf4%3D&se=1800000000',
    'ZGV2aWNlLWtleQ==',
    { resource: 'upland.azure-devices.net/devices/logger-7', policy: null },
  ],
])('reads %s', (token, key, { resource, policy }) => {
  const sas = readSas(token);
  if (sas === null) throw new Error('no token');
  expect([sas.resource, sas.policy, sas.expiry]).toEqual([resource, policy, 1_800_000_000]);
  expect(isSignedBy(sas, key)).toBe(true);
  expect(isSignedBy(sas, 'b3RoZXI=')).toBe(false);
  // The one with a plus is written otherwise by others: over another text, with another signature.
  if (!resource.includes(' ')) expect(makeSas({ resource, key, policy, expiry: 1_800_000_000 })).toBe(token);
});

it.each([
  '',
  'SharedAccessSignature',
  'SharedAccessSignature sr=a&se=1',
  'SharedAccessSignature sr=%&sig=a&se=1',
  'SharedAccessSignature sr=a&sig=b&se=x',
  'Bearer x',
])('takes %j for no token', (text) => {
  expect(readSas(text)).toBeNull();
});
