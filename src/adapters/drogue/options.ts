import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS, parseDuration, SECOND_MS } from '#kit/duration.ts';

/** `options:` of a device with the defaults of options.schema.json filled in. */
export interface DrogueOptions {
  readonly up: string;
  readonly down: string;
  readonly telemetry: string | null;
  readonly gateway: string | null;
  readonly correlation: number | null;
  readonly json: boolean;
  readonly mtu: number;
  readonly maxBlock: number;
  readonly versionBytes: number;
  readonly writeSize: number;
  readonly restartSafe: boolean;
  readonly verifies: boolean;
  readonly trialMs: number;
  readonly swapAttempts: number;
  /** Whole seconds, at least 1: 0 has no effect (docs/protocols/drogue-dfu.md §10). */
  readonly pollSeconds: number;
  readonly waitSeconds: number;
  readonly lostAfterMs: number;
}

/** Reads options that passed the schema; anything else counts as not written. */
export function drogueOptions(options: Readonly<Record<string, Json>>): DrogueOptions {
  const text = (name: string): string | null => (typeof options[name] === 'string' ? options[name] : null);
  const whole = (name: string): number | null => (Number.isInteger(options[name]) ? Number(options[name]) : null);
  const duration = (name: string, otherwise: number): number => parseDuration(text(name) ?? '') ?? otherwise;
  const seconds = (name: string, otherwise: number): number => Math.max(1, Math.floor(duration(name, otherwise) / SECOND_MS));
  return {
    up: text('up') ?? 'dfu/{device}',
    down: text('down') ?? 'command/inbox/{device}/dfu',
    telemetry: text('telemetry'),
    gateway: text('gateway'),
    correlation: whole('correlation'),
    json: options['json'] === true,
    mtu: whole('mtu') ?? 512,
    maxBlock: whole('maxBlock') ?? 4096,
    versionBytes: whole('versionBytes') ?? 16,
    writeSize: whole('writeSize') ?? 64,
    restartSafe: options['restartSafe'] === true,
    verifies: options['verifies'] === true,
    trialMs: duration('trial', 15 * MINUTE_MS),
    swapAttempts: whole('swapAttempts') ?? 1,
    pollSeconds: seconds('poll', 5 * MINUTE_MS),
    waitSeconds: seconds('wait', MINUTE_MS),
    lostAfterMs: duration('lostAfter', 30 * MINUTE_MS),
  };
}

interface Named {
  readonly id: string;
  readonly address: string | null;
}

/** What stands for the device in its topics. */
export function topicName(device: Named, options: DrogueOptions): string {
  return options.gateway ?? device.address ?? device.id;
}

/** A topic of a device out of its template. A device without a group has `-` in its place. */
export function topicOf(template: string, names: { readonly device: string; readonly group: string | null }): string {
  return template.replaceAll('{device}', () => names.device).replaceAll('{group}', () => names.group ?? '-');
}
