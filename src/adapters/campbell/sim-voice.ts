import type { Clock } from '#ports/clock.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { FaultSwitches } from './sim-faults.ts';
import type { LoggerStore } from './sim-store.ts';

/** File lists, the longest of all replies, are cut at this many characters (docs/protocols/campbell-mqtt.md §5.5). */
const LONGEST_REPLY = 4800;
/** Between the true report and the one that is out of date (faults staleState and outOfOrder). */
const STALE_GAP_MS = 3000;

export interface VoiceOptions {
  readonly model: string;
  readonly serial: string;
  readonly address: string;
  readonly dialect: 'os80' | 'legacy';
  readonly battery: number;
  readonly trailingSlash: boolean;
  readonly retainState: boolean;
}

export interface VoicePorts {
  readonly clock: Clock;
  random(): number;
  /** Null while the logger has no connection: then it says nothing. */
  bus(): MessageBus | null;
  /** Waits as the logger does: not beyond its power. */
  wait(ms: number): Promise<void>;
}

type Body = Readonly<Record<string, unknown>>;

/** Everything a logger publishes, in the spelling of its dialect and with the lies it is told to tell. */
export class LoggerVoice {
  readonly #options: VoiceOptions;
  readonly #store: LoggerStore;
  readonly #faults: FaultSwitches;
  readonly #ports: VoicePorts;
  /** Settings that a command may change (docs/protocols/campbell-mqtt.md §2.1). */
  baseTopic: string;
  clientId: string;

  constructor(
    options: VoiceOptions & { readonly baseTopic: string; readonly clientId: string },
    body: { readonly store: LoggerStore; readonly faults: FaultSwitches; readonly ports: VoicePorts },
  ) {
    this.#options = options;
    this.#store = body.store;
    this.#faults = body.faults;
    this.#ports = body.ports;
    this.baseTopic = options.baseTopic;
    this.clientId = options.clientId;
  }

  /** §3.1. */
  async state(state: string, more: Body = {}): Promise<void> {
    const key = this.#faults.on('clientIDSpelling') ? 'clientID' : 'clientId';
    const retain = this.#options.retainState || this.#faults.on('retainState');
    await this.#say(this.stateTopic(), { [key]: this.#shownClientId(), state, ...more }, retain);
  }

  stateTopic(): string {
    const slash = this.#options.trailingSlash !== this.#faults.on('trailingSlash') ? '/' : '';
    return `${this.baseTopic}/state/${this.#options.address}${slash}`;
  }

  /** A command's answer on `cr` (§4). */
  async reply(command: string, body: Body): Promise<void> {
    if (this.#faults.on('lostReply')) return;
    await this.#say(`${this.baseTopic}/cr/${this.#options.address}/${command}`, body, false);
  }

  /** §3.3: what the logger says of itself now. */
  statusInfo(): Body {
    const store = this.#store;
    const failedName = this.#faults.on('failedNameReported') && store.running === null ? store.powerUp : null;
    const name = failedName ?? store.running;
    const osVersion = this.#faults.on('wrongModelVersion') ? this.#faults.text('wrongModelVersion', foreignVersion(store.model)) : store.os;
    const battery = this.#faults.on('batteryLow') ? this.#faults.number('batteryLow', 10.9) : this.#options.battery;
    return {
      state: {
        reported: {
          clientId: this.#shownClientId(),
          OS_Version: osVersion,
          Program_Name: name === null ? '' : `CPU:${name}`,
          Program_Signature: String(store.signature),
          Compile_Errors: String(store.compileErrors),
          Compile_Results: store.compileResults,
          Low_12volt: '0',
          Battery: battery.toFixed(2),
          Skipped_Scan: '0',
          Watchdog_Errors: String(store.watchdogErrors),
        },
      },
    };
  }

  /** A status message; with `before` the one of before a restart, which some faults send as well. */
  async status(before: Body | null = null): Promise<void> {
    if (this.#faults.on('silentStatus')) return;
    if (before !== null && this.#faults.on('staleState')) {
      await this.#report('state', 'statusInfo', before);
      await this.#ports.wait(STALE_GAP_MS);
    }
    await this.#report('state', 'statusInfo', this.statusInfo());
    if (before !== null && this.#faults.on('outOfOrder')) {
      await this.#ports.wait(STALE_GAP_MS);
      await this.#report('state', 'statusInfo', before);
    }
  }

  /** Leaves the present state and status at the broker as retained messages: they will be out of date one day. */
  async retainPresent(): Promise<void> {
    await this.#say(this.stateTopic(), { clientId: this.#shownClientId(), state: 'online' }, true);
    await this.#say(this.#topic('state', 'statusInfo'), this.statusInfo(), true);
  }

  /** §3.6: a CSIJSON data message, whose head names the versions. Nothing while no program runs. */
  async data(table: string): Promise<void> {
    const store = this.#store;
    if (store.running === null) return;
    const environment = {
      station_name: this.#options.serial,
      table_name: table,
      model: this.#options.model,
      serial_no: this.#shownSerial(),
      os_version: this.#faults.on('wrongModelVersion') ? this.#faults.text('wrongModelVersion', foreignVersion(store.model)) : store.os,
      prog_name: `CPU:${store.running}`,
    };
    const head = { transaction: 0, signature: 41_922, environment, fields: [{ name: 'BattV', type: 'xsd:float', process: 'Smp' }] };
    const time = new Date(this.#ports.clock.now()).toISOString().slice(0, 19);
    await this.#report('data', `${table}/cj`, { head, data: [{ time, vals: [this.#options.battery] }] });
  }

  /** §3.2. */
  async watchdogEvent(): Promise<void> {
    const count = String(this.#store.watchdogEvents);
    await this.#say(this.#topic('state', 'watchdogEvent'), { count, file: 'WatchdogInfo.txt' }, false);
  }

  /** The suggested will (§2.2). */
  will(): Body {
    return { clientId: this.#shownClientId(), state: 'offline', reason: 'lwt' };
  }

  #topic(type: string, rest: string): string {
    return `${this.baseTopic}/${type}/${this.#options.address}/${rest}`;
  }

  #shownSerial(): string {
    return this.#faults.on('wrongSerial') ? this.#faults.text('wrongSerial', `${this.#options.serial}9`) : this.#options.serial;
  }

  #shownClientId(): string {
    return this.#faults.on('wrongSerial') ? `${this.#options.model}_${this.#shownSerial()}` : this.clientId;
  }

  async #report(type: string, rest: string, body: Body): Promise<void> {
    const topic = this.#topic(type, rest);
    if (this.#faults.on('garbage')) {
      const text = JSON.stringify(body).replaceAll(/\d+/g, '9');
      await this.#send(topic, new TextEncoder().encode(text.slice(0, Math.floor(text.length * (0.2 + 0.7 * this.#ports.random())))), false);
      await this.#send(
        topic,
        Uint8Array.from({ length: 48 }, () => Math.floor(this.#ports.random() * 256)),
        false,
      );
      if (this.#faults.text('garbage', '') === 'only') return;
    }
    await this.#say(topic, body, false);
  }

  async #say(topic: string, body: Body, retain: boolean): Promise<void> {
    const text = this.#faults.on('prettyJson') ? JSON.stringify(body, null, 2) : JSON.stringify(body);
    const payload = new TextEncoder().encode(text.slice(0, LONGEST_REPLY));
    await this.#send(topic, payload, retain);
    if (this.#faults.on('duplicateReports')) await this.#send(topic, payload, retain);
  }

  /** What cannot be sent is lost: nothing is documented that a logger keeps for later. */
  async #send(topic: string, payload: Uint8Array, retain: boolean): Promise<void> {
    await this.#ports
      .bus()
      ?.publish(topic, payload, { qos: 1, retain })
      .catch(() => undefined);
  }
}

function foreignVersion(model: string): string {
  return model.startsWith('CR6') ? 'CR300.Std.11.00' : 'CR6.Std.10.02';
}
