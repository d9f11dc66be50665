import type { Clock } from '#ports/clock.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { FaultSwitches } from './sim-faults.ts';
import {
  environmentOf,
  feature,
  metadataReports,
  startReports,
  statusReports,
  type Body,
  type Report,
  type Speaker,
} from './sim-reports.ts';
import type { LoggerStore } from './sim-store.ts';
import type { Dialect } from './wire-commands.ts';
import { LARGEST_PACKET } from './wire.ts';

/** Between the true report and the one that is out of date (faults staleState and outOfOrder). */
const STALE_GAP_MS = 3000;
/** Records per chunk of historicData: below the packet limit. */
const CHUNK = 20;

export interface VoiceOptions {
  readonly model: string;
  readonly serial: string;
  readonly address: string;
  readonly dialect: Dialect;
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

/** Everything a logger publishes, in the spelling of its dialect and with the lies it is told to tell. */
export class LoggerVoice {
  readonly #options: VoiceOptions;
  readonly #store: LoggerStore;
  readonly #faults: FaultSwitches;
  readonly #ports: VoicePorts;
  readonly #lastReplies = new Map<string, { readonly topic: string; readonly body: Body }>();
  /** Of this session: settings that a command changes hold from the next one on (docs/protocols/campbell-mqtt.md §2.1). */
  baseTopic = 'cs/v2';
  clientId = '';
  /** The tranID of the command that is carried out (§4). */
  tranId: string | null = null;

  constructor(options: VoiceOptions, body: { readonly store: LoggerStore; readonly faults: FaultSwitches; readonly ports: VoicePorts }) {
    this.#options = options;
    this.#store = body.store;
    this.#faults = body.faults;
    this.#ports = body.ports;
  }

  get serial(): string {
    return this.#speaker().serial;
  }

  /** §3.1. */
  async state(state: string, more: Body = {}): Promise<void> {
    const key = this.#faults.on('clientIDSpelling') ? 'clientID' : 'clientId';
    const retain = this.#options.retainState || this.#faults.on('retainState');
    const body = { [key]: this.#speaker().clientId, state, ...more };
    await this.#say(this.stateTopic(), body, { retain });
    if (this.#faults.on('duplicateOnline') && state === 'online') await this.#say(this.stateTopic(), body, { retain });
  }

  stateTopic(): string {
    const slash = this.#options.trailingSlash !== this.#faults.on('trailingSlash') ? '/' : '';
    return `${this.baseTopic}/state/${this.#options.address}${slash}`;
  }

  /** A command's answer on `cr` (§4). */
  async reply(command: string, body: Body, cut = LARGEST_PACKET): Promise<void> {
    if (this.#faults.on('lostReply')) return;
    const topic = this.#topic('cr', this.#replyPath(command));
    const stale = this.#lastReplies.get(command);
    if (this.#faults.on('staleReply')) {
      const before = stale ?? { topic: this.#topic('cr', command), body: { success: 'of another time' } };
      await this.#say(before.topic, before.body);
    }
    this.#lastReplies.set(command, { topic, body });
    await this.#say(topic, body, { cut });
  }

  /** The tranID stands behind the command, or in its place: both are documented (§4). */
  #replyPath(command: string): string {
    if (this.tranId === null) return command;
    return this.#faults.on('tranIdAlone') ? this.tranId : `${command}/${this.tranId}`;
  }

  /** What a logger says of itself at program start; kept by those who want to say it again later. */
  snapshot(): readonly Report[] {
    return startReports(this.#speaker());
  }

  /** At program start; with `before` also what was true before a restart, which some faults send as well. */
  async started(before: readonly Report[] = []): Promise<void> {
    if (this.#faults.on('silentStatus')) return;
    if (this.#faults.on('staleState') && before.length > 0) {
      await this.#publish(before);
      await this.#ports.wait(STALE_GAP_MS);
    }
    await this.#publish(this.snapshot());
    if (this.#faults.on('outOfOrder') && before.length > 0) {
      await this.#ports.wait(STALE_GAP_MS);
      await this.#publish(before);
    }
  }

  /** Every status interval, and when it is asked for. */
  async status(): Promise<void> {
    if (!this.#faults.on('silentStatus')) await this.#publish(statusReports(this.#speaker()));
  }

  async metadata(): Promise<void> {
    if (!this.#faults.on('silentStatus')) await this.#publish(metadataReports(this.#speaker()));
  }

  /** Leaves the present state and reports at the broker as retained messages: they will be out of date one day. */
  async retainPresent(): Promise<void> {
    await this.#say(this.stateTopic(), { clientId: this.#speaker().clientId, state: 'online' }, { retain: true });
    for (const { type, rest, body } of this.snapshot()) await this.#say(this.#topic(type, rest), body, { retain: true });
  }

  /** §3.6: a CSIJSON data message, whose head names the versions. Nothing while no program runs. */
  async data(table: string): Promise<void> {
    if (this.#store.running === null) return;
    const time = new Date(this.#ports.clock.now()).toISOString().slice(0, 19);
    const record = { time, vals: [this.#options.battery] };
    this.#store.keep(record);
    await this.#report('data', `${table}/cj`, { head: this.#head(table), data: [record] });
  }

  /** §5.10: in chunks, the newest first; an empty one for an empty range. */
  async history(table: string, wanted: (time: string) => boolean): Promise<void> {
    const records = this.#store.records.filter(({ time }) => wanted(time)).toReversed();
    for (let start = 0; start === 0 || start < records.length; start += CHUNK) {
      const chunk = { head: this.#head(table), data: records.slice(start, start + CHUNK) };
      await this.#say(this.#topic('cr', `historicData/${table}/cj`), chunk);
    }
  }

  /** §5.11: the Public table. */
  async publicTable(): Promise<void> {
    const speaker = this.#speaker();
    await this.reply('public', feature(speaker.address, Object.fromEntries(this.#store.variables), speaker.now));
  }

  /** §3.2. */
  async watchdogEvent(): Promise<void> {
    const count = String(this.#store.watchdogEvents);
    await this.#say(this.#topic('state', 'watchdogEvent'), { count, file: 'WatchdogInfo.txt' });
  }

  /** The suggested will (§2.2). */
  will(): Body {
    return { clientId: this.#speaker().clientId, state: 'offline', reason: 'lwt' };
  }

  #topic(type: string, rest: string): string {
    return `${this.baseTopic}/${type}/${this.#options.address}${rest === '' ? '' : `/${rest}`}`;
  }

  #speaker(): Speaker {
    const { model, serial, address, dialect, battery } = this.#options;
    const wrong = this.#faults.on('wrongSerial');
    const shown = wrong ? this.#faults.text('wrongSerial', `${serial}9`) : serial;
    const clientId = wrong ? `${model}_${shown}` : this.clientId;
    const now = this.#ports.clock.now();
    return { model, address, dialect, battery, store: this.#store, faults: this.#faults, serial: shown, clientId, now };
  }

  #head(table: string): Body {
    const environment = environmentOf(this.#speaker(), table);
    return { transaction: 0, signature: 41_922, environment, fields: [{ name: 'BattV', type: 'xsd:float', process: 'Smp' }] };
  }

  async #publish(reports: readonly Report[]): Promise<void> {
    for (const { type, rest, body } of reports) await this.#report(type, rest, body);
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
    await this.#say(topic, body);
  }

  async #say(
    topic: string,
    body: Body,
    { retain = false, cut = LARGEST_PACKET }: { readonly retain?: boolean; readonly cut?: number } = {},
  ): Promise<void> {
    const text = this.#faults.on('prettyJson') ? JSON.stringify(body, null, 2) : JSON.stringify(body);
    const payload = new TextEncoder().encode(text.slice(0, cut));
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
