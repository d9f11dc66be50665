import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { SimPorts } from '#ports/sim.ts';
import { hubPassword, type HubLogin } from '#shadows/hub-login.ts';
import { AGAIN_MS, MappedConnection } from '#shadows/mapped/sim-connection.ts';
import type { LinkListener, MappedLink } from '#shadows/mapped/sim.ts';
import { objectIn } from '#shadows/values.ts';

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
  readonly #connection: MappedConnection;
  #requests = 0;
  #asked: string | null = null;
  #desired: JsonObject = {};
  /** Of desired, as it is here; null before it was got on this connection. */
  #version: number | null = null;

  constructor(ports: SimPorts, listener: SimLinkOptions) {
    this.#ports = ports;
    this.#listener = listener;
    this.#connection = new MappedConnection(ports, {
      opens: () => this.#opens(),
      filters: ['$iothub/twin/res/#', `${DESIRED}#`],
      hear: (topic, payload) => this.#hear(topic, payload),
      stands: async () => {
        await listener.connected();
        await this.#get();
      },
    });
  }

  #opens() {
    const { thing, hub } = this.#listener;
    this.#version = null;
    const username = `${hub.hostName}/${thing}/?api-version=2021-04-12`;
    const password = hubPassword(hub, thing, this.#ports.clock.now());
    return { clientId: thing, keepAliveSeconds: 240, credentials: { cert: null, key: null, ca: null, username, password } };
  }

  open(): Promise<void> {
    return this.#connection.open();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async report(reported: JsonObject): Promise<void> {
    await this.#patch(JSON.stringify(reported));
  }

  async spoil(text: string | null): Promise<void> {
    await this.#patch(text ?? NONSENSE);
  }

  async #patch(body: string): Promise<void> {
    await this.#connection.publish(`$iothub/twin/PATCH/properties/reported/?$rid=${this.#rid()}`, body);
  }

  async #get(): Promise<void> {
    this.#asked = this.#rid();
    await this.#connection.publish(`$iothub/twin/GET/?$rid=${this.#asked}`, '');
  }

  #rid(): string {
    this.#requests += 1;
    return String(this.#requests);
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
