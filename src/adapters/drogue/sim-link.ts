import { SECOND_MS } from '#kit/duration.ts';
import type { SimConnection, SimPorts } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';

const RECONNECT_MS = 2 * SECOND_MS;
const KEEP_ALIVE_SECONDS = 60;

type Receive = (payload: Uint8Array) => void;

/**
 * One session at the broker, of a node or of a gateway for all its nodes. Clean, so that nothing is queued for it: an
 * answer that comes late is worse than none (docs/protocols/drogue-dfu.md §2.3).
 */
export class NodeLink {
  readonly #clientId: string;
  /** Down topic → who listens there. */
  readonly #receivers = new Map<string, Set<Receive>>();
  #connection: SimConnection | null = null;
  #ending: AbortController | null = null;
  #opening: Promise<void> | null = null;

  constructor(clientId: string) {
    this.#clientId = clientId;
  }

  /** Resolves when it is connected, or when the first attempt failed and it goes on trying. */
  async join(topic: string, receive: Receive, ports: SimPorts): Promise<void> {
    const there = this.#receivers.get(topic) ?? new Set();
    this.#receivers.set(topic, there.add(receive));
    if (this.#ending === null) {
      this.#ending = new AbortController();
      this.#opening = this.#open(ports, this.#ending.signal);
      await this.#opening;
      return;
    }
    await this.#opening;
    if (there.size === 1) await this.#connection?.bus.subscribe([topic], 0).catch(ignoreWire);
  }

  /** The last one who leaves drops the connection. */
  async leave(topic: string, receive: Receive): Promise<void> {
    const there = this.#receivers.get(topic);
    there?.delete(receive);
    if (there?.size === 0) this.#receivers.delete(topic);
    if (this.#receivers.size > 0) return;
    this.#ending?.abort(new WireError('CLOSED', 'never', 'switched off'));
    this.#ending = null;
    const connection = this.#connection;
    this.#connection = null;
    await connection?.drop();
  }

  /** What cannot be sent is lost. */
  async publish(topic: string, payload: Uint8Array): Promise<void> {
    await this.#connection?.bus.publish(topic, payload, { qos: 1, retain: false }).catch(ignoreWire);
  }

  async #open(ports: SimPorts, signal: AbortSignal): Promise<void> {
    try {
      const session = { clientId: this.#clientId, clean: true, keepAliveSeconds: KEEP_ALIVE_SECONDS, will: null };
      const connection = await ports.connect(session);
      if (signal.aborted) return await connection.drop();
      this.#connection = connection;
      connection.bus.listen((message) => {
        for (const receive of this.#receivers.get(message.topic) ?? []) receive(message.payload);
      });
      connection.onLost(() => this.#lost(connection, ports, signal));
      await connection.bus.subscribe([...this.#receivers.keys()], 0);
    } catch (error) {
      ignoreWire(error);
      this.#lost(this.#connection, ports, signal);
    }
  }

  #lost(connection: SimConnection | null, ports: SimPorts, signal: AbortSignal): void {
    if (signal.aborted || connection !== this.#connection) return;
    this.#connection = null;
    void ports.clock.sleep(RECONNECT_MS, signal).then(
      () => this.#open(ports, signal),
      () => undefined,
    );
  }
}

function ignoreWire(error: unknown): void {
  if (!(error instanceof WireError)) throw error;
}
