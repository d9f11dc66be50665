import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import { objectIn } from '#shadows/values.ts';
import { clientTokenOf } from './shadow-wire.ts';

/** The cloud library of a board: where its shadow lies (docs/protocols/shadow-devices.md §3.1). */
export type CloudName = 'aws' | 'azure';

/** What a cloud said of a shadow: what differs, or what a get answered. */
export type CloudNews =
  | { readonly kind: 'delta'; readonly state: JsonObject }
  | { readonly kind: 'got'; readonly desired: JsonObject }
  | { readonly kind: 'nothing' };

export interface CloudBackend {
  /** One SUBSCRIBE. */
  readonly filters: readonly string[];
  /** What it shows the broker as its user; null for nothing. */
  readonly username: string | null;
  /** Each time it connects. */
  connected(): void;
  get(): Promise<void>;
  update(reported: Json): Promise<void>;
  /** Null for a topic that is not of its shadow. */
  hear(topic: string, payload: Uint8Array): CloudNews | null;
}

export interface CloudSending {
  readonly thing: string;
  /** What an Azure IoT hub is called. */
  readonly hostName: string;
  send(message: { readonly topic: string; readonly text: string; readonly qos: 0 | 1 }): Promise<void>;
}

const NOTHING: CloudNews = { kind: 'nothing' };

/** AWS (§3.3): five topics, one token for ever; accepted messages with another one are not its own. */
export function awsBackend({ thing, send }: CloudSending): CloudBackend {
  const prefix = `$aws/things/${thing}/shadow`;
  const clientToken = clientTokenOf(thing);
  return {
    filters: ['get/accepted', 'get/rejected', 'update/accepted', 'update/rejected', 'update/delta'].map((name) => `${prefix}/${name}`),
    username: null,
    connected: () => undefined,
    get: () => send({ topic: `${prefix}/get`, text: JSON.stringify({ clientToken }), qos: 1 }),
    update: (reported) => send({ topic: `${prefix}/update`, text: JSON.stringify({ state: { reported }, clientToken }), qos: 1 }),
    hear(topic, payload) {
      if (!topic.startsWith(`${prefix}/`)) return null;
      const body = objectIn(payload);
      const state = body?.['state'];
      if (!isJsonObject(state)) return NOTHING;
      if (topic === `${prefix}/update/delta`) return { kind: 'delta', state };
      if (topic !== `${prefix}/get/accepted` || body?.['clientToken'] !== clientToken) return NOTHING;
      return isJsonObject(state['desired']) ? { kind: 'got', desired: state['desired'] } : NOTHING;
    },
  };
}

const DESIRED = '$iothub/twin/PATCH/properties/desired/';
const ANSWERS = '$iothub/twin/res/';

/**
 * Azure (§8): what a hub must tolerate. A GET with its packet id as `$rid`, reports with a `rid` that nobody answers, and
 * notifications that count for nothing before a GET has succeeded.
 */
export function azureBackend({ thing, hostName, send }: CloudSending): CloudBackend {
  let packets = 0;
  let hasGot = false;
  const packet = (): number => {
    packets += 1;
    return packets;
  };
  return {
    filters: [`${ANSWERS}#`, `${DESIRED}#`, '$iothub/methods/POST/#', `devices/${thing}/messages/devicebound/#`],
    username: `${hostName}/${thing}/api-version=2016-11-14`,
    connected: () => {
      hasGot = false;
    },
    get: () => send({ topic: `$iothub/twin/GET/?$rid=get${packet()}`, text: '', qos: 0 }),
    update: (reported) =>
      send({ topic: `$iothub/twin/PATCH/properties/reported/?rid=upd${packet()}`, text: JSON.stringify(reported), qos: 1 }),
    hear(topic, payload) {
      if (topic.startsWith(DESIRED)) {
        const patch = objectIn(payload);
        return hasGot && patch !== null ? { kind: 'delta', state: patch } : NOTHING;
      }
      if (!topic.startsWith(ANSWERS)) return null;
      const desired = objectIn(payload)?.['desired'];
      if (!topic.startsWith(`${ANSWERS}200/`) || !topic.includes('rid=get') || !isJsonObject(desired)) return NOTHING;
      hasGot = true;
      return { kind: 'got', desired };
    },
  };
}
