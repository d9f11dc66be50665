import {
  AddThingToThingGroupCommand,
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateCertificateFromCsrCommand,
  CreateKeysAndCertificateCommand,
  CreatePolicyCommand,
  CreateThingCommand,
  CreateThingGroupCommand,
  DescribeCertificateCommand,
  DescribeEndpointCommand,
  DescribeThingCommand,
  GetIndexingConfigurationCommand,
  GetThingConnectivityDataCommand,
  ListThingPrincipalsCommand,
  ListThingsCommand,
  SearchIndexCommand,
  UpdateCertificateCommand,
  UpdateIndexingConfigurationCommand,
} from '@aws-sdk/client-iot';
import {
  DeleteConnectionCommand,
  GetConnectionCommand,
  GetRetainedMessageCommand,
  ListRetainedMessagesCommand,
  ListSubscriptionsCommand,
  PublishCommand,
  SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane';
import { afterAll, describe, expect, it } from 'vitest';
import { OPEN_POLICY, openAwsStage } from '#test/support/aws-stage.ts';
import { compareText } from '#kit/diagnostics.ts';

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

const stage = await openAwsStage();
const { clock, server, sdk, device } = stage;
afterAll(() => stage.close());

describe('the rest of the data plane', () => {
  it('publishes, retains, and sends to one client that did not subscribe', async () => {
    const bus = await device('g1-logger');
    const seen: string[] = [];
    bus.listen(({ topic, payload }) => seen.push(`${topic} ${Buffer.from(payload).toString()}`));
    await bus.subscribe(['g1/cc/+/OS'], 1);
    await sdk.data.send(new PublishCommand({ topic: 'g1/cc/CR300-7/OS', qos: 1, payload: json({ url: 1 }) }));
    await sdk.data.send(
      new SendDirectMessageCommand({ clientId: 'g1-logger', topic: 'elsewhere/é', confirmation: true, payload: Buffer.from('x') }),
    );
    await bus.settle();
    expect(seen).toEqual(['g1/cc/CR300-7/OS {"url":1}', 'elsewhere/é x']);
    await sdk.data.send(new PublishCommand({ topic: 'kept', qos: 1, retain: true, payload: Buffer.from('k') }));
    const kept = await sdk.data.send(new GetRetainedMessageCommand({ topic: 'kept' }));
    expect([Buffer.from(kept.payload ?? []).toString(), kept.lastModifiedTime]).toEqual(['k', clock.now()]);
    expect((await sdk.data.send(new ListRetainedMessagesCommand({}))).retainedTopics).toEqual([
      { topic: 'kept', payloadSize: 1, qos: 1, lastModifiedTime: clock.now() },
    ]);
    const nobody = new SendDirectMessageCommand({ clientId: 'nobody', topic: 't', payload: Buffer.from('x') });
    await expect(sdk.data.send(nobody)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await expect(sdk.data.send(new PublishCommand({ topic: '$aws/x', payload: Buffer.from('x') }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
    });
  });

  it('tells of a connection and ends it', async () => {
    const bus = await device('inspected');
    await bus.subscribe(['b', 'a'], 1);
    expect((await sdk.data.send(new ListSubscriptionsCommand({ clientId: 'inspected' }))).subscriptions).toEqual(
      expect.arrayContaining([
        { topicFilter: 'a', qos: 1 },
        { topicFilter: 'b', qos: 1 },
      ]),
    );
    const there = { connected: true, thingName: 'inspected', cleanSession: true, connectedSince: clock.now() };
    expect(await sdk.data.send(new GetConnectionCommand({ clientId: 'inspected' }))).toMatchObject(there);
    const lost = new Promise<void>((resolve) => bus.onLost(resolve));
    await sdk.data.send(new DeleteConnectionCommand({ clientId: 'inspected' }));
    await lost;
    expect(await sdk.data.send(new GetConnectionCommand({ clientId: 'inspected' }))).toMatchObject({
      connected: false,
      disconnectReason: 'SERVER_INITIATED_DISCONNECT',
    });
    await expect(sdk.data.send(new GetConnectionCommand({ clientId: 'never' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });
});

describe('the control plane', () => {
  it('makes things, groups, policies and certificates that a device can connect with', async () => {
    const { control } = sdk;
    expect((await control.send(new DescribeEndpointCommand({ endpointType: 'iot:Data-ATS' }))).endpointAddress).toBe(
      new URL(server.httpsUrl).host,
    );
    const attributes = { model: 'CR300' };
    await control.send(new CreateThingCommand({ thingName: 'made', attributePayload: { attributes } }));
    await control.send(new CreateThingGroupCommand({ thingGroupName: 'wave1' }));
    await control.send(new AddThingToThingGroupCommand({ thingName: 'made', thingGroupName: 'wave1' }));
    expect(await control.send(new DescribeThingCommand({ thingName: 'made' }))).toMatchObject({
      thingName: 'made',
      attributes,
      version: 1,
    });
    const listed = await control.send(new ListThingsCommand({ attributeName: 'model', attributeValue: 'CR300' }));
    expect(listed.things?.map(({ thingName }) => thingName)).toEqual(['made']);
    await expect(control.send(new DescribeThingCommand({ thingName: 'none' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    await control.send(new CreatePolicyCommand({ policyName: 'p', policyDocument: OPEN_POLICY }));
    const made = await control.send(new CreateKeysAndCertificateCommand({ setAsActive: true }));
    const { certificateArn: principal = '', certificateId = '', certificatePem = '', keyPair } = made;
    await control.send(new AttachPolicyCommand({ policyName: 'p', target: principal }));
    await control.send(new AttachThingPrincipalCommand({ thingName: 'made', principal }));
    expect((await control.send(new ListThingPrincipalsCommand({ thingName: 'made' }))).principals).toEqual([principal]);
    await device('made', { certificate: certificatePem, key: keyPair?.PrivateKey ?? '' });
    expect(await control.send(new GetThingConnectivityDataCommand({ thingName: 'made' }))).toMatchObject({
      connected: true,
      timestamp: new Date(clock.now()),
    });
    await control.send(new UpdateCertificateCommand({ certificateId, newStatus: 'INACTIVE' }));
    expect((await control.send(new DescribeCertificateCommand({ certificateId }))).certificateDescription).toMatchObject({
      certificateId,
      status: 'INACTIVE',
    });
    await expect(control.send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: 'x' }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
    });
  });

  it('finds things by what their shadows say, page by page, once indexing is on', async () => {
    const { control } = sdk;
    const search = (queryString: string, nextToken?: string) =>
      control.send(new SearchIndexCommand({ queryString, maxResults: 100, ...(nextToken === undefined ? {} : { nextToken }) }));
    await expect(search('thingName:i*')).rejects.toMatchObject({ name: 'IndexNotReadyException' });
    await control.send(
      new UpdateIndexingConfigurationCommand({
        thingIndexingConfiguration: {
          thingIndexingMode: 'REGISTRY_AND_SHADOW',
          thingConnectivityIndexingMode: 'STATUS',
          namedShadowIndexingMode: 'ON',
          filter: { namedShadowNames: ['fleet'] },
        },
      }),
    );
    const configured = await control.send(new GetIndexingConfigurationCommand({}));
    expect(configured.thingIndexingConfiguration).toMatchObject({
      thingIndexingMode: 'REGISTRY_AND_SHADOW',
      filter: { namedShadowNames: ['fleet'] },
    });
    for (let count = 0; count < 250; count += 1) {
      const thing = `indexed-${count}`;
      server.registry.createThing(thing, { attributes: { model: count % 2 === 0 ? 'CR300' : 'CR6' } });
      server.shadows.update(
        { thing, shadow: 'fleet' },
        json({ state: { desired: { os: '11.00' }, reported: { os: count < 5 ? '10.06' : '11.00' } } }),
      );
    }
    const names = new Set<string>();
    let [pages, nextToken]: [number, string | undefined] = [0, undefined];
    do {
      const page = await search('thingName:indexed-*', nextToken);
      pages += 1;
      nextToken = page.nextToken;
      for (const { thingName = '' } of page.things ?? []) names.add(thingName);
    } while (nextToken !== undefined);
    expect([pages, names.size]).toEqual([3, 250]);
    const behind = (await search('shadow.name.fleet.hasDelta:true AND attributes.model:cr300')).things ?? [];
    expect(behind.map(({ thingName }) => thingName ?? '').toSorted(compareText)).toEqual(['indexed-0', 'indexed-2', 'indexed-4']);
    const [one] = (await search('thingName:indexed-0')).things ?? [];
    expect(JSON.parse(one?.shadow ?? '')).toMatchObject({
      name: { fleet: { desired: { os: '11.00' }, reported: { os: '10.06' }, delta: { os: '11.00' }, hasDelta: true, version: 1 } },
    });
    const connected = (await search('connectivity.connected:true AND thingName:g1*')).things ?? [];
    expect(connected.map(({ thingName }) => thingName)).toEqual(['g1-logger']);
    await expect(search('*x')).rejects.toMatchObject({ name: 'InvalidQueryException' });
  });
});
