import { compareText } from '#kit/diagnostics.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { Reason } from '#model/reasons.ts';
import type { PlanView } from './pass.ts';

const MOST_EXAMPLES = 5;

/** What one reason says of several devices in the same words, apart from numbers and their own names. */
export interface EvidenceGroup {
  /** As it is said of the first of them. */
  readonly evidence: string;
  readonly until: Instant | null;
  readonly person: string | null;
  readonly devices: number;
  readonly examples: readonly DeviceId[];
  /** All of them say exactly the same. */
  readonly alike: boolean;
}

export type ReasonClass = 'refused' | 'person' | 'unseen' | 'left' | 'waits';

export interface ReasonGroup {
  readonly reason: Reason;
  readonly kind: ReasonClass;
  readonly devices: number;
  /** The next instant at which one of them can change. */
  readonly until: Instant | null;
  /** The most frequent first. */
  readonly evidence: readonly EvidenceGroup[];
}

const KINDS: Readonly<Record<Reason, ReasonClass>> = {
  ARTIFACT_UNVERIFIED: 'refused',
  IDENTITY_MISMATCH: 'refused',
  INCOMPATIBLE: 'refused',
  LOCKOUT_GUARD: 'refused',
  NO_UPGRADE_PATH: 'refused',
  SECRET_SEALED: 'person',
  UNSUPPORTED: 'refused',
  UNTRUSTED_REVISION: 'refused',
  APPROVAL_NEEDED: 'person',
  CHANGE_LIMIT: 'person',
  FAILED: 'person',
  GATE_FAILED: 'person',
  HALTED: 'person',
  LOST: 'person',
  PRECONDITION_MOVED: 'person',
  QUARANTINED: 'person',
  RELEASE_BLOCKED: 'person',
  NEVER_REPORTED: 'unseen',
  OFFLINE: 'unseen',
  REPORT_STALE: 'unseen',
  REPORT_UNREADABLE: 'unseen',
  DRIFT_HELD: 'left',
  FROZEN: 'left',
  UNMANAGED: 'left',
  BUDGET_SPENT: 'waits',
  CONDITIONS_NOT_MET: 'waits',
  IN_FLIGHT: 'waits',
  OFFERED: 'waits',
  RATE_LIMITED: 'waits',
  RETRY_LATER: 'waits',
  SOAKING: 'waits',
  VERIFYING: 'waits',
  WAITS_FOR_GROUP: 'waits',
  WAITS_FOR_ITEM: 'waits',
  WAVE_NOT_OPEN: 'waits',
  WINDOW_CLOSED: 'waits',
};

/** What kind of waiting it is: a change that is refused, one that a person must decide, one that passes by itself. */
export function reasonKind(reason: Reason): ReasonClass {
  return KINDS[reason];
}

interface Said {
  readonly device: DeviceId;
  readonly reason: Reason;
  readonly evidence: string;
  readonly until: Instant | null;
  readonly person: string | null;
}

/**
 * Every reason that the plan and the decision give, with the number of devices and what is said of them. A device counts
 * once under its hold, and under each other reason that the plan has against one of its items.
 */
export function reasonGroups(view: PlanView): readonly ReasonGroup[] {
  const byReason = Map.groupBy(saidOf(view), ({ reason }) => reason);
  return [...byReason]
    .map(([reason, said]): ReasonGroup => {
      return { reason, kind: KINDS[reason], devices: said.length, until: earliest(said), evidence: evidenceGroups(said) };
    })
    .toSorted((a, b) => b.devices - a.devices || compareText(a.reason, b.reason));
}

function saidOf({ plan, decision }: PlanView): readonly Said[] {
  const said: Said[] = [...decision.held];
  const held = new Map(decision.held.map(({ device, reason }) => [device, reason]));
  for (const { device, impossible } of plan.devices) {
    const named = new Set<Reason | undefined>([held.get(device)]);
    for (const { reason, evidence } of impossible) {
      if (!named.has(reason)) said.push({ device, reason, evidence, until: null, person: null });
      named.add(reason);
    }
  }
  return said;
}

function earliest(said: readonly Said[]): Instant | null {
  return said.reduce<Instant | null>((least, { until }) => (until === null ? least : Math.min(least ?? until, until)), null);
}

interface EvidenceGathered {
  readonly first: Said;
  readonly examples: DeviceId[];
  devices: number;
  alike: boolean;
  until: Instant | null;
}

function evidenceGroups(said: readonly Said[]): readonly EvidenceGroup[] {
  const found = new Map<string, EvidenceGathered>();
  for (const one of said) {
    const shape = shapeOf(one);
    const entry = found.get(shape);
    if (entry === undefined) {
      found.set(shape, { first: one, examples: [one.device], devices: 1, alike: true, until: one.until });
      continue;
    }
    entry.devices += 1;
    entry.alike = entry.alike && entry.first.evidence === one.evidence;
    if (one.until !== null) entry.until = Math.min(entry.until ?? one.until, one.until);
    if (entry.examples.length < MOST_EXAMPLES) entry.examples.push(one.device);
  }
  return [...found]
    .toSorted(([a, one], [b, other]) => other.devices - one.devices || compareText(a, b))
    .map(([, { first, examples, devices, alike, until }]) => {
      return { evidence: first.evidence, person: first.person, until, devices, examples, alike };
    });
}

const MOST_SHAPE = 400;

/** The words of the evidence: the device's own name and all numbers left out. */
function shapeOf({ device, evidence, person }: Said): string {
  const text = `${evidence.slice(0, MOST_SHAPE)}\n${person?.slice(0, MOST_SHAPE) ?? ''}`;
  return text.replaceAll(device, '\u0000').replaceAll(/\b[0-9a-f]{7,64}\b|\d+/gi, '0');
}
