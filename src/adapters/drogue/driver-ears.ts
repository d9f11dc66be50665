import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import type { DriverPorts, ObserveAnswer, ObserveRequest } from '#ports/driver.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import { WireError } from '#ports/wire-error.ts';
import { hear } from './decide.ts';
import { drogueOptions, topicName, topicOf, type DrogueOptions } from './options.ts';
import type { DeviceState } from './state.ts';
import { readTelemetry } from './telemetry.ts';
import { decodeStatus } from './wire.ts';

/** Up to so many topics are subscribed one by one. */
const FILTERS_AT_ONCE = 100;

type Change = (device: DeviceId, change: (state: DeviceState) => DeviceState) => void;

interface Known {
  readonly device: DeviceId;
  readonly options: DrogueOptions;
  readonly kind: 'status' | 'telemetry';
}

/** Hears what devices say where no responder runs: what they run, and nothing of what they are told. */
export class Ears {
  readonly #ports: DriverPorts;
  readonly #change: Change;
  readonly #heard = new Map<string, { readonly bus: MessageBus; readonly stop: () => void; readonly filters: Set<string> }>();
  #known = new Map<string, readonly Known[]>();

  constructor(ports: DriverPorts, change: Change) {
    this.#ports = ports;
    this.#change = change;
  }

  /** Subscribes to what these devices say; a wire that is broken is an answer. */
  async listen(request: ObserveRequest): Promise<ObserveAnswer['troubles']> {
    const byConnection = new Map<string, Set<string>>();
    const known = new Map<string, Known[]>();
    for (const device of request.devices) {
      for (const connection of new Set([device.via.connection, device.via.to ?? device.via.connection])) {
        for (const { topic, ...one } of topicsOf(device)) {
          const key = `${connection} ${topic}`;
          known.set(key, [...(known.get(key) ?? []), one]);
          byConnection.set(connection, (byConnection.get(connection) ?? new Set()).add(topic));
        }
      }
    }
    this.#known = known;
    const connections = [...byConnection].toSorted(([a], [b]) => compareText(a, b));
    const answers = await Promise.all(connections.map(([connection, topics]) => this.#hearAt(connection, topics, request.signal)));
    return answers.filter((trouble) => trouble !== null);
  }

  close(): void {
    for (const { stop } of this.#heard.values()) stop();
    this.#heard.clear();
  }

  async #hearAt(connection: string, topics: ReadonlySet<string>, signal: AbortSignal): Promise<ObserveAnswer['troubles'][number] | null> {
    try {
      const bus = await unlessAborted(this.#ports.bus(connection), signal);
      const heard = this.#at(connection, bus);
      const missing = [...topics].filter((topic) => !heard.filters.has(topic)).toSorted(compareText);
      for (let from = 0; from < missing.length; from += FILTERS_AT_ONCE) {
        await unlessAborted(bus.subscribe(missing.slice(from, from + FILTERS_AT_ONCE), 1), signal);
      }
      for (const topic of missing) heard.filters.add(topic);
      await unlessAborted(bus.settle(signal), signal);
      return null;
    } catch (error) {
      if (error instanceof WireError) return { connection, code: error.code, message: error.message };
      if (signal.aborted) return { connection, code: 'ABORTED', message: 'observing was called off' };
      throw error;
    }
  }

  #at(connection: string, bus: MessageBus) {
    const before = this.#heard.get(connection);
    if (before?.bus === bus) return before;
    before?.stop();
    const stop = bus.listen((message) => this.#receive(connection, message));
    const heard = { bus, stop, filters: new Set<string>() };
    this.#heard.set(connection, heard);
    return heard;
  }

  #receive(connection: string, message: BusMessage): void {
    const known = this.#known.get(`${connection} ${message.topic}`);
    if (known === undefined || message.retained || !message.fresh) return;
    const at = message.receivedAt;
    for (const { device, options, kind } of known) {
      if (kind === 'telemetry') {
        const measures = readTelemetry(message.payload, at);
        if (measures !== null) this.#change(device, (state) => ({ ...state, measures: { ...state.measures, ...measures } }));
        continue;
      }
      const read = decodeStatus(message.payload);
      if (!read.ok) {
        const odd = { at, kind: 'UNREADABLE', text: read.error.message } as const;
        if (known.length === 1) this.#change(device, (state) => ({ ...state, odd }));
      } else if (options.correlation === null || options.correlation === read.value.status.correlationId) {
        this.#change(device, (state) => ({ ...state, heard: hear(state.heard, read.value, at), odd: null }));
      }
    }
  }
}

function topicsOf(device: DeclaredDevice): readonly (Known & { readonly topic: string })[] {
  const options = drogueOptions(device.options);
  const names = { device: topicName(device, options), group: device.group };
  const own = { device: device.id, options };
  const status = { ...own, kind: 'status' as const, topic: topicOf(options.up, names) };
  if (options.telemetry === null) return [status];
  return [status, { ...own, kind: 'telemetry' as const, topic: topicOf(options.telemetry, names) }];
}
