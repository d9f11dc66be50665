import type { SimConnection, SimCredentials, SimEndpoint, SimPorts } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import type { LoggerStore } from './sim-store.ts';
import type { LoggerVoice } from './sim-voice.ts';
import { cleanBaseTopic } from './wire.ts';

/** How long a logger waits at most between two attempts that its broker refused. */
const LONGEST_REFUSED_MS = 300_000;

export interface LinkParts {
  readonly address: string;
  readonly store: LoggerStore;
  readonly voice: LoggerVoice;
  /** Whether the suggested will of docs/protocols/campbell-mqtt.md §2.2 is set where the settings name none. */
  readonly will: boolean;
  readonly reconnectMs: number;
}

/** The MQTT side of a logger: connects as its settings say at that moment (§2.1). */
export class LoggerLink {
  readonly #parts: LinkParts;
  readonly #ports: SimPorts;
  #refusals = 0;
  /** Why the last attempt failed; null after one that did not. */
  trouble: string | null = null;

  constructor(parts: LinkParts, ports: SimPorts) {
    this.#parts = parts;
    this.#ports = ports;
  }

  /** One attempt. Null when the broker cannot be reached, or lets this logger not in. */
  async open(): Promise<SimConnection | null> {
    const { voice, store } = this.#parts;
    const { settings } = store;
    voice.baseTopic = cleanBaseTopic(settings.value('MQTTBaseTopic'));
    voice.clientId = settings.value('MQTTClientID');
    const endpoint = this.#endpoint();
    const credentials = this.#credentials();
    try {
      const connection = await this.#ports.connect({
        clientId: voice.clientId,
        // The setting counts the other way round: 0 is clean (§2).
        clean: settings.value('MQTTCleanSession') === '0',
        keepAliveSeconds: Number(settings.value('MQTTKeepAlive')),
        will: this.#will(),
        ...(endpoint === null ? {} : { endpoint }),
        ...(credentials === null ? {} : { credentials }),
      });
      this.#refusals = 0;
      this.trouble = null;
      return connection;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refusals = /^(TLS_|MQTT_)/.test(error.code) ? this.#refusals + 1 : 0;
      this.trouble = error.code;
      return null;
    }
  }

  async subscribe(connection: SimConnection): Promise<void> {
    await connection.bus.subscribe([`${this.#parts.voice.baseTopic}/cc/${this.#parts.address}/#`], 1);
  }

  /** Longer from one refusal to the next; what is only out of reach is tried again at once. */
  get pauseMs(): number {
    return Math.min(LONGEST_REFUSED_MS, this.#parts.reconnectMs * 2 ** Math.min(10, Math.max(0, this.#refusals - 1)));
  }

  #endpoint(): SimEndpoint | null {
    const { settings } = this.#parts.store;
    const host = settings.value('MQTTEndpoint');
    if (host === '') return null;
    const port = settings.value('MQTTPortNumber');
    return { host, port: port === '' ? null : Number(port), tls: settings.value('MQTTEnable') !== '3' };
  }

  #credentials(): SimCredentials | null {
    const { settings } = this.#parts.store;
    const [username, password] = [settings.value('MQTTUserName'), settings.value('MQTTPassword')];
    const { cert, key, ca } = settings.keys;
    if (cert === null && key === null && ca === null && username === '') return null;
    return { cert, key, ca, username: username === '' ? null : username, password: username === '' ? null : password };
  }

  #will(): Parameters<SimPorts['connect']>[0]['will'] {
    const { store, voice, will } = this.#parts;
    const { settings } = store;
    const topic = settings.value('MQTTWillTopic');
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    if (topic !== '') {
      const qos = settings.value('MQTTWillQoS') === '0' ? 0 : 1;
      return { topic, payload: bytes(settings.value('MQTTWillMessage')), qos, retain: settings.value('MQTTWillRetain') === '1' };
    }
    if (!will) return null;
    return { topic: voice.stateTopic().replace(/\/$/, ''), payload: bytes(JSON.stringify(voice.will())), qos: 0, retain: false };
  }
}
