import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { Clock } from '#ports/clock.ts';
import type { Broker } from '#sim/broker.ts';
import type { BrokerMessage, BrokerRules } from '#sim/broker-rules.ts';
import type { HubAccess } from './access.ts';
import { HubError } from './errors.ts';
import type { HubFaults, TwinAnswerName } from './faults.ts';
import type { AzureSwitches } from './switches.ts';
import { answerTopic, desiredTopic, deviceTopic, FILTERS, isFilter, methodTopic, type DeviceTopic } from './topics.ts';
import type { DesiredNews, TwinStore } from './twin-store.ts';

export interface DeviceWireOptions {
  readonly twins: TwinStore;
  readonly access: HubAccess;
  readonly clock: Clock;
  readonly faults: HubFaults;
  readonly switches: AzureSwitches;
  readonly broker: () => Broker;
}

/** A device is told of five filters at most (§8.1). */
const MOST_FILTERS = 5;
const MOST_MESSAGE_BYTES = 256 * 1024;

interface Told {
  readonly name: TwinAnswerName;
  readonly device: string;
  readonly filter: string;
  readonly topic: string;
  readonly body: string;
  readonly qos: number;
}

/** What a device answered to a direct method. */
export interface MethodAnswer {
  readonly status: number;
  readonly payload: unknown;
}

/** The device-facing side of a hub on MQTT 3.1.1: docs/protocols/shadow-devices.md §8. Every topic is the device's own. */
export class DeviceWire {
  readonly #options: DeviceWireOptions;
  readonly #waiting = new Map<string, { readonly device: string; settle(answer: MethodAnswer): void }>();
  readonly #ended = new AbortController();
  /** By device, how many connections it has made. */
  readonly #connections = new Map<string, number>();
  #calls = 0;

  constructor(options: DeviceWireOptions) {
    this.#options = options;
    options.twins.onDesired((news) => this.#notify(news));
  }

  close(): void {
    this.#ended.abort();
  }

  /** The rules of the broker that devices connect to. */
  rules(): BrokerRules {
    const { access, switches } = this.#options;
    return {
      connect: (session, password) => {
        const until = access.stay(session, password);
        if (until === undefined) return false;
        this.#connections.set(session.clientId, (this.#connections.get(session.clientId) ?? 0) + 1);
        if (until !== null) void this.#endAt(session.clientId, until);
        return true;
      },
      publish: (session, { topic, payload, qos, will }) => {
        const known = deviceTopic(topic, session.clientId);
        if (will) return known?.kind === 'telemetry' ? 'ignore' : 'refuse';
        return qos > 1 || known === null || payload.length > MOST_MESSAGE_BYTES ? 'refuse' : 'take';
      },
      taken: (session, message) => {
        const topic = deviceTopic(message.topic, session.clientId);
        if (topic !== null) this.#take(session.clientId, topic, message);
      },
      subscribe: (session, { topic, standing }) => {
        const granted = isFilter(topic, session.clientId) && standing < MOST_FILTERS;
        if (!granted && switches.strangeFilter === 'close') this.#options.broker().dropClient(session.clientId);
        return granted;
      },
      sessionMs: Number.POSITIVE_INFINITY,
      filters: () => true,
      // Nothing is kept for those who come later.
      retained: () => false,
    };
  }

  /** A token that has run out ends its connection, unless another one has taken that one's place by then. */
  async #endAt(clientId: string, until: number): Promise<void> {
    const { clock, broker } = this.#options;
    const own = this.#connections.get(clientId);
    try {
      await clock.sleep(until - clock.now(), this.#ended.signal);
    } catch {
      return;
    }
    if (this.#connections.get(clientId) === own) broker().dropClient(clientId);
  }

  #take(device: string, topic: DeviceTopic, message: BrokerMessage): void {
    this.#options.twins.touch(device);
    if (topic.kind === 'method') this.#answered(device, topic, message.payload);
    else if (topic.kind === 'get') this.#get(device, topic.rid, message);
    else if (topic.kind === 'report') this.#report(device, topic, message);
  }

  #get(device: string, rid: string, { qos }: BrokerMessage): void {
    this.#answer({ name: 'get', device, rid, qos }, () => ({
      status: 200,
      body: JSON.stringify(this.#options.twins.readByDevice(device)),
    }));
  }

  #report(device: string, topic: Extract<DeviceTopic, { kind: 'report' }>, { payload, qos }: BrokerMessage): void {
    const answered = topic.rid ?? (this.#options.switches.ridWithoutDollar === 'answer' ? topic.plainRid : null);
    this.#answer({ name: 'report', device, rid: answered, qos }, () => {
      const patch = objectIn(payload);
      if (patch === null) throw new HubError('ArgumentInvalid', 'The body is no JSON object');
      return { status: 204, body: '', version: this.#options.twins.report(device, patch) };
    });
  }

  #answer(
    asked: { readonly name: TwinAnswerName; readonly device: string; readonly rid: string | null; readonly qos: number },
    run: () => { readonly status: number; readonly body: string; readonly version?: number },
  ): void {
    const { name, device, rid, qos } = asked;
    const faults = this.#options.faults.onAnswer(name, device);
    const broken = faults.some(({ kind }) => kind === 'throttle') ? 429 : faults.some(({ kind }) => kind === 'error') ? 500 : null;
    const { status, body, version } = broken === null ? attempted(run) : { status: broken, body: '', version: undefined };
    if (rid === null) return;
    this.#tell({ name, device, filter: FILTERS.answers, topic: answerTopic(status, rid, version), body, qos }, faults);
  }

  #notify({ id, version, body }: DesiredNews): void {
    const faults = this.#options.faults.onAnswer('desired', id);
    const told = { name: 'desired', device: id, filter: FILTERS.desired, topic: desiredTopic(version), qos: 1 } as const;
    this.#tell({ ...told, body: JSON.stringify({ ...body, $version: version }) }, faults);
  }

  #tell({ device, filter, topic, body, qos }: Told, faults: ReturnType<HubFaults['onAnswer']>): void {
    const kinds = new Set(faults.map(({ kind }) => kind));
    const delayMs = Math.max(0, ...faults.map((fault) => (fault.kind === 'delay' ? fault.ms : 0)));
    const send = (): void => {
      const times = kinds.has('drop') ? 0 : kinds.has('duplicate') ? 2 : 1;
      for (let count = 0; count < times; count += 1) this.#send(device, filter, { topic, body, qos });
      if (kinds.has('cut-after')) this.#options.broker().dropClient(device);
    };
    if (delayMs === 0) send();
    else void this.#options.clock.sleep(delayMs, this.#ended.signal).then(send, () => undefined);
  }

  /** Only to who is connected and listens: nothing waits for anybody (§8). */
  #send(
    device: string,
    filter: string,
    { topic, body, qos }: { readonly topic: string; readonly body: string; readonly qos: number },
  ): boolean {
    const granted = this.#options.broker().subscriptionsOf(device)?.[filter];
    if (granted === undefined) return false;
    const message = { topic, payload: Buffer.from(body), qos: Math.min(qos, granted) };
    return this.#options.broker().send(message, { clientId: device, unsubscribed: true });
  }

  /** Calls a direct method. Throws HubError DeviceNotOnline when the device is not there within `connectMs`, GatewayTimeout for no answer. */
  async call(
    device: string,
    method: { readonly name: string; readonly payload: unknown; readonly connectMs: number; readonly answerMs: number },
  ): Promise<MethodAnswer> {
    const { clock } = this.#options;
    this.#calls += 1;
    const rid = this.#calls.toString(16);
    const body = method.payload === undefined ? '' : JSON.stringify(method.payload);
    const giveUpAt = clock.monotonicMs() + method.connectMs;
    const answer = new Promise<MethodAnswer>((settle) => this.#waiting.set(rid, { device, settle }));
    try {
      while (!this.#send(device, FILTERS.methods, { topic: methodTopic(method.name, rid), body, qos: 1 })) {
        if (clock.monotonicMs() >= giveUpAt) throw new HubError('DeviceNotOnline', `Timed out waiting for device ${device} to connect`);
        await clock.sleep(Math.min(1000, giveUpAt - clock.monotonicMs()), this.#ended.signal);
      }
      const limit = new AbortController();
      const late = clock.sleep(method.answerMs, limit.signal).then(
        () => null,
        () => null,
      );
      const first = await Promise.race([answer, late]);
      limit.abort();
      if (first === null) throw new HubError('GatewayTimeout', `Timed out waiting for the answer of device ${device}`);
      return first;
    } finally {
      this.#waiting.delete(rid);
    }
  }

  #answered(device: string, { rid, status }: Extract<DeviceTopic, { kind: 'method' }>, payload: Uint8Array): void {
    const waiting = this.#waiting.get(rid);
    if (waiting?.device !== device || (status < 0 && this.#options.switches.methodBelowZero === 'lost')) return;
    waiting.settle({ status, payload: jsonIn(payload) ?? null });
  }
}

function attempted(run: () => { readonly status: number; readonly body: string; readonly version?: number }): {
  readonly status: number;
  readonly body: string;
  readonly version: number | undefined;
} {
  try {
    return { version: undefined, ...run() };
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return { status: error.status, body: '', version: undefined };
  }
}

function jsonIn(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)) as unknown;
  } catch {
    return undefined;
  }
}

function objectIn(payload: Uint8Array): JsonObject | null {
  const value = jsonIn(payload);
  return isJsonObject(value) ? value : null;
}
