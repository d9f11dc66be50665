import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** A WebSocket of somebody who connected; texts only. */
export interface TextSocket {
  send(text: string): void;
  close(): void;
}

export interface TextListener {
  text(text: string): void;
  closed(): void;
}

/** Joined to the client's key before it is hashed (RFC 6455 §1.3). */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Longer than any frame of a device; who sends more is cut off. */
const MAX_TEXT_BYTES = 1024 * 1024;
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Answers the handshake of a WebSocket and takes over its connection (RFC 6455); null where it is none. */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex, listener: TextListener): TextSocket | null {
  const key = request.headers['sec-websocket-key'];
  if (key === undefined || request.headers['sec-websocket-version'] !== '13') return null;
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  const reader = new FrameReader(socket, listener);
  socket.on('data', (chunk: Buffer) => reader.take(chunk));
  socket.once('close', () => listener.closed());
  socket.on('error', () => socket.destroy());
  return {
    send: (text) => void socket.write(frameOf(OPCODE.text, Buffer.from(text))),
    close: () => void socket.end(frameOf(OPCODE.close, Buffer.alloc(0))),
  };
}

/** A whole frame of the server, which masks nothing. */
function frameOf(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 0x1_0000 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = length < 126 ? length : length < 0x1_0000 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

class FrameReader {
  readonly #socket: Duplex;
  readonly #listener: TextListener;
  #bytes: Buffer = Buffer.alloc(0);
  /** Pieces of a message that is not over. */
  #pieces: Buffer[] = [];

  constructor(socket: Duplex, listener: TextListener) {
    this.#socket = socket;
    this.#listener = listener;
  }

  take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#next());
  }

  /** Takes one frame; false where none is whole yet. */
  #next(): boolean {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const [first = 0, second = 0] = bytes;
    const short = second & 0x7f;
    const headLength = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < headLength) return false;
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    // A client masks everything (§5.1).
    if ((second & 0x80) === 0 || length > MAX_TEXT_BYTES) {
      this.#socket.destroy();
      return false;
    }
    const start = headLength + 4;
    if (bytes.length < start + length) return false;
    const mask = bytes.subarray(headLength, start);
    const payload = bytes.subarray(start, start + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
    this.#bytes = bytes.subarray(start + length);
    this.#act(first, Buffer.from(payload));
    return true;
  }

  #act(first: number, payload: Buffer): void {
    const opcode = first & 0x0f;
    if (opcode === OPCODE.ping) this.#socket.write(frameOf(OPCODE.pong, payload));
    else if (opcode === OPCODE.close) this.#socket.end(frameOf(OPCODE.close, payload));
    else if (opcode === OPCODE.text || opcode === OPCODE.binary || opcode === OPCODE.continuation) {
      this.#pieces.push(payload);
      if ((first & 0x80) === 0) return;
      const text = Buffer.concat(this.#pieces).toString();
      this.#pieces = [];
      this.#listener.text(text);
    }
  }
}
