import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { patchAt } from '#model/shadow.ts';
import type { SimDevice, SimEffect, SimPorts } from '#ports/sim.ts';
import { hubPassword, WORLD_HUB, type HubLogin } from '#shadows/hub-login.ts';
import { SimLife } from '#shadows/sim-life.ts';
import type { Bundle } from './bundle.ts';
import type { CloudName } from './sim-backend.ts';
import { SimConfig } from './sim-config.ts';
import { FaultSwitches, MONGOOSE_FAULTS } from './sim-faults.ts';
import { SimFlash, type SimImage } from './sim-flash.ts';
import { SimLink } from './sim-link.ts';
import { configOf, downloadHeaders, shadowNews, statusNews, systemInfo, type Present } from './sim-info.ts';
import { makeMethods } from './sim-methods.ts';
import { SimRpc, type SimAccount } from './sim-rpc.ts';
import { SimShadow, type OtaNews } from './sim-shadow.ts';
import { SimUpdater } from './sim-update.ts';
import type { OtaGeneration } from './shadow-wire.ts';
import { firmwareText, onTrial } from './wire.ts';

/** The hardware: what it is, and what is on it. */
export interface MongooseSimOptions {
  /** `device.id`: its client, its thing, and the topic of its calls. */
  readonly id: string;
  readonly mac: string;
  /** Platform of its bundles, `esp32`. */
  readonly platform: string;
  readonly app: string;
  readonly firmware: SimImage;
  /** The microcontroller behind a communication module. */
  readonly host: SimHost | null;
  /** Where its shadow lies; AWS, or a broker that keeps shadows as AWS does, when left out. */
  readonly cloud?: CloudName;
  /** Of cloud `azure`; the hub of its world when left out. */
  readonly hub?: HubLogin;
  readonly generation: OtaGeneration;
  /** The commit window of updates over the shadow, in seconds, built into its firmware (§3.4, rule 1). */
  readonly commitTimeout: number;
  /** `shadow.autocommit`: it commits by itself once its shadow is connected. */
  readonly autocommit?: boolean;
  readonly account: SimAccount;
  /** Whether it asks callers for the account; by the fault wantsAuth alone when left out. */
  readonly asksWho?: boolean;
  /** Slots of signature keys, PEM, and `update.sig_req_mask`. */
  readonly keys: readonly (string | null)[];
  readonly signatureMask: number;
  /** What Sys.GetInfo says beside the usual: `ram_min_free` of a board in trouble. */
  readonly measures?: Readonly<Record<string, number>>;
  readonly timings?: Partial<Timings>;
}

export interface SimHost {
  readonly platform: string;
  readonly firmware: SimImage;
  /** Where its version is reported, null for nowhere: that is not known of real ones (§11.4). */
  readonly reported: string | null;
  readonly method: string | null;
}

interface Timings {
  readonly bootMs: number;
  readonly bytesPerSecond: number;
}

const TIMINGS: Timings = { bootMs: 3 * SECOND_MS, bytesPerSecond: 20_000 };
const RESTART_MS = 100;
/** After that a board that hangs before the end of its boot is reset. */
const WATCHDOG_SECONDS = 60;
const OTHER_MAC = '5ECFFFFFFFFF';

/** A board with Mongoose OS: two slots, its shadow, and its calls. */
export function makeMongooseDevice(options: MongooseSimOptions, ports: SimPorts): SimDevice {
  return new MongooseDevice(options, ports);
}

class MongooseDevice implements SimDevice {
  readonly id: string;
  readonly faults = MONGOOSE_FAULTS;
  readonly effects: SimEffect[] = [];
  powered = false;
  readonly #options: MongooseSimOptions;
  readonly #ports: SimPorts;
  readonly #timings: Timings;
  readonly #switches = new FaultSwitches();
  readonly #flash: SimFlash;
  readonly #config: SimConfig;
  readonly #updater: SimUpdater;
  readonly #shadow: SimShadow;
  readonly #rpc: SimRpc;
  readonly #link: SimLink;
  readonly #life: SimLife;
  /** What runs in truth, where that is not what it says. */
  #really: SimImage | null = null;
  #restartAt: number | null = null;
  #bootedAt = 0;

  constructor(options: MongooseSimOptions, ports: SimPorts) {
    this.id = options.id;
    this.#options = options;
    this.#ports = ports;
    this.#life = new SimLife(ports.clock);
    this.#timings = { ...TIMINGS, ...options.timings };
    this.#flash = new SimFlash(options.firmware, options.host?.firmware ?? null);
    this.#config = new SimConfig(configOf(options));
    if (options.asksWho === true) this.#switches.set('wantsAuth', true);
    this.#updater = this.#makeUpdater();
    this.#shadow = this.#makeShadow();
    this.#rpc = this.#makeRpc();
    this.#link = new SimLink(ports, {
      clientId: options.id,
      username: this.#shadow.username,
      password: () => hubPassword(options.hub ?? WORLD_HUB, options.id, ports.clock.now()),
      subscriptions: () => this.#subscriptions(),
      connected: () => this.#connected(),
      hear: (topic, payload) => this.#hear(topic, payload),
      mayPublish: () => !this.#switches.on('mute'),
    });
  }

  async powerOn(): Promise<void> {
    if (this.powered || this.#switches.text('brick', '') === 'dead') return;
    this.powered = true;
    await this.#start();
  }

  async powerOff(): Promise<void> {
    this.powered = false;
    await this.#stop();
  }

  fault(name: string, value: Json): void {
    this.#switches.set(name, value);
    if (name === 'wrongIdentity' && this.#link.standing && this.#hasShadow()) void this.#shadow.report(this.#shadowInfo());
  }

  /** In a trial nothing is there for good: that is no version that anybody declares. */
  truth(): Readonly<Record<string, string>> {
    const running = firmwareText(this.#really ?? this.#flash.running);
    const { host } = this.#flash;
    return {
      firmware: this.#flash.isCommitted ? running : onTrial(running),
      ...(host === null ? {} : { 'firmware.host': firmwareText(host) }),
    };
  }

  #note(kind: string, detail: string): void {
    this.effects.push({ at: this.#ports.clock.now(), kind, detail });
  }

  /** False where somebody else switched it off or on meanwhile. */
  async #stop(): Promise<boolean> {
    const life = this.#life.next();
    this.#restartAt = null;
    this.#updater.reset();
    await this.#link.close();
    return !life.aborted;
  }

  async #start(): Promise<void> {
    this.#life.next();
    this.#bootedAt = this.#ports.clock.now();
    this.#config.load();
    this.#updater.reset();
    const how = this.#flash.start();
    const { version } = this.#flash.running;
    if (how === 'reverted') {
      this.#really = null;
      this.#note('rollback', version);
    }
    if (how === 'trial' && !this.#beginTrial()) return;
    await this.#link.open();
  }

  /** False where it does not get as far as its network. */
  #beginTrial(): boolean {
    const window = this.#flash.commitTimeout;
    if (this.#switches.on('bootsBack')) {
      this.#restart(SECOND_MS);
      return false;
    }
    if (this.#switches.on('hang')) {
      this.#restart((window === 0 ? WATCHDOG_SECONDS : window) * SECOND_MS);
      return false;
    }
    if (window === 0) this.#commit();
    else this.#arm();
    if (this.#switches.on('crash')) this.#restart(this.#switches.number('crash', 20) * SECOND_MS);
    if (this.#switches.on('powerloss')) void this.#losePower();
    return true;
  }

  #arm(): void {
    void this.#watchTrial(this.#flash.commitTimeout * SECOND_MS);
  }

  async #watchTrial(ms: number): Promise<void> {
    if ((await this.#life.pause(ms)) && !this.#flash.isCommitted) this.#restart(0);
  }

  async #losePower(): Promise<void> {
    if (!(await this.#life.pause(20 * SECOND_MS))) return;
    const darkMs = this.#switches.number('powerloss', 2) * MINUTE_MS;
    if ((await this.#stop()) && (await this.#life.pause(darkMs))) await this.#start();
  }

  #restart(delayMs: number): void {
    const at = this.#ports.clock.now() + delayMs;
    if (this.#restartAt !== null && this.#restartAt <= at) return;
    this.#restartAt = at;
    void this.#restartLater(at, delayMs);
  }

  async #restartLater(at: number, delayMs: number): Promise<void> {
    if (!(await this.#life.pause(delayMs)) || this.#restartAt !== at || !(await this.#stop())) return;
    this.#note('reboot', this.#flash.running.version);
    if (this.#switches.on('brick')) {
      this.#switches.set('brick', 'dead');
      this.powered = false;
      return;
    }
    if (await this.#life.pause(this.#timings.bootMs * this.#switches.number('slow', 1))) await this.#start();
  }

  #commit(): boolean {
    if (this.#switches.on('neverCommits') || !this.#flash.commit()) return false;
    this.#note('commit', this.#flash.running.version);
    if (this.#link.standing && this.#hasShadow()) void this.#shadow.report({ fields: { is_committed: true, commit_timeout: 0 } });
    return true;
  }

  async #connected(): Promise<void> {
    if (!this.#hasShadow()) return;
    await this.#shadow.connected();
    const { host, reported } = { host: this.#flash.host, reported: this.#options.host?.reported ?? null };
    if (host !== null && reported !== null)
      await this.#shadow.reportBeside(patchAt(reported, { fw_version: host.version, fw_id: host.buildId }));
    if (this.#switches.on('autocommit') || this.#config.isOn('shadow.autocommit')) this.#commit();
  }

  /** At a hub calls are direct methods, whose topics come with those of the twin. */
  #subscriptions(): readonly (readonly string[])[] {
    const calls = this.#hasRpc() && this.#options.cloud !== 'azure' ? [this.#rpc.filters] : [];
    return [...(this.#hasShadow() ? [this.#shadow.filters] : []), ...calls];
  }

  #hasShadow(): boolean {
    return !this.#switches.on('rpcOnly');
  }

  #hasRpc(): boolean {
    return !this.#switches.on('silentToRpc');
  }

  #hear(topic: string, payload: Uint8Array): void {
    if (this.#hasShadow() && this.#shadow.hear(topic, payload)) return;
    if (this.#hasRpc() && !this.#rpc.hearDirect(topic, payload)) this.#rpc.hear(topic, payload);
  }

  #mac(): string {
    return this.#switches.on('wrongIdentity') ? this.#switches.text('wrongIdentity', OTHER_MAC) : this.#options.mac;
  }

  #platform(): string {
    return this.#switches.on('wrongPlatform') ? this.#switches.text('wrongPlatform', 'stm32') : this.#options.platform;
  }

  #makeUpdater(): SimUpdater {
    const { keys, host } = this.#options;
    return new SimUpdater({
      ports: this.#ports,
      switches: this.#switches,
      bytesPerSecond: this.#timings.bytesPerSecond,
      keys,
      signatureMask: () => this.#config.number('update.sig_req_mask', -1),
      timeoutMs: () => this.#config.number('update.timeout', 600) * SECOND_MS,
      platforms: () => [this.#platform(), ...(host === null ? [] : [host.platform])],
      headers: () => downloadHeaders(this.#options, this.#present()),
      mayBegin: () => this.#flash.isCommitted,
      asked: (url) => this.#note('download', url),
      progressed: () => void this.#reportStatus(),
      apply: (bundle, commitTimeout) => this.#apply(bundle, commitTimeout),
    });
  }

  #makeShadow(): SimShadow {
    return new SimShadow({
      thing: this.#options.id,
      cloud: this.#options.cloud ?? 'aws',
      hostName: (this.#options.hub ?? WORLD_HUB).hostName,
      generation: this.#options.generation,
      flash: this.#flash,
      switches: this.#switches,
      getOnConnect: () => this.#config.isOn('shadow.get_on_connect'),
      otaEnabled: () => this.#config.isOn('shadow.ota_enable'),
      publish: (topic, text, qos) => this.#link.publish(topic, text, qos),
      info: () => this.#shadowInfo(),
      begin: (url) => void this.#update(url),
    });
  }

  async #update(url: string): Promise<void> {
    const end = await this.#updater.pull(url, this.#options.commitTimeout);
    if (end !== null && end.code >= 0 && this.#switches.on('urlAfterSuccess')) await this.#shadow.reportUrl();
  }

  #makeRpc(): SimRpc {
    const methods = makeMethods({
      switches: this.#switches,
      flash: this.#flash,
      config: this.#config,
      updater: this.#updater,
      info: () => systemInfo(this.#options, this.#present()),
      hostMethod: this.#options.host?.method ?? null,
      commit: () => this.#commit(),
      restart: (delayMs) => this.#restart(delayMs),
      arm: () => this.#arm(),
    });
    return new SimRpc({
      id: this.#options.id,
      methods,
      switches: this.#switches,
      account: this.#options.account,
      now: () => this.#ports.clock.now(),
      restarts: () => this.#restartAt !== null && this.#ports.clock.now() >= this.#restartAt - RESTART_MS,
      publish: (topic, text) => this.#link.publish(topic, text),
      loses: (method) => this.#loses(method),
    });
  }

  #loses(method: string): boolean {
    const named = this.#switches.text('replyLost', '');
    return named === '' ? this.#switches.strikes('replyLost') : named === method;
  }

  /** Writes what was verified, and starts again. */
  #apply({ manifest }: Bundle, commitTimeout: number): void {
    const version = this.#switches.on('wrongVersion') ? this.#switches.text('wrongVersion', '9.9.9') : manifest.version;
    const image = { version, buildId: manifest.buildId };
    const { host } = this.#options;
    const isForHost = host !== null && manifest.platform.toLowerCase() === host.platform.toLowerCase();
    if (host !== null && (isForHost || manifest.parts.some(({ type }) => type === 'STM32'))) {
      this.#note('host', version);
      this.#flash.host = image;
    }
    if (!isForHost) {
      if (this.#switches.on('echo')) this.#really = this.#flash.running;
      this.#note('flash', version);
      this.#flash.install(image, commitTimeout);
    }
    this.#restart(RESTART_MS);
  }

  async #reportStatus(): Promise<void> {
    if (this.#hasShadow()) await this.#shadow.report(statusNews(this.#updater, this.#flash));
  }

  #present(): Present {
    const uptimeMs = this.#ports.clock.now() - this.#bootedAt;
    return { image: this.#flash.running, mac: this.#mac(), platform: this.#platform(), uptimeMs };
  }

  #shadowInfo(): OtaNews {
    return shadowNews(this.#options, { present: this.#present(), updater: this.#updater, flash: this.#flash });
  }
}
