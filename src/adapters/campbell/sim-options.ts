import { MINUTE_MS } from '#kit/duration.ts';
import { type CampbellTimings } from './sim-body.ts';
import type { StoreOptions } from './sim-store.ts';
import { type Dialect } from './wire-commands.ts';
import { cleanBaseTopic, isUid } from './wire.ts';

export interface CampbellSimOptions {
  readonly id: string;
  readonly model: string;
  readonly serial: string;
  /** As it stands in the topics: a UID, or model and serial. */
  readonly address: string;
  /** `cs/v2` by default. */
  readonly baseTopic?: string;
  /** `<MODEL>_<serial>` by default. */
  readonly clientId?: string;
  readonly dialect?: Dialect;
  /** As the logger reports it: `CR1000X.8.1.0`, `CR6.Std.10.02`. */
  readonly os: string;
  readonly program: { readonly name: string; readonly bytes: Uint8Array } | null;
  /** Further files on CPU:, `default.CR1X` for example. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** 1 min by default; 0 for none but those at connect. */
  readonly stateIntervalMs?: number;
  /** 30 min by default; 0 for none but those at program start. */
  readonly statusIntervalMs?: number;
  /** 0, the default, publishes no data. */
  readonly dataIntervalMs?: number;
  readonly dataTable?: string;
  /** A program that powerup.ini of a card starts whenever the logger starts (docs/protocols/campbell-mqtt.md §9.4). */
  readonly card?: { readonly name: string; readonly bytes: Uint8Array };
  /** Settings as they are found, by the names of §2.1. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Its own key and certificate, and the root CA that it trusts; without them it connects as its ports do. PEM. */
  readonly keys?: { readonly cert?: string; readonly key?: string; readonly ca?: string };
  /** `sw12`: the modem hangs on the switched 12 V, which only a program turns on (§9.3). */
  readonly modem?: 'always' | 'sw12';
  /** Volts, 12.6 by default. */
  readonly battery?: number;
  /** Whether the will suggested by docs/protocols/campbell-mqtt.md §2.2 is set; true by default. */
  readonly will?: boolean;
  /** False by default but for v2, whose documentation says so (§2). */
  readonly retainState?: boolean;
  /** True by default but for v2: as loggers were seen to write it (§1.2). */
  readonly trailingSlash?: boolean;
  readonly timings?: Partial<CampbellTimings>;
}

/** What the flash of such a logger holds when it is new. */
export function storeOptions(options: CampbellSimOptions): StoreOptions {
  const { model, serial, address, os, program, files = {}, card = null, settings = {}, keys } = options;
  const { stateIntervalMs = MINUTE_MS, statusIntervalMs = 30 * MINUTE_MS } = options;
  return {
    model,
    os,
    program,
    files,
    card,
    settings: {
      MQTTBaseTopic: cleanBaseTopic(options.baseTopic ?? 'cs/v2'),
      MQTTClientID: options.clientId ?? `${model}_${serial}`,
      MQTTEnable: keys === undefined ? '3' : '1',
      MQTTStateInterval: minutesText(stateIntervalMs),
      MQTTStatusInterval: minutesText(statusIntervalMs),
      UID: isUid(address) ? address : '',
      ...settings,
    },
    keys: { cert: keys?.cert ?? null, key: keys?.key ?? null, ca: keys?.ca ?? null },
  };
}

/** As the setting has it: whole minutes. */
export function minutesText(ms: number): string {
  return String(Math.ceil(ms / MINUTE_MS));
}
