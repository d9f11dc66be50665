import type { Broker } from '#sim/broker.ts';
import type { BrokerMessage } from '#sim/broker-rules.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Clock } from '#ports/clock.ts';
import { AwsError, errorNameOf } from './errors.ts';
import { countIn, jsonAnswer, pageOf, textAnswer, type AwsCall, type AwsOperation, type AwsResponse } from './http-message.ts';
import type { PresenceEvents } from './presence-events.ts';
import type { AwsRegistry } from './registry.ts';
import type { ShadowAddress, ShadowStore } from './shadow-store.ts';
import type { ShadowWire } from './shadow-wire.ts';
import { SHADOW_NAME, THING_NAME, type ShadowVerb } from './topics.ts';
import type { WireSwitches } from './switches.ts';

export interface RetainedMessage extends BrokerMessage {
  readonly at: number;
}

export interface DataPlane {
  readonly clock: Clock;
  readonly store: ShadowStore;
  readonly wire: ShadowWire;
  readonly registry: AwsRegistry;
  readonly presence: PresenceEvents;
  readonly switches: WireSwitches;
  readonly retained: Map<string, RetainedMessage>;
  broker(): Broker;
}

const MAX_PUBLISH_BYTES = 128 * 1024;

/** Operations of the data plane: docs/protocols/aws-iot.md §2.2, §4, §5. */
export function dataOperations(plane: DataPlane): readonly AwsOperation[] {
  const of = (name: string, at: string, run: AwsOperation['run']): AwsOperation => ({ name, plane: 'data', at, run });
  return [
    of('GetThingShadow', 'GET /things/{thingName}/shadow', (call) => shadow(plane, 'get', call)),
    of('UpdateThingShadow', 'POST /things/{thingName}/shadow', (call) => shadow(plane, 'update', call)),
    of('DeleteThingShadow', 'DELETE /things/{thingName}/shadow', (call) => shadow(plane, 'delete', call)),
    of('ListNamedShadowsForThing', 'GET /api/things/shadow/ListNamedShadowsForThing/{thingName}', (call) => {
      const after = call.query('nextToken');
      const size = countIn(call, 'pageSize', { most: 100, otherwise: 25 });
      return textAnswer(plane.store.listNamed(call.label('thingName'), { size, ...(after === null ? {} : { after }) }));
    }),
    of('Publish', 'POST /topics/{topic}', (call) => publish(plane, call)),
    of('GetRetainedMessage', 'GET /retainedMessage/{topic}', (call) => {
      const { topic, payload, qos, at } = retainedOf(plane, call.label('topic'));
      return jsonAnswer({ topic, payload: Buffer.from(payload).toString('base64'), qos, lastModifiedTime: at });
    }),
    of('ListRetainedMessages', 'GET /retainedMessage', (call) => {
      const size = countIn(call, 'maxResults', { most: 200, otherwise: 25 });
      const { page, next } = pageOf([...plane.retained.values()], size, call.query('nextToken'));
      const retainedTopics = page.map(({ topic, payload, qos, at }) => ({ topic, payloadSize: payload.length, qos, lastModifiedTime: at }));
      return jsonAnswer({ retainedTopics, ...next });
    }),
    of('GetConnection', 'GET /connections/{clientId}', (call) => connection(plane, call.label('clientId'))),
    of('DeleteConnection', 'DELETE /connections/{clientId}', (call) => {
      if (plane.broker().dropClient(call.label('clientId'))) return jsonAnswer({});
      throw noConnection();
    }),
    of('ListSubscriptions', 'GET /connections/{clientId}/subscriptions', (call) => {
      const filters = plane.broker().subscriptionsOf(call.label('clientId'));
      if (filters === undefined) throw noConnection();
      const size = countIn(call, 'maxResults', { most: 100, otherwise: 20 });
      const { page, next } = pageOf(
        Object.entries(filters).toSorted(([a], [b]) => compareText(a, b)),
        size,
        call.query('nextToken'),
      );
      return jsonAnswer({ subscriptions: page.map(([topicFilter, qos]) => ({ topicFilter, qos })), ...next });
    }),
    of('SendDirectMessage', 'POST /connections/{clientId}/messages', (call) => direct(plane, call)),
  ];
}

function shadow(plane: DataPlane, verb: ShadowVerb, call: AwsCall): AwsResponse {
  const address = addressOf(call);
  const outcome = plane.wire.call({ address, verb }, verb === 'update' ? call.request.body : new Uint8Array());
  if (outcome.ok) return textAnswer(outcome.document);
  throw new AwsError(errorNameOf(outcome.code), outcome.message);
}

function addressOf(call: AwsCall): ShadowAddress {
  const [thing, name] = [call.label('thingName'), call.query('name')];
  if (!THING_NAME.test(thing)) throw new AwsError('InvalidRequestException', 'Invalid thing name');
  if (name !== null && !SHADOW_NAME.test(name)) throw new AwsError('InvalidRequestException', 'Invalid shadow name');
  return { thing, shadow: name };
}

function publish(plane: DataPlane, call: AwsCall): AwsResponse {
  const topic = call.label('topic');
  const payload = call.request.body;
  const qos = call.query('qos') ?? '0';
  if (!['0', '1'].includes(qos)) throw new AwsError('InvalidRequestException', 'Invalid QoS');
  if (payload.length > MAX_PUBLISH_BYTES) throw new AwsError('InvalidRequestException', 'The payload is too large');
  if (/[#+]/.test(topic) || topic.startsWith('$') || topic === '') throw new AwsError('InvalidRequestException', 'Invalid topic');
  const message = { topic, payload, qos: Number(qos), retain: call.query('retain') === 'true' };
  if (message.retain) keepRetained(plane, message);
  plane.broker().publish(message);
  return jsonAnswer({});
}

/** An empty payload takes the message away. */
export function keepRetained({ retained, clock }: Pick<DataPlane, 'retained' | 'clock'>, message: BrokerMessage): void {
  if (message.payload.length === 0) retained.delete(message.topic);
  else retained.set(message.topic, { ...message, at: clock.now() });
}

function retainedOf(plane: DataPlane, topic: string): RetainedMessage {
  const found = plane.retained.get(topic);
  if (found === undefined) throw new AwsError('ResourceNotFoundException', `No retained message on ${topic}`);
  return found;
}

function connection({ presence, registry }: DataPlane, clientId: string): AwsResponse {
  const record = presence.of(clientId);
  if (record === null) throw noConnection();
  const { session, left, connectedSince } = record;
  const certificate = session.certificate === null ? null : registry.findCertificate(session.certificate.fingerprint);
  return jsonAnswer({
    connected: left === null,
    ...(certificate?.things.includes(clientId) === true ? { thingName: clientId } : {}),
    cleanSession: session.clean,
    clientId,
    ...(left === null ? { connectedSince } : { disconnectedSince: left.at, disconnectReason: left.reason }),
  });
}

function noConnection(): AwsError {
  return new AwsError('ResourceNotFoundException', 'The client is not connected');
}

/** One connected client, whatever it listens to (§4.2). That it took the message is known once it is on its way. */
function direct(plane: DataPlane, call: AwsCall): AwsResponse {
  const clientId = call.label('clientId');
  const topic = call.query('topic') ?? '';
  if (topic === '' || /[#+]/.test(topic)) throw new AwsError('InvalidRequestException', 'Invalid topic');
  if (call.request.body.length > MAX_PUBLISH_BYTES) throw new AwsError('RequestEntityTooLargeException', 'The payload is too large');
  const to = { clientId, unsubscribed: plane.switches.directMessageToUnsubscribed === 'deliver' };
  const message = { topic, payload: call.request.body, qos: call.query('confirmation') === 'true' ? 1 : 0 };
  if (!plane.broker().send(message, to)) throw noConnection();
  return jsonAnswer({ message: 'OK', traceId: `direct ${clientId}` });
}
