import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { BusMessage } from '#ports/message-bus.ts';
import type { SimConnection, SimDevice, SimEffect, SimPorts } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { DEFAULT_TIMINGS, runOs, runProgram, type CampbellTimings, type CommandBody, type LoggerBody } from './sim-commands.ts';
import { FAULTS, FaultSwitches } from './sim-faults.ts';
import { runSmallCommand } from './sim-small-commands.ts';
import { LoggerStore } from './sim-store.ts';
import { LoggerVoice } from './sim-voice.ts';
import { cleanBaseTopic, isUid } from './wire.ts';

export interface CampbellSimOptions {
  readonly id: string;
  readonly model: string;
  readonly serial: string;
  /** As it stands in the topics: a UID, or model and serial. */
  readonly address: string;
  /** `cs/v2` by default. */
  readonly baseTopic?: string;
  /** `<MODEL>_<serial>` by default. */
  readonly clientId?: string;
  readonly dialect?: 'os80' | 'legacy';
  /** As the logger reports it: `CR1000X.8.1.0`, `CR6.Std.10.02`. */
  readonly os: string;
  readonly program: { readonly name: string; readonly bytes: Uint8Array } | null;
  /** Further files on CPU:, `default.CR1X` for example. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** 1 min by default; 0 for none but those at connect. */
  readonly stateIntervalMs?: number;
  /** 30 min by default; 0 for none but those at program start. */
  readonly statusIntervalMs?: number;
  /** 0, the default, publishes no data. */
  readonly dataIntervalMs?: number;
  readonly dataTable?: string;
  /** Volts, 12.6 by default. */
  readonly battery?: number;
  /** Whether the will suggested by docs/protocols/campbell-mqtt.md §2.2 is set; true by default. */
  readonly will?: boolean;
  readonly retainState?: boolean;
  /** True by default, as the loggers of both dialects were seen to write it (§1.2). */
  readonly trailingSlash?: boolean;
  readonly timings?: Partial<CampbellTimings>;
}

/** Thrown into whatever a logger is doing when its power goes. */
class PowerLost extends Error {
  override readonly name = 'PowerLost';
}

/**
 * A simulated logger of the dialects os80 and legacy: speaks MQTT, downloads by itself, keeps OS and files through a loss
 * of power. `powerOn` resolves when it is connected, or when the first attempt failed and it goes on trying.
 */
export function makeCampbellDevice(options: CampbellSimOptions, ports: SimPorts): SimDevice {
  return new CampbellLogger(options, ports);
}

class CampbellLogger implements SimDevice {
  readonly id: string;
  readonly faults: readonly string[] = FAULTS;
  readonly #options: CampbellSimOptions;
  readonly #ports: SimPorts;
  readonly #switches = new FaultSwitches();
  readonly #store: LoggerStore;
  readonly #voice: LoggerVoice;
  readonly #body: LoggerBody;
  readonly #effects: SimEffect[] = [];
  #power: AbortController | null = null;
  #connection: SimConnection | null = null;
  #bricked = false;
  #flashing = false;
  /** Communications are down although the session stands: a program compiles. */
  #quiet = false;
  #busy = false;
  #queue: Promise<void> = Promise.resolve();

  constructor(options: CampbellSimOptions, ports: SimPorts) {
    this.id = options.id;
    this.#options = options;
    this.#ports = ports;
    this.#store = new LoggerStore({ ...options, files: options.files ?? {} });
    this.#voice = new LoggerVoice(
      {
        model: options.model,
        serial: options.serial,
        address: options.address,
        dialect: options.dialect ?? 'os80',
        battery: options.battery ?? 12.6,
        trailingSlash: options.trailingSlash ?? true,
        retainState: options.retainState ?? false,
        baseTopic: cleanBaseTopic(options.baseTopic ?? 'cs/v2'),
        clientId: options.clientId ?? `${options.model}_${options.serial}`,
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
    this.#body = this.#makeBody();
  }

  get effects(): readonly SimEffect[] {
    return this.#effects;
  }

  get powered(): boolean {
    return this.#power !== null;
  }

  truth(): Readonly<Record<string, string>> {
    return this.#store.truth();
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
    this.#store.start();
    const { stateIntervalMs = MINUTE_MS, statusIntervalMs = 30 * MINUTE_MS, dataIntervalMs = 0, dataTable = 'Hourly' } = this.#options;
    const connected = await this.#connect();
    if (!connected) this.#background(() => this.#reconnect(true));
    else await this.#voice.status();
    this.#every(stateIntervalMs, () => this.#voice.state('online'));
    this.#every(statusIntervalMs, () => this.#voice.status());
    this.#every(dataIntervalMs, () => this.#voice.data(dataTable));
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

  #makeBody(): LoggerBody {
    return {
      dialect: this.#options.dialect ?? 'os80',
      timings: { ...DEFAULT_TIMINGS, ...this.#options.timings },
      store: this.#store,
      voice: this.#voice,
      faults: this.#switches,
      wait: (ms) => this.#wait(ms),
      compile: async (ms) => {
        this.#quiet = true;
        try {
          await this.#wait(ms);
        } finally {
          this.#quiet = false;
        }
      },
      download: (url) => this.#download(url),
      effect: (kind, detail) => this.#effects.push({ at: this.#ports.clock.now(), kind, detail }),
      restart: (flash, first) => this.#restart(flash, first),
      brick: (why) => this.#brick(why),
    };
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

  #every(ms: number, act: () => Promise<void>): void {
    if (ms <= 0) return;
    const power = this.#power;
    this.#background(async () => {
      while (this.#power === power) {
        await this.#wait(ms);
        if (this.#connection !== null && !this.#quiet) await act();
      }
    });
  }

  /** One attempt. At each connect the logger says that it is online, and subscribes to its commands (§9.1). */
  async #connect(first: () => Promise<void> = nothing): Promise<boolean> {
    const power = this.#power;
    const { will = true, address } = this.#options;
    try {
      const connection = await this.#ports.connect({
        clientId: this.#voice.clientId,
        clean: false,
        keepAliveSeconds: 300,
        will: will
          ? {
              topic: this.#voice.stateTopic().replace(/\/$/, ''),
              payload: new TextEncoder().encode(JSON.stringify(this.#voice.will())),
              qos: 0,
              retain: false,
            }
          : null,
      });
      if (power === null || this.#power !== power || power.signal.aborted) {
        await connection.drop();
        throw new PowerLost('the power went while it connected');
      }
      this.#connection = connection;
      connection.onLost(() => this.#lost(connection));
      connection.bus.listen((message) => this.#receive(message));
      await connection.bus.subscribe([`${this.#voice.baseTopic}/cc/${address}/#`], 1);
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
    do await this.#wait(this.#body.timings.reconnectMs);
    while (this.#connection === null && !(await this.#connect()));
    if (starting) await this.#voice.status();
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

  async #restart(flash: () => Promise<void> = nothing, first: () => Promise<void> = nothing): Promise<void> {
    await this.#leave();
    this.#flashing = true;
    try {
      await flash();
    } finally {
      this.#flashing = false;
    }
    await this.#wait(this.#body.timings.rebootMs);
    this.#store.start();
    if (!(await this.#connect(first))) await this.#reconnect(false);
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
    this.#queue = Promise.resolve();
    this.#busy = false;
    this.#power?.abort(new PowerLost('the power is gone'));
  }

  /** Modem and session are there for some time only; what is sent meanwhile depends on the broker. */
  async #dutyCycle(): Promise<void> {
    while (this.#switches.on('asleep')) {
      await this.#wait(this.#switches.member('asleep', 'awakeMs', MINUTE_MS));
      if (this.#busy || this.#connection === null) continue;
      await this.#voice.state('offline', { reason: 'Program requested disconnect' });
      await this.#leave();
      await this.#wait(this.#switches.member('asleep', 'sleepMs', 10 * MINUTE_MS));
      if (!(await this.#connect())) await this.#reconnect(false);
    }
  }

  /** One command at a time; what comes meanwhile waits (§9.1). Malformed and unknown ones are met with silence (§4). */
  #receive(message: BusMessage): void {
    const prefix = `${this.#voice.baseTopic}/cc/${this.#options.address}/`;
    if (!message.topic.startsWith(prefix)) return;
    const command = parseCommand(message.payload);
    const power = this.#power;
    if (command === null || power === null) return;
    const name = message.topic.slice(prefix.length);
    this.#queue = this.#carryOutAfter(this.#queue, { power, name, command });
  }

  async #carryOutAfter(
    earlier: Promise<void>,
    { power, name, command }: { readonly power: AbortController; readonly name: string; readonly command: CommandBody },
  ): Promise<void> {
    await earlier;
    if (this.#power !== power || power.signal.aborted) return;
    this.#busy = true;
    try {
      await carryOut(this.#body, name, command);
    } catch (error) {
      if (!(error instanceof PowerLost)) this.#ports.log.warn('a simulated logger failed', { device: this.id, error });
    } finally {
      if (this.#power === power) this.#busy = false;
    }
  }

  async #download(url: string): Promise<Uint8Array | null> {
    if (this.#switches.on('downloadFails') || !/^https?:\/\/[^/]/.test(url)) return null;
    const uid: Readonly<Record<string, string>> = isUid(this.#options.address) ? { 'Campbell-Product-UID': this.#options.address } : {};
    try {
      const answer = await this.#ports.get(url, uid);
      this.#body.effect('download', `${answer.bytes.length} bytes`);
      return answer.bytes;
    } catch (error) {
      if (error instanceof WireError) return null;
      throw error;
    }
  }
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

function parseCommand(payload: Uint8Array): CommandBody | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as CommandBody) : null;
  } catch {
    return null;
  }
}

async function carryOut(body: LoggerBody, name: string, command: CommandBody): Promise<void> {
  switch (name) {
    case 'OS':
      return await runOs(body, command);
    case 'program':
      return await runProgram(body, command);
    default:
      return await runSmallCommand(body, name, command);
  }
}
