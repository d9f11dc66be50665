import { X509Certificate } from 'node:crypto';
import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { SimConnection, SimDevice, SimEffect, SimPorts } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { sha256 } from '#kit/digest.ts';
import { DEFAULT_TIMINGS, type CampbellTimings, type Downloaded, type LoggerBody, type RestartWork } from './sim-body.ts';
import { FaultSwitches, SWITCHES } from './sim-faults.ts';
import { LoggerLink } from './sim-link.ts';
import { minutesText, storeOptions, type CampbellSimOptions } from './sim-options.ts';
import { CommandQueue, PowerLost } from './sim-queue.ts';
import { filesTruth } from './files.ts';
import { settingsTruth } from './settings.ts';
import { LoggerStore } from './sim-store.ts';
import { LoggerVoice } from './sim-voice.ts';
import { rootsText } from './trust.ts';
import { isUid } from './wire.ts';

/** A simulated logger, and what its flash holds besides the items. */
export interface CampbellSimDevice extends SimDevice {
  /** Settings by name, those apart that a logger never tells. */
  settings(): Readonly<Record<string, string>>;
  constants(): Readonly<Record<string, string>>;
  /** The files of CPU: with the SHA-256 of each. */
  files(): Readonly<Record<string, string>>;
  /** SHA-256 of the DER of the certificate that it shows, 64 lower-case hex digits; null without, or for one that is none. */
  fingerprint(): string | null;
}

/**
 * A simulated logger of any dialect: speaks MQTT, downloads by itself, keeps OS, files and settings through a loss of
 * power. `powerOn` resolves when it is connected, or when the first attempt failed and it goes on trying.
 */
export function makeCampbellDevice(options: CampbellSimOptions, ports: SimPorts): CampbellSimDevice {
  return new CampbellLogger(options, ports);
}

class CampbellLogger implements CampbellSimDevice {
  readonly id: string;
  readonly faults = SWITCHES;
  readonly #options: CampbellSimOptions;
  readonly #ports: SimPorts;
  readonly #switches = new FaultSwitches();
  readonly #store: LoggerStore;
  readonly #voice: LoggerVoice;
  readonly #link: LoggerLink;
  readonly #body: LoggerBody;
  readonly #queue: CommandQueue;
  readonly #effects: SimEffect[] = [];
  #power: AbortController | null = null;
  #connection: SimConnection | null = null;
  #bricked = false;
  #flashing = false;
  /** Communications are down although the session stands: a program compiles. */
  #quiet = false;

  constructor(options: CampbellSimOptions, ports: SimPorts) {
    this.id = options.id;
    this.#options = options;
    this.#ports = ports;
    const { model, serial, address, dialect = 'os80', battery = 12.6 } = options;
    this.#store = new LoggerStore(storeOptions(options));
    this.#voice = new LoggerVoice(
      {
        model,
        serial,
        address,
        dialect,
        battery,
        trailingSlash: options.trailingSlash ?? dialect !== 'v2',
        retainState: options.retainState ?? dialect === 'v2',
      },
      {
        store: this.#store,
        faults: this.#switches,
        ports: {
          clock: ports.clock,
          random: () => ports.random(),
          bus: () => (this.#quiet ? null : (this.#connection?.bus ?? null)),
          wait: (ms) => this.#wait(ms),
        },
      },
    );
    const timings = { ...DEFAULT_TIMINGS, ...options.timings };
    const { will = true } = options;
    this.#link = new LoggerLink({ address, store: this.#store, voice: this.#voice, will, reconnectMs: timings.reconnectMs }, ports);
    this.#body = this.#makeBody(timings);
    this.#queue = new CommandQueue(this.#body, { id: this.id, address, log: ports.log, power: () => this.#power });
  }

  get effects(): readonly SimEffect[] {
    return this.#effects;
  }

  get powered(): boolean {
    return this.#power !== null;
  }

  truth(): Readonly<Record<string, string>> {
    const fingerprint = this.fingerprint();
    const { ca } = this.#store.settings.keys;
    return {
      ...this.#store.truth(),
      ...(fingerprint === null ? {} : { identity: fingerprint }),
      ...(ca === null ? {} : { trust: rootsText(ca) }),
    };
  }

  truthOf(item: string, facts: Json): string | undefined {
    if (item === 'settings') return settingsTruth(facts, { settings: this.settings(), constants: this.constants() });
    return item === 'files' ? filesTruth(facts, { files: this.files(), running: this.#store.running ?? '' }) : undefined;
  }

  settings(): Readonly<Record<string, string>> {
    return this.#store.settings.shown();
  }

  constants(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#store.constants);
  }

  files(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.#store.files].toSorted(([a], [b]) => compareText(a, b)).map(([name, bytes]) => [name, sha256(bytes)]),
    );
  }

  outOfReach(): string | null {
    return this.#link.trouble;
  }

  fingerprint(): string | null {
    const { cert } = this.#store.settings.keys;
    return cert === null ? null : fingerprintOf(cert);
  }

  fault(name: string, value: Json): void {
    const was = this.#switches.on('asleep');
    const known = this.#switches.set(name, value);
    if (!this.#switches.on(known)) return;
    if (known === 'replayRetained') this.#background(() => this.#voice.retainPresent());
    if (known === 'asleep' && !was) this.#background(() => this.#dutyCycle());
  }

  async powerOn(): Promise<void> {
    if (this.#power !== null) return;
    this.#power = new AbortController();
    if (this.#bricked) return;
    this.#store.start(false, this.#ports.clock.now());
    const { dataIntervalMs = 0, dataTable = 'Hourly' } = this.#options;
    const connected = await this.#connect();
    if (!connected) this.#background(() => this.#reconnect(true));
    else await this.#voice.started();
    this.#every(
      () => this.#intervalMs('MQTTStateInterval'),
      () => this.#voice.state('online'),
    );
    this.#every(
      () => this.#intervalMs('MQTTStatusInterval'),
      () => this.#voice.status(),
    );
    this.#every(
      () => dataIntervalMs,
      () => this.#voice.data(dataTable),
    );
    if (this.#switches.on('asleep')) this.#background(() => this.#dutyCycle());
  }

  async powerOff(): Promise<void> {
    if (this.#power === null) return;
    // Half a flash is no OS: docs/protocols/campbell-mqtt.md §5.1.
    if (this.#flashing) this.#kill('lost its power while it was flashed');
    this.#endPower();
    this.#power = null;
    await this.#drop();
  }

  #makeBody(timings: CampbellTimings): LoggerBody {
    const { dialect = 'os80', dataIntervalMs = 0, dataTable = 'Hourly' } = this.#options;
    return {
      dialect,
      timings,
      store: this.#store,
      voice: this.#voice,
      faults: this.#switches,
      dataTable: dataIntervalMs > 0 ? dataTable : null,
      now: () => this.#ports.clock.now(),
      wait: (ms) => this.#wait(ms),
      compile: (ms, begin) => this.#compile(ms, begin),
      download: (url) => this.#download(url),
      effect: (kind, detail) => this.#effects.push({ at: this.#ports.clock.now(), kind, detail }),
      restart: (work) => this.#restart(work),
      reconnect: async () => {
        await this.#leave();
        await this.#reconnect(false);
      },
      brick: (why) => this.#brick(why),
    };
  }

  /** As the hardware was set up, until a command writes the setting, in minutes. */
  #intervalMs(name: 'MQTTStateInterval' | 'MQTTStatusInterval'): number {
    const { stateIntervalMs, statusIntervalMs } = this.#options;
    const given = name === 'MQTTStateInterval' ? stateIntervalMs : statusIntervalMs;
    const value = this.#store.settings.value(name);
    return given !== undefined && value === minutesText(given) ? given : Number(value) * MINUTE_MS;
  }

  async #compile(ms: number, begin: () => void): Promise<void> {
    const trapped = this.#options.modem === 'sw12';
    if (trapped) {
      // The modem loses its power with the program: no goodbye.
      this.#body.effect('modem', 'off');
      await this.#drop();
    }
    this.#quiet = true;
    try {
      if (ms > 0) await this.#wait(ms);
      begin();
    } finally {
      this.#quiet = false;
    }
    if (trapped) await this.#reconnect(false);
  }

  async #wait(ms: number): Promise<void> {
    const signal = this.#power?.signal;
    if (signal === undefined) throw new PowerLost('no power');
    await this.#ports.clock.sleep(ms, signal);
  }

  #background(task: () => Promise<void>): void {
    task().catch((error: unknown) => {
      if (!(error instanceof PowerLost)) this.#ports.log.warn('a simulated logger failed', { device: this.id, error });
    });
  }

  #every(interval: () => number, act: () => Promise<void>): void {
    const power = this.#power;
    this.#background(async () => {
      for (let ms = interval(); ms > 0 && this.#power === power; ms = interval()) {
        await this.#wait(ms);
        if (this.#connection !== null && !this.#quiet) await act();
      }
    });
  }

  /** One attempt. At each connect the logger says that it is online, and subscribes to its commands (§9.1). */
  async #connect(first: () => Promise<void> = nothing): Promise<boolean> {
    const power = this.#power;
    if (this.#options.modem === 'sw12' && !this.#store.switchesPowerOn) return false;
    const connection = await this.#link.open();
    if (connection === null) return false;
    if (power === null || this.#power !== power || power.signal.aborted) {
      await connection.drop();
      throw new PowerLost('the power went while it connected');
    }
    this.#connection = connection;
    connection.onLost(() => this.#lost(connection));
    connection.bus.listen((message) => this.#queue.receive(message));
    try {
      await this.#link.subscribe(connection);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      await this.#drop();
      return false;
    }
    await first();
    await this.#voice.state('online');
    return true;
  }

  #lost(connection: SimConnection): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    if (this.#power !== null && !this.#bricked) this.#background(() => this.#reconnect(false));
  }

  async #reconnect(starting: boolean): Promise<void> {
    do await this.#wait(this.#link.pauseMs);
    while (this.#connection === null && !(await this.#connect()));
    if (starting) await this.#voice.started();
  }

  async #drop(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    await connection?.drop();
  }

  async #leave(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    await connection?.bus.close();
  }

  async #restart({ flash = nothing, down = nothing, first = nothing }: RestartWork = {}): Promise<void> {
    await this.#leave();
    this.#flashing = true;
    try {
      await flash();
    } finally {
      this.#flashing = false;
    }
    await down();
    await this.#wait(Math.max(0, this.#switches.number('rebootMs', this.#body.timings.rebootMs)));
    this.#store.start(false, this.#ports.clock.now());
    if (await this.#connect(first)) return;
    if (this.#link.trouble !== null) this.#body.effect('unreachable', this.#link.trouble);
    await this.#reconnect(false);
  }

  #brick(why: string): void {
    this.#kill(why);
    this.#endPower();
    this.#background(() => this.#drop());
  }

  #kill(why: string): void {
    this.#bricked = true;
    this.#effects.push({ at: this.#ports.clock.now(), kind: 'brick', detail: why });
  }

  #endPower(): void {
    this.#queue.clear();
    this.#power?.abort(new PowerLost('the power is gone'));
  }

  /** Modem and session are there for some time only; what is sent meanwhile depends on the broker. */
  async #dutyCycle(): Promise<void> {
    while (this.#switches.on('asleep')) {
      await this.#wait(this.#switches.member('asleep', 'awakeMs', MINUTE_MS));
      if (this.#queue.busy || this.#connection === null) continue;
      await this.#voice.state('offline', { reason: 'Program requested disconnect' });
      await this.#leave();
      await this.#wait(this.#switches.member('asleep', 'sleepMs', 10 * MINUTE_MS));
      if (!(await this.#connect())) await this.#reconnect(false);
    }
  }

  async #download(url: string): Promise<Downloaded> {
    if (this.#switches.on('downloadFails') || !/^https?:\/\/[^/]/.test(url)) return { kind: 'failed', code: 0 };
    const { address } = this.#options;
    const names = isUid(address) && !this.#switches.on('noUidHeader');
    try {
      const answer = await this.#ports.get(url, names ? { 'Campbell-Product-UID': address } : {});
      if (this.#switches.on('checksHttpStatus') && answer.status !== 200) return { kind: 'failed', code: answer.status };
      this.#body.effect('download', `${answer.bytes.length} bytes`);
      return { kind: 'body', bytes: answer.bytes };
    } catch (error) {
      if (error instanceof WireError) return { kind: 'failed', code: 0 };
      throw error;
    }
  }
}

function fingerprintOf(cert: string): string | null {
  try {
    return new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase();
  } catch {
    return null;
  }
}

function nothing(): Promise<void> {
  return Promise.resolve();
}
