import { durationText } from '#kit/duration.ts';
import type { Condition } from './declared.ts';
import type { Instant } from './ids.ts';
import type { Reading, ReportedDevice } from './reported.ts';

export type Judgement = { readonly kind: 'good' } | { readonly kind: 'bad' | 'unknown'; readonly evidence: string };

const GOOD: Judgement = { kind: 'good' };

/**
 * The group's `health` after a change. Only readings made after `since` count; a `no rise` compares with the value that
 * was recorded when the change began, and says nothing where none was.
 */
export function judgeHealth(request: {
  readonly conditions: readonly Condition[];
  readonly reported: Pick<ReportedDevice, 'measures'> | undefined;
  readonly since: Instant;
  readonly before: Readonly<Record<string, string>> | undefined;
}): Judgement {
  const { conditions, reported, since, before } = request;
  let unknown: Judgement | null = null;
  for (const condition of conditions) {
    const reading = reported?.measures[condition.measure];
    const bound = condition.test === 'no-rise' ? (before?.[condition.measure] ?? null) : condition.value;
    if (bound === null) continue;
    const fresh = reading !== undefined && reading.madeNotBefore !== null && reading.madeNotBefore > since;
    const verdict = fresh ? judge(condition, reading, bound) : notYet(condition);
    if (verdict.kind === 'bad') return verdict;
    if (verdict.kind === 'unknown') unknown ??= verdict;
  }
  return unknown ?? GOOD;
}

/** The group's `before`: conditions that must hold, by readings that are not old, or a change is held. */
export function judgeBefore(request: {
  readonly conditions: readonly Condition[];
  readonly reported: ReportedDevice | undefined;
  readonly now: Instant;
  readonly silenceMs: number;
}): Judgement {
  const { conditions, reported, now, silenceMs } = request;
  for (const condition of conditions) {
    if (condition.test === 'no-rise' || condition.value === null) continue;
    const reading = reported?.measures[condition.measure];
    if (reading === undefined) return { kind: 'unknown', evidence: `${condition.measure} was never reported` };
    if (reading.madeNotBefore === null) return { kind: 'unknown', evidence: `${condition.measure} is of unknown age` };
    const age = now - reading.madeNotBefore;
    if (age > silenceMs) return { kind: 'unknown', evidence: `${condition.measure} was last reported ${durationText(age)} ago` };
    const verdict = judge(condition, reading, condition.value);
    if (verdict.kind !== 'good') return verdict;
  }
  return GOOD;
}

function notYet({ measure }: Condition): Judgement {
  return { kind: 'unknown', evidence: `${measure} was not reported since the change` };
}

function judge(condition: Condition, reading: Reading, bound: string): Judgement {
  const said = numberOf(reading.value);
  const limit = numberOf(bound);
  if (condition.test === 'equals') {
    const equal = reading.value === bound || (said !== null && said === limit);
    return equal ? GOOD : bad(condition, reading, `must be ${bound}`);
  }
  if (said === null || limit === null) return { kind: 'unknown', evidence: `${condition.measure} is no number: ${reading.value}` };
  if (condition.test === 'at-least') return said >= limit ? GOOD : bad(condition, reading, `must be at least ${bound}`);
  if (condition.test === 'at-most') return said <= limit ? GOOD : bad(condition, reading, `must be at most ${bound}`);
  return said <= limit ? GOOD : bad(condition, reading, `was ${bound} before the change`);
}

function bad({ measure }: Condition, { value }: Reading, rule: string): Judgement {
  return { kind: 'bad', evidence: `${measure} is ${value}, ${rule}` };
}

function numberOf(text: string): number | null {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
