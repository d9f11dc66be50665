import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Heard, memoryClient } from '#test/support/shadow-wires.ts';
import type { LiveBus } from '#ports/clients.ts';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeAwsIot, shownAs, type AwsIot } from './aws-iot.ts';
import { AwsError } from './errors.ts';
import { makeAwsCa, openAwsCa } from './ca.ts';

const START = Date.UTC(2026, 10, 23);
const OPEN = JSON.stringify({ Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }] });
const CLAIM = JSON.stringify({
  Statement: [
    { Effect: 'Allow', Action: 'iot:Connect', Resource: '*' },
    {
      Effect: 'Allow',
      Action: ['iot:Publish', 'iot:Subscribe'],
      Resource: ['arn:aws:iot:*:*:topic*/$aws/certificates/*', 'arn:aws:iot:*:*:topic*/$aws/provisioning-templates/*'],
    },
  ],
});
/** A device may do what is under its own name, and no more. */
const DEVICE = JSON.stringify({
  Statement: [
    { Effect: 'Allow', Action: 'iot:Connect', Resource: 'arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}' },
    { Effect: 'Allow', Action: '*', Resource: 'arn:aws:iot:*:*:topic*/$aws/things/${iot:Connection.Thing.ThingName}/*' },
    { Effect: 'Deny', Action: 'iot:Publish', Resource: '*/shadow/delete' },
  ],
});
const TEMPLATE = JSON.stringify({
  Parameters: { SerialNumber: { Type: 'String' }, Site: { Type: 'String', Default: 'moor' } },
  Resources: {
    thing: {
      Type: 'AWS::IoT::Thing',
      Properties: {
        ThingName: { 'Fn::Join': ['-', ['logger', { Ref: 'SerialNumber' }]] },
        AttributePayload: { site: { Ref: 'Site' } },
        ThingGroups: ['loggers'],
      },
    },
    certificate: { Type: 'AWS::IoT::Certificate', Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' } },
    policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyName: 'device' } },
  },
  DeviceConfiguration: { broker: 'eu-1' },
});

interface Scene {
  readonly aws: AwsIot;
  readonly clock: VirtualClock;
  connect(clientId: string, certificate: string, clean?: boolean): Promise<LiveBus>;
}

async function scene(run: (scene: Scene) => Promise<void>): Promise<void> {
  const clock = new VirtualClock(START);
  const aws = makeAwsIot({ clock, certificates: true });
  for (const [name, document] of Object.entries({ open: OPEN, claim: CLAIM, device: DEVICE })) aws.registry.createPolicy(name, document);
  const buses: LiveBus[] = [];
  const connect = async (clientId: string, certificate: string, clean = true): Promise<LiveBus> => {
    const bus = await memoryClient(aws.broker, clock, { clientId, certificate: shownAs(certificate), clean });
    buses.push(bus);
    return bus;
  };
  await clock.track(import('mqtt'));
  await clock.track(aws.ca());
  await clock.run(run({ aws, clock, connect }));
  await clock.run(Promise.all(buses.map((bus) => bus.close())));
  await aws.close();
}

function refusalOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AwsError) return error.code;
    throw error;
  }
  return 'none';
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

describe('fleet provisioning by claim', () => {
  const TOPICS = [
    '$aws/certificates/create/json',
    '$aws/certificates/create-from-csr/json',
    '$aws/provisioning-templates/fleet/provision/json',
  ];

  async function claimant({ aws, clock, connect }: Scene) {
    const { certificate } = await clock.track(aws.enrol('claim', ['claim']));
    aws.provisioning.templates.set('fleet', { body: TEMPLATE, enabled: true });
    const bus = await connect('new-device', certificate);
    const heard = new Heard(bus);
    await bus.subscribe(
      TOPICS.flatMap((topic) => [`${topic}/accepted`, `${topic}/rejected`]),
      1,
    );
    const ask = async (topic: string, body: object): Promise<unknown> => {
      await bus.publish(topic, json(body), { qos: 1 });
      await clock.settled();
      const [answer] = heard.take(topic);
      return answer === undefined ? 'nothing' : { [answer[0]]: answer[1] };
    };
    return { bus, ask, certificate };
  }

  it('gives a device keys, a thing with its policies, and lets it in with them alone', () =>
    scene(async (world) => {
      const { aws, clock, connect } = world;
      const { ask, certificate: claim } = await claimant(world);
      const eavesdropper = await connect('eavesdropper', claim);
      const overheard = new Heard(eavesdropper);
      await eavesdropper.subscribe([`${TOPICS[0]}/accepted`], 1);
      const { accepted } = (await ask('$aws/certificates/create/json', {})) as { accepted: Record<string, string> };
      expect(Object.keys(accepted).toSorted()).toEqual(['certificateId', 'certificateOwnershipToken', 'certificatePem', 'privateKey']);
      const { certificatePem = '', privateKey = '', certificateId = '', certificateOwnershipToken } = accepted;
      const made = new X509Certificate(certificatePem);
      expect(made.checkPrivateKey(createPrivateKey(privateKey))).toBe(true);
      expect(made.verify(new X509Certificate((await aws.ca()).certificate).publicKey)).toBe(true);
      expect(aws.registry.certificate(certificateId).status).toBe('PENDING_ACTIVATION');
      await expect(connect('logger-70681', certificatePem)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
      expect(
        await ask('$aws/provisioning-templates/fleet/provision/json', { certificateOwnershipToken, parameters: { SerialNumber: '70681' } }),
      ).toEqual({
        accepted: { deviceConfiguration: { broker: 'eu-1' }, thingName: 'logger-70681' },
      });
      expect(aws.registry.thing('logger-70681')).toMatchObject({ attributes: { site: 'moor' }, groups: ['loggers'] });
      expect(aws.registry.certificate(certificateId)).toMatchObject({ status: 'ACTIVE', policies: ['device'], things: ['logger-70681'] });
      const device = await connect('logger-70681', certificatePem);
      expect(device.connected).toBe(true);
      expect(overheard.take(TOPICS[0] ?? '')).toEqual([]);
      await clock.settled();
      // A token serves once.
      expect(
        await ask('$aws/provisioning-templates/fleet/provision/json', { certificateOwnershipToken, parameters: { SerialNumber: '1' } }),
      ).toMatchObject({
        rejected: { statusCode: 400, errorCode: 'InvalidParameters' },
      });
    }));

  it('signs a request of the device, and refuses what is none', () =>
    scene(async (world) => {
      const { ask } = await claimant(world);
      expect(await ask('$aws/certificates/create-from-csr/json', { certificateSigningRequest: CSR })).toMatchObject({
        accepted: { certificatePem: expect.stringContaining('BEGIN CERTIFICATE'), certificateOwnershipToken: expect.any(String) },
      });
      const spoilt = CSR.replace('0hjMbG', 'AAAAAA');
      for (const certificateSigningRequest of [undefined, '', 'x', spoilt]) {
        expect(await ask('$aws/certificates/create-from-csr/json', { certificateSigningRequest })).toMatchObject({
          rejected: { statusCode: 400 },
        });
      }
    }));

  it('forgets after an hour who had not asked for a thing', () =>
    scene(async (world) => {
      const { ask } = await claimant(world);
      const { accepted } = (await ask('$aws/certificates/create/json', {})) as { accepted: Record<string, string> };
      const { certificateOwnershipToken, certificateId = '' } = accepted;
      await world.clock.advance(HOUR_MS);
      const late = await ask('$aws/provisioning-templates/fleet/provision/json', {
        certificateOwnershipToken,
        parameters: { SerialNumber: '1' },
      });
      expect(late).toMatchObject({ rejected: { statusCode: 400, errorMessage: 'Invalid certificate ownership token' } });
      expect(world.aws.registry.findCertificate(certificateId)).toBeNull();
    }));

  it('asks the hook, and says which parameter or template is missing', () =>
    scene(async (world) => {
      const { ask } = await claimant(world);
      const { templates } = world.aws.provisioning;
      const { accepted } = (await ask('$aws/certificates/create/json', {})) as { accepted: Record<string, string> };
      const { certificateOwnershipToken } = accepted;
      const provision = (template: string, parameters: object): Promise<unknown> =>
        ask(`$aws/provisioning-templates/${template}/provision/json`, { certificateOwnershipToken, parameters });
      expect(await provision('fleet', {})).toMatchObject({
        rejected: { errorMessage: 'The provisioning template needs the parameter SerialNumber' },
      });
      templates.set('fleet', {
        body: TEMPLATE,
        enabled: true,
        hook: ({ SerialNumber }) => ({ allowProvisioning: SerialNumber === '7', parameterOverrides: { Site: 'fen' } }),
      });
      expect(await provision('fleet', { SerialNumber: '8' })).toMatchObject({ rejected: { statusCode: 403, errorCode: 'AccessDenied' } });
      expect(await provision('fleet', { SerialNumber: '7' })).toMatchObject({ accepted: { thingName: 'logger-7' } });
      expect(world.aws.registry.thing('logger-7').attributes).toEqual({ site: 'fen' });
      templates.set('fleet', { body: TEMPLATE, enabled: false });
      expect(await provision('fleet', { SerialNumber: '9' })).toMatchObject({
        rejected: { statusCode: 404, errorCode: 'ResourceNotFound' },
      });
    }));
});

describe('who may do what', () => {
  it('lets in by a certificate that is registered, active and has a policy for that client id', () =>
    scene(async ({ aws, clock, connect }) => {
      const { certificate, id } = await clock.track(aws.enrol('logger-7', ['device']));
      const other = await clock.track(openAwsCa(await clock.track(makeAwsCa(START))));
      const stranger = await clock.track(other.withKey(START));
      await expect(connect('logger-7', stranger.certificate)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
      await expect(connect('logger-8', certificate)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
      const device = await connect('logger-7', certificate);
      expect(device.connected).toBe(true);
      await device.close();
      aws.registry.detachPolicy('device', aws.registry.arn(`cert/${id}`));
      await expect(connect('logger-7', certificate)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
      aws.registry.attachPolicy('device', aws.registry.arn(`cert/${id}`));
      aws.registry.detachThing('logger-7', aws.registry.arn(`cert/${id}`));
      await expect(connect('logger-7', certificate)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
    }));

  it('keeps a device to the topics of its policy: filters are not granted, publishing ends the connection', () =>
    scene(async ({ aws, clock, connect }) => {
      const { certificate } = await clock.track(aws.enrol('logger-7', ['device']));
      const device = await connect('logger-7', certificate);
      await device.subscribe(['$aws/things/logger-7/shadow/update/delta'], 1);
      await expect(device.subscribe(['$aws/things/logger-8/shadow/update/delta'], 1)).rejects.toMatchObject({
        code: 'MQTT_NOT_AUTHORIZED',
      });
      await device.publish('$aws/things/logger-7/shadow/update', json({ state: { reported: { a: 1 } } }), { qos: 1 });
      await clock.settled();
      expect(aws.shadows.things).toEqual(['logger-7']);
      await device.publish('$aws/things/logger-7/shadow/delete', json({}), { qos: 1 }).catch(() => undefined);
      await clock.settled();
      expect(aws.shadows.things).toEqual(['logger-7']);
      expect(aws.broker.clients).toEqual([]);
    }));

  it('keeps a device that calls by its certificate to what its policies name', () =>
    scene(async ({ clock }) => {
      const aws = makeAwsIot({ clock, certificates: true, credentials: [{ accessKeyId: 'a', secretAccessKey: 'b' }] });
      const allow = (...Resource: string[]) => ({ Effect: 'Allow', Action: 'iot:GetThingShadow', Resource });
      const own = { Statement: [allow('arn:aws:iot:*:*:thing/logger-7', 'arn:aws:iot:*:*:thing/logger-8/fleet')] };
      aws.registry.createPolicy('own', JSON.stringify(own));
      const { certificate, id } = await clock.track(aws.enrol('logger-7', ['own']));
      const call = async (method: string, target: string) => {
        const request = { method, target, headers: {}, body: json({ state: null }), certificate: shownAs(certificate) };
        const answer = await clock.track(aws.endpoint.handle(request));
        return typeof answer === 'string' ? answer : answer.status;
      };
      expect(await call('GET', '/things/logger-7/shadow')).toBe(404);
      expect(await call('GET', '/things/logger-8/shadow?name=fleet')).toBe(404);
      expect(await call('GET', '/things/logger-8/shadow')).toBe(403);
      expect(await call('POST', '/things/logger-7/shadow')).toBe(403);
      expect(await call('POST', '/topics/x')).toBe(403);
      expect(await call('GET', '/things/logger-7')).toBe(403);
      expect(aws.shadows.things).toEqual([]);
      aws.registry.setStatus(id, 'INACTIVE');
      expect(await call('GET', '/things/logger-7/shadow')).toBe(403);
      await aws.close();
    }));

  it('cuts the connections of a certificate some minutes after it is no longer active', () =>
    scene(async ({ aws, clock, connect }) => {
      const { certificate, id } = await clock.track(aws.enrol('logger-7', ['open']));
      const { certificate: next } = await clock.track(aws.enrol('logger-7', ['open']));
      await connect('old', certificate);
      await connect('new', next);
      aws.registry.setStatus(id, 'INACTIVE');
      await clock.advance(MINUTE_MS);
      expect(aws.broker.clients).toEqual(['new', 'old']);
      await expect(connect('again', certificate)).rejects.toMatchObject({ code: 'MQTT_NOT_AUTHORIZED' });
      await clock.advance(MINUTE_MS);
      expect(aws.broker.clients).toEqual(['new']);
      aws.registry.setStatus(id, 'ACTIVE');
      expect((await connect('old', certificate)).connected).toBe(true);
    }));
});

it('tells a session that stood before of its own arrival, once it is let in', () =>
  scene(async ({ aws, clock, connect }) => {
    const { certificate } = await clock.track(aws.enrol('daemon', ['open']));
    const first = await connect('daemon', certificate, false);
    await first.subscribe(['$aws/events/presence/connected/+'], 1);
    await first.close();
    const heard = new Heard(await connect('daemon', certificate, false));
    await clock.settled();
    expect(heard.take('$aws/events/presence').map(([topic]) => topic)).toEqual(['connected/daemon']);
  }));

it('tells who comes and goes, by which certificate and why', () =>
  scene(async ({ aws, clock, connect }) => {
    const { certificate, id } = await clock.track(aws.enrol('logger-7', ['open']));
    const watcher = await connect('watcher', certificate);
    const heard = new Heard(watcher);
    await watcher.subscribe(['$aws/events/presence/connected/+', '$aws/events/presence/disconnected/+'], 1);
    const events = async (): Promise<readonly unknown[]> => {
      await clock.settled();
      return heard.take('$aws/events/presence').map(([topic, event]) => [topic, event]);
    };
    const event = (what: string, versionNumber: number, more: object = {}): unknown => [
      `${what}/logger-7`,
      expect.objectContaining({ clientId: 'logger-7', eventType: what, principalIdentifier: id, versionNumber, ...more }),
    ];
    const first = await connect('logger-7', certificate);
    expect(await events()).toEqual([event('connected', 0, { timestamp: START, ipAddress: '127.0.0.1' })]);
    aws.faults.presenceSkewMs = -90_000;
    await connect('logger-7', certificate);
    expect(await events()).toEqual([
      event('disconnected', 0, { clientInitiatedDisconnect: false, disconnectReason: 'DUPLICATE_CLIENTID', timestamp: START - 90_000 }),
      event('connected', 1),
    ]);
    expect(first.connected).toBe(false);
    aws.broker.dropClient('logger-7');
    expect(await events()).toEqual([event('disconnected', 1, { disconnectReason: 'SERVER_INITIATED_DISCONNECT' })]);
    await (await connect('logger-7', certificate)).close();
    expect(await events()).toEqual([
      event('connected', 2),
      event('disconnected', 2, { clientInitiatedDisconnect: true, disconnectReason: 'CLIENT_INITIATED_DISCONNECT' }),
    ]);
    await clock.advance(HOUR_MS + 1);
    await (await connect('logger-7', certificate)).drop();
    expect(await events()).toEqual([event('connected', 0), event('disconnected', 0, { disconnectReason: 'CONNECTION_LOST' })]);
    await connect('with+plus', certificate);
    expect(await events()).toEqual([]);
  }));

it('keeps things and certificates as AWS does', async () => {
  const aws = makeAwsIot({ clock: new VirtualClock(START) });
  const { registry } = aws;
  registry.createPolicy('open', OPEN);
  const { id, certificate } = await aws.enrol('logger-7', ['open']);
  expect(registry.createThing('logger-7').version).toBe(1);
  expect(refusalOf(() => registry.createThing('logger-7', { attributes: { a: 'b' } }))).toBe('ResourceAlreadyExistsException');
  expect(refusalOf(() => registry.createThing('a b'))).toBe('InvalidRequestException');
  registry.updateThing('logger-7', { attributes: { a: 'b', c: 'd' }, merge: true, version: 1 });
  registry.updateThing('logger-7', { attributes: { a: '' }, merge: true, version: null });
  expect(registry.thing('logger-7')).toMatchObject({ attributes: { c: 'd' }, version: 3 });
  expect(refusalOf(() => registry.updateThing('logger-7', { attributes: {}, merge: false, version: 1 }))).toBe('VersionConflictException');
  expect(refusalOf(() => registry.deleteThing('logger-7', null))).toBe('InvalidRequestException');
  expect(refusalOf(() => registry.addCertificate(certificate, 'ACTIVE'))).toBe('ResourceAlreadyExistsException');
  expect(refusalOf(() => registry.addCertificate('x', 'ACTIVE'))).toBe('InvalidRequestException');
  expect(refusalOf(() => registry.deleteCertificate(id, true))).toBe('CertificateStateException');
  registry.setStatus(id, 'REVOKED');
  expect(refusalOf(() => registry.deleteCertificate(id, true))).toBe('DeleteConflictException');
  registry.detachThing('logger-7', registry.arn(`cert/${id}`));
  expect(refusalOf(() => registry.deleteCertificate(id, false))).toBe('DeleteConflictException');
  registry.deleteCertificate(id, true);
  expect(refusalOf(() => registry.certificate(id))).toBe('ResourceNotFoundException');
  registry.deleteThing('logger-7', 3);
  expect(refusalOf(() => registry.thing('logger-7'))).toBe('ResourceNotFoundException');
  expect(refusalOf(() => registry.createPolicy('open', OPEN))).toBe('ResourceAlreadyExistsException');
  expect(refusalOf(() => registry.createPolicy('bad', '{'))).toBe('InvalidRequestException');
  await aws.close();
});

/** P-256, CN=logger-7; made by `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=logger-7`. */
const CSR = `-----BEGIN CERTIFICATE REQUEST-----
MIHOMHUCAQAwEzERMA8GA1UEAwwIbG9nZ2VyLTcwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQ6g5MH/Uw0DUr2/309q+nDRBwMXXazsuutjuoeAMKUAw3dtJam99Tr
pUCcyYNAYM0hjMbGbbNYOcSCw1D4JT4boAAwCgYIKoZIzj0EAwIDSQAwRgIhAOJ2
o9rFM9eMOATt3C+J2HNKT1Uidq+q82NC/JgL46otAiEA21abR+m+V5IxWtdEkVpC
NeWwDnJDui1k3OnFnU/3NYU=
-----END CERTIFICATE REQUEST-----
`;
