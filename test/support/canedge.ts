import { makeCanedgeDriver } from '#adapters/canedge/driver.ts';
import { canedgeFamily } from '#adapters/canedge/family.ts';
import { makeCanedgeDevice, type CanedgeSimOptions } from '#adapters/canedge/sim.ts';
import { buildSimFirmware } from '#adapters/canedge/sim-image.ts';
import { buildSimConfig, type SimConfigOptions } from '#adapters/canedge/sim-schema.ts';
import type { Json } from '#kit/canonical.ts';
import { digestOf, sha256 } from '#kit/digest.ts';
import { ok } from '#kit/result.ts';
import type { ConnectionDeclaration, Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { deviceId, digest, groupName, operationId, releaseId } from '#model/ids.ts';
import type { Confirmation, OpenOperation, Operation, OperationDraft } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { Driver, DriverOutcome, DriverPorts, ObserveAnswer, PerformContext, Precheck } from '#ports/driver.ts';
import type { OperationsAnswer } from '#ports/family.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimDevice } from '#ports/sim.ts';
import { makeAddresses } from '#sim/addresses.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeSimPorts } from '#sim/ports.ts';
import { makeS3Faults, type S3Faults } from '#sim/s3/faults.ts';
import { makeMemoryObjects } from '#sim/s3/objects.ts';
import { makeS3Store, type S3Store } from '#sim/s3/store.ts';

export const START = Date.parse('2026-11-23T08:00:00Z');
export const ID = '2B6F11C0';
const BUCKET = 'vehicle-logs';
/** Where devices move to: connection `moved`. */
export const NEW_BUCKET = 'fleet-logs';

export function contentOf(name: string, bytes: Uint8Array): Content {
  return { kind: 'bytes', name, bytes, digest: digest(sha256(bytes)), size: bytes.length };
}

export interface Wanted {
  readonly firmware?: string;
  /** The image itself, where it is not the plain one of that version. */
  readonly image?: Uint8Array;
  readonly config?: Json;
  /** Files of certificates. */
  readonly trust?: readonly Uint8Array[];
}

/** A declared CANedge that is told what `wanted` says, as declare would make it. Throws on a problem of the family. */
export function declaredTruck(wanted: Wanted = {}, change: Partial<DeclaredDevice> = {}): DeclaredDevice {
  const serial = change.serial === undefined ? ID : change.serial;
  const base: DeclaredDevice = {
    row: 0,
    id: deviceId('van-01'),
    place: { file: 'devices/vehicles.yaml', line: 1, column: 1 },
    family: 'canedge',
    via: { connection: 'logs', to: null },
    model: 'CANedge2',
    serial,
    address: null,
    site: null,
    zone: 'UTC',
    labels: {},
    values: {},
    options: {},
    hardware: digest(digestOf([serial, change.address ?? null])),
    group: groupName('vehicles'),
    retiredFrom: null,
    freeze: null,
    rollout: null,
    items: [],
    personal: digest(digestOf('personal')),
    ...change,
  };
  return { ...base, items: itemsFor(base, wanted) };
}

function itemsFor(device: DeclaredDevice, wanted: Wanted): readonly DeclaredItem[] {
  const items: DeclaredItem[] = [];
  if (wanted.config !== undefined) {
    items.push(expected(device, { item: 'config', content: null, document: wanted.config, firmware: wanted.firmware ?? null }));
  }
  if (wanted.trust !== undefined) {
    items.push(expected(device, { item: 'trust', content: null, document: null, firmware: null, certificates: wanted.trust }));
  }
  if (wanted.firmware !== undefined) {
    const image = wanted.image ?? buildSimFirmware({ model: device.model, version: wanted.firmware });
    items.push(
      expected(device, { item: 'firmware', content: contentOf('firmware.bin', image), document: null, firmware: wanted.firmware }),
    );
  }
  return items;
}

function expected(
  device: DeclaredDevice,
  pin: {
    readonly item: 'config' | 'firmware' | 'trust';
    readonly content: Content | null;
    readonly document: Json;
    readonly firmware: string | null;
    readonly certificates?: readonly Uint8Array[];
  },
): DeclaredItem {
  const artifact = pin.item === 'firmware' && pin.firmware !== null ? { name: 'fw', version: pin.firmware, reportsAs: null } : null;
  const answer = canedgeFamily.expectation(device, { certificates: [], ...pin, artifact });
  if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.summary}`);
  const place = { file: 'groups/vehicles.yaml', line: 1, column: 1 };
  const needs = { firmware: null, neverBelow: null };
  return { item: pin.item, place, artifact: null, part: pin.item, needs, drift: 'correct', ...answer.value };
}

/** A bucket, CANedges and the driver in one process on a virtual clock; and the least of an engine: one operation at a time. */
export class CanedgeWorld {
  readonly clock = new VirtualClock(START);
  readonly store: S3Store = makeS3Store({ clock: this.clock, buckets: [BUCKET, NEW_BUCKET] });
  readonly faults: S3Faults = makeS3Faults();
  /** Of the servers behind `logs` and `moved`, once a test gives them some. */
  readonly addresses = makeAddresses((name) => Promise.resolve(makeMemoryObjects(this.store, bucketOf(name))));
  /** The bucket as it is. */
  readonly bucket: ObjectStore = makeMemoryObjects(this.store, BUCKET);
  readonly blobs = new Map<string, Uint8Array>();
  readonly devices = new Map<string, SimDevice>();
  report: ReportedDevice | undefined = undefined;
  open: OpenOperation | null = null;
  /** How operations ended, newest last: `step kind code`. */
  readonly ended: string[] = [];
  #occasion = 0;
  driver: Driver = this.newDriver();

  newDriver(change: Partial<DriverPorts> = {}): Driver {
    this.driver = makeCanedgeDriver({
      clock: this.clock,
      log: SILENT_LOG,
      artifacts: {
        bytes: (content) => Promise.resolve(content.kind === 'bytes' ? ok(content.bytes) : ok(new Uint8Array())),
        urlFor: () => Promise.reject(new Error('a CANedge downloads nothing by URL')),
        close: () => Promise.resolve(),
      },
      blobs: {
        put: (bytes) => {
          this.blobs.set(sha256(bytes), bytes);
          return Promise.resolve(digest(sha256(bytes)));
        },
        get: (name) => Promise.resolve(this.blobs.get(name)),
      },
      bus: () => Promise.reject(new Error('no broker in this world')),
      objects: (name) => Promise.resolve(makeMemoryObjects(this.store, bucketOf(name), { faults: this.faults })),
      serverChain: this.addresses.serverChain,
      connection: (name) => s3Connection(name),
      ...change,
    });
    return this.driver;
  }

  add(options: Partial<CanedgeSimOptions> & { readonly sync?: SimConfigOptions } = {}): SimDevice {
    const { sync, ...rest } = options;
    const model = rest.model ?? 'CANedge2';
    const firmware = rest.firmware ?? '01.08.05';
    const id = rest.id ?? ID;
    const config = rest.config ?? buildSimConfig(firmware.slice(0, 5), model, sync);
    const ports = makeSimPorts({
      clock: this.clock,
      seed: 1,
      id,
      connect: () => Promise.reject(new Error('no broker in this world')),
      objects: () => Promise.resolve(makeMemoryObjects(this.store, BUCKET)),
      server: this.addresses.lookUp,
      get: () => Promise.reject(new Error('a CANedge downloads nothing by URL')),
    });
    const device = makeCanedgeDevice({ ...rest, id, model, firmware, config }, ports);
    this.devices.set(id, device);
    return device;
  }

  /** As fleet.yaml would declare it. */
  connection(name: string): ConnectionDeclaration {
    return s3Connection(name);
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.run(work);
  }

  text(key: string): string | null {
    const object = this.store.get(BUCKET, key);
    return object === undefined ? null : new TextDecoder().decode(object.bytes);
  }

  write(key: string, text: string | Uint8Array): void {
    this.store.put(BUCKET, key, { bytes: typeof text === 'string' ? new TextEncoder().encode(text) : text });
  }

  async observe(device: DeclaredDevice, signal = new AbortController().signal): Promise<ObserveAnswer> {
    const answer = await this.run(
      this.driver.observe({
        devices: [device],
        last: () => this.report,
        isOpen: () => this.open !== null,
        listenMs: 0,
        signal,
      }),
    );
    const report = answer.reports[0];
    if (report !== undefined) this.report = JSON.parse(JSON.stringify(report)) as ReportedDevice;
    return answer;
  }

  /** What the family would do about the difference between what is declared and what was last reported. */
  plan(device: DeclaredDevice): OperationsAnswer {
    const { report } = this;
    if (report === undefined || report.problem !== null) return { drafts: [], impossible: [] };
    const drifted = device.items.filter(({ item, value }) => {
      const shown = report.items[item];
      const declared = device.items.find((one) => one.item === item);
      return shown?.kind === 'value' && shown.value !== value && declared !== undefined && !canedgeFamily.agrees(declared, shown);
    });
    return canedgeFamily.operations({ device, items: device.items, reported: report, drifted: drifted.map(({ item }) => item) });
  }

  converged(device: DeclaredDevice): boolean {
    const { report } = this;
    if (report === undefined || report.problem !== null) return false;
    return device.items.every((declared) => {
      const shown = report.items[declared.item];
      return shown?.kind === 'value' && (shown.value === declared.value || canedgeFamily.agrees(declared, shown));
    });
  }

  operation(device: DeclaredDevice, draft: OperationDraft): Operation {
    return {
      ...draft,
      id: operationId(digestOf([draft.item, draft.step, draft.declared, draft.expected, this.#occasion])),
      device: device.id,
      family: 'canedge',
      connection: 'logs',
      hardware: device.hardware,
      group: groupName('vehicles'),
      release: releaseId('r1'),
      occasion: this.#occasion,
      cause: draft.kind === 'withdraw' ? 'withdrawal' : 'rollout',
    };
  }

  context(device: DeclaredDevice, content: Content | null): PerformContext {
    return { device, reported: this.report, content, fencing: 1, signal: new AbortController().signal };
  }

  precheck(device: DeclaredDevice, operation: Operation, open: OpenOperation | null = null): Promise<Precheck> {
    return this.run(this.driver.precheck(operation, open, this.context(device, operation.content)));
  }

  perform(device: DeclaredDevice, operation: Operation, open: OpenOperation | null = null): Promise<DriverOutcome> {
    return this.run(this.driver.perform(operation, open, this.context(device, operation.content)));
  }

  /** Writes down, looks and acts; what is performed is open afterwards. */
  async execute(device: DeclaredDevice, draft: OperationDraft): Promise<DriverOutcome> {
    const operation = this.operation(device, draft);
    const look = await this.precheck(device, operation);
    const outcome = look.kind === 'clear' ? await this.perform(device, operation) : look;
    this.open = openOf(operation, { intendedAt: this.clock.now(), outcome });
    return outcome;
  }

  /** One pass: observe, confirm, and when nothing is open the first operation of the plan. Answers what was confirmed. */
  async pass(device: DeclaredDevice): Promise<Confirmation | null> {
    await this.observe(device);
    let said: Confirmation | null = null;
    if (this.open !== null && this.report !== undefined) {
      said = canedgeFamily.confirm(this.open, this.report);
      if (said.kind !== 'open') this.#close(said);
      else if (said.takenAt !== null) this.open = { ...this.open, takenAt: this.open.takenAt ?? said.takenAt };
    }
    const next = this.plan(device).drafts[0];
    const failed = this.ended.some((end) => end.includes('failed'));
    if (this.open === null && next !== undefined && !failed) await this.execute(device, next);
    return said;
  }

  /** Passes at an interval until the time is over. */
  async passes(device: DeclaredDevice, request: { readonly everyMs: number; readonly forMs: number }): Promise<void> {
    const end = this.clock.now() + request.forMs;
    while (this.clock.now() < end) {
      await this.pass(device);
      await this.clock.advance(request.everyMs);
    }
    await this.pass(device);
  }

  #close(said: Exclude<Confirmation, { kind: 'open' }>): void {
    const step = this.open?.operation.step ?? '';
    this.ended.push(said.kind === 'confirmed' ? `${step} confirmed` : `${step} ${said.kind} ${said.code}`);
    this.open = null;
    this.#occasion += 1;
  }
}

function s3Connection(name: string): ConnectionDeclaration {
  const place = { file: 'fleet.yaml', line: 1, column: 1 };
  const plain = { region: 'eu-west-2', endpoint: null, prefix: '', accessKeyId: null, secretAccessKey: null } as const;
  return { type: 's3', name, place, bucket: bucketOf(name), ...plain };
}

function bucketOf(connection: string): string {
  return connection === 'moved' ? NEW_BUCKET : BUCKET;
}

export function openOf(
  operation: Operation,
  at: { readonly intendedAt: number; readonly outcome: DriverOutcome | Precheck | null },
): OpenOperation {
  const { content, ...rest } = operation;
  const { outcome } = at;
  const done = outcome !== null && (outcome.kind === 'performed' || outcome.kind === 'already') ? outcome : null;
  return {
    operation: { ...rest, content: content === null ? null : { name: content.name, digest: content.digest, size: content.size } },
    attempt: 1,
    intendedAt: at.intendedAt,
    reference: done?.reference ?? null,
    takenAt: null,
    undo: done?.undo ?? null,
    retryAt: null,
    lastTrouble: null,
  };
}

export function valueOf(item: ReportedItem | undefined): string | null {
  return item?.kind === 'value' ? item.value : null;
}
