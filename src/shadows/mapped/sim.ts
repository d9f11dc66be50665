import type { Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { mergePatches, patchAt, patchBetween, sameJson, valueAt, type JsonObject } from '#model/shadow.ts';
import type { SimDevice, SimEffect, SimPorts } from '#ports/sim.ts';
import { simDownload, urlNoted } from '#shadows/sim-download.ts';
import { SimLife } from '#shadows/sim-life.ts';
import { documentDigest } from '#shadows/values.ts';
import type { ItemMapping, SettingMapping, MappedOptions } from './options.ts';
import { FaultSwitches, MAPPED_FAULTS } from './sim-faults.ts';
import { declaredSettings } from './declared-settings.ts';
import { settingsText, settingText } from './values.ts';

/** The hardware: which mapping it obeys, and what is on it. */
export interface MappedSimOptions {
  /** The thing. */
  readonly id: string;
  readonly mapping: MappedOptions;
  readonly serial: string | null;
  readonly model: string;
  readonly firmware: string | null;
  /** The document, or what it reports in its place. */
  readonly config: Json | null;
  readonly settings: Readonly<Record<string, Json>>;
  readonly measures: Readonly<Record<string, Json>>;
  /** How long it takes to apply something, and how often it reports everything. */
  readonly timings?: Partial<Timings>;
}

interface Timings {
  readonly flashMs: number;
  readonly applyMs: number;
  readonly reportMs: number;
}

const TIMINGS: Timings = { flashMs: 20 * SECOND_MS, applyMs: 2 * SECOND_MS, reportMs: 10 * MINUTE_MS };

/** How the device is connected, in its own words. */
export interface MappedLink {
  open(): Promise<void>;
  close(): Promise<void>;
  /** Merged into reported; what cannot be sent is lost, as it would be. */
  report(reported: JsonObject): Promise<void>;
  /** Sends this text in the place of a report; nonsense of its own where null. */
  spoil(text: string | null): Promise<void>;
}

/** What a link tells its device. */
export interface LinkListener {
  readonly thing: string;
  /** All of desired, whenever it may differ from what is reported. */
  told(desired: JsonObject): void;
  /** Each time the connection stands. */
  connected(): Promise<void>;
}

type OpenLink = (listener: LinkListener) => MappedLink;

type Item = 'firmware' | 'config';

/** A device that obeys a mapping: it applies what desired has that it has not, and reports what it runs. */
export function makeMappedDevice(options: MappedSimOptions, ports: SimPorts, openLink: OpenLink): SimDevice {
  return new MappedDevice(options, ports, openLink);
}

class MappedDevice implements SimDevice {
  readonly id: string;
  readonly faults = MAPPED_FAULTS;
  readonly effects: SimEffect[] = [];
  powered = false;
  readonly #options: MappedSimOptions;
  readonly #ports: SimPorts;
  readonly #timings: Timings;
  readonly #switches = new FaultSwitches();
  readonly #link: MappedLink;
  readonly #life: SimLife;
  readonly #settings = new Map<string, Json>();
  #firmware: string | null;
  #config: Json | null;
  #told: JsonObject | null = null;
  /** What a refused release left: it is not tried again until something else is wanted. */
  readonly #refused = new Map<Item, string>();
  /** By item and setting, what it was told and says, and does not do. */
  readonly #claims = new Map<string, Json>();
  #oldReport: JsonObject | null = null;
  #working = false;

  constructor(options: MappedSimOptions, ports: SimPorts, openLink: OpenLink) {
    this.id = options.id;
    this.#options = options;
    this.#ports = ports;
    this.#life = new SimLife(ports.clock);
    this.#timings = { ...TIMINGS, ...options.timings };
    this.#firmware = options.firmware;
    this.#config = options.config;
    for (const [name, value] of Object.entries(options.settings)) this.#settings.set(name, value);
    this.#link = openLink({
      thing: options.id,
      told: (desired) => this.#hear(desired),
      connected: () => this.#reportAll(),
    });
  }

  async powerOn(): Promise<void> {
    if (this.powered || this.#switches.text('brick', '') === 'dead') return;
    this.powered = true;
    this.#working = false;
    void this.#reportNowAndThen(this.#life.next());
    await this.#link.open();
  }

  async powerOff(): Promise<void> {
    this.powered = false;
    this.#life.end();
    await this.#link.close();
  }

  fault(name: string, value: Json): void {
    this.#switches.set(name, value);
    if (this.powered && ['garbage', 'wrongSerial', 'wrongModel'].includes(name)) void this.#reportAll();
  }

  truth(): Readonly<Record<string, string>> {
    return {
      ...(this.#firmware === null ? {} : { firmware: this.#firmware }),
      ...(this.#options.mapping.config === null ? {} : { config: this.#configText() }),
    };
  }

  truthOf(item: string, facts: Json): string | undefined {
    if (item !== 'settings') return undefined;
    const names = Object.keys(declaredSettings(facts));
    return settingsText(new Map(names.map((name) => [name, settingText(this.#settings.get(name))])));
  }

  #configText(): string {
    if (this.#config === null) return 'none';
    return this.#options.mapping.config?.reports === 'document' ? documentDigest(this.#config) : (settingText(this.#config) ?? 'none');
  }

  #note(kind: string, detail: string): void {
    this.effects.push({ at: this.#ports.clock.now(), kind, detail });
  }

  async #reportNowAndThen(life: AbortSignal): Promise<void> {
    while (await this.#life.pause(this.#timings.reportMs, life)) await this.#reportAll();
  }

  async #reportAll(): Promise<void> {
    if (this.#switches.on('garbage')) {
      const text = this.#switches.text('garbage', '');
      await this.#link.spoil(text === '' ? null : text);
      return;
    }
    const whole = this.#whole();
    this.#oldReport ??= whole;
    await this.#say(this.#switches.on('oldReports') ? this.#oldReport : whole);
  }

  async #say(reported: JsonObject): Promise<void> {
    if (!this.#switches.on('mute')) await this.#link.report(reported);
  }

  #whole(): JsonObject {
    const { mapping, serial, model, measures } = this.#options;
    const parts: JsonObject[] = [];
    const say = (pointer: string | null | undefined, value: Json | null): void => {
      if (typeof pointer === 'string' && value !== null) parts.push(patchAt(pointer, value));
    };
    say(mapping.firmware?.reported, this.#claims.get('firmware') ?? this.#firmware);
    say(mapping.config?.reported, this.#claims.get('config') ?? this.#config);
    for (const [name, { reported }] of mapping.settings)
      say(reported, this.#claims.get(`setting ${name}`) ?? this.#settings.get(name) ?? null);
    for (const [name, pointer] of mapping.measures) say(pointer, measures[name] ?? null);
    say(mapping.serial, this.#switches.on('wrongSerial') ? this.#switches.text('wrongSerial', '0000') : serial);
    say(mapping.model, this.#switches.on('wrongModel') ? this.#switches.text('wrongModel', 'other') : model);
    return parts.reduce<JsonObject>((all, part) => mergePatches(all, part), {});
  }

  #hear(desired: JsonObject): void {
    this.#told = desired;
    if (!this.#working && !this.#switches.on('ignore')) void this.#work();
  }

  /** One thing after the other, each with what is wanted by then. */
  async #work(): Promise<void> {
    this.#working = true;
    const life = this.#life.now;
    try {
      while (this.#told !== null && !life.aborted) {
        const told = this.#told;
        this.#told = null;
        const desired = { state: told, times: {} };
        await this.#applySettings((pointer) => valueAt(desired, pointer), life);
        for (const item of ['config', 'firmware'] as const) await this.#applyItem(item, (pointer) => valueAt(desired, pointer), life);
      }
    } finally {
      if (!life.aborted) this.#working = false;
    }
  }

  async #applySettings(wanted: (pointer: string) => Json | undefined, life: AbortSignal): Promise<void> {
    const { settings } = this.#options.mapping;
    const changed = [...settings].flatMap(([name, mapping]): readonly (readonly [string, SettingMapping, Json])[] => {
      const value = wanted(mapping.desired);
      return value === undefined || sameJson(value, this.#settings.get(name)) ? [] : [[name, mapping, value]];
    });
    if (changed.length === 0) return;
    if (!(await this.#life.pause(this.#timings.applyMs * this.#switches.number('slow', 1), life))) return;
    const [first] = settings.keys();
    const taken = this.#switches.on('partial') ? changed.filter(([name]) => name === first) : changed;
    for (const [name, , value] of taken) {
      if (this.#switches.on('echo')) this.#claims.set(`setting ${name}`, value);
      else this.#settings.set(name, value);
      this.#note('setting', name);
    }
    const parts = taken.map(([, { reported }, value]) => patchAt(reported, value));
    if (parts.length > 0) await this.#say(parts.reduce((all, part) => mergePatches(all, part)));
  }

  async #applyItem(item: Item, wanted: (pointer: string) => Json | undefined, life: AbortSignal): Promise<void> {
    const mapping = this.#options.mapping[item];
    const order = mapping === null ? null : orderIn(mapping, wanted);
    if (mapping === null || order === null || this.#refused.get(item) === order.name) return;
    const runs = item === 'firmware' ? this.#firmware : this.#config;
    if (sameJson(runs, order.value)) return;
    await this.#sayState(mapping.taken);
    const bytes = order.url === null ? null : await this.#download(order.url);
    const applyMs = item === 'firmware' ? this.#timings.flashMs : this.#timings.applyMs;
    if (!(await this.#life.pause(applyMs * this.#switches.number('slow', 1), life))) return;
    const broken = order.url !== null && (bytes === null || (order.sha256 !== null && sha256(bytes) !== order.sha256));
    if (broken || this.#switches.on('fail')) {
      this.#refused.set(item, order.name);
      await this.#sayState(mapping.failed, broken ? 'download failed' : this.#switches.text('fail', 'no space left'));
      return;
    }
    await (item === 'firmware' ? this.#flash(order) : this.#configure(mapping, order));
  }

  async #download(url: string): Promise<Uint8Array | null> {
    this.#note('download', urlNoted(url));
    return await simDownload(this.#ports, url);
  }

  async #flash(order: Order): Promise<void> {
    const old = this.#firmware;
    if (this.#switches.on('echo')) {
      this.#claims.set('firmware', order.name);
      await this.#sayFirmware(order.name);
      return;
    }
    this.#note('flash', order.name);
    this.#firmware = this.#switches.on('wrongVersion') ? this.#switches.text('wrongVersion', '9.9.9') : order.name;
    await this.#reboot();
    if (!this.#switches.on('bootBack') || old === null) return;
    if (!(await this.#life.pause(30 * SECOND_MS))) return;
    this.#firmware = old;
    this.#refused.set('firmware', order.name);
    await this.#reboot();
  }

  async #configure(mapping: ItemMapping, order: Order): Promise<void> {
    this.#note('config', order.name);
    const difference = patchBetween(this.#config ?? undefined, order.value);
    if (this.#switches.on('echo')) this.#claims.set('config', order.value);
    else this.#config = order.value;
    // Reports are merged too: what is gone must be said to be gone.
    if (difference !== undefined) await this.#say(patchAt(mapping.reported, difference));
  }

  async #sayFirmware(version: string): Promise<void> {
    const pointer = this.#options.mapping.firmware?.reported;
    if (pointer !== undefined) await this.#say(patchAt(pointer, version));
  }

  async #reboot(): Promise<void> {
    this.#note('reboot', this.#firmware ?? '');
    await this.#link.close();
    const life = this.#life.next();
    this.#working = false;
    if (this.#switches.on('brick')) {
      this.#switches.set('brick', 'dead');
      this.powered = false;
      return;
    }
    void this.#reportNowAndThen(life);
    if (await this.#life.pause(5 * SECOND_MS, life)) await this.#link.open();
  }

  async #sayState(state: ItemMapping['taken'], why?: string): Promise<void> {
    if (state === null) return;
    const said = patchAt(state.at, state.when[0] ?? '');
    await this.#say(state.why === null || why === undefined ? said : mergePatches(said, patchAt(state.why, why)));
  }
}

interface Order {
  /** The version, or what stands for it. */
  readonly name: string;
  readonly value: Json;
  readonly url: string | null;
  readonly sha256: string | null;
}

/** What desired asks for, read by the texts that the mapping writes; null where it asks for nothing. */
function orderIn(mapping: ItemMapping, wanted: (pointer: string) => Json | undefined): Order | null {
  const found = (mark: string): Json | null => {
    const entry = mapping.desired.find(([, template]) => template === mark);
    return entry === undefined ? null : (wanted(entry[0]) ?? null);
  };
  const text = (mark: string): string | null => {
    const value = found(mark);
    return typeof value === 'string' ? value : null;
  };
  const document = found('{document}');
  const digest = text('{sha256}');
  const name = text('{version}') ?? digest ?? (document === null ? null : documentDigest(document));
  if (name === null) return null;
  return { name, value: document ?? (mapping.reports === 'sha256' ? (digest ?? name) : name), url: text('{url}'), sha256: digest };
}
