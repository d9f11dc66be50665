import type { FaultSwitches } from './sim-faults.ts';
import type { LoggerStore } from './sim-store.ts';
import type { Dialect } from './wire-commands.ts';
import { csiSignature } from './wire.ts';

export type Body = Readonly<Record<string, unknown>>;

/** A report as it is published: message type, what follows the device id in the topic, payload. */
export interface Report {
  readonly type: 'state' | 'metadata' | 'status';
  readonly rest: string;
  readonly body: Body;
}

export interface Speaker {
  readonly model: string;
  readonly address: string;
  readonly dialect: Dialect;
  readonly battery: number;
  readonly store: LoggerStore;
  readonly faults: FaultSwitches;
  /** As the logger shows them: a fault may have it show others. */
  readonly serial: string;
  readonly clientId: string;
  readonly now: number;
}

/** What is said at program start (docs/protocols/campbell-mqtt.md §9.1): statusInfo, or in v2 metadata and status. */
export function startReports(speaker: Speaker): readonly Report[] {
  if (speaker.dialect !== 'v2') return [{ type: 'state', rest: 'statusInfo', body: statusInfo(speaker) }];
  return [...metadataReports(speaker), statusReport(speaker)];
}

/** What is said every status interval: without metadata in v2 (§3.4, §3.5). */
export function statusReports(speaker: Speaker): readonly Report[] {
  return speaker.dialect === 'v2' ? [statusReport(speaker)] : startReports(speaker);
}

/** §3.4: the GeoJSON feature, and the device info below it. */
export function metadataReports(speaker: Speaker): readonly Report[] {
  const { store, serial, model, address, now } = speaker;
  const progName = progNameOf(speaker);
  const observations: Body = {
    OSVersion: osVersionOf(speaker),
    OSDate: '07/21/2025',
    OSSignature: csiSignature(new TextEncoder().encode(store.os)),
    SerialNumber: serial,
    RevBoard: '020.001.p.e',
    StationName: stationName(speaker),
    RecipeStatus: '',
    ProgName: progName,
    StartTime: new Date(store.startedAt).toISOString().slice(0, -1),
    RunSignature: store.runSignature,
    ProgSignature: store.signature,
    StartUpCode: 0,
    MemorySize: 4_194_304,
    MemoryFree: 72_604,
  };
  const info = {
    station_name: stationName(speaker),
    model,
    serial_no: serial,
    os_version: osVersionOf(speaker),
    prog_name: progName,
    setting_device_id: address,
  };
  return [
    { type: 'metadata', rest: '', body: feature(address, observations, now) },
    { type: 'metadata', rest: 'metadata', body: info },
  ];
}

function statusReport(speaker: Speaker): Report {
  const { store, address, now } = speaker;
  const observations: Body = {
    WatchdogErrors: store.watchdogErrors,
    PanelTemp: 21.5,
    Battery: batteryOf(speaker),
    LithiumBattery: 3.6,
    Low12VCount: 0,
    CompileResults: `${store.compileResults}\r\n`,
    SkippedScan: 0,
    SkippedSystemScan: 0,
    CommsMemFree: 520_000,
    CardStatus: 'No Card Present.',
    MaxProcTime: 5126,
    MaxBuffDepth: 0,
  };
  return { type: 'status', rest: '', body: feature(address, observations, now) };
}

/** GeoJSON with names and values as parallel arrays (§3.4). */
export function feature(address: string, observations: Body, now: number): Body {
  return {
    type: 'Feature',
    geometry: { type: 'Point', coordinates: [0, 0, 0] },
    properties: {
      loggerID: address,
      observationNames: Object.keys(observations),
      observations: { [new Date(now).toISOString()]: Object.values(observations) },
    },
  };
}

/** §3.3: all values are texts. */
function statusInfo(speaker: Speaker): Body {
  const { store } = speaker;
  return {
    state: {
      reported: {
        clientId: speaker.clientId,
        OS_Version: osVersionOf(speaker),
        Program_Name: progNameOf(speaker),
        Program_Signature: String(store.signature),
        Compile_Errors: String(store.compileErrors),
        Compile_Results: store.compileResults,
        Low_12volt: '0',
        Battery: batteryOf(speaker).toFixed(2),
        Skipped_Scan: '0',
        Watchdog_Errors: String(store.watchdogErrors),
      },
    },
  };
}

/** §3.6: the head of a CSIJSON message. */
export function environmentOf(speaker: Speaker, table: string): Body {
  return {
    station_name: stationName(speaker),
    table_name: table,
    model: speaker.model,
    serial_no: speaker.serial,
    os_version: osVersionOf(speaker),
    prog_name: `CPU:${speaker.store.running ?? ''}`,
  };
}

function stationName({ store, serial }: Speaker): string {
  const name = store.settings.value('StationName');
  return name === '' ? serial : name;
}

function progNameOf({ store, faults }: Speaker): string {
  const failedName = faults.on('failedNameReported') && store.running === null ? store.powerUp : null;
  const name = failedName ?? store.running;
  return name === null ? '' : `CPU:${name}`;
}

function osVersionOf({ store, faults }: Speaker): string {
  return faults.on('wrongModelVersion') ? faults.text('wrongModelVersion', foreignVersion(store.model)) : store.os;
}

function foreignVersion(model: string): string {
  return model.startsWith('CR6') ? 'CR300.Std.11.00' : 'CR6.Std.10.02';
}

function batteryOf({ battery, faults }: Speaker): number {
  return faults.on('batteryLow') ? faults.number('batteryLow', 10.9) : battery;
}
