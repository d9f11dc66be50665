import type { Via } from '#model/declared.ts';
import type { TrustPlace } from './trust.ts';

/** Between which connections a device moves, if it does: docs/protocols/canedge-s3.md §7.3 C. */
export interface Journey {
  /** Where it reports until it has arrived. */
  readonly from: string;
  /** Where it is to report; null when it does not move. */
  readonly to: string | null;
}

/**
 * `via` says where a device is to be. Where it is, its own newest report says: a device that was last heard at a connection
 * other than the declared ones (a move that was reverted, or was never declared as one) is on its way from there. `home` is
 * the connection of that report, null when it was never heard; `isKnown` whether a connection is still declared.
 */
export function journeyOf(via: Via, home: string | null, isKnown: (connection: string) => boolean): Journey {
  if (home === null || home === via.connection || home === via.to || !isKnown(home)) return { from: via.connection, to: via.to };
  return { from: home, to: via.to ?? via.connection };
}

/** The connection at which a device is heard. */
export function homeOf(journey: Journey, place: TrustPlace): string {
  return place === 'to' && journey.to !== null ? journey.to : journey.from;
}
