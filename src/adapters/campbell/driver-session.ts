import type { DeclaredDevice } from '#model/declared.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import { emptyReport } from '#model/reported.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import { campbellOptions, type CampbellOptions } from './options.ts';
import { foldMessage } from './reports.ts';
import { readReply } from './wire-replies.ts';
import { readMessage, splitTopic, topicFilters } from './wire.ts';

/** Up to so many loggers on one base topic are subscribed one by one; more of them by wildcard. */
const MOST_SINGLE_DEVICES = 8;
/** Transaction ids of our own operations begin so, and go on with the command (docs/protocols/campbell-mqtt.md §4). */
export const OWN_TRAN_ID = 'hg-';
/** AWS IoT takes no more filters in one SUBSCRIBE (docs/protocols/campbell-mqtt.md §11). */
const FILTERS_AT_ONCE = 8;

/** A logger that the driver listens for, with all it said so far. */
export interface Watched {
  device: DeclaredDevice;
  options: CampbellOptions;
  report: ReportedDevice;
  /** Whether the report changed since it was last handed out. */
  dirty: boolean;
  /** The last command that we sent and saw no sign of yet. */
  sentAt: Instant | null;
}

/** The loggers of the fleet, kept from pass to pass so that nothing said in between is lost. */
export class WatchList {
  readonly #devices = new Map<DeviceId, Watched>();

  /** Takes up a device as it is declared now. Replaced hardware starts from what was last stored of it. */
  enroll(device: DeclaredDevice, last: ReportedDevice | undefined): Watched {
    const options = campbellOptions(device.options);
    const known = this.#devices.get(device.id);
    if (known === undefined || known.device.hardware !== device.hardware) {
      const fresh: Watched = { device, options, report: last ?? emptyReport(device.id), dirty: false, sentAt: null };
      this.#devices.set(device.id, fresh);
      return fresh;
    }
    known.device = device;
    known.options = options;
    if (!known.dirty && last !== undefined) known.report = last;
    return known;
  }

  get(id: DeviceId): Watched | undefined {
    return this.#devices.get(id);
  }
}

/** One connection: its subscriptions, and who speaks under which topic. */
export class Session {
  readonly #bus: MessageBus;
  readonly #connection: string;
  readonly #stop: () => void;
  readonly #filters = new Set<string>();
  /** By base topic, then by address. */
  #speakers: ReadonlyMap<string, ReadonlyMap<string, Watched>> = new Map();
  #since: Instant = Number.POSITIVE_INFINITY;

  constructor(bus: MessageBus, connection: string) {
    this.#bus = bus;
    this.#connection = connection;
    this.#stop = bus.listen((message) => this.#receive(message));
  }

  get bus(): MessageBus {
    return this.#bus;
  }

  /** Since when nothing that was said on this wire was missed. */
  get since(): Instant {
    return this.#since;
  }

  /** The wire broke: what was said meanwhile is not known, or not when. */
  missed(): void {
    this.#since = Number.POSITIVE_INFINITY;
  }

  /** Listens for these loggers. Resolves when all that was queued or retained for them has arrived. Throws WireError. */
  async watch(devices: readonly Watched[], now: () => Instant, signal: AbortSignal): Promise<void> {
    const byBase = Map.groupBy(devices, (one) => one.options.baseTopic);
    this.#speakers = new Map([...byBase].map(([base, of]) => [base, new Map(of.map((one) => [one.device.address ?? '', one]))]));
    const wanted = [...byBase].flatMap(([base, of]) =>
      topicFilters(base, of.length > MOST_SINGLE_DEVICES ? 'all' : of.map((one) => one.device.address ?? '')),
    );
    const missing = wanted.filter((filter) => !this.#filters.has(filter));
    // The broker keeps what is subscribed at QoS 1 while we are away: what loggers say of themselves, never their data.
    const isData = (filter: string): boolean => [...byBase.keys()].some((base) => filter.startsWith(`${base}/data/`));
    await this.#subscribe(
      missing.filter((filter) => !isData(filter)),
      1,
    );
    await this.#subscribe(missing.filter(isData), 0);
    await this.#bus.settle(signal);
    // Brokers send what is retained after the SUBACK in their own time: a second round trip lets it pass.
    if (missing.length > 0) await this.#bus.settle(signal);
    this.#since = Math.min(this.#since, now());
  }

  close(): void {
    this.#stop();
  }

  async #subscribe(filters: readonly string[], qos: 0 | 1): Promise<void> {
    for (let start = 0; start < filters.length; start += FILTERS_AT_ONCE) {
      const some = filters.slice(start, start + FILTERS_AT_ONCE);
      await this.#bus.subscribe(some, qos);
      for (const filter of some) this.#filters.add(filter);
    }
  }

  #receive(message: BusMessage): void {
    for (const [base, speakers] of this.#speakers) {
      const topic = splitTopic(base, message.topic);
      if (topic === null) continue;
      const [first = '', second] = topic.path;
      const single = speakers.get(first);
      const watched = single ?? (second === undefined ? undefined : speakers.get(`${first}/${second}`));
      if (watched === undefined) continue;
      const rest = topic.path.slice(single === undefined ? 2 : 1);
      if (topic.type === 'cr' && isForeignReply(rest, message.payload)) continue;
      const said = readMessage(topic.type, topic.type === 'cr' ? namedReply(rest) : rest, message.payload);
      if (said === null) continue;
      const arrival = {
        receivedAt: message.receivedAt,
        fresh: message.fresh && !message.retained,
        since: this.#since,
        connection: this.#connection,
      };
      watched.report = foldMessage(watched.report, said, { device: watched.device, options: watched.options, arrival });
      watched.dirty = true;
    }
  }
}

/** A reply that names a command of somebody else says nothing of ours. */
function isForeignReply(rest: readonly string[], payload: Uint8Array): boolean {
  const tranId = readReply(rest, payload)?.tranId ?? null;
  return tranId !== null && !tranId.startsWith(OWN_TRAN_ID);
}

/** `cr/<id>/<tranID>` alone: the command is that of which the transaction id speaks (§4). */
function namedReply(rest: readonly string[]): readonly string[] {
  const [first = ''] = rest;
  if (!first.startsWith(OWN_TRAN_ID)) return rest;
  return [first.slice(OWN_TRAN_ID.length).split('-')[0] ?? '', first];
}
