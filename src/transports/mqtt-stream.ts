import { connect as connectTcp, isIP } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import type { BusOptions } from '#ports/clients.ts';
import { WireError } from '#ports/wire-error.ts';
import type { MessageLane } from './mqtt-lane.ts';
import { PacketLimit, type SkippedPublish } from './mqtt-limit.ts';

/** Longer than a round trip over a cellular line. */
const VERDICT_MS = 3_000;

export interface BrokerAddress {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** For people: scheme, host and port, never user and password. */
  readonly label: string;
}

/** Reads `mqtt://HOST[:1883]` or `mqtts://HOST[:8883]`. Throws WireError with code BAD_URL. */
export function brokerAddress(url: string): BrokerAddress {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hostname === '' || !['mqtt:', 'mqtts:'].includes(parsed.protocol)) {
    throw new WireError('BAD_URL', 'never', 'a broker is written mqtt://HOST[:PORT] or mqtts://HOST[:PORT]');
  }
  const tls = parsed.protocol === 'mqtts:';
  const port = parsed.port === '' ? (tls ? 8883 : 1883) : Number(parsed.port);
  return { tls, host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port, label: `${parsed.protocol}//${parsed.hostname}:${port}` };
}

/** CA, certificate and key as one context. Throws WireError with code TLS_BAD_CREDENTIALS when they do not parse or fit. */
export function secureContext(options: Pick<BusOptions, 'ca' | 'cert' | 'key'>, label: string): SecureContext {
  try {
    return createSecureContext({
      ...(options.ca === undefined ? {} : { ca: pem(options.ca) }),
      ...(options.cert === undefined ? {} : { cert: pem(options.cert) }),
      ...(options.key === undefined ? {} : { key: pem(options.key) }),
      minVersion: 'TLSv1.2',
    });
  } catch (error) {
    const code: unknown = error instanceof Error && 'code' in error ? error.code : 'unreadable';
    throw new WireError(
      'TLS_BAD_CREDENTIALS',
      'never',
      `${label}: CA, certificate or key are not PEM, or do not belong together (${String(code)})`,
    );
  }
}

function pem(text: string | Uint8Array): string {
  return typeof text === 'string' ? text : Buffer.from(text).toString('utf8');
}

/** A TCP or TLS connection to a broker, without Nagle's delay. Errors come as events of the stream. */
export function openSocket(address: BrokerAddress, context: SecureContext | null): Duplex {
  if (context === null) return connectTcp({ host: address.host, port: address.port, noDelay: true });
  const socket = connectTls({
    host: address.host,
    port: address.port,
    secureContext: context,
    // An address is no server name (RFC 6066 §3); AWS refuses a handshake without one.
    ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
  });
  socket.setNoDelay(true);
  return socket;
}

/**
 * The same stream with a limit on the length of what is read. A skipped message at QoS 1 is acknowledged here (PUBACK,
 * MQTT 3.1.1 §3.4), so that the broker does not keep it. With a lane, messages take that.
 */
export function limitedStream(
  stream: Duplex,
  options: { readonly maxBytes: number; readonly lane: MessageLane | null; onSkipped(skipped: SkippedPublish): void },
): Duplex {
  const { maxBytes, lane, onSkipped } = options;
  const limit = new PacketLimit(maxBytes, (skipped) => {
    if (skipped.packetId !== null && stream.writable) stream.write(Buffer.from([0x40, 2, skipped.packetId >> 8, skipped.packetId & 0xff]));
    onSkipped(skipped);
  });
  const outer = new Duplex({
    read: () => limit.resume(),
    // One packet, one write: mqtt.js hands over each field by itself, and Nagle's delay is off.
    writev: (chunks, done) => {
      if (stream.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)))) done();
      else stream.once('drain', done);
    },
    final: (done) => stream.end(done),
    destroy: (error, done) => {
      stream.destroy();
      limit.destroy();
      done(error);
    },
  });
  limit.pause();
  limit.on('data', (chunk: Buffer) => {
    if (!outer.push(chunk)) limit.pause();
  });
  limit.on('end', () => outer.push(null));
  limit.on('error', (error) => outer.destroy(error));
  // What came before the end is still read: the broker's last word may say why it ends.
  let failure: Error | undefined;
  outer.on('end', () => outer.destroy(failure));
  stream.on('error', (error) => (failure ??= error));
  stream.on('close', () => limit.end());
  if (lane === null) {
    stream.pipe(limit);
    return outer;
  }
  lane.attach(stream, maxBytes);
  // The client's packets are few and short: there is nothing to hold back for.
  stream.on('data', (chunk: Buffer) => lane.take(chunk, (part) => void limit.write(part)));
  return outer;
}

/**
 * What the broker says to our side of TLS when nothing else is sent: its alert as an error, or null. A broker that
 * refuses a certificate under TLS 1.3 does so after our handshake is done, and what we have sent by then may turn its
 * alert into a bare reset.
 */
export function tlsVerdict(address: BrokerAddress, context: SecureContext): Promise<Error | null> {
  return new Promise((resolve) => {
    const socket = openSocket(address, context);
    const timer = setTimeout(() => socket.destroy(), VERDICT_MS);
    socket.on('error', (error) => resolve(error));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(null);
    });
    socket.resume();
  });
}
