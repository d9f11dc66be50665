import { Temporal } from 'temporal-polyfill';
import { isZone } from './calendar.ts';
import type { WindowDeclaration, WindowSpan } from './declared.ts';
import type { Instant } from './ids.ts';

const DAY_MINUTES = 1440;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const MINUTE = 60_000;
/** A stretch that goes on for so long after the moment has no end worth naming. */
const ENDLESS_MS = WEEK_MINUTES * MINUTE;
/** How many days may be looked at for the next opening: a deny that lasts for years is passed over in one step. */
const SEARCH_DAYS = 800;

/** An open stretch: `from` included, `to` not. `to` is null when it goes on for longer than a week. */
export interface Stretch {
  readonly from: Instant;
  readonly to: Instant | null;
}

/**
 * Whether no moment of any week is far enough from the end of an open stretch: nothing could ever begin. Days that are
 * denied do not count here, because they pass.
 */
export function neverOpen(window: Pick<WindowDeclaration, 'allow' | 'marginMs'>): boolean {
  const longest = longestMinutes(window.allow);
  return longest < WEEK_MINUTES && longest * MINUTE <= window.marginMs;
}

/** The longest open stretch of a week, in minutes; WEEK_MINUTES when it never ends. */
function longestMinutes(allow: readonly WindowSpan[]): number {
  const spans = allow
    .flatMap(({ days, from, to }) => days.map((day) => ({ start: (day - 1) * DAY_MINUTES + from, length: spanMinutes(from, to) })))
    .filter((span) => span.length > 0)
    .flatMap(({ start, length }) => [0, WEEK_MINUTES].map((week) => ({ start: start + week, end: start + week + length })))
    .toSorted((a, b) => a.start - b.start);
  let longest = 0;
  let open: { start: number; end: number } | null = null;
  for (const span of spans) {
    if (open === null || span.start > open.end) open = { ...span };
    else open.end = Math.max(open.end, span.end);
    longest = Math.max(longest, open.end - open.start);
  }
  return Math.min(longest, WEEK_MINUTES);
}

/** `to` below `from` runs past midnight; equal ones hold nothing. */
function spanMinutes(from: number, to: number): number {
  return to >= from ? to - from : to + DAY_MINUTES - from;
}

/**
 * The stretch in which a change may begin (its end is `margin` before the window's own) that holds the moment, or the
 * next one; null when there is none within some two years. Local times are taken by the zone's own rules: one that
 * spring leaves out is the moment of the change, one that autumn repeats begins at its first and ends at its last
 * occurrence. Throws a RangeError on a bad zone.
 */
export function stretchAt(window: WindowDeclaration, zone: string, at: Instant): Stretch | null {
  if (!isZone(zone)) throw new RangeError(`not a time zone: ${zone}`);
  for (const { from, to } of stretches(window, zone, at)) {
    if (to === null) return { from, to };
    const last = to - window.marginMs;
    if (last > at && last > from) return { from, to: last };
  }
  return null;
}

/** Open stretches that end after the moment, in order, neighbours joined. */
function* stretches(window: WindowDeclaration, zone: string, at: Instant): Generator<Stretch> {
  let open: { from: Instant; to: Instant } | null = null;
  for (const span of spansFrom(window, zone, at)) {
    if (open !== null && span.from <= open.to) open.to = Math.max(open.to, span.to);
    else {
      if (open !== null && open.to > at) yield open;
      open = { ...span };
    }
    if (open.to - Math.max(open.from, at) > ENDLESS_MS) {
      yield { from: open.from, to: null };
      return;
    }
  }
  if (open !== null && open.to > at) yield open;
}

/** The spans of one day after the other in order of their beginnings, from the day before the moment. */
function* spansFrom(window: WindowDeclaration, zone: string, at: Instant): Generator<{ from: Instant; to: Instant }> {
  let date = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).toPlainDate().subtract({ days: 1 });
  for (let looked = 0; looked < SEARCH_DAYS; looked += 1) {
    const last = deniedUntil(window, date);
    if (last === null) yield* spansOfDay(window, zone, date);
    date = (last ?? date).add({ days: 1 });
  }
}

function* spansOfDay(window: WindowDeclaration, zone: string, date: Temporal.PlainDate): Generator<{ from: Instant; to: Instant }> {
  const today = window.allow.filter((span) => span.days.includes(date.dayOfWeek)).toSorted((a, b) => a.from - b.from);
  for (const { from, to } of today) {
    const end = from + spanMinutes(from, to);
    // A night that runs into a denied day ends at its midnight.
    const capped = end > DAY_MINUTES && deniedUntil(window, date.add({ days: 1 })) !== null ? DAY_MINUTES : end;
    const span = {
      from: instantOfLocal(date, from, { zone, which: 'earlier' }),
      to: instantOfLocal(date, capped, { zone, which: 'later' }),
    };
    if (span.to > span.from) yield span;
  }
}

/** The last day of the denied stretch that holds the day; null when it is not denied. */
function deniedUntil(window: WindowDeclaration, date: Temporal.PlainDate): Temporal.PlainDate | null {
  const day = date.toString();
  const denied = window.deny.find(({ first, last }) => first <= day && day <= last);
  return denied === undefined ? null : Temporal.PlainDate.from(denied.last);
}

function instantOfLocal(
  date: Temporal.PlainDate,
  minutes: number,
  { zone, which }: { readonly zone: string; readonly which: 'earlier' | 'later' },
): Instant {
  const local = date
    .add({ days: Math.floor(minutes / DAY_MINUTES) })
    .toPlainDateTime({ minute: minutes % 60, hour: Math.floor((minutes % DAY_MINUTES) / 60) });
  const zoned = local.toZonedDateTime(zone, { disambiguation: which });
  if (zoned.toPlainDateTime().equals(local)) return zoned.epochMilliseconds;
  const change = local.toZonedDateTime(zone, { disambiguation: 'earlier' }).getTimeZoneTransition('next');
  return (change ?? zoned).epochMilliseconds;
}
