import { MINUTE_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Confirmation, OpenOperation } from '#model/operation.ts';
import type { ReportedDevice, Sign } from '#model/reported.ts';
import { seenIdentity, type SeenIdentity } from './identity-report.ts';
import type { RotationFacts } from './rotation.ts';
import { REASONS_OF_FAILURE, type FailureCode } from './reasons.ts';

/**
 * A logger that came back with its old certificate must have stood so long: nothing says whether it connects between the two
 * restarts in which it takes a configuration file (docs/protocols/campbell-mqtt.md §5.3).
 */
const STANDS_MS = 3 * MINUTE_MS;

/**
 * Only the broker proves which certificate is in use (docs/protocols/campbell-mqtt.md §7 step 5): "MQTT configuration file
 * loaded" is never looked at. A connection counts that was accepted after the one which the plan knew, in the clock of the
 * broker alone, so that two clocks need not agree.
 */
export function confirmRotation(open: OpenOperation, reported: ReportedDevice, facts: RotationFacts): Confirmation {
  const said = seenIdentity(reported.items.identity);
  return facts.kind === 'withdraw-identity'
    ? confirmWithdrawal(open, { reported, said, facts })
    : confirmLoad(open, { reported, said, before: facts });
}

function confirmWithdrawal(
  open: OpenOperation,
  known: {
    readonly reported: ReportedDevice;
    readonly said: SeenIdentity | null;
    readonly facts: Extract<RotationFacts, { kind: 'withdraw-identity' }>;
  },
): Confirmation {
  const { reported, said, facts } = known;
  const state = said?.states[facts.fingerprint];
  // Without an outcome the list may be written and the broker not be told: withdrawing once more does both, and no harm.
  const untold = state === 'withdrawn' && open.reference === null;
  if (state === 'withdrawn' && !untold) return { kind: 'confirmed', evidence: `the broker refuses ${facts.name}` };
  const made = madeAfter(open, reported);
  const evidence = untold
    ? `${facts.name} is listed; whether the broker has read the list is not known`
    : state === 'accepted'
      ? `the broker accepts ${facts.name} still`
      : `nothing tells whether the broker accepts ${facts.name}`;
  return { kind: 'open', phase: 'VERIFYING', takenAt: null, oldValueSeenAt: untold || state === 'accepted' ? made : null, evidence };
}

function madeAfter(open: OpenOperation, reported: ReportedDevice): Instant | null {
  const item = reported.items.identity;
  const made = item?.kind === 'value' ? item.madeNotBefore : null;
  return made !== null && made > (open.reference ?? open.intendedAt) ? made : null;
}

interface Loading {
  readonly reported: ReportedDevice;
  readonly said: SeenIdentity | null;
  readonly before: Extract<RotationFacts, { kind: 'load-identity' }>;
}

function confirmLoad(open: OpenOperation, { reported, said, before }: Loading): Confirmation {
  const { operation } = open;
  const isNew = said !== null && isLater(said, before, oldOf(open));
  if (isNew && said.seen === operation.declared) return { kind: 'confirmed', evidence: `the broker saw it connect with ${said.seen}` };
  const signs = reported.signs.filter(({ at, item }) => at !== null && at >= open.intendedAt && (item ?? 'identity') === 'identity');
  const refused = configRefusal(signs);
  if (refused !== null) return refused;
  const restart = signs.findLast(({ code, item }) => code === 'RESTARTING' && item === 'identity');
  if (restart !== undefined && isNew) {
    const standsMs = (reported.heardAt ?? 0) - (restart.at ?? 0);
    const evidence = `it loaded the configuration, restarted, and connects with ${said.seen} as before`;
    if (standsMs >= STANDS_MS) return { kind: 'failed', code: 'CERTIFICATE_NOT_USED', evidence };
  }
  const last = signs.findLast(({ code }) => code !== 'REPLIED');
  const taken = signs.find(({ code, item }) => item === 'identity' && (code === 'DOWNLOADING' || code === 'RESTARTING'));
  const idle = last === undefined || !['DOWNLOADING', 'RESTARTING'].includes(last.code);
  return {
    kind: 'open',
    phase: restart === undefined ? 'IN_FLIGHT' : 'VERIFYING',
    takenAt: open.takenAt ?? taken?.at ?? null,
    oldValueSeenAt: idle && restart === undefined && said?.seen === oldOf(open) ? madeAfter(open, reported) : null,
    evidence: progress(last, said, isNew),
  };
}

/**
 * A connection at another broker than before is one that was made since: the logger was not there. Records have seconds; of
 * two connections within one the later line is told, so that another certificate is a later connection.
 */
function isLater({ connectedAt, witness, seen }: SeenIdentity, before: Loading['before'], old: string | null): boolean {
  if (connectedAt === null) return false;
  if (connectedAt === before.connectedAt && seen !== old) return true;
  return before.connectedAt === null || (before.witness !== null && before.witness !== witness) || connectedAt > before.connectedAt;
}

function oldOf({ operation }: OpenOperation): string | null {
  return operation.expected?.split(' also ')[0] ?? null;
}

/** The last error reply to a configuration file, unless the logger began anew after it. */
export function configRefusal(signs: readonly Sign[]): Extract<Confirmation, { kind: 'failed' | 'trouble' }> | null {
  const index = signs.findLastIndex(({ code, item }) => item === 'identity' && Object.hasOwn(REASONS_OF_FAILURE, code));
  const sign = signs[index];
  if (sign === undefined || signs.slice(index + 1).some(({ code }) => code === 'DOWNLOADING' || code === 'RESTARTING')) return null;
  const { class: kind, text } = REASONS_OF_FAILURE[sign.code as FailureCode];
  return { kind: kind === 'verdict' ? 'failed' : 'trouble', code: sign.code, evidence: `${text}: ${sign.text}` };
}

function progress(last: Sign | undefined, said: SeenIdentity | null, isNew: boolean): string {
  if (last === undefined) return 'sent; the logger has not announced the download yet';
  if (last.code === 'RESTARTING') return `announced ${last.text} and was not seen at the broker since`;
  if (said?.connectedAt === null) return `${last.text}; nobody tells which certificate it uses: presence is none`;
  return isNew ? `${last.text}; was seen with ${said?.seen ?? 'no certificate'}` : last.text;
}
