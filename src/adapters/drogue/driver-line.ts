import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { Log } from '#ports/log.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import { WireError } from '#ports/wire-error.ts';

const FIRST_DELAY_MS = SECOND_MS;
const LONGEST_DELAY_MS = MINUTE_MS;
/** Between two looks whether the broker stalls bursts, while it is busy. */
const PROBE_EVERY_MS = MINUTE_MS;
/** A burst that is drawn out so far met Nagle's algorithm against a delayed acknowledgement: 40 ms. */
const STALL_MS = 25;
const PROBE_BURSTS = 3;
const PROBE_MESSAGES = 4;
const PROBE_LIMIT_MS = 2 * SECOND_MS;
const PROBE = new Uint8Array([0]);

export interface LineOptions {
  readonly connection: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Null when this responder is alone on the broker. */
  readonly share: string | null;
  /** Heard by each responder, shared or not. */
  readonly plain: readonly string[];
  open(): Promise<MessageBus>;
  onMessage(message: BusMessage): void;
}

/** One broker as a responder uses it: opened again until it stands, subscribed to what is asked about. */
export class Line {
  readonly #options: LineOptions;
  readonly #ending = new AbortController();
  #bus: MessageBus | null = null;
  #stop: () => void = () => undefined;
  #subscribed = new Set<string>();
  #wanted: readonly string[] = [];
  #work: Promise<void> = Promise.resolve();
  #busy = false;
  #warned = false;
  #probed: MessageBus | null = null;
  broken = 0;
  stalls = 0;

  constructor(options: LineOptions) {
    this.#options = options;
    void this.#probe();
  }

  get bus(): MessageBus | null {
    return this.#bus;
  }

  /** Something was told to a device: worth a look how the broker does. */
  noteBusy(): void {
    this.#busy = true;
  }

  /** Resolves after the first attempt; where that fails the line goes on trying by itself. */
  async listen(filters: readonly string[]): Promise<void> {
    this.#wanted = filters;
    const first = this.#work.then(() => this.#attempt());
    this.#work = first.then((done) => (done ? undefined : this.#retry()));
    this.#work.catch(() => undefined);
    await first;
  }

  async close(): Promise<void> {
    this.#ending.abort(new WireError('CLOSED', 'never', 'the responder was closed'));
    this.#stop();
    await this.#work.catch(() => undefined);
  }

  async #attempt(): Promise<boolean> {
    if (this.#ending.signal.aborted) return true;
    try {
      const bus = await this.#options.open();
      if (bus !== this.#bus) this.#take(bus);
      await this.#subscribe(bus);
      return true;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.broken += 1;
      this.#options.log.warn('broker not available', { connection: this.#options.connection, code: error.code, why: error.message });
      return false;
    }
  }

  async #retry(): Promise<void> {
    for (let delay: number = FIRST_DELAY_MS; !this.#ending.signal.aborted; delay = Math.min(2 * delay, LONGEST_DELAY_MS)) {
      const waited = await this.#options.clock.sleep(delay, this.#ending.signal).then(
        () => true,
        () => false,
      );
      if (!waited || (await this.#attempt())) return;
    }
  }

  #take(bus: MessageBus): void {
    this.#stop();
    this.#bus = bus;
    this.#subscribed = new Set();
    this.#stop = bus.listen((message) => this.#options.onMessage(message));
  }

  async #subscribe(bus: MessageBus): Promise<void> {
    const { share, connection, plain } = this.#options;
    if (share !== null && !bus.expires) {
      // Without sharing each of them would answer: a block that comes twice damages an image (§7.2).
      throw new WireError('NO_SHARING', 'never', `the broker of ${connection} speaks no MQTT 5, so responders cannot share it`);
    }
    const shared = share === null ? this.#wanted : this.#wanted.map((filter) => `$share/${share}/${filter}`);
    const missing = [...plain, ...shared].filter((filter) => !this.#subscribed.has(filter));
    if (missing.length === 0) return;
    await bus.subscribe(missing, 1);
    for (const filter of missing) this.#subscribed.add(filter);
    await bus.settle(this.#ending.signal);
  }

  /** Looks at a broker that is in use: while nobody asks, nobody waits for it. */
  async #probe(): Promise<void> {
    const { clock, log, connection } = this.#options;
    while (!this.#ending.signal.aborted) {
      const slept = await clock.sleep(PROBE_EVERY_MS, this.#ending.signal).then(
        () => true,
        () => false,
      );
      const bus = this.#bus;
      if (!slept || bus === null || !this.#busy) continue;
      this.#busy = false;
      const spread = await this.#spreadMs(bus);
      if (spread === null || spread < STALL_MS) continue;
      this.stalls += 1;
      if (this.#warned) continue;
      this.#warned = true;
      log.warn('the broker stalls bursts of small messages: in mosquitto set_tcp_nodelay true mends it', {
        connection,
        ms: Math.round(spread),
      });
    }
  }

  /** The shortest of some bursts, in ms; null where none came back: it is not worth more than that. */
  async #spreadMs(bus: MessageBus): Promise<number | null> {
    const topic = `headgate/marker/${bus.clientId}/burst`;
    const spreads: number[] = [];
    try {
      if (this.#probed !== bus) await bus.subscribe([topic], 0);
      this.#probed = bus;
      for (let burst = 0; burst < PROBE_BURSTS; burst += 1) {
        const spread = await this.#burst(bus, topic);
        if (spread !== null) spreads.push(spread);
        // One that goes through at once says it all; one that is held back may have met a busy machine.
        if (spread !== null && spread < STALL_MS) return spread;
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
    return spreads.length === 0 ? null : Math.min(...spreads);
  }

  /**
   * From the first message of a burst to the last. The first goes out at once; the next one waits for its acknowledgement
   * unless nodelay is set. At QoS 0, where no answer of ours carries that acknowledgement back early.
   */
  async #burst(bus: MessageBus, topic: string): Promise<number | null> {
    const { clock } = this.#options;
    const came: number[] = [];
    const all = Promise.withResolvers<void>();
    const stop = bus.listen((message) => {
      if (message.topic === topic && came.push(clock.monotonicMs()) === PROBE_MESSAGES) all.resolve();
    });
    const done = new AbortController();
    const late = clock.sleep(PROBE_LIMIT_MS, AbortSignal.any([done.signal, this.#ending.signal])).catch(() => undefined);
    for (let sent = 0; sent < PROBE_MESSAGES; sent += 1) await bus.publish(topic, PROBE, { qos: 0 });
    await Promise.race([all.promise, late]);
    done.abort();
    stop();
    return came.length < PROBE_MESSAGES ? null : (came.at(-1) ?? 0) - (came[0] ?? 0);
  }
}
