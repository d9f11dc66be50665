import type { Instant } from '#model/ids.ts';
import type { DeviceState } from './state.ts';

/** Members of a telemetry object that are taken, with their units. The DFU protocol itself measures nothing. */
export const MEASURES: Readonly<Record<string, string>> = {
  battery: 'V',
  errors: 'errors',
  resets: 'resets',
  rssi: 'dBm',
  selfTest: '',
  temperature: '°C',
  uptime: 's',
};

const MOST_BYTES = 4096;
const LONGEST_TEXT = 64;

/** The measures in a JSON object; null for what is none. Members that are not known, or neither number nor text, are passed over. */
export function readTelemetry(payload: Uint8Array, at: Instant): DeviceState['measures'] | null {
  if (payload.length > MOST_BYTES) return null;
  let said: unknown;
  try {
    said = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'));
  } catch {
    return null;
  }
  if (typeof said !== 'object' || said === null || Array.isArray(said)) return null;
  const found: Record<string, { value: string; at: Instant }> = {};
  for (const name of Object.keys(MEASURES)) {
    const value = (said as Readonly<Record<string, unknown>>)[name];
    const text = typeof value === 'number' && Number.isFinite(value) ? String(value) : typeof value === 'string' ? value : null;
    if (text !== null && text.length <= LONGEST_TEXT) found[name] = { value: text, at };
  }
  return Object.keys(found).length === 0 ? null : found;
}
