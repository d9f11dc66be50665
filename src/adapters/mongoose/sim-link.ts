import { SECOND_MS } from '#kit/duration.ts';
import type { SimConnection, SimPorts } from '#ports/sim.ts';
import { SimLife } from '#shadows/sim-life.ts';

/** `mqtt.reconnect_timeout_min` and `max` (docs/protocols/shadow-devices.md §3.1). */
const FIRST_BACKOFF_MS = 2 * SECOND_MS;
const LONGEST_BACKOFF_MS = 60 * SECOND_MS;
const KEEP_ALIVE_SECONDS = 60;

export interface SimLinkOptions {
  readonly clientId: string;
  /** What it shows as its user; null for nothing. */
  readonly username: string | null;
  /** Made anew for each connection; null for the one it was given, or none. */
  password(): string | null;
  /** One SUBSCRIBE for each, in this order, QoS 1. */
  subscriptions(): readonly (readonly string[])[];
  /** Each time the subscriptions stand. */
  connected(): Promise<void>;
  hear(topic: string, payload: Uint8Array): void;
  mayPublish(): boolean;
}

/** The one MQTT connection of a board, for its shadow and for calls: clean session, QoS 1, back-off as its library has it. */
export class SimLink {
  readonly #ports: SimPorts;
  readonly #options: SimLinkOptions;
  readonly #life: SimLife;
  #connection: SimConnection | null = null;

  constructor(ports: SimPorts, options: SimLinkOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#life = new SimLife(ports.clock);
  }

  get standing(): boolean {
    return this.#connection !== null;
  }

  async open(): Promise<void> {
    await this.#connect(this.#life.next(), FIRST_BACKOFF_MS);
  }

  async close(): Promise<void> {
    this.#life.end();
    const connection = this.#connection;
    this.#connection = null;
    await connection?.drop();
  }

  /** What cannot be sent is lost. */
  async publish(topic: string, text: string, qos: 0 | 1 = 1): Promise<void> {
    if (!this.#options.mayPublish()) return;
    await this.#connection?.bus.publish(topic, new TextEncoder().encode(text), { qos }).catch(() => undefined);
  }

  async #connect(life: AbortSignal, backOffMs: number): Promise<void> {
    const { clientId, username } = this.#options;
    const own = { cert: null, key: null, ca: null, password: this.#options.password() };
    const credentials = username === null ? {} : { credentials: { ...own, username } };
    try {
      const connection = await this.#ports.connect({
        clientId,
        clean: true,
        keepAliveSeconds: KEEP_ALIVE_SECONDS,
        will: null,
        ...credentials,
      });
      if (life.aborted) {
        await connection.drop();
        return;
      }
      this.#connection = connection;
      connection.onLost(() => void this.#again(life, { connection, backOffMs: FIRST_BACKOFF_MS }));
      connection.bus.listen(({ topic, payload }) => this.#options.hear(topic, payload));
      for (const filters of this.#options.subscriptions()) await connection.bus.subscribe(filters, 1);
      if (!life.aborted) await this.#options.connected();
    } catch {
      const connection = this.#connection;
      await connection?.drop();
      await this.#again(life, { connection, backOffMs });
    }
  }

  async #again(life: AbortSignal, lost: { readonly connection: SimConnection | null; readonly backOffMs: number }): Promise<void> {
    if (life.aborted || this.#connection !== lost.connection) return;
    this.#connection = null;
    if (await this.#life.pause(lost.backOffMs, life)) await this.#connect(life, Math.min(2 * lost.backOffMs, LONGEST_BACKOFF_MS));
  }
}
