import type { AedesPublishPacket } from 'aedes';
import type { BrokerMessage, HouseMessage } from './broker-rules.ts';

export function packetOf({ topic, payload, qos, retain = false }: HouseMessage) {
  return { cmd: 'publish', topic, payload: Buffer.from(payload), qos: qos === 0 ? 0 : 1, retain, dup: false } as const;
}

export function messageOf({ topic, payload, qos, retain }: AedesPublishPacket): BrokerMessage {
  return { topic, payload: Buffer.isBuffer(payload) ? payload : Buffer.from(payload), qos, retain };
}
