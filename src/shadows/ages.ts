import { DAY_MS, MINUTE_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { namedAt, type ShadowDocument, type ShadowSection } from '#model/shadow.ts';

/** A service's clock may run before ours; what is further ahead is nobody's clock. */
const MOST_AHEAD_MS = DAY_MS;
/** Two clocks are never set alike. */
export const SKEW_MS = 10 * MINUTE_MS;

/** An age that cannot be is none. `now` is ours. */
export function aged(at: Instant | null, now: Instant): Instant | null {
  return at === null || at > now + MOST_AHEAD_MS ? null : at;
}

/** When something under a pointer of a section was last named by the service's clock, as far as that can be. */
export function agedAt(section: ShadowSection, pointer: string, now: Instant): Instant | null {
  return aged(namedAt(section, pointer), now);
}

/** The newest of those that are known. */
export function newest(instants: readonly (Instant | null)[]): Instant | null {
  const known = instants.filter((at) => at !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** The newest sign of life: what the device named last, never older than what was known. */
export function heardAtOf(last: ReportedDevice | undefined, document: ShadowDocument, now: Instant): Instant | null {
  return newest([agedAt(document.reported, '', now), last?.heardAt ?? null]);
}

/** Its usual gap: a quarter of the way to the newest one each time, so that one long silence does not make it. */
export function gapOf(last: ReportedDevice | undefined, heardAt: Instant | null): number | null {
  if (last?.heardAt == null || heardAt === null || heardAt <= last.heardAt) return last?.gapMs ?? null;
  const gap = heardAt - last.heardAt;
  return last.gapMs === null ? gap : Math.round(last.gapMs + (gap - last.gapMs) / 4);
}

/**
 * After this a report counts. A shadow service tells whole seconds: what was reported in the very second of our write may
 * have come before it. Where nothing had been when we read, under the lock, all of that second comes after it.
 */
export function referenceOf(writtenAt: Instant, before: ShadowDocument | 'missing'): Instant {
  const named = before === 'missing' ? null : namedAt(before.reported, '');
  return named !== null && named >= writtenAt ? writtenAt : writtenAt - 1;
}
