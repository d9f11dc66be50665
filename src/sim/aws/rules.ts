import type { BrokerMessage, BrokerRules, BrokerSession } from '#sim/broker-rules.ts';
import { allowed } from './policy.ts';
import type { AwsRegistry } from './registry.ts';
import type { WireSwitches } from './switches.ts';
import { reservedTopic, type ReservedTopic } from './topics.ts';

export interface AwsRulesOptions {
  readonly registry: AwsRegistry;
  readonly switches: WireSwitches;
  /** A request on a reserved topic. */
  take(session: BrokerSession, request: Exclude<ReservedTopic, { kind: 'owned' }>, message: BrokerMessage): void;
  /** Any other retained message: kept for GetRetainedMessage. */
  retained(message: BrokerMessage): void;
}

const MAX_PAYLOAD_BYTES = 128 * 1024;
const MAX_TOPIC_BYTES = 256;
const MAX_SLASHES = 7;
const MAX_FILTERS_PER_SUBSCRIBE = 8;
const MAX_SUBSCRIPTIONS = 50;
export const MAX_CLIENT_ID_BYTES = 128;

/** AWS IoT as a broker: docs/protocols/aws-iot.md §3. */
export function awsRules({ registry, switches, take, retained }: AwsRulesOptions): BrokerRules {
  return {
    publish(session, message) {
      const { topic, payload, qos, will } = message;
      // There is no QoS 2; what is too large, or not allowed, ends the connection.
      if (qos > 1) return 'refuse';
      if (switches.limits && (payload.length > MAX_PAYLOAD_BYTES || !fits(topic))) return 'refuse';
      if (!allowed(registry, session, { action: 'Publish', resource: `topic/${topic}` })) return 'refuse';
      if (message.retain && !allowed(registry, session, { action: 'RetainPublish', resource: `topic/${topic}` })) return 'refuse';
      if (!topic.startsWith('$')) return 'take';
      const reserved = reservedTopic(topic);
      // The service does not look at a will.
      if (reserved === null || will) return will ? 'ignore' : 'refuse';
      if (message.retain) return 'refuse';
      return reserved.kind === 'owned' ? switches.publishToOwned : 'take';
    },
    taken(session, message) {
      const reserved = message.topic.startsWith('$') ? reservedTopic(message.topic) : null;
      if (reserved !== null && reserved.kind !== 'owned') take(session, reserved, message);
      else if (message.retain) retained(message);
    },
    subscribe(session, { topic, qos, standing }) {
      if (qos > 1 || (switches.limits && (standing >= MAX_SUBSCRIPTIONS || !fits(topic)))) return false;
      return allowed(registry, session, { action: 'Subscribe', resource: `topicfilter/${topic}` });
    },
    sessionMs: switches.sessionMs,
    filters: (count) => !switches.limits || count <= MAX_FILTERS_PER_SUBSCRIBE,
    retained: (topic, filters) => !switches.limits || filters.includes(topic),
  };
}

function fits(topic: string): boolean {
  return Buffer.byteLength(topic) <= MAX_TOPIC_BYTES && topic.split('/').length - 1 <= MAX_SLASHES;
}
