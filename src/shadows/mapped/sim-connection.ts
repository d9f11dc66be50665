import { SECOND_MS } from '#kit/duration.ts';
import type { SimConnection, SimPorts } from '#ports/sim.ts';

/** A device connects again after so long. */
export const AGAIN_MS = 10 * SECOND_MS;

interface Session {
  /** As whom it connects; asked before each attempt. */
  opens(): Omit<Parameters<SimPorts['connect']>[0], 'clean' | 'will'>;
  /** In one SUBSCRIBE, QoS 1. */
  readonly filters: readonly string[];
  hear(topic: string, payload: Uint8Array): void;
  /** Each time the subscriptions stand. */
  stands(): Promise<void>;
}

/** The one MQTT connection of a device: clean session, QoS 1, and opened again for as long as it is wanted. */
export class MappedConnection {
  readonly #ports: SimPorts;
  readonly #session: Session;
  #connection: SimConnection | null = null;
  #wanted = false;

  constructor(ports: SimPorts, session: Session) {
    this.#ports = ports;
    this.#session = session;
  }

  async open(): Promise<void> {
    this.#wanted = true;
    await this.#connect();
  }

  async close(): Promise<void> {
    this.#wanted = false;
    const connection = this.#connection;
    this.#connection = null;
    await connection?.drop();
  }

  /** What cannot be sent is lost, as it would be. */
  async publish(topic: string, text: string): Promise<void> {
    await this.#connection?.bus.publish(topic, new TextEncoder().encode(text), { qos: 1 }).catch(() => undefined);
  }

  async #connect(): Promise<void> {
    try {
      const connection = await this.#ports.connect({ ...this.#session.opens(), clean: true, will: null });
      if (!this.#wanted) {
        await connection.drop();
        return;
      }
      this.#connection = connection;
      connection.onLost(() => void this.#again(connection));
      connection.bus.listen(({ topic, payload }) => this.#session.hear(topic, payload));
      await connection.bus.subscribe(this.#session.filters, 1);
      await this.#session.stands();
    } catch {
      await this.#again(null);
    }
  }

  async #again(lost: SimConnection | null): Promise<void> {
    if (this.#connection !== lost && this.#connection !== null) return;
    this.#connection = null;
    if (!this.#wanted) return;
    await this.#ports.clock.sleep(AGAIN_MS);
    if (this.#wanted && this.#connection === null) await this.#connect();
  }
}
