import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DeleteThingShadowCommand, GetThingShadowCommand, UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane';
import { SearchIndexCommand } from '@aws-sdk/client-iot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAwsProcess, type AwsProcess } from '#test/support/aws-process.ts';
import { ended } from '#test/support/child.ts';
import { Heard, prefixOf, sdkClients } from '#test/support/shadow-wires.ts';
import { SHADOW_ERRORS, SHADOW_VECTORS } from '#test/support/shadow-vectors.ts';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';

const run = promisify(execFile);
const LIMIT_MS = 60_000;
const DEVICE = 'logger-7';
/** As device SDKs send it: docs/protocols/aws-iot.md §18. */
const SDK_USER = ['-u', '?SDK=JavaScript&Version=1.22.0'];

let aws: AwsProcess;
let sdk: ReturnType<typeof sdkClients>;
let subscriber: Subscriber;
const children: ChildProcess[] = [];

/** A mosquitto_sub that stays, told by stdbuf to print line by line: it says when it has subscribed, too. */
interface Subscriber {
  readonly child: ChildProcess;
  /** Messages so far: topic, QoS and document. */
  readonly messages: { readonly topic: string; readonly qos: number; readonly document: unknown }[];
  until(holds: () => boolean, what: string): Promise<void>;
}

beforeAll(async () => {
  aws = await startAwsProcess([DEVICE, 'watcher'], ['--index', 'fleet']);
  sdk = sdkClients(aws);
  subscriber = await subscribe('watcher', ['$aws/things/+/shadow/+/+', '$aws/things/+/shadow/name/+/+/+', '$aws/events/presence/+/+']);
});

afterAll(async () => {
  for (const child of children) await ended(child);
  sdk.destroy();
  await aws.close();
});

async function subscribe(name: string, filters: readonly string[], port: 'mqtt' | 'https' = 'mqtt'): Promise<Subscriber> {
  const topics = filters.flatMap((filter) => ['-t', filter]);
  const child = spawn('stdbuf', [
    '-oL',
    'mosquitto_sub',
    ...aws.flags(name, port),
    ...SDK_USER,
    '-i',
    name,
    '-q',
    '1',
    '-d',
    '-F',
    'heard %t %q %p',
    ...topics,
  ]);
  children.push(child);
  const messages: Subscriber['messages'] = [];
  let [rest, subscribed] = ['', false];
  const wakers = new Set<() => void>();
  const until = (holds: () => boolean, what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`not within ${LIMIT_MS} ms: ${what}; heard ${JSON.stringify(messages)}`)), LIMIT_MS);
      const check = (): void => {
        if (!holds()) return;
        clearTimeout(limit);
        wakers.delete(check);
        resolve();
      };
      wakers.add(check);
      check();
    });
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, topic, qos, text] = /^heard (\S+) (\d) (.*)$/.exec(line) ?? [];
      if (topic !== undefined) messages.push({ topic, qos: Number(qos), document: JSON.parse(text ?? '') as unknown });
      subscribed ||= line.includes('SUBACK');
    }
    for (const wake of wakers) wake();
  });
  await until(() => subscribed, 'SUBACK');
  return { child, messages, until };
}

async function publish(topic: string, body: Uint8Array, port: 'mqtt' | 'https' = 'mqtt'): Promise<void> {
  const file = join(aws.dir, 'message');
  await writeFile(file, body);
  await run('mosquitto_pub', [...aws.flags(DEVICE, port), ...SDK_USER, '-i', DEVICE, '-q', '1', '-t', topic, '-f', file]);
}

/** Publishes as the device and gives what was said below that prefix until `last` was. */
async function ask(prefix: string, verb: 'get' | 'update' | 'delete', body: Uint8Array): Promise<Readonly<Record<string, unknown>>> {
  const from = subscriber.messages.length;
  const said = () => subscriber.messages.slice(from).filter(({ topic }) => topic.startsWith(`${prefix}/`));
  await publish(`${prefix}/${verb}`, body);
  await subscriber.until(
    () => said().some(({ topic }) => topic === `${prefix}/${verb}/accepted` || topic === `${prefix}/${verb}/rejected`),
    verb,
  );
  expect(said().every(({ qos }) => qos === 1)).toBe(true);
  return Object.fromEntries(said().map(({ topic, document }) => [topic.slice(prefix.length + 1), document]));
}

/** The server's clock is that of the machine: times are those of now, whatever they are. */
function timeless(document: unknown): unknown {
  return JSON.parse(JSON.stringify(document), (key, value: unknown) =>
    key === 'timestamp' && typeof value === 'number' && value > 1e9 ? 0 : value,
  ) as unknown;
}

const stateIn = (document: unknown): unknown => (document as { readonly state: unknown }).state;
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

describe('mosquitto and the SDK at the embedded AWS IoT, over TLS with client certificates', () => {
  it.each(SHADOW_VECTORS)('$id $note', async ({ id, steps, get }) => {
    const place = { thing: id, shadow: id < 'S12' ? 'fleet' : null };
    const prefix = prefixOf(place);
    for (const { req, version, delta, error } of steps) {
      const said = await ask(prefix, 'update', json(req));
      if (error !== undefined) {
        expect(said).toEqual({ 'update/rejected': expect.objectContaining(error) });
        continue;
      }
      expect(said['update/accepted']).toMatchObject({ version });
      expect(stateIn(said['update/accepted'])).toEqual(stateIn(req));
      expect(said['update/documents']).toMatchObject({ current: { version }, previous: { version: (version ?? 0) - 1 } });
      if (delta === null) expect(said).not.toHaveProperty('update/delta');
      else {
        expect(said['update/delta']).toMatchObject({ version });
        expect(stateIn(said['update/delta'])).toEqual(delta);
      }
    }
    const expected = timeless({ ...get, timestamp: 1_767_225_600 });
    const { 'get/accepted': overMqtt } = await ask(prefix, 'get', new Uint8Array());
    expect(timeless(overMqtt)).toEqual(expected);
    const { payload } = await sdk.data.send(
      new GetThingShadowCommand({ thingName: id, ...(place.shadow === null ? {} : { shadowName: place.shadow }) }),
    );
    expect(timeless(JSON.parse(Buffer.from(payload ?? []).toString()))).toEqual(expected);
  });

  it('refuse alike: code and words on rejected and in what the SDK throws', async () => {
    for (const { bytes, code, message } of SHADOW_ERRORS) {
      expect(await ask(prefixOf({ thing: 'errors', shadow: null }), 'update', bytes)).toEqual({
        'update/rejected': expect.objectContaining({ code, message }),
      });
      const call = sdk.data.send(new UpdateThingShadowCommand({ thingName: 'errors', payload: bytes }));
      await expect(call).rejects.toMatchObject({ message, $metadata: { httpStatusCode: code } });
    }
  });

  it.each([null, 'fleet'])('say alike what is not there, and what another was quicker with: shadow %s', async (shadow) => {
    const place = { thing: 'absent', shadow };
    const target = { thingName: 'absent', ...(shadow === null ? {} : { shadowName: shadow }) };
    const missing = { code: 404, message: `No shadow exists with name: '${shadow === null ? 'absent' : 'absent~fleet'}'` };
    for (const verb of ['get', 'delete'] as const)
      expect(await ask(prefixOf(place), verb, new Uint8Array())).toEqual({ [`${verb}/rejected`]: expect.objectContaining(missing) });
    const thrown = { name: 'ResourceNotFoundException', message: missing.message, $metadata: { httpStatusCode: 404 } };
    await expect(sdk.data.send(new GetThingShadowCommand(target))).rejects.toMatchObject(thrown);
    await expect(sdk.data.send(new DeleteThingShadowCommand(target))).rejects.toMatchObject(thrown);
    await ask(prefixOf(place), 'update', json({ state: { desired: { a: 1 } } }));
    const late = json({ state: { desired: { a: 2 } }, version: 9, clientToken: 'late' });
    expect(await ask(prefixOf(place), 'update', late)).toEqual({
      'update/rejected': expect.objectContaining({ code: 409, message: 'Version conflict', clientToken: 'late' }),
    });
    await expect(sdk.data.send(new UpdateThingShadowCommand({ ...target, payload: late }))).rejects.toMatchObject({
      name: 'ConflictException',
      message: 'Version conflict',
      $metadata: { httpStatusCode: 409 },
    });
  });

  it('answer over HTTPS whoever signs with the key or shows a certificate, and nobody else', async () => {
    const stranger = sdkClients(aws, { secretAccessKey: 'another' });
    const call = stranger.data.send(new GetThingShadowCommand({ thingName: DEVICE }));
    await expect(call).rejects.toMatchObject({ name: 'ForbiddenException', $metadata: { httpStatusCode: 403 } });
    stranger.destroy();
    const curl = async (...flags: readonly string[]): Promise<string> => {
      const common = [
        '-s',
        '-o',
        join(aws.dir, 'body'),
        '-w',
        '%{http_code} %header{x-amzn-errortype}',
        '--cacert',
        join(aws.dir, 'ca.pem'),
      ];
      return (await run('curl', [...common, ...flags, `${aws.httpsUrl}/things/nothing/shadow`])).stdout.trim();
    };
    const own = ['--cert', join(aws.dir, `${DEVICE}.pem`), '--key', join(aws.dir, `${DEVICE}.key`)];
    expect(await curl()).toBe('403 ForbiddenException');
    expect(await curl(...own)).toBe('404 ResourceNotFoundException');
    expect(await curl(...own, '-X', 'PUT', '-d', '{}')).toBe('405 MethodNotAllowedException');
    expect(await curl(...own, '-d', '{"state":{"reported":{"up":1}}}')).toBe('200');
  });

  it('take the SDK with the client certificate of a device, refused alike', async () => {
    const certificate = {
      cert: await readFile(join(aws.dir, `${DEVICE}.pem`), 'utf8'),
      key: await readFile(join(aws.dir, `${DEVICE}.key`), 'utf8'),
    };
    const both = sdkClients(aws, { certificate });
    const target = { thingName: DEVICE, shadowName: 'certified' };
    const { payload } = await both.data.send(new UpdateThingShadowCommand({ ...target, payload: json({ state: { desired: { a: 1 } } }) }));
    expect(JSON.parse(Buffer.from(payload ?? []).toString())).toMatchObject({ state: { desired: { a: 1 } }, version: 1 });
    const late = json({ state: { desired: { a: 2 } }, version: 9 });
    await expect(both.data.send(new UpdateThingShadowCommand({ ...target, payload: late }))).rejects.toMatchObject({
      name: 'ConflictException',
    });
    await both.data.send(new DeleteThingShadowCommand(target));
    both.destroy();
    const liar = sdkClients(aws, { certificate, secretAccessKey: 'another' });
    const refused = { name: 'ForbiddenException', $metadata: { httpStatusCode: 403 } };
    await expect(liar.data.send(new GetThingShadowCommand(target))).rejects.toMatchObject(refused);
    liar.destroy();
  });

  it('carry a device from what the SDK declares to what it reports, found by the index', async () => {
    const prefix = prefixOf({ thing: DEVICE, shadow: 'fleet' });
    const device = await subscribe(DEVICE, [`${prefix}/update/delta`], 'https');
    const target = { thingName: DEVICE, shadowName: 'fleet' };
    await sdk.data.send(new UpdateThingShadowCommand({ ...target, payload: json({ state: { desired: { os: '11.00' } } }) }));
    await device.until(() => device.messages.length > 0, 'the delta');
    expect(device.messages[0]?.document).toMatchObject({ state: { os: '11.00' }, version: 1 });
    const queryString = `thingName:${DEVICE} AND shadow.name.fleet.hasDelta:true AND connectivity.connected:true`;
    expect((await sdk.control.send(new SearchIndexCommand({ queryString }))).things).toHaveLength(1);
    await ended(device.child);
    await ask(prefix, 'update', json({ state: { reported: { os: '11.00' } }, version: 1 }));
    expect((await sdk.control.send(new SearchIndexCommand({ queryString }))).things).toEqual([]);
    const principalIdentifier = (
      await run('openssl', ['x509', '-in', join(aws.dir, `${DEVICE}.pem`), '-noout', '-fingerprint', '-sha256'])
    ).stdout
      .replace(/^.*=/, '')
      .replaceAll(/[:\n]/g, '')
      .toLowerCase();
    const presence = subscriber.messages.filter(({ topic }) => topic === `$aws/events/presence/connected/${DEVICE}`);
    expect(presence.at(-1)?.document).toMatchObject({ clientId: DEVICE, eventType: 'connected', principalIdentifier });
  });

  it('let in no client without a certificate, nor with one of another CA', async () => {
    const { hostname, port } = new URL(aws.mqttUrl);
    const pub = ['-h', hostname, '-p', port, '-V', 'mqttv311', '--cafile', join(aws.dir, 'ca.pem'), '-t', 'a', '-m', 'b', '-q', '1'];
    await expect(run('mosquitto_pub', pub)).rejects.toMatchObject({ code: expect.any(Number) });
    const own = { key: join(aws.dir, 'other.key'), pem: join(aws.dir, 'other.pem') };
    await run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      own.key,
      '-out',
      own.pem,
      '-subj',
      '/CN=x',
    ]);
    await expect(run('mosquitto_pub', [...pub, '--cert', own.pem, '--key', own.key])).rejects.toMatchObject({ code: expect.any(Number) });
  });

  it('give a device of openssl a certificate by claim, with which mosquitto connects', async () => {
    const [key, csr, pem] = ['new.key', 'new.csr', 'new.pem'].map((name) => join(aws.dir, name)) as [string, string, string];
    await run('openssl', ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', csr, '-subj', '/CN=whatever']);
    const claim = { cert: await readFile(join(aws.dir, 'claim.pem'), 'utf8'), key: await readFile(join(aws.dir, 'claim.key'), 'utf8') };
    const bus = await openBus({
      url: aws.mqttUrl,
      clientId: 'new',
      clean: true,
      clock: systemClock,
      ca: aws.caCertificate,
      markerTopic: null,
      ...claim,
    });
    const heard = new Heard(bus);
    const request = async (topic: string, body: object): Promise<Readonly<Record<string, string>>> => {
      await bus.subscribe([`${topic}/accepted`, `${topic}/rejected`], 1);
      const answered = new Promise<void>((resolve) => bus.listen(({ topic: on }) => on.startsWith(topic) && resolve()));
      await bus.publish(topic, json(body), { qos: 1 });
      await answered;
      const [answer] = heard.take(topic);
      expect(answer?.[0]).toBe('accepted');
      return answer?.[1] as Readonly<Record<string, string>>;
    };
    const certificateSigningRequest = await readFile(csr, 'utf8');
    const { certificatePem = '', certificateOwnershipToken } = await request('$aws/certificates/create-from-csr/json', {
      certificateSigningRequest,
    });
    await writeFile(pem, certificatePem);
    expect((await run('openssl', ['verify', '-x509_strict', '-CAfile', join(aws.dir, 'ca.pem'), pem])).stdout).toContain('OK');
    const parameters = { SerialNumber: 'new-device' };
    expect(await request('$aws/provisioning-templates/fleet/provision/json', { certificateOwnershipToken, parameters })).toMatchObject({
      thingName: 'new-device',
    });
    await bus.close();
    const topic = `${prefixOf({ thing: 'new-device', shadow: null })}/update`;
    await run('mosquitto_pub', [...aws.flags('new'), '-i', 'new-device', '-q', '1', '-t', topic, '-m', '{"state":{"reported":{"up":1}}}']);
    await subscriber.until(() => subscriber.messages.some((message) => message.topic === `${topic}/accepted`), 'accepted');
  });
});
