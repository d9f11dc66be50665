import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { SimConnection, SimPorts } from '#ports/sim.ts';
import type { LinkListener, MappedLink } from '#shadows/mapped/sim.ts';
import { objectIn } from '#shadows/values.ts';

/** A device connects again after so long. */
const AGAIN_MS = 10 * SECOND_MS;

interface SimLinkOptions extends LinkListener {
  readonly shadow: string | null;
}

/** Reports of other types than the usual mappings expect. */
const NONSENSE = '{"state":{"reported":{"fw":[1,2],"cfg":7}}}';

/** The connection of a simulated device: its shadow's topics as a device SDK uses them (docs/protocols/aws-iot.md §5.1). */
export class SimLink implements MappedLink {
  readonly #ports: SimPorts;
  readonly #options: SimLinkOptions;
  readonly #prefix: string;
  #connection: SimConnection | null = null;
  #wanted = false;
  #version = 0;

  constructor(ports: SimPorts, options: SimLinkOptions) {
    this.#ports = ports;
    this.#options = options;
    const { thing, shadow } = options;
    this.#prefix = `$aws/things/${thing}/shadow${shadow === null ? '' : `/name/${shadow}`}`;
  }

  get standing(): boolean {
    return this.#connection !== null;
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

  /** Merged into reported; what cannot be sent is lost, as it would be. */
  async report(reported: JsonObject): Promise<void> {
    await this.#publish('update', JSON.stringify({ state: { reported } }));
  }

  async spoil(text: string | null): Promise<void> {
    await this.#publish('update', text ?? NONSENSE);
  }

  async #publish(verb: 'get' | 'update', body: string | Uint8Array): Promise<void> {
    const payload = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    await this.#connection?.bus.publish(`${this.#prefix}/${verb}`, payload, { qos: 1 }).catch(() => undefined);
  }

  async #connect(): Promise<void> {
    try {
      const connection = await this.#ports.connect({ clientId: this.#options.thing, clean: true, keepAliveSeconds: 60, will: null });
      if (!this.#wanted) {
        await connection.drop();
        return;
      }
      this.#connection = connection;
      connection.onLost(() => void this.#again(connection));
      connection.bus.listen(({ topic, payload }) => this.#hear(topic, payload));
      await connection.bus.subscribe([`${this.#prefix}/update/delta`, `${this.#prefix}/get/accepted`], 1);
      await this.#options.connected();
      await this.#publish('get', '{}');
    } catch {
      await this.#again(null);
    }
  }

  async #again(lost: SimConnection | null): Promise<void> {
    if (this.#connection !== lost && this.#connection !== null) return;
    this.#connection = null;
    if (!this.#wanted) return;
    await this.#ports.clock.sleep(AGAIN_MS);
    if (this.#wanted && !this.standing) await this.#connect();
  }

  /**
   * A delta that is older than what was seen is passed over: they come in any order, and twice (§5.6). It holds the
   * differences alone, so a device that takes documents asks for the whole.
   */
  #hear(topic: string, payload: Uint8Array): void {
    const body = objectIn(payload);
    const version = body?.['version'];
    if (body === null || typeof version !== 'number' || version < this.#version) return;
    this.#version = version;
    if (!topic.endsWith('/get/accepted')) {
      void this.#publish('get', '{}');
      return;
    }
    const { state } = body;
    if (isJsonObject(state) && isJsonObject(state['delta']) && isJsonObject(state['desired'])) this.#options.told(state['desired']);
  }
}
