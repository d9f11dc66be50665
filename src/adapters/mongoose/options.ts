import type { Json } from '#kit/canonical.ts';
import { HOUR_MS, MINUTE_MS, parseDuration } from '#kit/duration.ts';
import { isJsonObject } from '#model/shadow.ts';

export type Ota = 'shadow' | 'rpc' | 'mdash';

/** The microcontroller behind a communication module. */
export interface HostOptions {
  readonly platform: string;
  /** Where its version is said: in `reported` of the shadow, or by a call. One of them, or nobody says it. */
  readonly reported: string | null;
  readonly method: string | null;
}

/** `options:` of a board with the defaults of options.schema.json filled in. */
export interface MongooseOptions {
  /** Null where the connection decides. */
  readonly ota: Ota | null;
  readonly commit: 'rpc' | 'self';
  readonly commitTimeoutMs: number;
  readonly updateTimeoutMs: number;
  readonly shadow: { readonly at: string; readonly generation: 'object' | 'flat' };
  readonly rpc: { readonly src: string; readonly user: string | null; readonly realm: string };
  readonly platform: string | null;
  readonly host: HostOptions | null;
  readonly askEveryMs: number;
  readonly lostAfterMs: number;
  readonly urlLifeMs: number;
}

/** Reads options that passed the schema; anything else counts as not written. */
export function mongooseOptions(options: Readonly<Record<string, Json>>): MongooseOptions {
  const duration = (name: string, otherwise: number): number => parseDuration(textOf(options[name]) ?? '') ?? otherwise;
  const { ota } = options;
  const shadow = objectOf(options['shadow']);
  const rpc = objectOf(options['rpc']);
  return {
    ota: ota === 'shadow' || ota === 'rpc' || ota === 'mdash' ? ota : null,
    commit: options['commit'] === 'self' ? 'self' : 'rpc',
    commitTimeoutMs: duration('commitTimeout', 10 * MINUTE_MS),
    updateTimeoutMs: duration('updateTimeout', 10 * MINUTE_MS),
    shadow: { at: textOf(shadow['at']) ?? '/ota', generation: shadow['generation'] === 'flat' ? 'flat' : 'object' },
    rpc: { src: textOf(rpc['src']) ?? '{device}/rpc-resp/headgate', user: textOf(rpc['user']), realm: textOf(rpc['realm']) ?? 'RPC' },
    platform: textOf(options['platform']),
    host: hostOf(options['host']),
    askEveryMs: duration('askEvery', HOUR_MS),
    lostAfterMs: duration('lostAfter', HOUR_MS),
    urlLifeMs: duration('urlLife', 6 * HOUR_MS),
  };
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function objectOf(value: Json | undefined): Readonly<Record<string, Json | undefined>> {
  return isJsonObject(value) ? value : {};
}

function hostOf(value: Json | undefined): HostOptions | null {
  if (!isJsonObject(value)) return null;
  return {
    platform: textOf(value['platform']) ?? 'ccm_host',
    reported: textOf(value['reported']),
    method: textOf(value['method']),
  };
}

interface Named {
  readonly id: string;
  readonly address: string | null;
}

/** `device.id` of the board, which is also the name of its thing: its address, its id without one. */
export function boardName(device: Named): string {
  return device.address ?? device.id;
}

/** The caller's name in frames to this board. */
export function callerName(device: Named, { rpc }: MongooseOptions): string {
  return rpc.src.replaceAll('{device}', () => boardName(device));
}

/** How the firmware is brought over a connection of this type where options do not say it. */
export function otaOver(options: MongooseOptions, connectionType: string | null): Ota {
  if (options.ota !== null) return options.ota;
  return connectionType === 'mdash' ? 'mdash' : connectionType === 'mqtt' ? 'rpc' : 'shadow';
}

/** Whether it is of 2017: it says its version by calls only. */
export function isFlat({ shadow }: Pick<MongooseOptions, 'shadow'>): boolean {
  return shadow.generation === 'flat';
}

/** Whether boards can be called over a connection of this type: AWS IoT over HTTP passes no calls on. */
export function canCall(connectionType: string | null): boolean {
  return connectionType === 'mqtt' || connectionType === 'mdash' || connectionType === 'azure-iot';
}
