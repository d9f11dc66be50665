import { makeCampbellDriver } from '#adapters/campbell/driver.ts';
import { campbellFamily } from '#adapters/campbell/family.ts';
import type { CampbellSimOptions } from '#adapters/campbell/sim-options.ts';
import { makeCampbellDevice, type CampbellSimDevice } from '#adapters/campbell/sim.ts';
import type { Json } from '#kit/canonical.ts';
import { digestOf, sha256 } from '#kit/digest.ts';
import { err, ok } from '#kit/result.ts';
import type { Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { deviceId, digest, groupName, operationId, releaseId, type DeviceId } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { Confirmation, OpenOperation, Operation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Driver, DriverOutcome, DriverPorts, ObserveAnswer, Precheck } from '#ports/driver.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { SimDevice } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { makeArtifactFiles, type ArtifactFiles } from '#sim/artifact-server.ts';
import { memoryBroker, type Broker } from '#sim/broker.ts';
import { VirtualClock } from '#sim/clock.ts';
import { inProcessGet } from '#sim/in-process-get.ts';
import { shownCertificate } from '#sim/peer-certificate.ts';
import { makeSimPorts } from '#sim/ports.ts';
import { openBus } from '#transports/mqtt.ts';

export const START = Date.parse('2026-11-23T08:00:00Z');

export function programText(name: string): Uint8Array {
  return new TextEncoder().encode(`'${name}\r\nPublic PTemp\r\nBeginProg\r\n  Scan (1,Sec,0,0)\r\n  NextScan\r\nEndProg\r\n`);
}

export function contentOf(name: string, bytes: Uint8Array): Content {
  return { kind: 'bytes', name, bytes, digest: digest(sha256(bytes)), size: bytes.length };
}

/** A declared logger; members that a test does not care for are filled in. */
export function declaredLogger(change: Partial<DeclaredDevice> = {}): DeclaredDevice {
  const device: DeclaredDevice = {
    row: 0,
    id: deviceId('moor-house'),
    place: { file: 'devices/loggers.yaml', line: 1, column: 1 },
    family: 'campbell',
    via: { connection: 'field', to: null },
    model: 'CR1000X',
    serial: '70681',
    address: 'QU8Q-9JTY-HVP8',
    site: null,
    zone: 'UTC',
    labels: {},
    values: {},
    options: {},
    hardware: digest(digestOf([change.serial ?? '70681', change.address ?? 'QU8Q-9JTY-HVP8'])),
    group: groupName('upland'),
    retiredFrom: null,
    freeze: null,
    rollout: null,
    items: [],
    personal: digest(digestOf('personal')),
    ...change,
  };
  return device;
}

export interface ItemToDeclare {
  readonly item: ItemName;
  readonly value: string;
  readonly content: Content | null;
}

export function declaredItem({ item, value, content }: ItemToDeclare): DeclaredItem {
  const place = { file: 'groups/upland.yaml', line: 1, column: 1 };
  const needs = { firmware: null, neverBelow: null };
  return { item, place, version: value, artifact: null, part: `${item} x`, value, facts: {}, content, needs, drift: 'correct' };
}

/** A broker, an artifact host, loggers and the driver in one process on a virtual clock. */
export class CampbellWorld {
  readonly clock = new VirtualClock(START);
  /** Brokers besides `broker`, by the host names that loggers know them by. */
  readonly others = new Map<string, Broker>();
  readonly broker: Broker = memoryBroker({ clock: this.clock });
  readonly files: ArtifactFiles = makeArtifactFiles({ url: 'http://files.example.org', clock: this.clock });
  /** All that was published, in order: `topic payload`. */
  readonly said: { readonly topic: string; readonly text: string; readonly clientId: string }[] = [];
  readonly reports = new Map<DeviceId, ReportedDevice>();
  /** Devices with an open operation. */
  readonly open = new Set<DeviceId>();
  /** Since when something is open at a device, as whoever has the lease says it; null asks nobody. */
  openSince: ((device: DeviceId) => number | null) | null = null;
  readonly #buses: MessageBus[] = [];
  readonly #loggers: SimDevice[] = [];
  driver: Driver = this.newDriver();

  constructor() {
    this.broker.onPublish((topic, payload, clientId) => {
      if (!topic.startsWith('headgate/')) this.said.push({ topic, text: new TextDecoder().decode(payload), clientId });
    });
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.run(work);
  }

  /** As after a crash: nothing in memory. */
  newDriver(change: Partial<DriverPorts> = {}): Driver {
    let bus: Promise<MessageBus> | null = null;
    this.driver = makeCampbellDriver({
      clock: this.clock,
      log: SILENT_LOG,
      artifacts: {
        bytes: () => Promise.resolve(err({ code: 'MISSING', message: 'the driver asks for URLs only' })),
        urlFor: (content, { device }) => {
          if (content.kind !== 'bytes') return Promise.resolve(err({ code: 'NO_URL', message: 'no URL' }));
          return Promise.resolve(ok(this.files.put(`${device}/${content.name}`, content.bytes)));
        },
        close: () => Promise.resolve(),
      },
      blobs: { put: () => Promise.reject(new Error('nothing to keep')), get: () => Promise.resolve(undefined) },
      bus: () => (bus ??= this.connect('headgate', {})),
      objects: () => Promise.reject(new Error('no bucket in this world')),
      connection: () => undefined,
      ...change,
    });
    return this.driver;
  }

  async connect(
    clientId: string,
    { clean = false, marker = true }: { readonly clean?: boolean; readonly marker?: boolean },
  ): Promise<MessageBus> {
    const bus = await openBus({
      url: 'memory:field',
      clientId,
      clean,
      clock: this.clock,
      limitClock: this.clock,
      streamBuilder: () => this.broker.stream(),
      protocol: 4,
      keepAliveSeconds: 0,
      ...(marker ? {} : { markerTopic: null }),
    });
    this.#buses.push(bus);
    return bus;
  }

  async logger(options: Partial<CampbellSimOptions> = {}, on = true): Promise<CampbellSimDevice> {
    const id = options.id ?? 'moor-house';
    const ports = makeSimPorts({
      clock: this.clock,
      seed: 1,
      id,
      connect: async ({ endpoint, credentials, ...session }) => {
        const broker = endpoint === undefined ? this.broker : this.others.get(endpoint.host);
        if (broker === undefined) throw new WireError('ENOTFOUND', 'later', 'no such broker');
        const certificate = shownCertificate(credentials);
        const there = { url: 'memory:field', streamBuilder: () => broker.stream(certificate), keepAliveSeconds: 0 };
        return await openBus({ ...session, ...there, clock: this.clock, limitClock: this.clock });
      },
      objects: () => Promise.reject(new Error('loggers know no bucket')),
      // Servers read header names in lower case.
      get: (url, headers) =>
        inProcessGet([this.files])(url, Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))),
    });
    const device = makeCampbellDevice(
      {
        id,
        model: 'CR1000X',
        serial: '70681',
        address: 'QU8Q-9JTY-HVP8',
        os: 'CR1000X.8.1.0',
        program: { name: 'met_v1.CR1X', bytes: programText('met_v1') },
        ...options,
      },
      ports,
    );
    this.#loggers.push(device);
    if (on) await this.run(device.powerOn());
    return device;
  }

  /** One observation of these devices; reports are kept for the next as the engine keeps them. */
  async observe(devices: readonly DeclaredDevice[], listenMs = 0): Promise<ObserveAnswer> {
    const signal = new AbortController().signal;
    const last = (device: DeviceId): ReportedDevice | undefined => this.reports.get(device);
    const asking = this.openSince === null ? {} : { openSince: this.openSince };
    const answer = await this.run(this.driver.observe({ devices, last, isOpen: (id) => this.open.has(id), listenMs, signal, ...asking }));
    // What is stored went through JSON.
    for (const report of answer.reports) this.reports.set(report.device, JSON.parse(JSON.stringify(report)) as ReportedDevice);
    return answer;
  }

  reportOf(device: DeclaredDevice): ReportedDevice {
    const report = this.reports.get(device.id);
    if (report === undefined) throw new Error(`no report of ${device.id}`);
    return report;
  }

  /** The live operation that the family makes of this drift. Throws when it is refused. */
  operation(device: DeclaredDevice, item: ItemToDeclare): Operation {
    return this.operationFor(device, declaredItem(item));
  }

  operationFor(device: DeclaredDevice, item: DeclaredItem): Operation {
    const answer = campbellFamily.operations({ device, items: [item], reported: this.reportOf(device), drifted: [item.item] });
    const draft = answer.drafts[0];
    if (draft === undefined) throw new Error(answer.impossible[0]?.evidence ?? 'no operation');
    return {
      ...draft,
      id: operationId(digestOf([device.id, item.item, item.value])),
      device: device.id,
      family: 'campbell',
      connection: device.via.connection,
      hardware: device.hardware,
      group: groupName('upland'),
      release: releaseId(digestOf('release')),
      occasion: 0,
      cause: 'rollout',
    };
  }

  async act(device: DeclaredDevice, operation: Operation, open: OpenOperation | null = null): Promise<Precheck | DriverOutcome> {
    const signal = new AbortController().signal;
    const context = { device, reported: this.reports.get(device.id), content: operation.content, fencing: 1, signal };
    const look = await this.run(this.driver.precheck(operation, open, context));
    return look.kind === 'clear' ? await this.run(this.driver.perform(operation, open, context)) : look;
  }

  /** Performs, and gives the operation as the ledger keeps it. Throws when it was not performed. */
  async perform(device: DeclaredDevice, operation: Operation): Promise<OpenOperation> {
    const intendedAt = this.clock.now();
    const outcome = await this.act(device, operation);
    if (outcome.kind !== 'performed') throw new Error(`not performed: ${JSON.stringify(outcome)}`);
    return openOperation(operation, { intendedAt, reference: outcome.reference, undo: outcome.undo });
  }

  /** Observes in steps of a minute until the operation is decided or that much time is gone. */
  async follow(device: DeclaredDevice, open: OpenOperation, forMs: number): Promise<Confirmation> {
    const end = this.clock.now() + forMs;
    for (;;) {
      await this.observe([device]);
      const confirmation = campbellFamily.confirm(open, this.reportOf(device));
      if (confirmation.kind !== 'open' || this.clock.now() >= end) return confirmation;
      await this.clock.advance(Math.min(60_000, end - this.clock.now()));
    }
  }

  async close(): Promise<void> {
    for (const logger of this.#loggers) await this.run(logger.powerOff());
    await this.run(this.driver.close());
    for (const bus of this.#buses) await this.run(bus.close());
    for (const broker of [this.broker, ...this.others.values()]) await this.run(broker.close());
  }
}

export function openOperation(
  operation: Operation,
  at: { readonly intendedAt: number; readonly reference: number | null; readonly undo?: Json },
): OpenOperation {
  const { content, ...rest } = operation;
  const named = content === null ? null : { name: content.name, digest: content.digest, size: content.size };
  return {
    operation: { ...rest, content: named },
    attempt: 1,
    intendedAt: at.intendedAt,
    reference: at.reference,
    takenAt: null,
    undo: at.undo ?? null,
    retryAt: null,
    lastTrouble: null,
  };
}
