import type { Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, mergePatches, patchAt, type JsonObject } from '#model/shadow.ts';
import type { SimDevice, SimEffect, SimPorts, SimWill } from '#ports/sim.ts';
import { simDownload, urlNoted } from '#shadows/sim-download.ts';
import { SimLife } from '#shadows/sim-life.ts';
import { ownKeys, type ChariotOptions } from './options.ts';
import { gatewayIdentity, instantText, type IdentityKey } from './identity.ts';
import { SimDaemon, type SimCertificates } from './sim-daemon.ts';
import type { ClaimConfig } from './sim-provision.ts';
import { CertificateStore, type StoredCertificate } from './sim-store.ts';
import { CHARIOT_FAULTS, FaultSwitches } from './sim-faults.ts';
import type { ServiceDefinition } from './sim-file.ts';
import { documentValue, without } from './wire.ts';

/** The hardware: its services, and what is on it. */
export interface ChariotSimOptions {
  /** The thing. */
  readonly id: string;
  readonly services: ChariotOptions;
  readonly serial: string | null;
  readonly model: string;
  readonly firmware: string | null;
  readonly program: string | null;
  /** What the file of its config holds; null for no file. */
  readonly config: Json | null;
  readonly measures: Readonly<Record<string, Json>>;
  /** Its certificate store; left out, it connects by whatever its connection has. */
  readonly identity?: SimIdentity | null;
  readonly will?: SimWill | null;
  readonly timings?: Partial<Timings>;
}

/** The certificates of a gateway, and the names under which its agent speaks of them. */
export interface SimIdentity {
  readonly key: IdentityKey;
  readonly certificates: readonly StoredCertificate[];
  readonly claim: ClaimConfig | null;
  readonly fixedRotation: boolean;
}

interface Timings {
  /** An installation; what a changed config takes; how often it posts how it is. */
  readonly installMs: number;
  readonly applyMs: number;
  readonly reportMs: number;
}

const TIMINGS: Timings = { installMs: 20 * SECOND_MS, applyMs: 2 * SECOND_MS, reportMs: 10 * MINUTE_MS };
const REBOOT_MS = 5 * SECOND_MS;

type Installed = 'firmware' | 'program';

/** A Linux gateway: chariotd, and the programs that its notify commands start. */
export function makeChariotDevice(options: ChariotSimOptions, ports: SimPorts): SimDevice {
  return new ChariotDevice(options, ports);
}

class ChariotDevice implements SimDevice {
  readonly id: string;
  readonly faults = CHARIOT_FAULTS;
  readonly effects: SimEffect[] = [];
  powered = false;
  readonly #options: ChariotSimOptions;
  readonly #ports: SimPorts;
  readonly #timings: Timings;
  readonly #switches = new FaultSwitches();
  readonly #daemon: SimDaemon;
  readonly #certificates: SimCertificates | null;
  readonly #life: SimLife;
  readonly #running: Record<Installed, string | null>;
  /** What the program reads: the file as it was when its notify command last succeeded. */
  #obeyed: Json | undefined;
  readonly #jobs = new Map<string, number>();
  #lastOrder: Json | undefined;
  #posts = 0;

  constructor(options: ChariotSimOptions, ports: SimPorts) {
    this.id = options.id;
    this.#options = options;
    this.#ports = ports;
    this.#life = new SimLife(ports.clock);
    this.#timings = { ...TIMINGS, ...options.timings };
    this.#running = { firmware: options.firmware, program: options.program };
    const { identity = null } = options;
    this.#certificates = identity === null ? null : { ...identity, store: new CertificateStore(identity.certificates) };
    this.#daemon = new SimDaemon(ports, {
      thing: options.id,
      services: this.#definitions(),
      switches: this.#switches,
      exited: (why) => this.#note('exit', why),
      will: options.will ?? null,
      identity: this.#certificates,
      started: () => void this.#tellCertificates(),
    });
    this.#fill();
  }

  async powerOn(): Promise<void> {
    if (this.powered || this.#switches.text('brick', '') === 'dead') return;
    this.powered = true;
    await this.#boot();
  }

  async powerOff(): Promise<void> {
    this.powered = false;
    this.#life.end();
    await this.#daemon.stop();
  }

  fault(name: string, value: Json): void {
    const fault = this.#switches.set(name, value);
    if (this.powered && (fault === 'wrongSerial' || fault === 'garbage')) this.#postStatus();
  }

  truth(): Readonly<Record<string, string>> {
    const { config } = this.#options.services;
    const { firmware, program } = this.#running;
    return {
      ...(firmware === null ? {} : { firmware }),
      ...(program === null ? {} : { program }),
      config: documentValue(without(this.#obeyed, ownKeys(config))),
      ...(this.#certificates === null ? {} : { identity: this.#connectsBy() }),
    };
  }

  /** The certificate by which it connects, whatever it says. */
  truthOf(item: string, facts: Json): string | undefined {
    const identity = item === 'identity' ? gatewayIdentity(facts) : null;
    if (identity === null) return undefined;
    const issuedAt = this.#daemon.loaded?.issuedAt ?? null;
    return issuedAt !== null && issuedAt >= identity.use.issuedAfter ? identity.value : this.#connectsBy();
  }

  #connectsBy(): string {
    const { loaded } = this.#daemon;
    return loaded === null ? 'none' : `issued ${instantText(loaded.issuedAt)}`;
  }

  #note(kind: string, detail: string): void {
    this.effects.push({ at: this.#ports.clock.now(), kind, detail });
  }

  #definitions(): readonly ServiceDefinition[] {
    const { services } = this.#options;
    const plain = { ephemeral: false, outkeys: () => null, validate: (value: Json) => value };
    const installed = (['firmware', 'program'] as const).map((item): ServiceDefinition => ({
      ...plain,
      key: services[item].key,
      format: services[item].format,
      // `running` is then no part of the file and goes with each fetch (F10).
      outkeys: () => (this.#switches.about('outkeys', services[item].key) ? services[item].write.map(([name]) => name) : null),
      validate: (value) => this.#clamped(services[item].key, value),
      notify: (value) => void this.#install(item, value),
    }));
    const { config, agent } = services;
    const configured: ServiceDefinition = {
      ...plain,
      key: config.key,
      format: config.format,
      validate: (value) => this.#clamped(config.key, value),
      notify: () => void this.#configure(),
    };
    const told: ServiceDefinition[] =
      agent === null
        ? []
        : [{ ...plain, key: agent, format: 'JSON' as const, ephemeral: true, notify: (value: Json) => void this.#obey(value) }];
    const { identity = null } = this.#options;
    if (identity !== null) told.push({ ...plain, key: identity.key.key, format: 'JSON', notify: () => undefined });
    const status: readonly ServiceDefinition[] = this.#statusKeys().map((key) => ({
      ...plain,
      key,
      format: 'JSON',
      notify: () => undefined,
    }));
    return [...installed, configured, ...told, ...status];
  }

  /** Keys of services in which the device only posts how it is. */
  #statusKeys(): readonly string[] {
    const { firmware, program, config } = this.#options.services;
    const taken = new Set([firmware.key, program.key, config.key]);
    return Object.keys(this.#status()).filter((key) => !taken.has(key));
  }

  #status(): JsonObject {
    const { services, serial, model, measures } = this.#options;
    const parts: JsonObject[] = [{ monitor: { posts: this.#posts } }];
    const say = (pointer: string | null | undefined, value: Json | null): void => {
      if (typeof pointer === 'string' && value !== null) parts.push(patchAt(pointer, value));
    };
    say(services.serial, this.#switches.on('wrongSerial') ? this.#switches.text('wrongSerial', '0000') : serial);
    say(services.model, model);
    for (const [name, pointer] of services.measures) say(pointer, measures[name] ?? null);
    return parts.reduce((all, part) => mergePatches(all, part));
  }

  /** What the factory left on its disk. */
  #fill(): void {
    const { services, config } = this.#options;
    for (const item of ['firmware', 'program'] as const) {
      const running = this.#running[item];
      if (running !== null)
        this.#daemon.files.get(services[item].key)?.write({ [services[item].running]: running, [services[item].state]: 'ok' });
    }
    if (config === null) return;
    const own = services.config.running;
    const value = documentValue(config);
    const whole = own !== null && isJsonObject(config) ? { ...config, [services.config.want]: value, [own]: value } : config;
    this.#daemon.files.get(services.config.key)?.write(whole);
    this.#obeyed = config;
  }

  async #boot(): Promise<void> {
    void this.#postNowAndThen(this.#life.next());
    await this.#daemon.start();
  }

  async #postNowAndThen(life: AbortSignal): Promise<void> {
    await this.#life.pause(SECOND_MS, life);
    while (!life.aborted) {
      this.#postStatus();
      await this.#life.pause(this.#timings.reportMs, life);
    }
  }

  #postStatus(): void {
    if (this.#switches.on('garbage')) {
      void this.#daemon.link.publish(this.#switches.text('garbage', '{"state":{"reported":{"firmware":[1,2],"config":7}}}'));
      return;
    }
    this.#posts += 1;
    for (const [key, value] of Object.entries(this.#status())) if (isJsonObject(value)) this.#daemon.post(key, value);
  }

  /** `validate` that takes another value than it was given (F3): every text of the service becomes that of the fault. */
  #clamped(key: string, value: Json): Json {
    if (!this.#switches.on('clamp') || !isJsonObject(value)) return value;
    const { firmware, program } = this.#options.services;
    const limit = this.#switches.number('clamp', 1);
    const isInstalled = key === firmware.key || key === program.key;
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => {
        if (isInstalled) return [name, name === 'want' ? '0.0.0' : (member ?? null)];
        return [name, typeof member === 'number' && member > limit ? limit : (member ?? null)];
      }),
    );
  }

  /** The agent's notify command: an order, or without one a nudge. One that it does not know is passed over without a word. */
  async #obey(value: Json): Promise<void> {
    const { order, nonce } = isJsonObject(value) ? value : {};
    if (order === undefined) return await this.#refetch();
    const { identity = null } = this.#options;
    if (identity === null || (order !== 'reprovision' && order !== 'switch')) return;
    // A delta may come twice: an order that was taken is not taken again.
    if (this.#lastOrder === nonce) return;
    this.#lastOrder = nonce;
    this.#note('order', order);
    const life = this.#life.now;
    if (!(await this.#life.pause(SECOND_MS))) return;
    this.#daemon.post(identity.key.key, { [identity.key.order]: nonce ?? null });
    if (!(await this.#life.pause(SECOND_MS, life))) return;
    if (order === 'reprovision') return await this.#daemon.reprovision();
    if (!this.#switches.on('keepsCertificate')) this.#certificates?.store.preferNewest();
    await this.#daemon.restart();
  }

  /** The agent posts what lies in the store each time chariotd has begun. */
  async #tellCertificates(): Promise<void> {
    const { identity = null } = this.#options;
    const { loaded } = this.#daemon;
    if (identity === null || loaded === null) return;
    if (!(await this.#life.pause(2 * SECOND_MS)) || this.#daemon.loaded !== loaded) return;
    const all = this.#certificates?.store.all ?? [];
    const shown = this.#switches.on('boastsCertificate') ? (all.at(-1) ?? loaded) : loaded;
    const held = Object.fromEntries(all.map(({ id, issuedAt }) => [id, instantText(issuedAt)]));
    const { key, active, issued, held: names } = identity.key;
    this.#daemon.post(key, { [active]: shown.id, [issued]: instantText(shown.issuedAt), [names]: held });
  }

  /** Fetch again, and post what runs once more. */
  async #refetch(): Promise<void> {
    const life = this.#life.now;
    this.#note('refetch', '');
    if (!(await this.#life.pause(SECOND_MS))) return;
    await this.#daemon.link.refetch();
    if (!(await this.#life.pause(SECOND_MS, life))) return;
    for (const item of ['firmware', 'program'] as const) {
      const running = this.#running[item];
      const { key, running: name } = this.#options.services[item];
      if (running !== null && !this.#switches.about('unknownService', key)) this.#daemon.post(key, { [name]: running });
    }
  }

  async #configure(): Promise<void> {
    const { config } = this.#options.services;
    if (this.#switches.about('notifyFails', config.key)) return;
    if (!(await this.#life.pause(this.#timings.applyMs * this.#switches.number('slow', 1)))) return;
    const value = this.#daemon.valueOf(config.key);
    this.#note('config', documentValue(without(value, ownKeys(config))));
    if (!this.#switches.on('echo')) this.#obeyed = value;
    const want = isJsonObject(value) ? value[config.want] : undefined;
    if (config.running !== null && want !== undefined) this.#daemon.post(config.key, { [config.running]: want });
  }

  /** The newest that the file names wins; what was begun before it ends without a word. */
  async #install(item: Installed, value: Json): Promise<void> {
    const { key, state, running } = this.#options.services[item];
    const order = isJsonObject(value) ? value : {};
    const want = order['want'];
    if (typeof want !== 'string' || this.#switches.about('notifyFails', key)) return;
    const job = (this.#jobs.get(key) ?? 0) + 1;
    this.#jobs.set(key, job);
    const life = this.#life.now;
    const over = (): boolean => life.aborted || this.#jobs.get(key) !== job;
    const bytes = typeof order['url'] === 'string' ? await this.#download(order['url']) : new Uint8Array();
    if (over()) return;
    this.#daemon.post(key, { [state]: 'installing' });
    await this.#life.pause(this.#timings.installMs * this.#switches.number('slow', 1));
    if (over()) return;
    const { sha256: digest } = order;
    const broken = bytes === null || (typeof digest === 'string' && typeof order['url'] === 'string' && sha256(bytes) !== digest);
    if (broken || this.#switches.on('installFails')) {
      this.#daemon.post(key, { [state]: 'failed' });
      return;
    }
    if (this.#switches.on('echo')) {
      this.#daemon.post(key, { [running]: want, [state]: 'ok' });
      return;
    }
    await this.#put(item, this.#switches.on('wrongVersion') ? this.#switches.text('wrongVersion', '9.9.9') : want);
  }

  async #download(url: string): Promise<Uint8Array | null> {
    this.#note('download', urlNoted(url));
    return await simDownload(this.#ports, url);
  }

  async #put(item: Installed, version: string): Promise<void> {
    const { key, state, running } = this.#options.services[item];
    const old = this.#running[item];
    this.#note(item === 'firmware' ? 'flash' : 'program', version);
    this.#running[item] = version;
    if (item === 'firmware' && !(await this.#reboot())) return;
    if (this.#switches.on('rollBack') && old !== null) {
      this.#note(item === 'firmware' ? 'flash' : 'program', old);
      this.#running[item] = old;
    }
    if (await this.#life.pause(2 * SECOND_MS))
      this.#daemon.post(key, { [running]: this.#running[item] ?? '', [state]: this.#switches.on('rollBack') ? 'rolled-back' : 'ok' });
  }

  /** False when it never comes back. */
  async #reboot(): Promise<boolean> {
    this.#note('reboot', this.#running.firmware ?? '');
    const life = this.#life.next();
    await this.#daemon.stop();
    if (this.#switches.on('brick')) {
      this.#switches.set('brick', 'dead');
      this.powered = false;
      return false;
    }
    if (!(await this.#life.pause(REBOOT_MS, life))) return false;
    await this.#boot();
    return true;
  }
}
