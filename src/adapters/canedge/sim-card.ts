import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import { connectSummary, type ConnectSummary } from './connect.ts';
import type { CanedgeQuirks } from './sim-faults.ts';
import { textAt, parseJson } from './json.ts';
import type { CanedgeModel } from './models.ts';
import type { SimKeys } from './sim-secrets.ts';
import { certificateField, type SimTrust } from './sim-trust.ts';
import { seriesOf } from './versions.ts';

/** The firmware that a simulated device runs: its version and what is embedded in it. */
export interface SimFirmware {
  readonly version: string;
  readonly schema: Uint8Array;
  readonly config: Uint8Array;
}

interface ReadConfig {
  readonly bytes: Uint8Array;
  readonly document: Json;
  readonly summary: ConnectSummary;
}

/** SD card, flash and counters of a simulated device: what survives a power cut. */
export class CanedgeCard {
  readonly id: string;
  readonly model: CanedgeModel;
  readonly keys: SimKeys;
  firmware: SimFirmware;
  /** Config files by series. */
  readonly configs = new Map<string, Uint8Array>();
  /** Downloaded and not yet looked at by the boot loader. */
  pending: Uint8Array | null = null;
  /** ETags of what was last taken or refused, so that it is not taken again. */
  takenFirmware: string | null = null;
  takenConfig: { readonly etag: string; readonly lastModified: number } | null = null;
  refusedConfig: string | null = null;
  trust: SimTrust = { file: null, loaded: [] };
  session = 0;
  heartbeats = 0;
  /** Of all sessions: whether it restarts with one is not known. */
  puts = 0;
  /** Closed log files of this session. */
  splits = 0;
  /** The session in which it uploaded its schema last: once per power cycle. */
  schemaSession = 0;
  /** What it runs: bytes, and the CRC it reports of them. */
  running: { readonly bytes: Uint8Array; readonly crc: string };
  #config: ReadConfig | null = null;

  constructor(identity: {
    readonly id: string;
    readonly model: CanedgeModel;
    readonly firmware: SimFirmware;
    readonly config: Uint8Array;
    readonly keys: SimKeys;
  }) {
    this.id = identity.id;
    this.model = identity.model;
    this.firmware = identity.firmware;
    this.keys = identity.keys;
    this.configs.set(this.series, identity.config);
    this.running = { bytes: identity.config, crc: crc32Hex(identity.config) };
  }

  get series(): string {
    return seriesOf(this.firmware.version) ?? '00.00';
  }

  /** Runs what is on the card for the present series; the embedded default where there is nothing (§13, BOOT). */
  load(): void {
    const bytes = this.configs.get(this.series) ?? this.firmware.config;
    this.configs.set(this.series, bytes);
    this.running = { bytes, crc: crc32Hex(bytes) };
  }

  get document(): Json {
    return this.#read().document;
  }

  /** How the config that it runs reaches its bucket. */
  get summary(): ConnectSummary {
    return this.#read().summary;
  }

  /** A device asks for its config many times between two changes of it. */
  #read(): ReadConfig {
    const { bytes } = this.running;
    if (this.#config?.bytes === bytes) return this.#config;
    const document = parseJson(bytes) ?? {};
    this.#config = { bytes, document, summary: connectSummary(document) };
    return this.#config;
  }
}

/** What a fault makes the device say instead of the truth. */
export interface Lies {
  readonly id?: string;
  readonly type?: string;
  readonly crc?: string;
  readonly kpub?: string;
  readonly version?: string;
}

/** device.json as this device writes it (§3). */
export function deviceJson(card: CanedgeCard, quirks: CanedgeQuirks, lies: Lies = {}): Uint8Array {
  const version = lies.version ?? card.firmware.version;
  const series = seriesOf(version) ?? card.series;
  const base: Record<string, Json> = {
    id: lies.id ?? (quirks.idCase === 'lower' ? card.id.toLowerCase() : card.id),
    type: lies.type ?? card.model.type,
    kpub: lies.kpub ?? card.keys.kpub,
    fw_ver: version,
    hw_ver: '00.03/00.00',
    cfg_ver: series,
    cfg_name: `config-${series}.json`,
    cfg_crc32: lies.crc ?? card.running.crc,
    sch_name: `schema-${series}.json`,
    log_meta: textAt(card.document, 'general', 'device', 'meta') ?? '',
    space_used_mb: `${36 + (card.heartbeats % 1000)}/30424`,
    sd_info: '000353445341333247809B0AC8A4015B',
    sd_used_lifespan: '1',
    reset_cause: '',
    ...(card.model.network === 'wifi'
      ? { wifi_fw_ver: '19.7.7/19.7.7', wifi_mac: macOf(card.id) }
      : { cellular_fw_ver: '03.15,A00.01', cellular_iccid: '89450000000000000001', cellular_imei: '350000000000001' }),
    ...(card.model.gnss ? { gnss_fw_ver: '1.23' } : {}),
    ...certificateField(card.trust.loaded, card.model, quirks),
  };
  return new TextEncoder().encode(styled(base, quirks.deviceJsonStyle));
}

function styled(fields: Readonly<Record<string, Json>>, style: CanedgeQuirks['deviceJsonStyle']): string {
  switch (style) {
    case 'compact':
      return JSON.stringify(fields);
    case 'crlf':
      return JSON.stringify(fields, null, 2).replaceAll('\n', '\r\n');
    case 'reordered':
      return JSON.stringify(Object.fromEntries(Object.entries(fields).toReversed()), null, 2);
    case 'extra':
      return JSON.stringify({ ...fields, new_field: 'of a later firmware', another: { nested: ['1'] } }, null, 2);
    case 'pretty':
      return JSON.stringify(fields, null, 2);
  }
}

function macOf(id: string): string {
  return ['F8', 'F0', ...(id.toUpperCase().match(/../g) ?? [])].join('-');
}
