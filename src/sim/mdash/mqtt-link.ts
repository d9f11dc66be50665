import type { Json } from '#kit/canonical.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { Broker } from '#sim/broker.ts';
import { shadowBody, type Frame, type MdashLink } from './devices.ts';
import type { MdashHub } from './hub.ts';

/**
 * Devices on MQTT, as later versions of mDash have them (docs/protocols/shadow-devices.md §5): a client that is called as a
 * device is that device. Calls go to `ID/rpc` with the source `ID/r`, answers come on `ID/r/rpc`; its shadow is told on
 * `ID/shadow/update`, asked for on `ID/shadow/get` and answered on `ID/shadow`, differences on `ID/shadow/delta`.
 */
export function linkOverMqtt(hub: MdashHub, broker: Broker): void {
  const links = new Map<string, MdashLink>();
  broker.onConnect(({ clientId }) => {
    if (!hub.records.has(clientId)) return;
    const link = { send: (frame: Frame): boolean => sendTo(broker, clientId, frame) };
    links.set(clientId, link);
    hub.connect(clientId, link);
  });
  broker.onDisconnect(({ clientId }) => {
    const link = links.get(clientId);
    if (link !== undefined && !broker.clients.includes(clientId)) hub.disconnect(clientId, link);
  });
  broker.onPublish((topic, payload, clientId) => {
    if (!hub.records.has(clientId) || !topic.startsWith(`${clientId}/`)) return;
    hearFrom(hub, broker, { device: clientId, topic: topic.slice(clientId.length + 1), payload });
  });
}

function sendTo(broker: Broker, device: string, frame: Frame): boolean {
  const { method, id, params } = frame;
  if (method === 'Shadow.Delta') return tell(broker, { device, topic: 'shadow/delta', body: params ?? {} });
  return tell(broker, { device, topic: 'rpc', body: { id, src: `${device}/r`, method, params } });
}

function tell(broker: Broker, { device, topic, body }: { readonly device: string; readonly topic: string; readonly body: Json }): boolean {
  const payload = new TextEncoder().encode(JSON.stringify(body));
  return broker.send({ topic: `${device}/${topic}`, payload, qos: 1 }, { clientId: device, unsubscribed: false });
}

interface Heard {
  readonly device: string;
  /** Below the name of the device. */
  readonly topic: string;
  readonly payload: Uint8Array;
}

function hearFrom(hub: MdashHub, broker: Broker, { device, topic, payload }: Heard): void {
  const record = hub.records.get(device);
  if (record === undefined) return;
  if (topic === 'shadow/get') {
    tell(broker, { device, topic: 'shadow', body: shadowBody(record) });
    return;
  }
  const body = parsed(payload);
  if (!isJsonObject(body)) return;
  if (topic === 'r/rpc') hub.hear(device, body);
  if (topic === 'shadow/update') hub.hear(device, { method: 'Dash.Shadow.Update', params: body });
}

function parsed(payload: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(payload)) as Json;
  } catch {
    return undefined;
  }
}
