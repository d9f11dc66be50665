import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import { awsBackend, azureBackend, type CloudBackend, type CloudName } from './sim-backend.ts';
import type { FaultSwitches } from './sim-faults.ts';
import type { SimFlash } from './sim-flash.ts';
import type { OtaGeneration } from './shadow-wire.ts';

/** What of an update a board tells its shadow: the members of `ota` as those of 2018 and later have them (§3.2). */
export interface OtaNews {
  readonly fields: JsonObject;
  /** What generations before 2018 say in its place; undefined: nothing. */
  readonly code?: number;
  readonly message?: string;
}

export interface SimShadowOptions {
  readonly thing: string;
  readonly cloud: CloudName;
  /** What an Azure IoT hub is called. */
  readonly hostName: string;
  readonly generation: OtaGeneration;
  readonly flash: SimFlash;
  readonly switches: FaultSwitches;
  readonly getOnConnect: () => boolean;
  readonly otaEnabled: () => boolean;
  publish(topic: string, text: string, qos: 0 | 1): Promise<void>;
  /** What it says of itself once it is connected. */
  readonly info: () => OtaNews;
  /** Starts the update; the URL is kept and reported already. */
  begin(url: string): void;
}

/** The shadow of a board over MQTT, as the AWS library and `ota-shadow` use it (docs/protocols/shadow-devices.md §3.3, §3.4). */
export class SimShadow {
  readonly #options: SimShadowOptions;
  readonly #backend: CloudBackend;

  constructor(options: SimShadowOptions) {
    this.#options = options;
    const sending = {
      thing: options.thing,
      hostName: options.hostName,
      send: ({ topic, text, qos }: { readonly topic: string; readonly text: string; readonly qos: 0 | 1 }) =>
        options.publish(topic, text, qos),
    };
    this.#backend = options.cloud === 'aws' ? awsBackend(sending) : azureBackend(sending);
  }

  get filters(): readonly string[] {
    return this.#backend.filters;
  }

  get username(): string | null {
    return this.#backend.username;
  }

  /** Asks, then tells its URL: that makes the service tell a difference that arose while it was away (§3.3). */
  async connected(): Promise<void> {
    const { flash, getOnConnect, info, switches } = this.#options;
    this.#backend.connected();
    if (getOnConnect()) await this.#backend.get();
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
      const said = switches.value('garbage') ?? true;
      await this.#update({ ota: said === true ? [1, 'idle'] : said });
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
    const news = this.#backend.hear(topic, payload);
    if (news?.kind === 'delta') this.#want(news.state);
    // What the closed library makes of the answer to its get is not known (§11.1); at a hub it catches up by that (§8).
    if (news?.kind === 'got' && (this.#options.cloud === 'azure' || this.#options.switches.on('obeysGet'))) this.#want(news.desired);
    return news !== null;
  }

  #want(state: JsonObject): void {
    const { generation, flash, otaEnabled } = this.#options;
    if (!otaEnabled()) return;
    const ota = state['ota'];
    const url = generation === 'flat' ? state['ota_url'] : isJsonObject(ota) ? ota['url'] : undefined;
    if (typeof url !== 'string' || url === '' || url === flash.url) return;
    if (this.#options.switches.on('refusesWhileUncommitted') && !flash.isCommitted) return;
    flash.url = url;
    if (!this.#options.switches.on('urlAfterSuccess')) void this.reportUrl();
    this.#options.begin(url);
  }

  /** The device never writes desired. */
  #update(reported: JsonObject): Promise<void> {
    return this.#backend.update(reported);
  }
}
