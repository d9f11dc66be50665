import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { SimPorts, SimWill } from '#ports/sim.ts';
import type { FaultSwitches } from './sim-faults.ts';
import { SimLink } from './sim-link.ts';
import { provision, type ClaimConfig } from './sim-provision.ts';
import type { CertificateStore, StoredCertificate } from './sim-store.ts';
import { diffValue, mergeValue, ServiceFile, type ServiceDefinition } from './sim-file.ts';

/** What its supervisor waits before it starts a process that has ended again: systemd's RestartSec, as units have it. */
const RESTART_MS = 5 * SECOND_MS;

/** A process that was refused a certificate, and one that has none, end after so long (§2.11). */
const REJECTED_MS = 30 * SECOND_MS;
const NO_CERTIFICATE_MS = 10 * SECOND_MS;

export interface SimDaemonOptions {
  readonly thing: string;
  readonly services: readonly ServiceDefinition[];
  readonly switches: FaultSwitches;
  readonly will?: SimWill | null;
  /** Its certificates; it connects by whatever its connection has when left out. */
  readonly identity?: SimCertificates | null;
  /** Told when the process ended by itself, and why: with code 1 (§2.11), or 0 once it is provisioned. */
  exited?(why: string): void;
  /** Told when the process has begun, with the certificate that it uses. */
  started?(): void;
}

/** What `--certs` and `--fleet-provisioning` of chariotd name (§2.8, §2.9). */
export interface SimCertificates {
  readonly store: CertificateStore;
  /** Null: it cannot provision itself. */
  readonly claim: ClaimConfig | null;
  /** A new certificate becomes the preferred one, and errors rotate: what chariotd means to do, and does not (§2.9). */
  readonly fixedRotation: boolean;
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
  #loaded: StoredCertificate | null = null;
  #provisioning = new AbortController();

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
      exited: (why) => void this.#startAgain(this.#rotated(why)),
      credentials: () => (this.#loaded === null ? null : { cert: this.#loaded.certificate, key: this.#loaded.key }),
      will: options.will ?? null,
    });
  }

  async start(): Promise<void> {
    this.#life += 1;
    this.#wedged = false;
    const { identity } = this.#options;
    this.#loaded = identity?.store.choose() ?? null;
    if (identity !== null && identity !== undefined && this.#loaded === null) {
      await this.#beginWithout(identity);
      return;
    }
    this.#options.started?.();
    await this.link.open();
  }

  stop(): Promise<void> {
    this.#life += 1;
    this.#provisioning.abort();
    return this.link.close();
  }

  /** The certificate that this process took when it began. */
  get loaded(): StoredCertificate | null {
    return this.#loaded;
  }

  /** Ends by SIGTERM, and its supervisor starts it again. */
  async restart(): Promise<void> {
    await this.#startAgain('restarted');
  }

  /** The command file `reprovision`: what runs goes on meanwhile, and the process ends with what came of it (§2.8). */
  async reprovision(): Promise<void> {
    const { identity, thing } = this.#options;
    if (identity?.claim == null) return;
    this.#provisioning.abort();
    this.#provisioning = new AbortController();
    const { signal } = this.#provisioning;
    const made = await provision(this.#ports, { ...identity.claim, clientId: thing }, signal);
    if (signal.aborted) return;
    if (made.ok) {
      identity.store.add(made.value.certificate);
      if (identity.fixedRotation) identity.store.preferNewest();
      await this.#startAgain('provisioned');
      return;
    }
    const life = this.#life;
    if (made.error.kind === 'rejected') await this.#ports.clock.sleep(REJECTED_MS, signal).catch(() => undefined);
    if (life === this.#life && !signal.aborted) await this.#startAgain(`not provisioned: ${made.error.why}`);
  }

  /** Provisions itself, or ends after a while (§2.11). */
  async #beginWithout({ claim }: SimCertificates): Promise<void> {
    if (claim !== null) {
      void this.reprovision();
      return;
    }
    const life = this.#life;
    await this.#ports.clock.sleep(NO_CERTIFICATE_MS);
    if (life === this.#life) void this.#startAgain('there is no certificate');
  }

  /** What too many errors come to with several certificates: a crash on a method that is not there, or a rotation (§2.9). */
  #rotated(why: string): string {
    const { identity } = this.#options;
    if (identity === null || identity === undefined || identity.store.all.length < 2) return why;
    if (!identity.fixedRotation) return `${why}; crashed in its own rotation`;
    identity.store.preferNext();
    return `${why}; goes on with another certificate`;
  }

  /** As its supervisor does. */
  async #startAgain(why: string): Promise<void> {
    this.#life += 1;
    const life = this.#life;
    this.#options.exited?.(why);
    this.#provisioning.abort();
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
