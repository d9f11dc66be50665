import type { Clock } from '#ports/clock.ts';
import type { AwsCa } from './ca.ts';
import { AwsError } from './errors.ts';
import { bodyOf, countIn, jsonAnswer, pageOf, textIn, type AwsCall, type AwsOperation, type AwsResponse } from './http-message.ts';
import type { PresenceEvents } from './presence-events.ts';
import type { Provisioning } from './provisioning.ts';
import type { AwsRegistry, CertificateStatus, RegisteredCertificate, Thing } from './registry.ts';
import { isObject, type JsonObject } from './shadow-document.ts';

export interface ControlPlane {
  readonly clock: Pick<Clock, 'now'>;
  readonly registry: AwsRegistry;
  readonly presence: PresenceEvents;
  readonly provisioning: Provisioning;
  ca(): Promise<AwsCa>;
  /** What DescribeEndpoint tells: host and port without a scheme. */
  endpoint(type: string): string;
}

/** The parts of the control plane that a fleet needs: docs/protocols/aws-iot.md §2.2. */
export function controlOperations(plane: ControlPlane): readonly AwsOperation[] {
  return [...thingOperations(plane), ...certificateOperations(plane), ...policyOperations(plane)];
}

/** `at` is the method and the path: `GET /things/{thingName}`. */
export function control(name: string, at: string, run: AwsOperation['run']): AwsOperation {
  return { name, plane: 'control', at, run };
}

function thingOperations({ registry, presence, endpoint }: ControlPlane): readonly AwsOperation[] {
  return [
    control('DescribeEndpoint', 'GET /endpoint', (call) =>
      jsonAnswer({ endpointAddress: endpoint(call.query('endpointType') ?? 'iot:Data') }),
    ),
    control('CreateThing', 'POST /things/{thingName}', (call) => {
      const body = bodyOf(call);
      const type = typeof body['thingTypeName'] === 'string' ? body['thingTypeName'] : null;
      const thing = registry.createThing(call.label('thingName'), { type, attributes: attributesOf(body).attributes });
      return jsonAnswer({ thingName: thing.name, thingArn: registry.arn(`thing/${thing.name}`), thingId: thing.id });
    }),
    control('DescribeThing', 'GET /things/{thingName}', (call) => {
      const thing = registry.thing(call.label('thingName'));
      return jsonAnswer({ defaultClientId: thing.name, thingId: thing.id, ...describedThing(registry, thing) });
    }),
    control('UpdateThing', 'PATCH /things/{thingName}', (call) => {
      const body = bodyOf(call);
      const version = typeof body['expectedVersion'] === 'number' ? body['expectedVersion'] : null;
      registry.updateThing(call.label('thingName'), { ...attributesOf(body), version });
      return jsonAnswer({});
    }),
    control('DeleteThing', 'DELETE /things/{thingName}', (call) => {
      const version = call.query('expectedVersion');
      registry.deleteThing(call.label('thingName'), version === null ? null : Number(version));
      return jsonAnswer({});
    }),
    control('ListThings', 'GET /things', (call) => listThings(registry, call)),
    control('GetThingConnectivityData', 'POST /things/{thingName}/connectivity-data', (call) => {
      const { name } = registry.thing(call.label('thingName'));
      const record = presence.of(name, true);
      if (record === null) throw new AwsError('ResourceNotFoundException', `No connectivity data of ${name}`);
      const at = (record.left?.at ?? record.connectedSince) / 1000;
      const reason = record.left === null ? {} : { disconnectReason: record.left.reason };
      return jsonAnswer({ thingName: name, connected: record.left === null, timestamp: at, ...reason, clientId: name });
    }),
    control('CreateThingGroup', 'POST /thing-groups/{thingGroupName}', (call) => {
      const group = call.label('thingGroupName');
      registry.createGroup(group);
      return jsonAnswer({ thingGroupName: group, thingGroupArn: registry.arn(`thinggroup/${group}`), thingGroupId: group });
    }),
    control('AddThingToThingGroup', 'PUT /thing-groups/addThingToThingGroup', (call) => {
      const body = bodyOf(call);
      registry.addToGroup(textIn(body, 'thingName'), textIn(body, 'thingGroupName'));
      return jsonAnswer({});
    }),
    control('ListThingsInThingGroup', 'GET /thing-groups/{thingGroupName}/things', (call) => {
      const group = call.label('thingGroupName');
      const names = registry.things.filter(({ groups }) => groups.includes(group)).map(({ name }) => name);
      const { page, next } = pageOf(names, countIn(call, 'maxResults', { most: 250, otherwise: 25 }), call.query('nextToken'));
      return jsonAnswer({ things: page, ...next });
    }),
  ];
}

function listThings(registry: AwsRegistry, call: AwsCall): AwsResponse {
  const [attribute, value] = [call.query('attributeName'), call.query('attributeValue')];
  const all = registry.things.filter(({ attributes }) => attribute === null || attributes[attribute] === value);
  const { page, next } = pageOf(all, countIn(call, 'maxResults', { most: 250, otherwise: 25 }), call.query('nextToken'));
  return jsonAnswer({ things: page.map((thing) => describedThing(registry, thing)), ...next });
}

function describedThing(registry: AwsRegistry, { name, type, attributes, version }: Thing): object {
  const thingType = type === null ? {} : { thingTypeName: type };
  return { thingName: name, thingArn: registry.arn(`thing/${name}`), ...thingType, attributes, version };
}

function attributesOf(body: JsonObject): { readonly attributes: Readonly<Record<string, string>>; readonly merge: boolean } {
  const payload = isObject(body['attributePayload']) ? body['attributePayload'] : {};
  const entries = Object.entries(isObject(payload['attributes']) ? payload['attributes'] : {});
  const attributes = entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : []));
  return { attributes: Object.fromEntries(attributes), merge: payload['merge'] === true };
}

function certificateOperations({ registry, clock, ca }: ControlPlane): readonly AwsOperation[] {
  const made = ({ id, pem }: RegisteredCertificate, more: object = {}): AwsResponse =>
    jsonAnswer({ certificateArn: registry.arn(`cert/${id}`), certificateId: id, certificatePem: pem, ...more });
  const statusOf = (call: AwsCall): CertificateStatus => (call.query('setAsActive') === 'true' ? 'ACTIVE' : 'INACTIVE');
  return [
    control('CreateKeysAndCertificate', 'POST /keys-and-certificate', async (call) => {
      const pair = await (await ca()).withKey(clock.now());
      return made(registry.addCertificate(pair.certificate, statusOf(call)), { keyPair: { PrivateKey: pair.key } });
    }),
    control('CreateCertificateFromCsr', 'POST /certificates', async (call) => {
      const certificate = await (await ca()).fromCsr(textIn(bodyOf(call), 'certificateSigningRequest'), clock.now());
      return made(registry.addCertificate(certificate, statusOf(call)));
    }),
    control('RegisterCertificateWithoutCA', 'POST /certificate/register-no-ca', (call) => {
      const body = bodyOf(call);
      const { id } = registry.addCertificate(textIn(body, 'certificatePem'), statusIn(body['status'] ?? 'INACTIVE'));
      return jsonAnswer({ certificateArn: registry.arn(`cert/${id}`), certificateId: id });
    }),
    control('DescribeCertificate', 'GET /certificates/{certificateId}', (call) => {
      const certificate = registry.certificate(call.label('certificateId'));
      return jsonAnswer({ certificateDescription: { ...summary(registry, certificate), certificatePem: certificate.pem } });
    }),
    control('ListCertificates', 'GET /certificates', (call) => {
      const size = countIn(call, 'pageSize', { most: 250, otherwise: 25 });
      const { page, next } = pageOf(registry.certificates, size, call.query('marker'));
      const marker = next.nextToken === undefined ? {} : { nextMarker: next.nextToken };
      return jsonAnswer({ certificates: page.map((certificate) => summary(registry, certificate)), ...marker });
    }),
    control('UpdateCertificate', 'PUT /certificates/{certificateId}', (call) => {
      registry.setStatus(call.label('certificateId'), statusIn(call.query('newStatus')));
      return jsonAnswer({});
    }),
    control('DeleteCertificate', 'DELETE /certificates/{certificateId}', (call) => {
      registry.deleteCertificate(call.label('certificateId'), call.query('forceDelete') === 'true');
      return jsonAnswer({});
    }),
  ];
}

function statusIn(value: unknown): CertificateStatus {
  if (value === 'ACTIVE' || value === 'INACTIVE' || value === 'REVOKED') return value;
  throw new AwsError('InvalidRequestException', 'The status is none of ACTIVE, INACTIVE and REVOKED');
}

function summary(registry: AwsRegistry, { id, status, createdAt }: RegisteredCertificate): object {
  return { certificateArn: registry.arn(`cert/${id}`), certificateId: id, status, creationDate: createdAt / 1000 };
}

function policyOperations({ registry }: ControlPlane): readonly AwsOperation[] {
  const principalOf = (call: AwsCall): string => call.request.headers['x-amzn-principal'] ?? '';
  return [
    control('CreatePolicy', 'POST /policies/{policyName}', (call) => {
      const [name, document] = [call.label('policyName'), textIn(bodyOf(call), 'policyDocument')];
      registry.createPolicy(name, document);
      return jsonAnswer({ policyName: name, policyArn: registry.arn(`policy/${name}`), policyDocument: document, policyVersionId: '1' });
    }),
    control('GetPolicy', 'GET /policies/{policyName}', (call) => {
      const name = call.label('policyName');
      const policyDocument = registry.policy(name);
      return jsonAnswer({ policyName: name, policyArn: registry.arn(`policy/${name}`), policyDocument, defaultVersionId: '1' });
    }),
    control('AttachPolicy', 'PUT /target-policies/{policyName}', (call) => {
      registry.attachPolicy(call.label('policyName'), textIn(bodyOf(call), 'target'));
      return jsonAnswer({});
    }),
    control('DetachPolicy', 'POST /target-policies/{policyName}', (call) => {
      registry.detachPolicy(call.label('policyName'), textIn(bodyOf(call), 'target'));
      return jsonAnswer({});
    }),
    control('ListAttachedPolicies', 'POST /attached-policies/{target}', (call) => {
      const { policies } = registry.principal(call.label('target'));
      return jsonAnswer({ policies: policies.map((policyName) => ({ policyName, policyArn: registry.arn(`policy/${policyName}`) })) });
    }),
    control('AttachThingPrincipal', 'PUT /things/{thingName}/principals', (call) => {
      registry.attachThing(call.label('thingName'), principalOf(call));
      return jsonAnswer({});
    }),
    control('DetachThingPrincipal', 'DELETE /things/{thingName}/principals', (call) => {
      registry.detachThing(call.label('thingName'), principalOf(call));
      return jsonAnswer({});
    }),
    control('ListThingPrincipals', 'GET /things/{thingName}/principals', (call) => {
      const { name } = registry.thing(call.label('thingName'));
      return jsonAnswer({ principals: registry.principalsOf(name) });
    }),
    control('ListPrincipalThings', 'GET /principals/things', (call) =>
      jsonAnswer({ things: registry.principal(principalOf(call)).things }),
    ),
  ];
}
