import type { Instant } from '#model/ids.ts';
import { durationText, MINUTE_MS } from '#kit/duration.ts';

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${Object.values(options).join()}`;
  const known = formats.get(key);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone });
  formats.set(key, made);
  return made;
}

function parts(at: Instant, zone: string, options: Intl.DateTimeFormatOptions): Readonly<Record<string, string>> {
  return Object.fromEntries(
    format(zone, options)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
}

/** `Mon 24 Nov 08:00`, in that zone; the year stays out because plans look days ahead, not years. */
export function dayAndTime(at: Instant, zone: string): string {
  const { weekday, day, month, hour, minute } = parts(at, zone, {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return `${weekday} ${day} ${month} ${hour}:${minute}`;
}

/** The same with the zone's short name: `Mon 24 Nov 08:00 GMT`. */
export function dayTimeZone(at: Instant, zone: string): string {
  const { timeZoneName } = parts(at, zone, { timeZoneName: 'short' });
  return `${dayAndTime(at, zone)} ${timeZoneName ?? zone}`;
}

/** `2026-11-24`: for dates that may be years away. */
export function isoDay(at: Instant, zone: string): string {
  const { year, month, day } = parts(at, zone, { year: 'numeric', month: '2-digit', day: '2-digit' });
  return `${year}-${month}-${day}`;
}

/** For JSON: `2026-11-24T08:00:00.000Z`, null stays null. */
export function isoInstant(at: Instant | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

/** How long ago, for people: `just now`, `5m ago`, `3d 4h ago`. */
export function ago(at: Instant, now: Instant): string {
  const past = now - at;
  return past < MINUTE_MS ? 'just now' : `${durationText(Math.floor(past / MINUTE_MS) * MINUTE_MS)} ago`;
}
