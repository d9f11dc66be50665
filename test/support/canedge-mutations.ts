import { readFileSync } from 'node:fs';
import { parseBundle } from '#adapters/canedge/bundle.ts';
import { renderConfig } from '#adapters/canedge/config.ts';
import { parseDeviceFile } from '#adapters/canedge/device-file.ts';
import { canedgeFamily } from '#adapters/canedge/family.ts';
import { buildFirmwareImage, parseFirmwareImage } from '#adapters/canedge/image.ts';
import { inspectFile } from '#adapters/canedge/inspect.ts';
import { buildRuleSchema, buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import { ok } from '#kit/result.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Operation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { makeMemoryObjects } from '#sim/s3/objects.ts';
import { caCertificate } from './ca-certificates.ts';
import { CanedgeWorld, contentOf, declaredTruck } from './canedge.ts';

/** The four files whose bytes others can spoil: three in the bucket, one on its way into it. */
export type Spoilt = 'device.json' | 'config' | 'bundle' | 'firmware';

export interface Mutation {
  readonly file: Spoilt;
  readonly at: number;
  readonly kind: (typeof KINDS)[number];
}

const KINDS = ['flip', 'replace', 'remove', 'insert', 'cut', 'repeat'] as const;
/** What means something to a parser of JSON, DER or numbers. */
const TELLING = [0x00, 0xff, 0x22, 0x5c, 0x7b, 0x5d, 0x30, 0x2d, 0x80, 0x0a];

const FIXTURES = new URL('../../src/adapters/canedge/fixtures/', import.meta.url);
const ID = '5FEE0001';
const FOLDER = `${ID}/`;
const MODEL = 'CANedge2 GNSS';
const RUNNING = '01.08.05';
const NEXT = '01.08.06';

function rendered(document: Json): Uint8Array {
  const bytes = renderConfig(document);
  if (!bytes.ok) throw new Error(bytes.error.message);
  return bytes.value;
}

function bundle(): Uint8Array {
  const pem = readFileSync(new URL('bundle-two-roots.pem', FIXTURES), 'latin1');
  return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
}

const OLD = buildSimConfig('01.08', MODEL);
const NEW = JSON.parse(JSON.stringify(OLD).replace('"meta":""', '"meta":"Truck 9"')) as Json;

/** The files as they are before anything is spoilt. */
export const FILES: Readonly<Record<Spoilt, Uint8Array>> = {
  'device.json': Buffer.from(
    readFileSync(new URL('device-c-01.08.05.json', FIXTURES), 'utf8').replace('0005C3DB', crc32Hex(rendered(OLD))),
  ),
  config: rendered(OLD),
  bundle: bundle(),
  firmware: buildFirmwareImage({ model: MODEL, version: NEXT, schema: '{"type":"object"}', config: '{"general":{}}' }),
};

/** Each kind at each byte of each file, of the bundle at two of three: the same list every time. */
export function mutations(): readonly Mutation[] {
  const all: Mutation[] = [];
  for (const file of Object.keys(FILES) as Spoilt[]) {
    const { length } = FILES[file];
    for (let at = 0; at < length; at += 1) for (const kind of KINDS) if (file !== 'bundle' || at % 3 !== 2) all.push({ file, at, kind });
  }
  return all;
}

/** The file with that one thing done to it; which byte, bit and length is drawn from the place. */
function spoiltBytes({ file, at, kind }: Mutation): Uint8Array {
  const bytes = Buffer.from(FILES[file]);
  const draw = (at * 2_654_435_761) >>> 8;
  const byte = TELLING[draw % TELLING.length] ?? 0;
  const length = 1 + (draw % 8);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (kind) {
    case 'flip':
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (draw % 8));
      return bytes;
    case 'replace':
      bytes[at] = byte;
      return bytes;
    case 'remove':
      return Buffer.concat([before, after.subarray(length)]);
    case 'insert':
      return Buffer.concat([before, Buffer.alloc(length, byte), after]);
    case 'cut':
      return before;
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, 4 * length), after]);
  }
}

/** What of device.json an operation rests on, read by nothing of ours. */
interface Said {
  readonly who: string;
  readonly config: string;
  readonly trust: string;
  readonly firmware: string;
}

function saidBy(bytes: Uint8Array): Said | null {
  try {
    const said = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Readonly<Record<string, unknown>>;
    const text = (name: string): string => (typeof said[name] === 'string' ? said[name] : '?');
    return {
      who: [text('id').toUpperCase(), text('type').toUpperCase(), ...['kpub', 'cfg_ver', 'cfg_name', 'sch_name'].map(text)].join(' '),
      config: String(Number(`0x${text('cfg_crc32')}`)),
      firmware: text('fw_ver'),
      trust: JSON.stringify(said['certs_server_sha1'] ?? null).toUpperCase(),
    };
  } catch {
    return null;
  }
}

/** Whether a spoilt device.json still says the same, so that nothing is wrong with acting on it. */
function isNeutral(bytes: Uint8Array, ...parts: readonly ('config' | 'trust' | 'firmware')[]): boolean {
  const [now, before] = [saidBy(bytes), saidBy(FILES['device.json'])];
  if (now === null || before === null || !parseDeviceFile(bytes).ok) return false;
  return now.who === before.who && parts.every((part) => now[part] === before[part]);
}

/** A device that runs what is declared, three operations that are planned for it, and a bucket that counts what is written. */
export class MutationStage {
  readonly #world = new CanedgeWorld();
  readonly #writes: string[] = [];
  readonly #here: DeclaredDevice;
  readonly #baseline: ReportedDevice;
  readonly #planned: Readonly<Record<'config' | 'trust' | 'firmware', { readonly device: DeclaredDevice; readonly operation: Operation }>>;
  /** What an artifact store hands out in the place of the firmware. */
  #served: Uint8Array = FILES.firmware;

  private constructor(baseline: ReportedDevice, world: CanedgeWorld) {
    this.#world = world;
    this.#baseline = baseline;
    this.#here = declared({});
    this.#planned = {
      config: this.#plan(declared({ config: NEW }), 'config'),
      trust: this.#plan(declared({ more: true }), 'trust'),
      firmware: this.#plan(declared({ firmware: NEXT }), 'firmware'),
    };
    const objects = makeMemoryObjects(world.store, 'vehicle-logs');
    const counted: ObjectStore = {
      ...objects,
      put: (key, ...rest) => {
        this.#writes.push(key);
        return objects.put(key, ...rest);
      },
      delete: (key, signal) => {
        this.#writes.push(key);
        return objects.delete(key, signal);
      },
    };
    world.newDriver({
      objects: () => Promise.resolve(counted),
      artifacts: {
        bytes: (content) =>
          Promise.resolve(ok(content.name === 'firmware.bin' ? this.#served : content.kind === 'bytes' ? content.bytes : FILES.bundle)),
        urlFor: () => Promise.reject(new Error('a CANedge downloads nothing by URL')),
        close: () => Promise.resolve(),
      },
    });
  }

  static async start(): Promise<MutationStage> {
    const world = new CanedgeWorld();
    world.write(`${FOLDER}schema-01.08.json`, JSON.stringify(buildRuleSchema('01.08', MODEL)));
    for (const [key, file] of Object.entries(KEYS)) world.write(key, FILES[file]);
    await world.clock.advance(5000);
    const device = declared({});
    await world.observe(device);
    if (world.report === undefined || !world.converged(device)) throw new Error('does not converge before anything is spoilt');
    return new MutationStage(world.report, world);
  }

  #plan(device: DeclaredDevice, item: 'config' | 'trust' | 'firmware') {
    const draft = this.#world.plan(device).drafts.find((one) => one.item === item);
    if (draft === undefined) throw new Error(`nothing is planned for ${item}`);
    return { device, operation: this.#world.operation(device, draft) };
  }

  /** What is written by each planned operation when nothing is spoilt. */
  async unspoilt(): Promise<readonly string[]> {
    const written: string[] = [];
    for (const item of ['config', 'trust', 'firmware'] as const) written.push(...(await this.#perform(item)).written);
    return written;
  }

  /** Everything that went wrong with one mutation, in words; empty when it did no harm. */
  async run(mutation: Mutation): Promise<readonly string[]> {
    const bytes = spoiltBytes(mutation);
    const same = Buffer.compare(bytes, FILES[mutation.file]) === 0;
    readers(bytes);
    if (same) return [];
    return mutation.file === 'firmware' ? this.#spoiltFirmware(bytes) : this.#spoiltObject(mutation.file, bytes);
  }

  /** Served in the place of the image that is pinned by its digest. */
  async #spoiltFirmware(bytes: Uint8Array): Promise<readonly string[]> {
    const problems: string[] = [];
    // What a fleet repo with such a file would be told: a mistake, or exactly what its header says.
    const answer = canedgeFamily.expectation(this.#here, firmwarePin(bytes));
    const parsed = parseFirmwareImage(bytes);
    if (answer.ok && !(parsed.ok && parsed.value.version === NEXT && parsed.value.model.name === MODEL)) problems.push('declared as good');
    this.#served = bytes;
    const { written, outcome } = await this.#perform('firmware');
    this.#served = FILES.firmware;
    if (written.length > 0 || outcome !== 'refused ARTIFACT_UNVERIFIED') problems.push(`firmware: ${outcome}, wrote ${written.join(' ')}`);
    return problems;
  }

  async #spoiltObject(file: Exclude<Spoilt, 'firmware'>, bytes: Uint8Array): Promise<readonly string[]> {
    const world = this.#world;
    const key = KEY_OF[file];
    world.write(key, bytes);
    await world.clock.advance(2000);
    const problems = [...(await this.#looked(file, bytes)), ...(await this.#acted(file, bytes))];
    world.write(key, FILES[file]);
    return problems;
  }

  /** Nothing spoilt counts as converged, and a look writes nothing. */
  async #looked(file: Spoilt, bytes: Uint8Array): Promise<readonly string[]> {
    const world = this.#world;
    this.#writes.length = 0;
    const answer = await world.run(
      world.driver.observe({
        devices: [this.#here],
        last: () => this.#baseline,
        isOpen: () => true,
        listenMs: 0,
        signal: new AbortController().signal,
      }),
    );
    world.report = answer.reports[0] ?? this.#baseline;
    const converged = world.converged(this.#here);
    world.report = this.#baseline;
    const written = [...this.#writes];
    const unchanged = file === 'device.json' && isNeutral(bytes, 'config', 'trust', 'firmware');
    const good = unchanged || (file === 'bundle' && sameCertificates(bytes));
    return [
      ...(converged && !good ? ['counts as converged'] : []),
      ...(written.length > 0 ? [`a look wrote ${written.join(' ')}`] : []),
      ...(answer.troubles.length > 0 ? [`trouble ${answer.troubles.map(({ code }) => code).join(' ')}`] : []),
    ];
  }

  /** What was planned for the unspoilt file is not written over, or on the word of, a spoilt one. */
  async #acted(file: Spoilt, bytes: Uint8Array): Promise<readonly string[]> {
    const spoilt: readonly ('config' | 'trust')[] = file === 'config' ? ['config'] : file === 'bundle' ? ['trust'] : ['config', 'trust'];
    const items = spoilt.filter((item) => file !== 'device.json' || !isNeutral(bytes, item));
    const problems: string[] = [];
    for (const item of items) {
      const { written, outcome } = await this.#perform(item);
      if (written.length > 0) problems.push(`${item}: ${outcome}, wrote ${written.join(' ')}`);
    }
    return problems;
  }

  async #perform(item: 'config' | 'trust' | 'firmware'): Promise<{ readonly written: readonly string[]; readonly outcome: string }> {
    const world = this.#world;
    const { device, operation } = this.#planned[item];
    this.#writes.length = 0;
    world.report = this.#baseline;
    const precheck = await world.precheck(device, operation);
    const outcome = precheck.kind === 'clear' ? await world.perform(device, operation) : precheck;
    const written = [...this.#writes];
    for (const [key, file] of Object.entries(KEYS)) if (written.includes(key)) world.write(key, FILES[file]);
    if (written.includes(`${FOLDER}firmware.bin`)) await world.run(world.bucket.delete(`${FOLDER}firmware.bin`));
    return { written, outcome: outcome.kind === 'refused' ? `refused ${outcome.reason}` : outcome.kind };
  }
}

const KEY_OF = {
  'device.json': `${FOLDER}device.json`,
  config: `${FOLDER}config-01.08.json`,
  bundle: `${FOLDER}certs_server.p7b`,
} as const;
const KEYS: Readonly<Record<string, Spoilt>> = Object.fromEntries(Object.entries(KEY_OF).map(([file, key]) => [key, file as Spoilt]));

function sameCertificates(bytes: Uint8Array): boolean {
  const [now, before] = [parseBundle(bytes), parseBundle(FILES.bundle)];
  const of = (bundleOf: typeof now): string =>
    bundleOf.ok
      ? bundleOf.value
          .map(({ der }) => Buffer.from(der).toString('hex'))
          .toSorted()
          .join(' ')
      : '';
  return now.ok && of(now) === of(before);
}

/** Whatever reads such a file says yes or no, and never throws. */
function readers(bytes: Uint8Array): void {
  parseDeviceFile(bytes);
  parseFirmwareImage(bytes);
  parseBundle(bytes);
  inspectFile(bytes);
}

function firmwarePin(bytes: Uint8Array) {
  const artifact = { name: 'fw', version: NEXT, reportsAs: null };
  return {
    item: 'firmware' as const,
    content: contentOf('firmware.bin', bytes),
    document: null,
    firmware: NEXT,
    artifact,
    certificates: [],
  };
}

function declared(wanted: { readonly config?: Json; readonly firmware?: string; readonly more?: boolean }): DeclaredDevice {
  const version = wanted.firmware ?? RUNNING;
  const image = buildFirmwareImage({ model: MODEL, version, schema: '{"type":"object"}', config: '{"general":{}}' });
  const device = declaredTruck({ config: wanted.config ?? OLD, firmware: version, image }, { serial: ID, model: MODEL });
  const parsed = parseBundle(FILES.bundle);
  const roots = parsed.ok ? parsed.value.map(({ der }) => der) : [];
  const certificates = [...roots, ...(wanted.more === true ? [THIRD.der] : [])];
  const answer = canedgeFamily.expectation(device, {
    item: 'trust',
    content: null,
    document: null,
    firmware: version,
    artifact: null,
    certificates,
  });
  if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.summary}`);
  const place = { file: 'groups/vehicles.yaml', line: 1, column: 1 };
  const trust: DeclaredItem = {
    item: 'trust',
    place,
    artifact: null,
    part: 'trust',
    needs: { firmware: null, neverBelow: null },
    drift: 'correct',
    ...answer.value,
  };
  return { ...device, items: [trust, ...device.items] };
}

const THIRD = caCertificate('Fleet Test Root 3');
