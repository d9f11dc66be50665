import { randomUUID } from 'node:crypto';
import { Duplex } from 'node:stream';
import { stableFraction } from '#kit/digest.ts';
import type { BusOptions, LiveBus } from '#ports/clients.ts';
import type { BusMessage, PublishOptions } from '#ports/message-bus.ts';
import { WireError } from '#ports/wire-error.ts';
import { systemClock } from './clock.ts';
import { Limit } from './limit.ts';
import { LIMIT_MS, openLink, type Link, type LinkOptions } from './mqtt-link.ts';
import { wireError } from './mqtt-errors.ts';
import { brokerAddress, limitedStream, openSocket, secureContext, tlsVerdict } from './mqtt-stream.ts';

const DEFAULT_MAX_PACKET_BYTES = 1024 * 1024;
const DEFAULT_KEEP_ALIVE_SECONDS = 60;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
/** A connection that lives shorter than this does not count as recovery: two clients with one id chase each other. */
const STABLE_MS = 30_000;
/** What may wait for a listener: beyond it the oldest goes, so a chatty fleet cannot fill the memory. */
const BACKLOG_MESSAGES = 20_000;
const BACKLOG_BYTES = 64 * 1024 * 1024;
/** A marker that is still on its way after that is of no use to anybody. */
const MARKER_EXPIRY_SECONDS = 60;

/** The version that a broker agreed to last time, by scheme, host and port. */
const agreedVersions = new Map<string, 4 | 5>();

/**
 * Connects to an MQTT broker: protocol 5, or 3.1.1 where that is refused. Messages that were queued for the session, and
 * retained ones, are marked as not fresh until a marker of this connection has come back (DESIGN.md §4). Throws WireError
 * (ECONNREFUSED, TLS_*, MQTT_NOT_AUTHORIZED, TIMEOUT, BAD_URL, …), or the signal's reason. A connection lost later is
 * made again with back-off; calls made meanwhile throw NOT_CONNECTED.
 */
export async function openBus(options: BusOptions, signal?: AbortSignal): Promise<LiveBus> {
  const bus = new MqttBus(options);
  await bus.connect(signal);
  return bus;
}

interface Route {
  /** For people, without secrets. */
  readonly label: string;
  readonly stream: LinkOptions['stream'];
  /** Within the process everything goes one way, the same each time. */
  readonly lane: boolean;
  /** Why the broker cuts us off, where TLS knows. */
  readonly verdict: () => Promise<Error | null>;
}

/** Ends that may hide a refusal by TLS. */
const UNSAID: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'CLOSED_BEFORE_CONNACK']);

class MqttBus implements LiveBus {
  readonly clientId: string;
  readonly #options: BusOptions;
  readonly #label: string;
  readonly #verdict: Route['verdict'];
  readonly #link: Omit<LinkOptions, 'version' | 'onMessage'>;
  readonly #limit: Limit;
  readonly #markerTopic: string | null;
  /** Tells our markers from those of an earlier process with the same session. */
  readonly #nonce = randomUUID();
  readonly #waiting = new Map<string, () => void>();
  readonly #filters = new Map<string, 0 | 1>();
  readonly #listeners = new Set<(message: BusMessage) => void>();
  readonly #lostListeners = new Set<() => void>();
  readonly #restoredListeners = new Set<() => void>();
  readonly #ending = new AbortController();
  readonly #backlog = new Backlog();
  #current: Link | null = null;
  #lastTrouble: WireError | null = null;
  #markers = 0;
  #fresh = false;
  #settledOnce = false;
  #attempts = 0;
  #skipped = 0;

  constructor(options: BusOptions) {
    this.#options = options;
    this.clientId = options.clientId;
    this.#markerTopic = options.markerTopic === undefined ? `headgate/marker/${options.clientId}` : options.markerTopic;
    // Without a marker nothing is ever settled: what was heard must not be kept for ever.
    this.#settledOnce = this.#markerTopic === null;
    const limitClock = options.limitClock ?? systemClock;
    this.#limit = new Limit(limitClock);
    const { label, stream, lane, verdict } = this.#route();
    this.#label = label;
    this.#verdict = verdict;
    this.#link = {
      label,
      stream,
      lane,
      clientId: options.clientId,
      clean: options.clean,
      username: options.username,
      password: options.password,
      will: options.will,
      keepAliveSeconds: options.keepAliveSeconds ?? DEFAULT_KEEP_ALIVE_SECONDS,
      maxPacketBytes: options.maxPacketBytes ?? DEFAULT_MAX_PACKET_BYTES,
      limitClock,
    };
  }

  get connected(): boolean {
    return this.#current !== null;
  }

  get expires(): boolean {
    return this.#current?.version === 5;
  }

  get trouble(): WireError | null {
    return this.#ending.signal.aborted ? null : this.#lastTrouble;
  }

  get skipped(): number {
    return this.#skipped + this.#backlog.dropped;
  }

  /** Makes the connection, subscribes again where the session is new, and sends the first marker. */
  async connect(signal?: AbortSignal): Promise<void> {
    const link = await this.#open(signal);
    // A marker of an earlier connection says nothing about this one's queue.
    const began = this.#options.clock.monotonicMs();
    try {
      if (this.#markerTopic !== null) await link.subscribe([this.#markerTopic], 1);
      if (!link.sessionPresent) for (const qos of [0, 1] as const) await this.#resubscribe(link, qos);
      this.#ending.signal.throwIfAborted();
    } catch (error) {
      link.cut();
      throw error;
    }
    this.#current = link;
    this.#lastTrouble = null;
    void link.lost.then((cause) => this.#lose(cause, began));
    if (this.#markerTopic === null) this.#fresh = true;
    else this.#sendMarker(link, this.#markerTopic).catch(() => undefined);
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    for (const filter of filters) this.#filters.delete(filter);
    await this.#standing().unsubscribe(filters);
  }

  async subscribe(filters: readonly string[], qos: 0 | 1): Promise<void> {
    await this.#standing().subscribe(filters, qos);
    for (const filter of filters) this.#filters.set(filter, qos);
  }

  publish(topic: string, payload: Uint8Array, options: PublishOptions): Promise<void> {
    const link = this.#current;
    return link === null || this.#ending.signal.aborted ? this.#refuse() : link.publish(topic, payload, options);
  }

  listen(listener: (message: BusMessage) => void): () => void {
    this.#listeners.add(listener);
    for (const message of this.#backlog.all()) listener(message);
    if (this.#settledOnce) this.#backlog.clear();
    return () => this.#listeners.delete(listener);
  }

  async settle(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const link = this.#standing();
    const topic = this.#markerTopic;
    if (topic === null) throw new WireError('NO_MARKER', 'never', `${this.#label}: this connection was opened without a marker topic`);
    const lost = link.lost.then((error) => Promise.reject(error));
    const doing = `waiting at ${this.#label} for our own message on ${topic} (the account must be allowed to publish and to subscribe there)`;
    await this.#limit.hold(Promise.race([this.#sendMarker(link, topic), lost]), { ms: LIMIT_MS, doing, ...(signal && { signal }) });
    this.#settledOnce = true;
    if (this.#listeners.size > 0) this.#backlog.clear();
  }

  onLost(listener: () => void): void {
    this.#lostListeners.add(listener);
  }

  onRestored(listener: () => void): void {
    this.#restoredListeners.add(listener);
  }

  async close(): Promise<void> {
    this.#ending.abort(new WireError('CLOSED', 'never', `${this.#label}: the connection was closed by us`));
    await this.#current?.end();
  }

  async drop(): Promise<void> {
    this.#ending.abort(new WireError('CLOSED', 'never', `${this.#label}: the connection was closed by us`));
    const link = this.#current;
    link?.cut();
    await link?.lost;
  }

  #route(): Route {
    const { streamBuilder, maxPacketBytes = DEFAULT_MAX_PACKET_BYTES } = this.#options;
    const maxBytes = maxPacketBytes;
    const onSkipped = (): void => void (this.#skipped += 1);
    if (streamBuilder !== undefined) {
      const stream: Route['stream'] = (lane) => limitedStream(duplex(streamBuilder()), { maxBytes, lane, onSkipped });
      return { label: this.#options.url, stream, lane: false, verdict: () => Promise.resolve(null) };
    }
    const address = brokerAddress(this.#options.url);
    const context = address.tls ? secureContext(this.#options, address.label) : null;
    return {
      label: address.label,
      stream: (lane) => limitedStream(openSocket(address, context), { maxBytes, lane, onSkipped }),
      lane: true,
      verdict: () => (context === null ? Promise.resolve(null) : tlsVerdict(address, context)),
    };
  }

  async #open(signal: AbortSignal | undefined): Promise<Link> {
    const first = this.#options.protocol ?? agreedVersions.get(this.#label) ?? 5;
    const other = first === 5 ? 4 : 5;
    // Some 3.1.1 brokers answer a newer CONNECT by closing the connection.
    const again = (code: string): boolean => code === 'MQTT_PROTOCOL_REFUSED' || code === 'CLOSED_BEFORE_CONNACK';
    try {
      return await this.#openVersion(first, signal).catch((error: unknown) => {
        if (this.#options.protocol !== undefined || !(error instanceof WireError) || !again(error.code)) throw error;
        return this.#openVersion(other, signal);
      });
    } catch (error) {
      const verdict = error instanceof WireError && UNSAID.has(error.code) ? await this.#verdict() : null;
      throw verdict === null ? error : wireError(verdict, `connecting to ${this.#label}`);
    }
  }

  async #openVersion(version: 4 | 5, signal: AbortSignal | undefined): Promise<Link> {
    this.#fresh = false;
    const ending = signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal]);
    const onMessage: LinkOptions['onMessage'] = (topic, payload, retained) => this.#receive(topic, payload, retained);
    const link = await openLink({ ...this.#link, version, onMessage }, ending);
    // A version that was asked for says nothing of what the broker would agree to.
    const agreed = this.#options.streamBuilder === undefined && this.#options.protocol === undefined;
    if (agreed) agreedVersions.set(this.#label, version);
    return link;
  }

  async #resubscribe(link: Link, qos: 0 | 1): Promise<void> {
    const filters = [...this.#filters].filter(([, wanted]) => wanted === qos).map(([filter]) => filter);
    if (filters.length > 0) await link.subscribe(filters, qos);
  }

  async #refuse(): Promise<never> {
    this.#standing();
    throw new WireError('NOT_CONNECTED', 'later', `${this.#label}: not connected`);
  }

  #standing(): Link {
    if (this.#ending.signal.aborted) throw this.#ending.signal.reason;
    if (this.#current !== null) return this.#current;
    const why = this.#lastTrouble === null ? '' : ` (${this.#lastTrouble.code})`;
    throw new WireError('NOT_CONNECTED', 'later', `${this.#label}: not connected${why}`, this.#lastTrouble ?? undefined);
  }

  /** Publishes the next marker; resolves when it comes back. QoS 1: a broker sends it behind what it has queued. */
  async #sendMarker(link: Link, topic: string): Promise<void> {
    this.#markers += 1;
    const marker = `${this.#nonce} ${this.#markers}`;
    const back = new Promise<void>((resolve) => this.#waiting.set(marker, resolve));
    void link.lost.then(() => this.#waiting.delete(marker));
    await link.publish(topic, Buffer.from(marker), { qos: 1, expirySeconds: MARKER_EXPIRY_SECONDS });
    await back;
  }

  #receive(topic: string, payload: Uint8Array, retained: boolean): void {
    if (topic === this.#markerTopic) {
      const marker = Buffer.from(payload).toString('latin1');
      const back = this.#waiting.get(marker);
      if (back === undefined) return;
      this.#waiting.delete(marker);
      this.#fresh = true;
      back();
      return;
    }
    const message: BusMessage = { topic, payload, retained, receivedAt: this.#options.clock.now(), fresh: this.#fresh && !retained };
    if (!this.#settledOnce || this.#listeners.size === 0) this.#backlog.add(message);
    // A listener that attaches now gets this message from the backlog, not twice.
    const listeners = [...this.#listeners];
    for (const listener of listeners) listener(message);
  }

  #lose(cause: WireError, began: number): void {
    this.#current = null;
    this.#fresh = false;
    this.#lastTrouble = cause;
    if (this.#options.clock.monotonicMs() - began >= STABLE_MS) this.#attempts = 0;
    this.#lostListeners.forEach((listener) => listener());
    if (this.#options.reconnect !== false && !this.#ending.signal.aborted) void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#attempts, 16));
      // Spread by client, so that a fleet of clients does not come back as one; the same each time for one of them.
      const spread = 0.5 + stableFraction(`${this.clientId} ${this.#attempts}`) / 2;
      this.#attempts += 1;
      try {
        await this.#options.clock.sleep(delayMs * spread, this.#ending.signal);
        await this.connect();
      } catch (error) {
        if (error instanceof WireError) this.#lastTrouble = error;
        continue;
      }
      this.#restoredListeners.forEach((listener) => listener());
      return;
    }
  }
}

function duplex(stream: NodeJS.ReadWriteStream): Duplex {
  if (stream instanceof Duplex) return stream;
  throw new TypeError('a stream builder must build a Duplex');
}

/** What came before anybody listened, or before the first marker, for those who attach late. */
class Backlog {
  dropped = 0;
  #messages: BusMessage[] = [];
  #bytes = 0;

  add(message: BusMessage): void {
    this.#messages.push(message);
    this.#bytes += message.payload.length + message.topic.length;
    while (this.#messages.length > BACKLOG_MESSAGES || this.#bytes > BACKLOG_BYTES) {
      const oldest = this.#messages.shift();
      if (oldest === undefined) return;
      this.#bytes -= oldest.payload.length + oldest.topic.length;
      this.dropped += 1;
    }
  }

  all(): readonly BusMessage[] {
    return [...this.#messages];
  }

  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
  }
}
