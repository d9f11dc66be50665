import type { GateRules } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';

/** Guards shares against the last binary digit: 0.8 × 5 is 4, and 0.95 of 20 is 19. */
const EPSILON = 1e-9;

/** The counted members of a wave. Frozen devices and pardoned failures are in none of these. */
export interface Counts {
  readonly size: number;
  readonly succeeded: number;
  /** By verdict, by loss, by spent attempts. */
  readonly failed: number;
  /** Of the failed: silent, so that they answered nothing. */
  readonly lost: number;
}

export interface GateState {
  readonly met: boolean;
  /** Met only because patience is over and the rules say `go-on`. */
  readonly byPatience: boolean;
  /** The gate can no longer be met: why, in words. */
  readonly doomed: string | null;
  /** Patience is over and the rules say that a person must be asked, or too few have answered to go on. */
  readonly asks: boolean;
  readonly patienceUntil: Instant;
  /** `2 of 3 answered, 2 succeeded, 0 failed`. */
  readonly text: string;
}

/** Judges a wave by its rules: FLEET-REPO.md, "Rollouts". Pure. `emptied` says whether devices were drawn and all have gone. */
export function judgeGate(request: {
  readonly gate: GateRules;
  readonly counts: Counts;
  readonly openedAt: Instant;
  readonly now: Instant;
  /** Devices were drawn, none is left to answer, and a later wave would rely on their answer. */
  readonly emptied: boolean;
}): GateState {
  const { gate, counts, openedAt, now, emptied } = request;
  const { size, succeeded, failed, lost } = counts;
  const answered = succeeded + failed - lost;
  const judged = succeeded + failed;
  const patienceUntil = openedAt + gate.patienceMs;
  const late = now >= patienceUntil;
  const good = judged === 0 || succeeded >= gate.success * judged - EPSILON;
  const enough = answered >= Math.min(gate.minimum, size);
  const quorum = answered >= Math.ceil(gate.quorum * size - EPSILON);
  const onTime = good && enough && quorum && !emptied;
  const byPatience = !onTime && late && gate.then === 'go-on' && good && enough && !emptied;
  const met = onTime || byPatience;
  return {
    met,
    byPatience,
    doomed: doom(gate, counts, { late, good }),
    asks: late && !met,
    patienceUntil,
    text: `${answered} of ${size} answered, ${succeeded} succeeded, ${failed} failed`,
  };
}

function doom(gate: GateRules, counts: Counts, { late, good }: { readonly late: boolean; readonly good: boolean }): string | null {
  const { size, succeeded, failed } = counts;
  const share = `${Number((gate.success * 100).toFixed(2))} %`;
  if (failed > 0 && size - failed < gate.success * size - EPSILON) return `${failed} of ${size} failed, ${share} can no longer be met`;
  if (late && !good) return `${failed} of ${succeeded + failed} failed, ${share} was not met within its patience`;
  return null;
}
