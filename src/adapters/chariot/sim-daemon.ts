import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { SimPorts } from '#ports/sim.ts';
import type { FaultSwitches } from './sim-faults.ts';
import { SimLink } from './sim-link.ts';
import { diffValue, mergeValue, ServiceFile, type ServiceDefinition } from './sim-file.ts';

/** What its supervisor waits before it starts a process that has ended again: systemd's RestartSec, as units have it. */
const RESTART_MS = 5 * SECOND_MS;

export interface SimDaemonOptions {
  readonly thing: string;
  readonly services: readonly ServiceDefinition[];
  readonly switches: FaultSwitches;
  /** Told when the process ended by itself, with code 1, and why (§2.11). */
  exited?(why: string): void;
}

/** chariotd as docs/protocols/shadow-devices.md §2.4 has it: services, their files, and what it reports of each event. */
export class SimDaemon {
  readonly files = new Map<string, ServiceFile>();
  readonly #services = new Map<string, ServiceDefinition>();
  readonly #switches: FaultSwitches;
  readonly link: SimLink;
  readonly #ports: SimPorts;
  readonly #options: SimDaemonOptions;
  #wedged = false;
  #life = 0;

  constructor(ports: SimPorts, options: SimDaemonOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#switches = options.switches;
    for (const service of options.services) {
      this.#services.set(service.key, service);
      this.files.set(service.key, new ServiceFile(service));
    }
    this.link = new SimLink(ports, {
      thing: options.thing,
      fetched: (state) => this.#fetched(state),
      nothing: () => this.#nothing(),
      delta: (state) => this.#delta(state),
      mayReport: () => !this.#wedged && !this.#switches.on('mute'),
      connected: () => (this.#wedged = false),
      exited: (why) => void this.#startAgain(why),
    });
  }

  async start(): Promise<void> {
    this.#life += 1;
    this.#wedged = false;
    await this.link.open();
  }

  stop(): Promise<void> {
    this.#life += 1;
    return this.link.close();
  }

  /** As its supervisor does. */
  async #startAgain(why: string): Promise<void> {
    const life = this.#life;
    this.#options.exited?.(why);
    await this.link.close();
    await this.#ports.clock.sleep(RESTART_MS);
    if (life === this.#life) await this.start();
  }

  valueOf(key: string): Json | undefined {
    return this.files.get(key)?.read();
  }

  /** A local update file: merged into the file and reported; `desired` is not touched. */
  post(key: string, value: JsonObject): void {
    const file = this.files.get(key);
    if (file === undefined) return;
    const before = file.read();
    const merged = mergeValue(before, value);
    file.write(merged);
    const changed = diffValue(before ?? {}, merged);
    if (changed !== undefined) this.link.report({ reported: { [key]: changed } });
  }

  #known(): readonly ServiceDefinition[] {
    return [...this.#services.values()].filter(({ key }) => !this.#switches.about('unknownService', key));
  }

  #fetched({ desired, reported }: { readonly desired: JsonObject; readonly reported: JsonObject }): void {
    const planned: Record<string, Json> = {};
    let erases = false;
    for (const service of this.#known()) {
      const { key } = service;
      if (service.ephemeral) {
        // What came while it was away is never carried out (F7).
        erases ||= desired[key] !== undefined;
        continue;
      }
      const held = this.valueOf(key) ?? {};
      const stale = diffValue(reported[key], held);
      if (stale !== undefined) planned[key] = stale;
      const wanted = desired[key];
      // What is new takes the place of what is stale (F6).
      const news = wanted === undefined ? undefined : this.#apply(service, wanted);
      if (news !== undefined) planned[key] = news;
    }
    if (erases || Object.keys(planned).length > 0) this.link.report({ reported: planned, desired: null });
  }

  /** Whatever came of it, the mailbox is emptied: of keys that are unknown and refused, too (F1, F2). */
  #delta(state: JsonObject): void {
    if (this.#switches.on('loseDelta')) {
      const left = this.#switches.number('loseDelta', 1) - 1;
      this.#switches.set('loseDelta', left > 0 ? left : false);
      return;
    }
    const planned: Record<string, Json> = {};
    for (const service of this.#known()) {
      const wanted = state[service.key];
      const news = wanted === undefined ? undefined : this.#apply(service, wanted);
      if (news !== undefined) planned[service.key] = news;
    }
    // A delta that meets a get is written and never reported (F5).
    if (this.#switches.on('wedge') || this.link.fetching) {
      this.#switches.off('wedge');
      this.#wedged = true;
    }
    const lost = this.#switches.on('livelock') && Object.keys(planned).length > 0;
    if (lost) this.#switches.off('livelock');
    this.link.report({ reported: lost ? {} : planned, desired: null });
  }

  #nothing(): void {
    this.link.report(
      { reported: Object.fromEntries([...this.files].flatMap(([key, file]) => (file.text === null ? [] : [[key, file.read()]]))) },
      false,
    );
  }

  /** Merges, validates, writes and notifies; what is to be reported of it, undefined for nothing. */
  #apply(service: ServiceDefinition, wanted: Json): Json | undefined {
    const { key } = service;
    const file = this.files.get(key);
    if (service.ephemeral) {
      service.notify(wanted);
      return undefined;
    }
    if (file === undefined || this.#switches.about('reject', key)) return undefined;
    const before = file.read();
    const merged = mergeValue(before, wanted);
    const valid = merged === undefined ? undefined : service.validate(merged);
    const changed = diffValue(before ?? {}, valid);
    if (changed === undefined) return undefined;
    try {
      file.write(valid);
    } finally {
      service.notify(isJsonObject(valid) || typeof valid === 'string' ? valid : {});
    }
    return changed;
  }
}
