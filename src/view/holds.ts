import { REASONS } from '#model/reasons.ts';
import type { Hold } from '#model/rollout.ts';
import { dayTimeZone } from './time.ts';
import { tableText } from './table.ts';
import type { Paint } from './table.ts';

/** When a hold can change: an instant, a person, or the next report. */
export function untilText(hold: Pick<Hold, 'until' | 'person'>, zone: string): string {
  if (hold.until !== null) return dayTimeZone(hold.until, zone);
  return hold.person === null ? 'the next report' : `needs a person: ${hold.person}`;
}

/** `moor-house  WINDOW_CLOSED  until Mon 24 Nov 08:00 GMT  evidence`, one line per device that is not converged. */
export function holdsText(held: readonly Hold[], zone: string, paint?: Paint): string {
  if (held.length === 0) return 'nothing is held';
  const rows = held.map((hold) => [hold.device, hold.reason, untilText(hold, zone), hold.wave ?? '', hold.evidence]);
  return tableText(['device', 'reason', 'until', 'wave', 'evidence'], rows, paint === undefined ? {} : { paint });
}

/** The reason in plain words. */
export function reasonText(hold: Pick<Hold, 'reason'>): string {
  return REASONS[hold.reason];
}
