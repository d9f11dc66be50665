import { connect, type Socket } from 'node:net';

/** As little of MQTT 3.1.1 as a floor needs: packets are bytes, built once. */
const CONNACK = 2;
const PUBLISH = 3;
const SUBACK = 9;

export interface Publish {
  readonly topic: Buffer;
  readonly payload: Buffer;
  readonly qos: number;
  /** Of a QoS 1 message. */
  readonly id: number;
}

/** Connects and subscribes; calls for each message that comes in. */
export async function openSocket(
  url: string,
  options: {
    readonly clientId: string;
    readonly filter: string;
    readonly qos: 0 | 1;
    onPublish(publish: Publish, socket: Socket): void;
    onRead?(socket: Socket): void;
  },
): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  const ready = Promise.withResolvers<void>();
  socket.once('error', ready.reject);
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let frame = nextFrame(rest); frame !== null; frame = nextFrame(rest)) {
      const { first, body, end } = frame;
      if (first >> 4 === PUBLISH) options.onPublish(publishIn(first, body), socket);
      else if (first >> 4 === CONNACK) socket.write(subscribePacket(options.filter, options.qos));
      else if (first >> 4 === SUBACK) ready.resolve();
      rest = rest.subarray(end);
    }
    options.onRead?.(socket);
  });
  socket.write(connectPacket(options.clientId));
  await ready.promise;
  return socket;
}

interface Frame {
  readonly first: number;
  readonly body: Buffer;
  readonly end: number;
}

function nextFrame(bytes: Buffer): Frame | null {
  let length = 0;
  for (let at = 1, shift = 0; ; at += 1, shift += 7) {
    const byte = bytes[at];
    if (byte === undefined) return null;
    length |= (byte & 0x7f) << shift;
    if (byte >= 0x80) continue;
    const end = at + 1 + length;
    return end > bytes.length ? null : { first: bytes[0] ?? 0, body: bytes.subarray(at + 1, end), end };
  }
}

function publishIn(first: number, body: Buffer): Publish {
  const length = body.readUInt16BE(0);
  const qos = (first >> 1) & 3;
  const at = 2 + length;
  return {
    topic: body.subarray(2, at),
    payload: body.subarray(qos === 0 ? at : at + 2),
    qos,
    id: qos === 0 ? 0 : body.readUInt16BE(at),
  };
}

export function publishPacket(topic: string, payload: Uint8Array, qos: 0 | 1): Buffer {
  const id = qos === 0 ? [] : [Buffer.from([0, 1])];
  return packet(0x30 | (qos << 1), [text(topic), ...id, payload]);
}

export function pubackPacket(id: number): Buffer {
  return Buffer.from([0x40, 2, id >> 8, id & 0xff]);
}

function connectPacket(clientId: string): Buffer {
  return packet(0x10, [text('MQTT'), Buffer.from([4, 2, 0, 0]), text(clientId)]);
}

function subscribePacket(filter: string, qos: number): Buffer {
  return packet(0x82, [Buffer.from([0, 1]), text(filter), Buffer.from([qos])]);
}

function packet(first: number, parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const head = [first];
  let left = body.length;
  do {
    head.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>= 7;
  } while (left > 0);
  return Buffer.concat([Buffer.from(head), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}
