import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { SimPorts } from '#ports/sim.ts';
import { MappedConnection } from '#shadows/mapped/sim-connection.ts';
import type { LinkListener, MappedLink } from '#shadows/mapped/sim.ts';
import { objectIn } from '#shadows/values.ts';

interface SimLinkOptions extends LinkListener {
  readonly shadow: string | null;
}

/** Reports of other types than the usual mappings expect. */
const NONSENSE = '{"state":{"reported":{"fw":[1,2],"cfg":7}}}';

/** The connection of a simulated device: its shadow's topics as a device SDK uses them (docs/protocols/aws-iot.md §5.1). */
export class SimLink implements MappedLink {
  readonly #options: SimLinkOptions;
  readonly #prefix: string;
  readonly #connection: MappedConnection;
  #version = 0;

  constructor(ports: SimPorts, options: SimLinkOptions) {
    this.#options = options;
    const { thing, shadow } = options;
    this.#prefix = `$aws/things/${thing}/shadow${shadow === null ? '' : `/name/${shadow}`}`;
    this.#connection = new MappedConnection(ports, {
      opens: () => ({ clientId: thing, keepAliveSeconds: 60 }),
      filters: [`${this.#prefix}/update/delta`, `${this.#prefix}/get/accepted`],
      hear: (topic, payload) => this.#hear(topic, payload),
      stands: async () => {
        await options.connected();
        await this.#get();
      },
    });
  }

  open(): Promise<void> {
    return this.#connection.open();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** Merged into reported; what cannot be sent is lost, as it would be. */
  async report(reported: JsonObject): Promise<void> {
    await this.#update(JSON.stringify({ state: { reported } }));
  }

  async spoil(text: string | null): Promise<void> {
    await this.#update(text ?? NONSENSE);
  }

  async #update(body: string): Promise<void> {
    await this.#connection.publish(`${this.#prefix}/update`, body);
  }

  async #get(): Promise<void> {
    await this.#connection.publish(`${this.#prefix}/get`, '{}');
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
      void this.#get();
      return;
    }
    const { state } = body;
    if (isJsonObject(state) && isJsonObject(state['delta']) && isJsonObject(state['desired'])) this.#options.told(state['desired']);
  }
}
