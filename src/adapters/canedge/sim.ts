import type { Json } from '#kit/canonical.ts';
import type { SimDevice, SimPorts } from '#ports/sim.ts';
import { renderConfig } from './config.ts';
import { parseJson } from './json.ts';
import { parseBundle, type BundleCertificate } from './bundle.ts';
import { modelByName, modelByType, type CanedgeModel } from './models.ts';
import { CanedgeCard, deviceJson, type SimFirmware } from './sim-card.ts';
import { CANEDGE_FAULTS, DEFAULT_QUIRKS, FaultSwitches, type CanedgeQuirks } from './sim-faults.ts';
import { DEFAULT_TIMINGS, serverOf, type CanedgeBody, type CanedgeTimings, type SimLogs } from './sim-body.ts';
import { live } from './sim-life.ts';
import { surroundingsOf } from './sim-network.ts';
import { buildRuleSchema, buildSimConfig } from './sim-schema.ts';
import { keysOf } from './sim-secrets.ts';
import { loadBundle } from './sim-trust.ts';
import { hashKindOf, setText } from './trust.ts';
import { parseVersion, seriesOf, versionText } from './versions.ts';
import { DEVICE_ID } from './wire.ts';

/** When a simulated device has power. A duty cycle starts with its time on, shifted by `offsetMs`. */
export type OnlineSchedule = 'always' | 'never' | { readonly onMs: number; readonly offMs: number; readonly offsetMs?: number };

export interface CanedgeSimOptions {
  /** 8 hex digits: the folder in the bucket, in this very case. */
  readonly id: string;
  /** `CANedge2`, or a type code such as `0000001F`. */
  readonly model: string;
  /** `01.09.03`. */
  readonly firmware: string;
  /** The config on its card: exact bytes, or a document to be rendered. By default a plain one that works. */
  readonly config?: Json | Uint8Array;
  /** The Rule Schema of its firmware; by default that of `buildRuleSchema`. */
  readonly schema?: Json;
  /** The private key of the device, 32 bytes; by default one that belongs to its id. */
  readonly privateKey?: Uint8Array;
  /** certs_server.p7b on its card; none by default. */
  readonly certificates?: Uint8Array;
  /** A bundle of what a cellular device trusts from the factory; nothing by default. */
  readonly preinstalled?: Uint8Array;
  /** Log files that it uploads while its config says so; none by default. */
  readonly logs?: SimLogs;
  readonly schedule?: OnlineSchedule;
  readonly quirks?: Partial<CanedgeQuirks>;
  readonly timings?: Partial<CanedgeTimings>;
}

/**
 * A simulated CANedge: the state machine of docs/protocols/canedge-s3.md §13 over a real bucket, with its own ota and
 * heartbeat periods out of the config that it runs. Throws a RangeError for an id, model or version that is none.
 */
export function makeCanedgeDevice(options: CanedgeSimOptions, ports: SimPorts): SimDevice {
  const body = makeBody(options, ports);
  let power: AbortController | null = null;
  let life: Promise<void> = Promise.resolve();
  return {
    id: options.id,
    faults: CANEDGE_FAULTS,
    effects: body.effects,
    get powered() {
      return power !== null;
    },
    powerOn() {
      if (power !== null || options.schedule === 'never') return Promise.resolve();
      power = new AbortController();
      const { signal } = power;
      // One life after the other: the last one may still be inside a request.
      life = life.then(() => runSchedule(body, options.schedule ?? 'always', signal));
      return Promise.resolve();
    },
    async powerOff() {
      power?.abort(new PowerOff());
      power = null;
      await life;
      await body.link?.store.close();
      body.link = null;
    },
    fault(name, value) {
      applyFault(body, name, value);
    },
    truth: () => truthOf(body),
    outOfReach() {
      const server = serverOf(body);
      return server !== 'own' && 'why' in server ? server.why : null;
    },
  };
}

/** Certificates only once it has been given some. */
function truthOf({ card }: CanedgeBody): Readonly<Record<string, string>> {
  const hashes = card.trust.loaded.map((one) => one.hashes[hashKindOf(card.model.name)]);
  return {
    firmware: card.firmware.version,
    config: `${card.series} ${card.running.crc || 'none'}`,
    ...(card.trust.file === null ? {} : { trust: setText(hashes) }),
  };
}

class PowerOff extends Error {
  override readonly name = 'PowerOff';
}

function makeBody(options: CanedgeSimOptions, ports: SimPorts): CanedgeBody {
  if (!DEVICE_ID.test(options.id)) throw new RangeError(`a CANedge id is 8 hex digits, not ${JSON.stringify(options.id)}`);
  const model = modelByName(options.model) ?? modelByType(options.model);
  if (model === undefined || model.network === 'none') throw new RangeError(`no CANedge with a network: ${JSON.stringify(options.model)}`);
  const firmware = firmwareOf(options, model);
  const config = options.config === undefined ? firmware.config : bytesOf(options.config);
  const keys = keysOf(options.id, options.privateKey);
  const card = new CanedgeCard({ id: options.id, model, firmware, config, keys });
  const quirks: CanedgeQuirks = {
    ...DEFAULT_QUIRKS,
    ...(options.id === options.id.toLowerCase() ? { idCase: 'lower' } : {}),
    ...options.quirks,
  };
  if (options.certificates !== undefined) card.trust = loadBundle(card.trust, options.certificates, quirks.certBundleEncodings);
  return {
    ports,
    card,
    quirks,
    faults: new FaultSwitches(),
    timings: { ...DEFAULT_TIMINGS, ...options.timings },
    surroundings: surroundingsOf(parseJson(config) ?? {}, keys),
    preinstalled: model.network === 'cellular' ? bundleOf(options.preinstalled) : [],
    logs: options.logs ?? null,
    effects: [],
    link: null,
    replay: null,
    bricked: false,
  };
}

function bundleOf(bytes: Uint8Array | undefined): readonly BundleCertificate[] {
  if (bytes === undefined) return [];
  const parsed = parseBundle(bytes);
  if (!parsed.ok) throw new RangeError(`what a simulated device trusts from the factory: ${parsed.error.message}`);
  return parsed.value;
}

function firmwareOf(options: CanedgeSimOptions, model: CanedgeModel): SimFirmware {
  const parsed = parseVersion(options.firmware);
  if (parsed === undefined) throw new RangeError(`no CANedge firmware version: ${JSON.stringify(options.firmware)}`);
  const version = versionText(parsed);
  const series = seriesOf(version) ?? '';
  return {
    version,
    schema: new TextEncoder().encode(JSON.stringify(options.schema ?? buildRuleSchema(series, model.name))),
    config: bytesOf(buildSimConfig(series, model.name)),
  };
}

function bytesOf(config: Json | Uint8Array): Uint8Array {
  if (config instanceof Uint8Array) return config;
  const rendered = renderConfig(config);
  if (!rendered.ok) throw new RangeError(`the config of a simulated device: ${rendered.error.message}`);
  return rendered.value;
}

async function runSchedule(body: CanedgeBody, schedule: OnlineSchedule, signal: AbortSignal): Promise<void> {
  try {
    if (typeof schedule === 'string') {
      await live(body, signal);
      return;
    }
    await body.ports.clock.sleep(schedule.offsetMs ?? 0, signal);
    for (;;) {
      const ignition = new AbortController();
      const drive = untilOff(live(body, AbortSignal.any([signal, ignition.signal])));
      await body.ports.clock.sleep(schedule.onMs, signal).finally(() => ignition.abort(new PowerOff()));
      await drive;
      await body.ports.clock.sleep(schedule.offMs, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** A life that ends because the power went is no error. */
async function untilOff(life: Promise<void>): Promise<void> {
  try {
    await life;
  } catch (error) {
    if (!(error instanceof PowerOff)) throw error;
  }
}

function applyFault(body: CanedgeBody, name: string, value: Json): void {
  const fault = body.faults.set(name, value);
  if (fault === 'oldHeartbeat') body.replay = body.faults.on(fault) ? deviceJson(body.card, body.quirks) : null;
  if (fault === 'sdEdit' && body.faults.on(fault)) editCard(body, body.faults.text(fault, 'edited by hand'));
}

/** Somebody changed the config on the card and restarted the device: the bucket wins at the next poll (F10). */
function editCard(body: CanedgeBody, meta: string): void {
  const { card } = body;
  const document = card.document as { readonly general?: Readonly<Record<string, Json>> } & Readonly<Record<string, Json>>;
  const edited = bytesOf({ ...document, general: { ...document.general, device: { meta } } });
  card.configs.set(card.series, edited);
  card.takenConfig = null;
  card.load();
}
