import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { SimConnection, SimPorts } from '#ports/sim.ts';
import { hubPassword, type HubLogin } from '#shadows/hub-login.ts';
import type { LinkListener, MappedLink } from '#shadows/mapped/sim.ts';
import { objectIn } from '#shadows/values.ts';

/** A device connects again after so long, and asks again for a twin that the hub did not give. */
const AGAIN_MS = 10 * SECOND_MS;
/** Reports of other types than the usual mappings expect. */
const NONSENSE = '{"fw":[1,2],"cfg":7,"config":7}';
const ANSWER = /^\$iothub\/twin\/res\/(\d+)\/\?\$rid=([^&]*)/;
const DESIRED = '$iothub/twin/PATCH/properties/desired/';

interface SimLinkOptions extends LinkListener {
  readonly hub: HubLogin;
}

/**
 * The twin client of a simulated device: it listens, gets the whole twin, and drops what it was told with a version that is
 * no newer (docs/protocols/shadow-devices.md §8). A version that was skipped makes it get the whole again.
 */
export class SimLink implements MappedLink {
  readonly #ports: SimPorts;
  readonly #listener: SimLinkOptions;
  #connection: SimConnection | null = null;
  #wanted = false;
  #requests = 0;
  #asked: string | null = null;
  #desired: JsonObject = {};
  /** Of desired, as it is here; null before it was got on this connection. */
  #version: number | null = null;

  constructor(ports: SimPorts, listener: SimLinkOptions) {
    this.#ports = ports;
    this.#listener = listener;
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

  async report(reported: JsonObject): Promise<void> {
    await this.#patch(JSON.stringify(reported));
  }

  async spoil(text: string | null): Promise<void> {
    await this.#patch(text ?? NONSENSE);
  }

  async #patch(body: string): Promise<void> {
    await this.#publish(`$iothub/twin/PATCH/properties/reported/?$rid=${this.#rid()}`, body);
  }

  async #get(): Promise<void> {
    this.#asked = this.#rid();
    await this.#publish(`$iothub/twin/GET/?$rid=${this.#asked}`, '');
  }

  #rid(): string {
    this.#requests += 1;
    return String(this.#requests);
  }

  async #publish(topic: string, body: string): Promise<void> {
    await this.#connection?.bus.publish(topic, new TextEncoder().encode(body), { qos: 1 }).catch(() => undefined);
  }

  async #connect(): Promise<void> {
    try {
      const { thing, hub } = this.#listener;
      const username = `${hub.hostName}/${thing}/?api-version=2021-04-12`;
      const password = hubPassword(hub, thing, this.#ports.clock.now());
      const credentials = { cert: null, key: null, ca: null, username, password };
      const connection = await this.#ports.connect({ clientId: thing, clean: true, keepAliveSeconds: 240, will: null, credentials });
      if (!this.#wanted) {
        await connection.drop();
        return;
      }
      this.#connection = connection;
      this.#version = null;
      connection.onLost(() => void this.#again(connection));
      connection.bus.listen(({ topic, payload }) => this.#hear(topic, payload));
      await connection.bus.subscribe(['$iothub/twin/res/#', `${DESIRED}#`], 1);
      await this.#listener.connected();
      await this.#get();
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

  #hear(topic: string, payload: Uint8Array): void {
    const [, status, rid] = ANSWER.exec(topic) ?? [];
    if (rid !== undefined) {
      if (rid === this.#asked) this.#got(Number(status), payload);
      return;
    }
    if (topic.startsWith(DESIRED)) this.#changed(objectIn(payload));
  }

  #got(status: number, payload: Uint8Array): void {
    const desired = objectIn(payload)?.['desired'];
    const version = isJsonObject(desired) ? desired['$version'] : undefined;
    if (status !== 200 || !isJsonObject(desired) || typeof version !== 'number') {
      void this.#askAgain();
      return;
    }
    this.#version = version;
    this.#desired = desired;
    this.#tell();
  }

  async #askAgain(): Promise<void> {
    const asked = this.#asked;
    await this.#ports.clock.sleep(AGAIN_MS);
    if (asked === this.#asked) await this.#get();
  }

  #changed(patch: JsonObject | null): void {
    const version = patch?.['$version'];
    if (patch === null || typeof version !== 'number' || this.#version === null || version <= this.#version) return;
    if (version > this.#version + 1) {
      void this.#get();
      return;
    }
    this.#version = version;
    this.#desired = merged(this.#desired, patch);
    this.#tell();
  }

  #tell(): void {
    const { $version: _version, ...desired } = this.#desired;
    this.#listener.told(desired);
  }
}

/** Key by key; null removes. */
function merged(state: JsonObject, patch: JsonObject): JsonObject {
  const next: Record<string, Json | undefined> = { ...state };
  for (const [key, member] of Object.entries(patch)) {
    const before = Object.hasOwn(next, key) ? next[key] : undefined;
    if (member === null) delete next[key];
    else next[key] = isJsonObject(member) ? merged(isJsonObject(before) ? before : {}, member) : member;
  }
  return next;
}
