import { Transform, type TransformCallback } from 'node:stream';

const PUBLISH = 3;

export interface SkippedPublish {
  readonly topic: string;
  /** Of the whole packet after its fixed header. */
  readonly bytes: number;
  /** Must be acknowledged, or the broker sends it again for ever; null at QoS 0. */
  readonly packetId: number | null;
}

interface Skipping {
  readonly size: number;
  readonly qos: number;
  left: number;
  /** The first bytes: topic and packet id. */
  head: Buffer;
  told: boolean;
}

/**
 * Passes MQTT packets through and skips each PUBLISH longer than `maxBytes`, so that one huge (retained) message of one
 * device does not take the connection of the whole fleet down. Any other packet of that length is an error with code
 * MQTT_PACKET_TOO_LARGE. Framing: MQTT 3.1.1 §2.2, the same in MQTT 5.
 */
export class PacketLimit extends Transform {
  readonly #maxBytes: number;
  readonly #onSkipped: (skipped: SkippedPublish) => void;
  /** A fixed header that came in pieces. */
  #header: Buffer = Buffer.alloc(0);
  #passing = 0;
  #skipping: Skipping | null = null;

  constructor(maxBytes: number, onSkipped: (skipped: SkippedPublish) => void) {
    super();
    this.#maxBytes = maxBytes;
    this.#onSkipped = onSkipped;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let rest: Buffer = chunk;
    while (rest.length > 0) {
      if (this.#passing > 0) {
        const part = rest.subarray(0, this.#passing);
        this.#passing -= part.length;
        this.push(part);
        rest = rest.subarray(part.length);
      } else if (this.#skipping !== null) {
        rest = this.#skip(rest, this.#skipping);
      } else {
        this.#header = Buffer.concat([this.#header, rest.subarray(0, 1)]);
        rest = rest.subarray(1);
        const problem = this.#begin();
        if (problem !== null) {
          done(problem);
          return;
        }
      }
    }
    done();
  }

  /** Looks whether the fixed header is complete, and what to do with the packet behind it. */
  #begin(): Error | null {
    const header = this.#header;
    if (header.length < 2) return null;
    if (header.length > 5) return packetError('MQTT_MALFORMED');
    if ((header.at(-1) ?? 0) >= 0x80) return null;
    let size = 0;
    for (let index = header.length - 1; index > 0; index -= 1) size = size * 128 + ((header[index] ?? 0) & 0x7f);
    this.#header = Buffer.alloc(0);
    if (size <= this.#maxBytes) {
      this.push(header);
      this.#passing = size;
      return null;
    }
    const first = header[0] ?? 0;
    if (first >> 4 !== PUBLISH) return packetError('MQTT_PACKET_TOO_LARGE');
    this.#skipping = { size, qos: (first >> 1) & 3, left: size, head: Buffer.alloc(0), told: false };
    return null;
  }

  #skip(chunk: Buffer, skipping: Skipping): Buffer {
    const part = chunk.subarray(0, skipping.left);
    skipping.left -= part.length;
    if (!skipping.told) {
      skipping.head = Buffer.concat([skipping.head, part]);
      this.#tell(skipping);
    }
    if (skipping.left === 0) this.#skipping = null;
    return chunk.subarray(part.length);
  }

  #tell(skipping: Skipping): void {
    if (skipping.head.length < 2) return;
    const topicEnd = 2 + skipping.head.readUInt16BE(0);
    if (skipping.head.length < topicEnd + 2) return;
    skipping.told = true;
    const packetId = skipping.qos === 0 ? null : skipping.head.readUInt16BE(topicEnd);
    this.#onSkipped({ topic: skipping.head.toString('utf8', 2, topicEnd), bytes: skipping.size, packetId });
    skipping.head = Buffer.alloc(0);
  }
}

function packetError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
