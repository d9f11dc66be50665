import type { Duplex } from 'node:stream';

const PUBLISH = 3;
const NOTHING: Buffer = Buffer.alloc(0);
/** Beyond it a sender waits: what lies in our own buffers is of no use to anybody. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;
/** A tail is copied behind its head up to here; a longer one goes out as it lies. */
const COPIED_BYTES = 2048;
const PIECE_BYTES = 64 * 1024;
const MESSAGE_EXPIRY = 0x02;

const ROOM = Promise.resolve();

interface OutMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Behind the payload. */
  readonly tail: Uint8Array;
  readonly retain: boolean;
  readonly expirySeconds: number | null;
}

export type OnPublish = (topic: string, payload: Uint8Array, retained: boolean) => void;

/**
 * The short way for messages: takes each PUBLISH at QoS 0 and 1 out of what a broker sends, acknowledges it, and puts
 * those at QoS 0 between the packets of the client. All that asks for state stays with the client: connect, subscribe,
 * pings, QoS 1 of our own. A server of devices that ask would spend most of its time in a general client otherwise.
 * Framing: MQTT 3.1.1 §3.3, MQTT 5 §3.3.
 */
export class MessageLane {
  readonly #version: 4 | 5;
  readonly #onPublish: OnPublish;
  #stream: Duplex | null = null;
  #maxBytes = 0;
  /** What came of a packet that is not whole yet. */
  #rest: Buffer = NOTHING;
  /** Bytes that belong to the client. */
  #passing = 0;
  #corked = false;
  #piece: Buffer = NOTHING;
  #carved = 0;

  constructor(version: 4 | 5, onPublish: OnPublish) {
    this.#version = version;
    this.#onPublish = onPublish;
  }

  /** From now on: whole packets may be written there. Longer messages than that are left to the client. */
  attach(stream: Duplex, maxBytes: number): void {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
  }

  /** Takes messages out of what was read; the rest is for the client. */
  take(chunk: Buffer, pass: (part: Buffer) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NOTHING;
    let at = 0;
    while (at < bytes.length) {
      if (this.#passing === 0) {
        const end = this.#next(bytes, at);
        if (end === null) {
          this.#rest = at === 0 ? bytes : bytes.subarray(at);
          return;
        }
        at = end;
        continue;
      }
      const end = Math.min(bytes.length, at + this.#passing);
      pass(bytes.subarray(at, end));
      this.#passing -= end - at;
      at = end;
    }
  }

  /** False when the message must go the long way: nothing is attached, or the connection is going down. */
  send(message: OutMessage): boolean {
    const stream = this.#stream;
    if (stream === null || !stream.writable) return false;
    const { topic, payload, tail, retain, expirySeconds } = message;
    const properties = this.#version === 4 ? 0 : expirySeconds === null ? 1 : 6;
    const topicLength = Buffer.byteLength(topic);
    const length = 2 + topicLength + properties + payload.length + tail.length;
    const headLength = 1 + lengthBytes(length) + 2 + topicLength + properties + payload.length;
    const copied = tail.length <= COPIED_BYTES;
    const packet = this.#carve(headLength + (copied ? tail.length : 0));
    let at = writeLength(packet, length);
    packet[0] = (PUBLISH << 4) | (retain ? 1 : 0);
    at = packet.writeUInt16BE(topicLength, at);
    at += packet.write(topic, at, 'utf8');
    if (properties > 0) packet[at] = properties - 1;
    if (properties > 1 && expirySeconds !== null) {
      packet[at + 1] = MESSAGE_EXPIRY;
      packet.writeUInt32BE(Math.max(1, Math.ceil(expirySeconds)), at + 2);
    }
    packet.set(payload, at + properties);
    if (copied) packet.set(tail, headLength);
    this.#write(stream, packet);
    if (!copied) stream.write(tail);
    return true;
  }

  /** Room for one packet: cut out of a piece that many share, because each piece of memory costs its collector. */
  #carve(length: number): Buffer {
    if (length > PIECE_BYTES / 8) return Buffer.allocUnsafe(length);
    if (this.#piece.length - this.#carved < length) {
      this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      this.#carved = 0;
    }
    this.#carved += length;
    return this.#piece.subarray(this.#carved - length, this.#carved);
  }

  /** Resolves when there is room for more. */
  room(): Promise<void> {
    const stream = this.#stream;
    if (stream === null || stream.writableLength <= MOST_WAITING_BYTES) return ROOM;
    return new Promise<void>((resolve) => {
      stream.once('drain', resolve);
      stream.once('close', resolve);
    });
  }

  /** The end of the packet that begins there, taken or given to the client; null when it is not whole yet. */
  #next(bytes: Buffer, at: number): number | null {
    const first = bytes[at] ?? 0;
    let size = 0;
    let body = at + 1;
    for (let shift = 0; ; shift += 7, body += 1) {
      const byte = bytes[body];
      if (byte === undefined) return null;
      size += (byte & 0x7f) * 2 ** shift;
      // A length of five bytes is no MQTT: the client finds that out.
      if (byte < 0x80 || shift === 21) break;
    }
    body += 1;
    const qos = (first >> 1) & 3;
    if (first >> 4 !== PUBLISH || qos > 1 || size > this.#maxBytes || size < 2) {
      this.#passing = body - at + size;
      return at;
    }
    const end = body + size;
    if (end > bytes.length) return null;
    if (this.#deliver(bytes, { body, end, qos, retained: (first & 1) === 1 })) return end;
    this.#passing = end - at;
    return at;
  }

  #deliver(
    bytes: Buffer,
    packet: { readonly body: number; readonly end: number; readonly qos: number; readonly retained: boolean },
  ): boolean {
    const { body, end, qos, retained } = packet;
    const topicEnd = body + 2 + bytes.readUInt16BE(body);
    const idEnd = topicEnd + (qos === 0 ? 0 : 2);
    const from = this.#version === 4 ? idEnd : afterProperties(bytes, idEnd, end);
    // A topic without a name stands for an alias, which we never allow: the client's business.
    if (from > end || topicEnd === body + 2) return false;
    if (qos === 1) this.#acknowledge(bytes.readUInt16BE(topicEnd));
    // A copy: a small message that is kept must not keep the whole read.
    this.#onPublish(bytes.toString('utf8', body + 2, topicEnd), Buffer.from(bytes.subarray(from, end)), retained);
    return true;
  }

  #acknowledge(id: number): void {
    if (this.#stream?.writable !== true) return;
    const packet = this.#carve(4);
    packet[0] = 0x40;
    packet[1] = 2;
    packet.writeUInt16BE(id, 2);
    this.#write(this.#stream, packet);
  }

  /** All that is written in one turn of the loop goes out at once. */
  #write(stream: Duplex, bytes: Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      stream.cork();
      setImmediate(() => {
        this.#corked = false;
        stream.uncork();
      });
    }
    stream.write(bytes);
  }
}

/** Beyond `end` when the length of the properties does not fit. */
function afterProperties(bytes: Buffer, at: number, end: number): number {
  let size = 0;
  for (let shift = 0, from = at; from < end && shift < 28; shift += 7, from += 1) {
    const byte = bytes[from] ?? 0;
    size += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return from + 1 + size;
  }
  return end + 1;
}

function lengthBytes(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x4000) return 2;
  return length < 0x20_0000 ? 3 : 4;
}

/** Writes the remaining length behind the first byte; gives where it ends. */
function writeLength(packet: Buffer, length: number): number {
  let left = length;
  let at = 1;
  for (; left >= 0x80; at += 1, left = Math.floor(left / 0x80)) packet[at] = (left & 0x7f) | 0x80;
  packet[at] = left;
  return at + 1;
}
