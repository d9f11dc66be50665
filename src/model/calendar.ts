import { Temporal } from 'temporal-polyfill';
import type { Instant } from './ids.ts';

/** Zones that were asked for: to ask Intl costs as much as to declare a small fleet. */
const known = new Set<string>();

/** Whether the text is an IANA zone that this runtime knows. */
export function isZone(text: string): boolean {
  // Intl also takes offsets such as +01:00, which have no daylight saving and are never what a person means here.
  if (!/^[A-Za-z]/.test(text)) return false;
  if (known.has(text)) return true;
  try {
    if (new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone === '') return false;
  } catch {
    return false;
  }
  known.add(text);
  return true;
}

/** Whether `2027-02-28` is a day of the calendar. */
export function isDay(text: string): boolean {
  return dayOf(text) !== null;
}

/** The first instant of a local day. Null for a day or zone that does not exist. */
export function startOfDay(day: string, zone: string): Instant | null {
  const date = dayOf(day);
  return date === null || !isZone(zone) ? null : date.toZonedDateTime(zone).epochMilliseconds;
}

/**
 * The instant of a moment as people write it: a day (its first instant, or with `edge` 'after' the first instant past
 * it), a local time in `zone`, or a time with its own offset. Null when it does not exist.
 */
export function instantOf(text: string, zone: string, edge: 'at' | 'after' = 'at'): Instant | null {
  const day = dayOf(text);
  if (!isZone(zone)) return null;
  if (day !== null) return (edge === 'at' ? day : day.add({ days: 1 })).toZonedDateTime(zone).epochMilliseconds;
  const spelled = text.replace(' ', 'T');
  try {
    if (/(Z|[+-]\d{2}:\d{2})$/.test(spelled)) return Temporal.Instant.from(spelled).epochMilliseconds;
    return Temporal.PlainDateTime.from(spelled, { overflow: 'reject' }).toZonedDateTime(zone).epochMilliseconds;
  } catch {
    return null;
  }
}

function dayOf(text: string): Temporal.PlainDate | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  try {
    return Temporal.PlainDate.from(text, { overflow: 'reject' });
  } catch {
    return null;
  }
}
