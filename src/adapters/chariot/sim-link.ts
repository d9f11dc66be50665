import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, mergePatches, type JsonObject } from '#model/shadow.ts';
import type { SimConnection, SimPorts, SimWill } from '#ports/sim.ts';
import { SimLife } from '#shadows/sim-life.ts';
import { objectIn } from '#shadows/values.ts';

/** docs/protocols/shadow-devices.md §2.10. */
const TICK_MS = 250;
const UPDATE_RETRY_MS = 3 * SECOND_MS;
const FETCH_RETRY_MS = 5 * SECOND_MS;
const ANSWER_MS = 10 * SECOND_MS;
/** The back-off doubles up to this; whoever has waited so long in vain ends (§2.11). */
const LAST_BACKOFF_MS = 16 * SECOND_MS;
/** A connection that has lasted so long begins the back-off anew (§2.2). */
const LASTING_MS = 20 * SECOND_MS;
/** So many requests without an answer, each after ANSWER_MS, end the process (§2.11). */
const MOST_UNANSWERED = 5;
/** What the SDK below says that it is. */
export const SDK_USERNAME = '?SDK=JavaScript&Version=2.2.15';
const TOPICS = [
  'update/delta',
  'update/accepted',
  'update/rejected',
  'get/accepted',
  'get/rejected',
  'delete/accepted',
  'delete/rejected',
] as const;

/** What goes into `state` of an update. */
export interface UpdateState {
  readonly reported: JsonObject;
  readonly desired?: null;
}

export interface SimLinkOptions {
  readonly thing: string;
  /** PEM of the certificate in use and its key; whatever the connection has by itself when left out. */
  credentials?(): { readonly cert: string; readonly key: string } | null;
  /** Sent by the broker at every exit, a clean one too, because chariotd never says goodbye (§2.2). */
  readonly will?: SimWill | null;
  fetched(state: { readonly desired: JsonObject; readonly reported: JsonObject }): void;
  /** There is no shadow yet. */
  nothing(): void;
  delta(state: JsonObject): void;
  /** Asked for each update that is to go out; false loses it. */
  mayReport(): boolean;
  /** A new connection stands. */
  connected(): void;
  /** The process ends with code 1, for its supervisor to start it again (§2.11). */
  exited(why: string): void;
}

/**
 * The MQTT side of chariotd (§2.2, §2.4): one update in flight, further ones merged behind it, tokens and versions as it
 * sends them, retries for ever. Own code, from the page.
 */
export class SimLink {
  readonly #ports: SimPorts;
  readonly #options: SimLinkOptions;
  readonly #prefix: string;
  readonly #life: SimLife;
  #connection: SimConnection | null = null;
  #version: number | null = null;
  #fetching = false;
  #fetches = 0;
  #inFlight: UpdateState | null = null;
  #queued: UpdateState | null = null;
  #sent = 0;
  #backOffMs: number = SECOND_MS;
  #unanswered = 0;
  /** Whether this process has had a connection before. */
  #reconnects = false;

  constructor(ports: SimPorts, options: SimLinkOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#life = new SimLife(ports.clock);
    this.#prefix = `$aws/things/${options.thing}/shadow`;
  }

  async open(): Promise<void> {
    const life = this.#life.next();
    this.#version = null;
    this.#inFlight = null;
    this.#queued = null;
    this.#backOffMs = SECOND_MS;
    this.#unanswered = 0;
    this.#reconnects = false;
    await this.#connect(life);
  }

  async close(): Promise<void> {
    this.#life.end();
    const connection = this.#connection;
    this.#connection = null;
    await connection?.drop();
  }

  /** A get is on its way. */
  get fetching(): boolean {
    return this.#fetching;
  }

  async refetch(): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    this.#fetches += 1;
    await this.#send('get', { ...this.#versionField(), clientToken: `FETCH:${this.#options.thing}` });
    void this.#fetchAgain(ANSWER_MS);
  }

  /** Sends what is to be reported, or merges it behind what is on its way. */
  report(state: UpdateState, withVersion = true): void {
    if (this.#inFlight !== null) {
      const before = this.#queued;
      this.#queued = before === null ? state : joined(before, state);
      return;
    }
    this.#inFlight = state;
    void this.#sendUpdate(state, withVersion);
  }

  async #sendUpdate(state: UpdateState, withVersion: boolean): Promise<void> {
    if (!this.#options.mayReport()) return;
    this.#sent += 1;
    const sent = this.#sent;
    const life = this.#life.now;
    await this.#send('update', {
      clientToken: `UPDATE:${this.#options.thing}`,
      state: state as unknown as Json,
      ...(withVersion ? this.#versionField() : {}),
    });
    const waited = await this.#life.pause(ANSWER_MS, life);
    const unanswered = waited && sent === this.#sent && this.#inFlight === state;
    if (unanswered && !this.#givesUp()) await this.#sendUpdate(state, true);
  }

  /** One more request without an answer. */
  #givesUp(): boolean {
    this.#unanswered += 1;
    if (this.#unanswered < MOST_UNANSWERED) return false;
    this.#options.exited('requests are not answered');
    return true;
  }

  #versionField(): JsonObject {
    return this.#version === null ? {} : { version: this.#version };
  }

  async #send(verb: 'get' | 'update', body: JsonObject): Promise<void> {
    const payload = new TextEncoder().encode(JSON.stringify(body));
    await this.#connection?.bus.publish(`${this.#prefix}/${verb}`, payload, { qos: 0 }).catch(() => undefined);
  }

  /** Anything, as a test or a broken program would send it. */
  async publish(text: string): Promise<void> {
    await this.#connection?.bus.publish(`${this.#prefix}/update`, new TextEncoder().encode(text), { qos: 0 }).catch(() => undefined);
  }

  async #connect(life: AbortSignal): Promise<void> {
    const { cert, key } = this.#options.credentials?.() ?? { cert: null, key: null };
    try {
      const connection = await this.#ports.connect({
        clientId: this.#options.thing,
        clean: true,
        keepAliveSeconds: 1200,
        will: this.#options.will ?? null,
        credentials: { cert, key, ca: null, username: SDK_USERNAME, password: null },
      });
      if (life.aborted) {
        await connection.drop();
        return;
      }
      this.#connection = connection;
      const began = this.#ports.clock.monotonicMs();
      connection.onLost(() => {
        if (this.#ports.clock.monotonicMs() - began >= LASTING_MS) this.#backOffMs = SECOND_MS;
        void this.#again(life, connection);
      });
      connection.bus.listen(({ topic, payload }) => this.#hear(topic, payload));
      // What was on its way is covered by the get that follows.
      this.#inFlight = null;
      this.#queued = null;
      this.#options.connected();
      await this.#subscribe(life, connection);
      if (!(await this.#life.pause(TICK_MS, life)) || this.#connection !== connection) return;
      this.#fetching = false;
      await this.refetch();
    } catch {
      await this.#again(life, null);
    }
  }

  /** In one packet at first; after a loss one by one, so that deltas are missed for some two seconds (§2.2). */
  async #subscribe(life: AbortSignal, { bus }: SimConnection): Promise<void> {
    const filters = TOPICS.map((topic) => `${this.#prefix}/${topic}`);
    const packets = this.#reconnects ? filters.map((filter) => [filter]) : [filters];
    this.#reconnects = true;
    for (const [index, packet] of packets.entries()) {
      if (index > 0) await this.#life.pause(TICK_MS, life);
      if (!life.aborted) await bus.subscribe(packet, 0);
    }
  }

  async #again(life: AbortSignal, lost: SimConnection | null): Promise<void> {
    if (life.aborted || this.#connection !== lost) return;
    this.#connection = null;
    this.#fetching = false;
    const waitMs = this.#backOffMs;
    this.#backOffMs = 2 * waitMs;
    if (!(await this.#life.pause(waitMs, life))) return;
    if (waitMs >= LAST_BACKOFF_MS) this.#options.exited('the broker cannot be reached');
    else await this.#connect(life);
  }

  /** Unless it was answered by then, or another one has begun. */
  async #fetchAgain(afterMs: number): Promise<void> {
    const fetch = this.#fetches;
    if (!(await this.#life.pause(afterMs)) || fetch !== this.#fetches || !this.#fetching) return;
    if (afterMs === ANSWER_MS && this.#givesUp()) return;
    this.#fetching = false;
    await this.refetch();
  }

  #hear(topic: string, payload: Uint8Array): void {
    const body = objectIn(payload);
    if (body === null) return;
    const version = typeof body['version'] === 'number' ? body['version'] : null;
    const own = body['clientToken'];
    const what = topic.slice(this.#prefix.length + 1);
    if (what === 'update/delta') this.#hearDelta(body, version);
    else if (what === 'update/accepted') {
      if (version !== null && version > (this.#version ?? 0)) this.#version = version;
      if (own === `UPDATE:${this.#options.thing}`) this.#done();
    } else if (what === 'update/rejected' && own === `UPDATE:${this.#options.thing}`) void this.#retry();
    else if (what.startsWith('get/') && own === `FETCH:${this.#options.thing}`) this.#hearFetch(what === 'get/accepted', body, version);
  }

  /** One that is older than what was seen is discarded without a word (F9). */
  #hearDelta(body: JsonObject, version: number | null): void {
    if (version !== null && this.#version !== null && version < this.#version) return;
    this.#version = version;
    if (isJsonObject(body['state'])) this.#options.delta(body['state']);
  }

  #hearFetch(accepted: boolean, body: JsonObject, version: number | null): void {
    if (!this.#fetching) return;
    this.#unanswered = 0;
    if (!accepted && body['code'] !== 404) {
      void this.#fetchAgain(FETCH_RETRY_MS);
      return;
    }
    this.#fetching = false;
    if (!accepted) {
      this.#options.nothing();
      return;
    }
    this.#version = version;
    const { state } = body;
    const { desired, reported } = isJsonObject(state) ? state : {};
    this.#options.fetched({ desired: isJsonObject(desired) ? desired : {}, reported: isJsonObject(reported) ? reported : {} });
  }

  #done(): void {
    this.#unanswered = 0;
    this.#inFlight = null;
    this.#sent += 1;
    const next = this.#queued;
    this.#queued = null;
    if (next !== null) this.report(next);
  }

  async #retry(): Promise<void> {
    const state = this.#inFlight;
    this.#unanswered = 0;
    this.#sent += 1;
    if ((await this.#life.pause(UPDATE_RETRY_MS)) && state !== null && this.#inFlight === state) await this.#sendUpdate(state, true);
  }
}

function joined(first: UpdateState, second: UpdateState): UpdateState {
  const empties = first.desired === null || second.desired === null;
  return { reported: mergePatches(first.reported, second.reported), ...(empties ? { desired: null } : {}) };
}
