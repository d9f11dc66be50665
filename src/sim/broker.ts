import type { Duplex } from 'node:stream';
import { callbackify } from 'node:util';
import { Aedes, type AedesOptions, type AedesPublishPacket, type Client } from 'aedes';
import type { Clock } from '#ports/clock.ts';
import { BrokerAccess, type Admission, type BrokerAuth } from './broker-access.ts';
import type { BrokerRules, BrokerSession, Departure, HouseMessage } from './broker-rules.ts';
import { silentUntilLetIn } from './broker-greeting.ts';
import { messageOf, packetOf } from './broker-packets.ts';
import { BrokerPort } from './broker-port.ts';
import type { BrokerTls } from './broker-tls.ts';
import { memoryStreamPair, refusedStream } from './memory-stream.ts';
import type { PeerCertificate } from './peer-certificate.ts';

export interface BrokerOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  readonly auth?: BrokerAuth;
  readonly tls?: BrokerTls;
  /** Paces the delay fault; a virtual clock is told of each message that moves. */
  readonly clock?: Clock;
  /** None: topics with a `$` in front are refused, everything else is let be. */
  readonly rules?: BrokerRules;
}

export interface BrokerFaults {
  /** New connections fail as at a closed port, and those that stand are cut. */
  readonly refuse: boolean;
  /** Each message is held back for so many ms of the clock before it is taken and acknowledged. */
  readonly delayMs: number;
  /** Each message is delivered twice, as QoS 1 allows. */
  readonly duplicate: boolean;
}

export interface BrokerCounts {
  readonly messages: number;
  readonly bytes: number;
  readonly retained: number;
  readonly connections: number;
}

/** An embedded MQTT 3.1.1 broker. Retained messages and persistent sessions live as long as it does. */
export interface Broker {
  /** null for a broker that is reached within the process only. */
  readonly url: string | null;
  /** A new connection within the process; speaks MQTT like a socket. `certificate` is what TLS would have shown. */
  stream(certificate?: PeerCertificate | null): Duplex;
  /** Takes a connection that somebody else accepted, with the certificate that TLS showed there. */
  attach(socket: Duplex, certificate: PeerCertificate | null): void;
  /** A message of the house itself, whatever the topic. */
  publish(message: HouseMessage): void;
  /** For that client alone, and only if it listens there unless it may be `unsubscribed`. False when it is not connected. */
  send(message: HouseMessage, to: { readonly clientId: string; readonly unsubscribed: boolean }): boolean;
  /** What clients have published so far (wills included), copies made by a fault not counted. */
  readonly published: BrokerCounts;
  /** Ids of the clients that are connected, sorted. */
  readonly clients: readonly string[];
  /** Called for each message that a client published, after it was taken. */
  onPublish(listener: (topic: string, payload: Uint8Array, clientId: string) => void): void;
  /** Called for each client that was let in, with the certificate that it showed. */
  onConnect(listener: (session: BrokerSession) => void): void;
  /** Called for each of them when it is gone. */
  onDisconnect(listener: (session: BrokerSession, why: Departure) => void): void;
  /** Filters of a client that is connected, with their QoS; undefined when it is not. */
  subscriptionsOf(clientId: string): Readonly<Record<string, number>> | undefined;
  /** The certificate by which that client is connected; null without one, undefined when it is not connected. */
  certificateOf(clientId: string): PeerCertificate | null | undefined;
  /** Lets in those alone from now on, and cuts off the others; null lets in everybody. Withdraws a certificate, say. */
  admit(admission: Admission | null): void;
  faults(change: Partial<BrokerFaults>): Promise<void>;
  /** Cuts that client's connection (its will is sent). False when it is not connected. */
  dropClient(id: string): boolean;
  dropAll(): void;
  close(): Promise<void>;
}

/** A broker on TCP (or TLS) at a free port of 127.0.0.1 unless told otherwise. Rejects when the port is taken. */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = new EmbeddedBroker(options);
  try {
    await broker.listen();
  } catch (error) {
    await broker.close();
    throw error;
  }
  return broker;
}

/** A broker without a port: its streams are deterministic on a virtual clock. */
export function memoryBroker(options: Pick<BrokerOptions, 'auth' | 'clock' | 'rules'> = {}): Broker {
  return new EmbeddedBroker(options);
}

type Login = Parameters<NonNullable<AedesOptions['authenticate']>>;
/** What the types of aedes leave out: that a DISCONNECT came, and the filters that stand. */
type Inside = Client & {
  readonly _disconnected?: boolean;
  /** The very packet that is published in its name when it is gone. */
  readonly will?: object;
  readonly subscriptions: Readonly<Record<string, { readonly qos: number }>>;
};

/** Where aedes keeps sessions. */
interface Persistence {
  cleanSubscriptions(client: Client): Promise<unknown>;
}

/** Where messages go that are acknowledged and forgotten: nobody may listen there. */
const NOWHERE = '$nowhere';

class EmbeddedBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #aedes: Aedes;
  readonly #access: BrokerAccess;
  readonly #port: BrokerPort;
  readonly #ready: Promise<void>;
  readonly #moved: () => void;
  readonly #clients = new Map<string, Client>();
  readonly #departures = new WeakMap<Client, Departure>();
  readonly #leftAt = new Map<string, number>();
  readonly #forgotten = new WeakSet<Client>();
  readonly #arrived = new WeakSet<Client>();
  readonly #sockets = new Set<Duplex>();
  readonly #listeners = new Set<(topic: string, payload: Uint8Array, clientId: string) => void>();
  readonly #arrivals = new Set<(session: BrokerSession) => void>();
  readonly #leavings = new Set<(session: BrokerSession, why: Departure) => void>();
  #faults: BrokerFaults = { refuse: false, delayMs: 0, duplicate: false };
  #counts = { messages: 0, bytes: 0, retained: 0, connections: 0 };

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { clock, auth, tls, port = 0, host = '127.0.0.1' } = options;
    this.#access = new BrokerAccess(auth);
    this.#port = new BrokerPort({ port, host, tls, accept: (socket, certificate) => this.#accept(socket, certificate) });
    this.#moved = clock !== undefined && 'moved' in clock && typeof clock.moved === 'function' ? clock.moved.bind(clock) : () => undefined;
    const authorizePublish = callbackify((client: Client | null, packet: AedesPublishPacket) => this.#authorizePublish(client, packet));
    this.#aedes = new Aedes({
      preConnect: (client, _, done) => {
        silentUntilLetIn(client);
        done(null, true);
      },
      authenticate: (...login) => this.#authenticate(login),
      authorizePublish: (client, packet, done) => authorizePublish(client, packet as AedesPublishPacket, done),
      authorizeSubscribe: (client, subscription, done) => done(null, this.#maySubscribe(client, subscription) ? subscription : null),
      authorizeForward: (client, packet) => (this.#mayForward(client, packet) ? packet : null),
      published: (packet, client, done) => {
        this.#countPublish(packet, client);
        done(null);
      },
      // A burst of a holder that starts up must not be taken for an attack.
      queueLimit: 10_000,
      concurrency: 1_000,
    });
    this.#watch();
    this.#ready = this.#aedes.listen();
  }

  #arrive(client: Client): void {
    if (this.#arrived.has(client)) return;
    this.#arrived.add(client);
    for (const listener of this.#arrivals) listener(this.#access.session(client));
  }

  #watch(): void {
    this.#aedes.on('client', (client) => {
      this.#clients.set(client.id, client);
      if (client.clean) this.#arrive(client);
    });
    // A session that stood before may listen to its own arrival: nothing may come before it is let in.
    this.#aedes.on('connackSent', (_, client) => {
      if (this.#clients.get(client.id) === client) this.#arrive(client);
    });
    this.#aedes.on('clientDisconnect', (client) => {
      if (this.#clients.get(client.id) === client) this.#clients.delete(client.id);
      this.#leftAt.set(client.id, this.#options.clock?.now() ?? 0);
      if (!this.#arrived.has(client)) return;
      const why = (client as Inside)._disconnected === true ? 'client' : (this.#departures.get(client) ?? 'lost');
      for (const listener of this.#leavings) listener(this.#access.session(client), why);
    });
    this.#aedes.on('subscribe', (filters, client) => {
      if (this.#options.rules?.filters(filters.length) === false) this.#cut(client, 'protocol');
    });
    this.#aedes.on('keepaliveTimeout', (client) => this.#departures.set(client, 'keep-alive'));
    // A client that breaks off is no trouble of the broker's.
    this.#aedes.on('connectionError', () => this.#moved());
    this.#aedes.on('clientError', (client) => {
      if (!this.#departures.has(client)) this.#departures.set(client, 'protocol');
      this.#moved();
    });
  }

  get url(): string | null {
    return this.#port.url;
  }

  get published(): BrokerCounts {
    return { ...this.#counts };
  }

  get clients(): readonly string[] {
    return [...this.#clients.keys()].toSorted();
  }

  stream(certificate: PeerCertificate | null = null): Duplex {
    if (this.#faults.refuse || this.#aedes.closed) return refusedStream(this.#moved);
    const [near, far] = memoryStreamPair(this.#moved);
    this.#accept(far, certificate);
    return near;
  }

  attach(socket: Duplex, certificate: PeerCertificate | null): void {
    if (this.#faults.refuse || this.#aedes.closed) {
      socket.destroy();
      return;
    }
    this.#accept(socket, certificate);
  }

  publish(message: HouseMessage): void {
    this.#moved();
    this.#aedes.publish(packetOf(message), () => this.#moved());
  }

  send(message: HouseMessage, to: { readonly clientId: string; readonly unsubscribed: boolean }): boolean {
    const client = this.#clients.get(to.clientId);
    if (client === undefined) return false;
    this.#moved();
    const listens = (client as Inside).subscriptions[message.topic] !== undefined;
    if (listens || to.unsubscribed) client.publish(packetOf(message), () => this.#moved());
    return true;
  }

  onPublish(listener: (topic: string, payload: Uint8Array, clientId: string) => void): void {
    this.#listeners.add(listener);
  }

  onConnect(listener: (session: BrokerSession) => void): void {
    this.#arrivals.add(listener);
  }

  onDisconnect(listener: (session: BrokerSession, why: Departure) => void): void {
    this.#leavings.add(listener);
  }

  subscriptionsOf(clientId: string): Readonly<Record<string, number>> | undefined {
    const client = this.#clients.get(clientId) as Inside | undefined;
    return client && Object.fromEntries(Object.entries(client.subscriptions).map(([filter, { qos }]) => [filter, qos]));
  }

  certificateOf(clientId: string): PeerCertificate | null | undefined {
    const client = this.#clients.get(clientId);
    return client === undefined ? undefined : this.#access.certificate(client);
  }

  admit(admission: Admission | null): void {
    this.#access.admit(admission);
    for (const client of this.#clients.values()) if (!this.#access.admits(client)) this.#cut(client, 'server');
  }

  async faults(change: Partial<BrokerFaults>): Promise<void> {
    const before = this.#faults;
    this.#faults = { ...before, ...change };
    if (this.#faults.refuse === before.refuse) return;
    if (this.#faults.refuse) {
      const closed = this.#port.close();
      this.dropAll();
      await closed;
    } else if (this.url !== null) await this.listen();
  }

  dropClient(id: string): boolean {
    const client = this.#clients.get(id);
    if (client !== undefined) this.#cut(client, 'server');
    return client !== undefined;
  }

  dropAll(): void {
    this.#sockets.forEach((socket) => socket.destroy());
  }

  async close(): Promise<void> {
    const closed = this.#port.close();
    await this.#ready;
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    this.dropAll();
    await closed;
  }

  async listen(): Promise<void> {
    await this.#ready;
    await this.#port.open();
  }

  #accept(socket: Duplex, certificate: PeerCertificate | null): void {
    this.#access.show(socket, certificate);
    this.#sockets.add(socket);
    this.#counts.connections += 1;
    socket.once('close', () => this.#sockets.delete(socket));
    void this.#ready.then(() => this.#aedes.handle(socket));
  }

  #cut(client: Client, why: Departure): void {
    this.#departures.set(client, why);
    client.conn.destroy();
  }

  #authenticate([client, user, password, done]: Login): void {
    this.#access.begin(client, user ?? null);
    const wanted = this.#options.rules?.connect?.(this.#access.session(client), password ?? null) ?? true;
    if (!wanted || !this.#access.admits(client)) {
      // 5: not authorized (MQTT 3.1.1 §3.2.2.3).
      done(Object.assign(new Error('not authorized'), { returnCode: 5 }), false);
      return;
    }
    const standing = this.#clients.get(client.id);
    if (standing !== undefined) this.#departures.set(standing, 'taken-over');
    if (this.#options.auth === undefined) {
      this.#begin(client, () => done(null, true));
      return;
    }
    const known = this.#access.knows(client, user, password?.toString('utf8'));
    // 4: bad user name or password (MQTT 3.1.1 §3.2.2.3).
    done(known ? null : Object.assign(new Error('bad user name or password'), { returnCode: 4 }), known);
  }

  /** Whether a persistent session was left for longer than the rules keep it. */
  #isExpired(clientId: string): boolean {
    const { rules, clock } = this.#options;
    const leftAt = this.#leftAt.get(clientId);
    return rules !== undefined && clock !== undefined && leftAt !== undefined && clock.now() - leftAt > rules.sessionMs;
  }

  /** Forgets a session that is too old: its filters at once, what is queued when it would be sent (see #mayForward). */
  #begin(client: Client, begun: () => void): void {
    if (client.clean || !this.#isExpired(client.id)) {
      begun();
      return;
    }
    this.#forgotten.add(client);
    const { persistence } = this.#aedes as unknown as { readonly persistence: Persistence };
    callbackify(() => persistence.cleanSubscriptions(client))(begun);
  }

  async #authorizePublish(client: Client | null, packet: AedesPublishPacket): Promise<void> {
    this.#moved();
    // Asked first: by the time that a message is judged its client may have taken its leave, and it is no will for that.
    const isWill = client !== null && packet === (client as Inside).will;
    // What is queued for a session goes out before anything its client sends is taken, as other brokers do it: a client
    // may tell by a message to itself that it has seen the whole queue.
    if (client !== null && client.connecting) await new Promise<void>((resolve) => client.once('connected', resolve));
    if (this.#faults.delayMs > 0) await this.#options.clock?.sleep(this.#faults.delayMs);
    if (client !== null && !this.#access.may(client, 'publish', packet.topic)) throw new Error('not authorized');
    const { rules } = this.#options;
    if (rules === undefined || client === null) {
      // Its own alone, as mosquitto has it: boards and gateways speak to shadows on any broker, and must not be dropped for that.
      if (packet.topic.startsWith('$SYS/')) throw new Error('not authorized');
      return;
    }
    const verdict = rules.publish(this.#access.session(client), { ...messageOf(packet), will: isWill });
    if (verdict === 'refuse') throw new Error('not authorized');
    if (verdict === 'ignore') Object.assign(packet, { topic: NOWHERE, retain: false });
  }

  #maySubscribe(client: Client, { topic, qos }: { readonly topic: string; readonly qos: number }): boolean {
    if (!this.#access.may(client, 'subscribe', topic)) return false;
    const { rules } = this.#options;
    if (rules === undefined) return true;
    const { subscriptions } = client as Inside;
    const standing = Object.keys(subscriptions).filter((other) => other !== topic).length;
    return topic !== NOWHERE && rules.subscribe(this.#access.session(client), { topic, qos, standing });
  }

  /** Only what is sent again because it was retained still says so here. */
  #mayForward(client: Client, packet: AedesPublishPacket): boolean {
    const { rules } = this.#options;
    if (rules === undefined) return true;
    if (client.connecting && this.#forgotten.has(client)) return false;
    return packet.topic !== NOWHERE && (!packet.retain || rules.retained(packet.topic, Object.keys((client as Inside).subscriptions)));
  }

  #countPublish(packet: AedesPublishPacket, client: Client | null): void {
    this.#moved();
    if (client === null || packet.topic === NOWHERE) return;
    const message = messageOf(packet);
    const { payload } = message;
    this.#counts.messages += 1;
    this.#counts.bytes += payload.length;
    if (packet.retain) this.#counts.retained += 1;
    for (const listener of this.#listeners) listener(packet.topic, payload, client.id);
    this.#options.rules?.taken(this.#access.session(client), message);
    if (!this.#faults.duplicate) return;
    const { topic, qos } = packet;
    this.#aedes.publish({ cmd: 'publish', topic, payload: Buffer.from(payload), qos, retain: false, dup: false }, () => this.#moved());
  }
}
