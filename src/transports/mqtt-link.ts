import type { Duplex } from 'node:stream';
import type { IClientOptions, MqttClient } from 'mqtt';
import type { Clock } from '#ports/clock.ts';
import type { PublishOptions } from '#ports/message-bus.ts';
import type { SimWill } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { Limit } from './limit.ts';
import { refusal, wireError } from './mqtt-errors.ts';
import { MessageLane } from './mqtt-lane.ts';

/** Connect, acknowledge and goodbye: longer than the first TLS handshake over a bad cellular line. */
export const LIMIT_MS = 30_000;
const GOODBYE_MS = 5_000;
/** What a broker keeps for us while we are away. */
const SESSION_EXPIRY_SECONDS = 7 * 86_400;
/** mqtt.js has a timer of its own for CONNACK; ours is the one that counts. */
const NO_LIMIT_MS = 2 ** 31 - 1;
const NOTHING = new Uint8Array();

export interface LinkOptions {
  readonly label: string;
  readonly version: 4 | 5;
  /** Null: messages go through the client, one turn of the loop after the other. */
  readonly stream: (lane: MessageLane | null) => Duplex;
  /** Whether messages take the short way. */
  readonly lane: boolean;
  readonly clientId: string;
  readonly clean: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly will: SimWill | undefined;
  readonly keepAliveSeconds: number;
  readonly maxPacketBytes: number;
  readonly limitClock: Clock;
  readonly onMessage: (topic: string, payload: Uint8Array, retained: boolean) => void;
}

/** One connection that stands. Once it is lost every call fails, and it never comes back. */
export interface Link {
  readonly version: 4 | 5;
  readonly sessionPresent: boolean;
  /** Resolves with the cause when the connection is gone, whoever ended it. */
  readonly lost: Promise<WireError>;
  subscribe(filters: readonly string[], qos: 0 | 1): Promise<void>;
  unsubscribe(filters: readonly string[]): Promise<void>;
  publish(topic: string, payload: Uint8Array, options: PublishOptions): Promise<void>;
  /** Says goodbye (no will) once what is under way is acknowledged. */
  end(): Promise<void>;
  /** Cuts the connection (the broker sends the will). */
  cut(): void;
}

interface Greeting {
  readonly sessionPresent: boolean;
  /** The longest packet that the broker takes, in bytes. */
  readonly longest: number;
}

/** Connects with one version of MQTT. Throws WireError, or the signal's reason. */
export async function openLink(options: LinkOptions, signal?: AbortSignal): Promise<Link> {
  // Loaded when first needed: it costs a tenth of a second, and most commands never connect.
  const { MqttClient } = await import('mqtt');
  signal?.throwIfAborted();
  const doing = `connecting to ${options.label}`;
  const lane = options.lane ? new MessageLane(options.version, options.onMessage) : null;
  const client = new MqttClient(() => options.stream(lane), clientOptions(options));
  let cause: WireError | null = null;
  let greeted = false;
  client.on('error', (error) => (cause ??= wireError(error, greeted ? options.label : doing)));
  client.on('disconnect', (packet) => (cause ??= refusal(packet.reasonCode ?? 0, options.label)));
  client.on('message', (topic, payload, packet) => options.onMessage(topic, payload, packet.retain));
  const lost = new Promise<WireError>((resolve) => {
    client.once('close', () => {
      resolve(
        cause ?? new WireError(greeted ? 'CONNECTION_LOST' : 'CLOSED_BEFORE_CONNACK', 'later', `${doing}: the connection was closed`),
      );
      client.end(true);
    });
  });
  const connected = new Promise<Greeting>((resolve) => {
    client.once('connect', ({ sessionPresent, properties }) => {
      greeted = true;
      resolve({ sessionPresent, longest: properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY });
    });
  });
  const limit = new Limit(options.limitClock);
  try {
    const refused = lost.then((error) => Promise.reject(error));
    const greeting = await limit.hold(Promise.race([connected, refused]), { ms: LIMIT_MS, doing, ...(signal && { signal }) });
    return new MqttLink({ client, options, greeting, lost, limit, lane });
  } catch (error) {
    client.end(true);
    client.stream.destroy();
    throw error;
  }
}

function clientOptions(options: LinkOptions): IClientOptions {
  const modern = options.version === 5;
  return {
    protocolVersion: options.version,
    clientId: options.clientId,
    clean: options.clean,
    keepalive: options.keepAliveSeconds,
    reconnectPeriod: 0,
    connectTimeout: NO_LIMIT_MS,
    resubscribe: false,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.will === undefined ? {} : { will: { ...options.will, payload: bytes(options.will.payload) } }),
    ...(modern
      ? { properties: { maximumPacketSize: options.maxPacketBytes, sessionExpiryInterval: options.clean ? 0 : SESSION_EXPIRY_SECONDS } }
      : {}),
  };
}

class MqttLink implements Link {
  readonly version: 4 | 5;
  readonly sessionPresent: boolean;
  readonly lost: Promise<WireError>;
  readonly #client: MqttClient;
  readonly #label: string;
  readonly #limit: Limit;
  readonly #longest: number;
  readonly #lane: MessageLane | null;
  readonly #pending = new Set<(error: WireError) => void>();
  #gone: WireError | null = null;

  constructor(parts: {
    client: MqttClient;
    options: LinkOptions;
    greeting: Greeting;
    lost: Promise<WireError>;
    limit: Limit;
    lane: MessageLane | null;
  }) {
    this.#client = parts.client;
    this.#lane = parts.lane;
    this.#label = parts.options.label;
    this.#limit = parts.limit;
    this.version = parts.options.version;
    this.sessionPresent = parts.greeting.sessionPresent;
    this.#longest = parts.greeting.longest;
    this.lost = parts.lost.then((error) => {
      this.#gone = error;
      this.#pending.forEach((reject) => reject(error));
      return error;
    });
  }

  async subscribe(filters: readonly string[], qos: 0 | 1): Promise<void> {
    const doing = `subscribing at ${this.#label}`;
    await this.#acknowledged<void>(doing, (resolve, reject) => {
      this.#client.subscribe([...filters], { qos }, (error, _grants, packet) => {
        const refused = subscriptionRefusal(packet?.granted, filters, doing);
        if (refused !== null) reject(refused);
        else if (error === null) resolve();
        else this.#fail(error, doing, reject);
      });
    });
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    const doing = `unsubscribing at ${this.#label}`;
    await this.#acknowledged<void>(doing, (resolve, reject) => {
      this.#client.unsubscribe([...filters], (error) => {
        if (error === undefined || error === null) resolve();
        else this.#fail(error, doing, reject);
      });
    });
  }

  publish(topic: string, payload: Uint8Array, options: PublishOptions): Promise<void> {
    const { qos, retain = false, expirySeconds = null, tail = NOTHING } = options;
    if (payload.length + tail.length + Buffer.byteLength(topic) + 32 > this.#longest) {
      return Promise.reject(refusal(149, `publishing to ${topic} at ${this.#label}`));
    }
    if (qos === 0 && this.#gone === null && this.#lane?.send({ topic, payload, tail, retain, expirySeconds }) === true) {
      return this.#lane.room();
    }
    return this.#publish(topic, tail.length === 0 ? bytes(payload) : Buffer.concat([payload, tail]), options);
  }

  async #publish(topic: string, payload: Buffer, options: PublishOptions): Promise<void> {
    const doing = `publishing to ${topic} at ${this.#label}`;
    const expiry =
      this.version === 5 && options.expirySeconds !== undefined
        ? { properties: { messageExpiryInterval: Math.max(1, Math.ceil(options.expirySeconds)) } }
        : {};
    await this.#acknowledged<void>(doing, (resolve, reject) => {
      this.#client.publish(topic, payload, { qos: options.qos, retain: options.retain ?? false, ...expiry }, (error) => {
        if (error === undefined || error === null) resolve();
        else this.#fail(error, doing, reject);
      });
    });
  }

  async end(): Promise<void> {
    const done = this.#client.endAsync().then(() => this.lost);
    // A broker that does not acknowledge any more must not keep us.
    await this.#limit.hold(Promise.race([done, this.lost]), { ms: GOODBYE_MS, doing: `leaving ${this.#label}` }).catch(() => this.cut());
    await this.lost;
  }

  cut(): void {
    this.#client.stream.destroy();
  }

  /** mqtt.js says no more than that the connection is closed: the cause of that is what counts. */
  #fail(trouble: unknown, doing: string, reject: (cause: WireError) => void): void {
    if (this.#client.stream.destroyed) void this.lost.then(reject);
    else reject(wireError(trouble, doing));
  }

  #acknowledged<T>(doing: string, act: (resolve: (value: T) => void, reject: (error: WireError) => void) => void): Promise<T> {
    if (this.#gone !== null) return Promise.reject(this.#gone);
    const acknowledged = new Promise<T>((resolve, reject) => {
      const end = (error: WireError): void => {
        this.#pending.delete(end);
        reject(error);
      };
      this.#pending.add(end);
      act((value) => {
        this.#pending.delete(end);
        resolve(value);
      }, end);
    });
    return this.#limit.hold(acknowledged, { ms: LIMIT_MS, doing });
  }
}

/** The first filter that SUBACK says no to; 3.1.1 has but one code for no, 128 (MQTT 3.1.1 §3.9.3). */
function subscriptionRefusal(granted: unknown, filters: readonly string[], doing: string): WireError | null {
  if (!Array.isArray(granted)) return null;
  const index = granted.findIndex((code) => typeof code === 'number' && code >= 128);
  const code: unknown = granted[index];
  if (typeof code !== 'number') return null;
  return refusal(code === 128 ? 135 : code, `${doing} to ${filters[index] ?? 'a filter'}`);
}

function bytes(payload: Uint8Array): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}
