import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS, parseDuration } from '#kit/duration.ts';
import { DIALECTS, type Dialect } from './wire-commands.ts';
import { cleanBaseTopic } from './wire.ts';

/** The vendor's own time frames, proposed in docs/protocols/campbell-mqtt.md §9.5: options raise them, never lower. */
export const OS_DEADLINE_MS = 45 * MINUTE_MS;
const PROGRAM_DEADLINE_MS = 5 * MINUTE_MS;

/** `options:` of a logger with the defaults of options.schema.json filled in. */
export interface CampbellOptions {
  readonly dialect: Dialect;
  /** The logger is asked once whether it speaks v2; until it has answered `dialect` is os80, which all understand. */
  readonly probe: boolean;
  /** Without a trailing slash. */
  readonly baseTopic: string;
  /** Null when it was not written: then the vendor's default `<MODEL>_<serial>` or any Thing name may be seen. */
  readonly clientId: string | null;
  readonly stateIntervalMs: number;
  readonly statusIntervalMs: number;
  readonly osDeadlineMs: number;
  readonly programDeadlineMs: number;
  readonly hazard: 'none' | 'switched-modem';
  readonly hazardAccepted: string | null;
  /** Why settings that could cut the link may be changed all the same; null: they may not. */
  readonly linkAccepted: string | null;
  /** Why a private key may travel over plain HTTP; null: it may not. */
  readonly clearAccepted: string | null;
  /** Why roots count that a logger loaded though nothing proves that it trusts them; null: they do not. */
  readonly trustAccepted: string | null;
  readonly minBattery: number | null;
  /** Kinds of private keys that may be sent: RSA alone is documented (docs/protocols/campbell-mqtt.md §2). */
  readonly keys: 'rsa' | 'any';
}

/** Reads options that passed the schema; anything else counts as not written. */
export function campbellOptions(options: Readonly<Record<string, Json>>): CampbellOptions {
  const text = (name: string): string | null => {
    const value = options[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
  };
  const duration = (name: string, otherwise: number): number => parseDuration(text(name) ?? '') ?? otherwise;
  const minBattery = text('minBattery');
  return {
    dialect: DIALECTS.find((dialect) => dialect === text('dialect')) ?? 'os80',
    probe: text('dialect') === 'probe',
    baseTopic: cleanBaseTopic(text('baseTopic') ?? 'cs/v2'),
    clientId: text('clientId'),
    stateIntervalMs: duration('stateInterval', MINUTE_MS),
    statusIntervalMs: duration('statusInterval', 30 * MINUTE_MS),
    osDeadlineMs: Math.max(OS_DEADLINE_MS, duration('osDeadline', OS_DEADLINE_MS)),
    programDeadlineMs: Math.max(PROGRAM_DEADLINE_MS, duration('programDeadline', PROGRAM_DEADLINE_MS)),
    hazard: text('hazard') === 'switched-modem' ? 'switched-modem' : 'none',
    hazardAccepted: text('hazardAccepted'),
    linkAccepted: text('linkAccepted'),
    clearAccepted: text('clearAccepted'),
    trustAccepted: text('trustAccepted'),
    minBattery: minBattery === null || !Number.isFinite(Number(minBattery)) ? null : Number(minBattery),
    keys: text('keys') === 'any' ? 'any' : 'rsa',
  };
}

/** Three missed state messages: longer than that a logger is not known to be online. */
export function liveWindowMs(options: CampbellOptions): number {
  return 3 * (options.stateIntervalMs > 0 ? options.stateIntervalMs : options.statusIntervalMs);
}
