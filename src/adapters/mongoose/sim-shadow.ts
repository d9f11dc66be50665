import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { FaultSwitches } from './sim-faults.ts';
import type { SimFlash } from './sim-flash.ts';
import { clientTokenOf, type OtaGeneration } from './shadow-wire.ts';

/** What of an update a board tells its shadow: the members of `ota` as those of 2018 and later have them (§3.2). */
export interface OtaNews {
  readonly fields: JsonObject;
  /** What generations before 2018 say in its place; undefined: nothing. */
  readonly code?: number;
  readonly message?: string;
}

export interface SimShadowOptions {
  readonly thing: string;
  readonly generation: OtaGeneration;
  readonly flash: SimFlash;
  readonly switches: FaultSwitches;
  readonly getOnConnect: () => boolean;
  readonly otaEnabled: () => boolean;
  publish(topic: string, text: string): Promise<void>;
  /** What it says of itself once it is connected. */
  readonly info: () => OtaNews;
  /** Starts the update; the URL is kept and reported already. */
  begin(url: string): void;
}

/** The shadow of a board over MQTT, as the AWS library and `ota-shadow` use it (docs/protocols/shadow-devices.md §3.3, §3.4). */
export class SimShadow {
  readonly #options: SimShadowOptions;
  readonly #prefix: string;
  readonly #token: string;

  constructor(options: SimShadowOptions) {
    this.#options = options;
    this.#prefix = `$aws/things/${options.thing}/shadow`;
    this.#token = clientTokenOf(options.thing);
  }

  get filters(): readonly string[] {
    return ['get/accepted', 'get/rejected', 'update/accepted', 'update/rejected', 'update/delta'].map((name) => `${this.#prefix}/${name}`);
  }

  /** Asks, then tells its URL: that makes the service tell a difference that arose while it was away (§3.3). */
  async connected(): Promise<void> {
    const { flash, getOnConnect, info, switches } = this.#options;
    if (getOnConnect()) await this.#send('get', {});
    if (flash.url !== null && !switches.on('urlAfterSuccess')) await this.reportUrl();
    await this.report(info());
  }

  async reportUrl(): Promise<void> {
    const { generation, flash } = this.#options;
    await this.#update(generation === 'flat' ? { ota_url: flash.url } : { ota: { url: flash.url } });
  }

  async report({ fields, code, message }: OtaNews): Promise<void> {
    const { generation, switches } = this.#options;
    if (switches.on('garbage')) {
      await this.#options.publish(`${this.#prefix}/update`, switches.text('garbage', '{"state":{"reported":{"ota":[1,"idle"]}}}'));
      return;
    }
    if (generation === '2018') {
      await this.#update({ ota: fields });
      return;
    }
    if (code === undefined) return;
    await this.#update(generation === 'flat' ? { ota_code: code, ota_message: message } : { ota: { code, message } });
  }

  /** More than the update: `stats`, the microcontroller behind the board. */
  async reportBeside(reported: JsonObject): Promise<void> {
    await this.#update(reported);
  }

  /** Whether the topic is one of its own. */
  hear(topic: string, payload: Uint8Array): boolean {
    if (!topic.startsWith(`${this.#prefix}/`)) return false;
    const what = topic.slice(this.#prefix.length + 1);
    const body = objectIn(payload);
    if (body === null) return true;
    if (what === 'update/delta') this.#want(body['state']);
    // What the closed library makes of the answer to its get is not known (§11.1).
    else if (what === 'get/accepted' && body['clientToken'] === this.#token && this.#options.switches.on('obeysGet'))
      this.#obeyGet(body['state']);
    return true;
  }

  #obeyGet(state: Json | undefined): void {
    if (isJsonObject(state)) this.#want(state['desired']);
  }

  #want(state: Json | undefined): void {
    const { generation, flash, otaEnabled } = this.#options;
    if (!isJsonObject(state) || !otaEnabled()) return;
    const ota = state['ota'];
    const url = generation === 'flat' ? state['ota_url'] : isJsonObject(ota) ? ota['url'] : undefined;
    if (typeof url !== 'string' || url === '' || url === flash.url) return;
    if (this.#options.switches.on('refusesWhileUncommitted') && !flash.isCommitted) return;
    flash.url = url;
    if (!this.#options.switches.on('urlAfterSuccess')) void this.reportUrl();
    this.#options.begin(url);
  }

  async #update(reported: JsonObject): Promise<void> {
    await this.#send('update', { state: { reported } });
  }

  /** The device never writes desired, and its token is always the same. */
  async #send(verb: 'get' | 'update', body: JsonObject): Promise<void> {
    await this.#options.publish(`${this.#prefix}/${verb}`, JSON.stringify({ ...body, clientToken: this.#token }));
  }
}

function objectIn(payload: Uint8Array): JsonObject | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
