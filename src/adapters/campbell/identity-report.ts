import type { Json } from '#kit/canonical.ts';
import { commonNameOf } from '#kit/certificate.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import { allVersions, identityFacts, isOutlived, type IdentityFacts } from '#model/identity.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { SeenConnection } from '#ports/presence.ts';

/** What a broker says of one certificate. */
export type CertificateState = 'accepted' | 'withdrawn' | 'unknown';

/** What of a certificate stands in the record of a broker. */
type ToldBy = 'fingerprint' | 'subject' | 'common name';

/** Stands where no broker tells which certificate a logger uses: `presence: none`. */
export const UNSEEN = 'unseen';

/** What the report of an identity says, apart from when. A logger itself reports nothing of its certificate (§7). */
export interface SeenIdentity {
  /** Fingerprint of the certificate it last connected with; `unseen`, or `other SUBJECT` for one that is none of ours. */
  readonly seen: string;
  /** Its other certificates that the broker accepts still, apart from the one to use: fingerprints, sorted. */
  readonly left: readonly string[];
  /** When that connection was accepted, in the clock of its broker; null where nobody tells. */
  readonly connectedAt: Instant | null;
  /** The connection whose broker says so: clocks of two brokers are never compared. */
  readonly witness: string | null;
  /** By what its record tells certificates apart; null for an older report. */
  readonly by: ToldBy | null;
  /** By fingerprint. */
  readonly states: Readonly<Record<string, CertificateState>>;
}

type Value = Extract<ReportedItem, { kind: 'value' }>;

/** Reads an identity back from a report; null for a value that says none. */
export function seenIdentity(item: ReportedItem | undefined): SeenIdentity | null {
  if (item?.kind !== 'value') return null;
  const [seen = '', ...left] = item.value.split(' also ');
  const { connectedAt, witness, by, states } = fieldsOf(item.facts);
  const known = Object.entries(fieldsOf(states ?? null)).filter(
    (entry): entry is [string, CertificateState] => entry[1] === 'accepted' || entry[1] === 'withdrawn' || entry[1] === 'unknown',
  );
  return {
    seen,
    left,
    connectedAt: typeof connectedAt === 'number' ? connectedAt : null,
    witness: typeof witness === 'string' ? witness : null,
    by: by === 'fingerprint' || by === 'subject' || by === 'common name' ? by : null,
    states: Object.fromEntries(known),
  };
}

function fieldsOf(value: Json): Readonly<Record<string, Json | undefined>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, Json | undefined>>) : {};
}

/** What a broker saw, and the name of its connection. */
export interface WitnessedConnection extends SeenConnection {
  readonly witness: string;
}

export interface Looked {
  readonly declared: DeclaredItem;
  /** `none`: no broker tells. Null: the broker's record does not go back to its last connection. */
  readonly seen: WitnessedConnection | 'none' | null;
  readonly states: Readonly<Record<string, CertificateState>>;
  readonly report: ReportedDevice;
  /** The last fresh message that shows the logger connected: its connection of then stood then. */
  readonly onlineAt: Instant | null;
  /** The connection over which it came. */
  readonly onlineVia: string | null;
}

/**
 * The item as the broker's record makes it; undefined where nothing is known yet. Never goes back to an older connection at
 * the same broker, nor to one that the logger left.
 */
export function identityItem({ declared, seen, states, report, onlineAt, onlineVia }: Looked): ReportedItem | undefined {
  const facts = identityFacts(declared.facts);
  const before = report.items.identity;
  if (facts === null) return before;
  if (seen === 'none')
    return { kind: 'value', value: UNSEEN, facts: { states: { ...states } }, madeNotBefore: null, source: 'no presence' };
  const last = seenIdentity(before);
  const known = last === null || last.connectedAt === null ? null : { ...last, connectedAt: last.connectedAt };
  const newest = seen === null ? null : { seen: seenText(seen, facts), connectedAt: seen.at, witness: seen.witness, by: toldBy(seen) };
  if (newest !== null && newest.seen === null) {
    const detail = 'the record of the broker names no certificate of this connection: it needs use_subject_as_username';
    return { kind: 'unknown', why: 'REPORT_UNREADABLE', detail, source: 'presence' };
  }
  // What another broker saw is later only where the logger was heard since: it may have left there long ago.
  const isLater =
    known === null || (known.witness === newest?.witness ? newest.connectedAt >= known.connectedAt : onlineVia === newest?.witness);
  const shown = newest !== null && isLater ? newest : known;
  if (shown === null || shown.seen === null) return before;
  const value: Value = {
    kind: 'value',
    value: [shown.seen, ...leftOver(facts, shown.seen, states)].join(' also '),
    facts: { connectedAt: shown.connectedAt, witness: shown.witness, by: shown.by, states: { ...states } },
    madeNotBefore: shownAt(shown.connectedAt, report, onlineAt),
    source: 'presence',
  };
  return value;
}

/** In our clock where the logger was heard: that of the broker may be wrong by hours, and must not make a look seem newer. */
function shownAt(connectedAt: Instant, { online, heardAt }: ReportedDevice, onlineAt: Instant | null): Instant {
  if (online === true && onlineAt !== null) return onlineAt;
  return Math.min(connectedAt, heardAt ?? connectedAt);
}

/** By fingerprint where the broker tells it, else the one certificate of this logger with that subject or common name. */
function seenText({ fingerprint, subject }: SeenConnection, facts: IdentityFacts): string | null {
  if (fingerprint !== null) return fingerprint;
  if (subject === null) return null;
  const fitting = allVersions(facts).filter((version) => version.subject === subject || commonNameOf(version.subject) === subject);
  return fitting.length === 1 ? (fitting[0]?.fingerprint ?? null) : `other ${subject.slice(0, 200)}`;
}

function toldBy({ fingerprint, subject }: SeenConnection): ToldBy {
  return fingerprint !== null ? 'fingerprint' : subject?.includes('=') === true ? 'subject' : 'common name';
}

/** Another certificate of this logger that the record of its broker could not tell from the one to use; undefined for none. */
export function twinOf(facts: IdentityFacts, { by }: SeenIdentity) {
  if (by === null || by === 'fingerprint') return undefined;
  const { use } = facts;
  const told = (subject: string): string | null => (by === 'subject' ? subject : commonNameOf(subject));
  return allVersions(facts).find((one) => one.fingerprint !== use.fingerprint && told(one.subject) === told(use.subject));
}

function leftOver(facts: IdentityFacts, seen: string, states: Looked['states']): readonly string[] {
  return allVersions(facts)
    .map(({ fingerprint }) => fingerprint)
    .filter((fingerprint) => fingerprint !== seen && fingerprint !== facts.use.fingerprint && states[fingerprint] === 'accepted')
    .toSorted();
}

/** The certificate to use is seen, and nothing is accepted still that nobody keeps. */
export function identityAgrees(declared: DeclaredItem, reported: Value): boolean {
  const facts = identityFacts(declared.facts);
  const said = seenIdentity(reported);
  return facts !== null && said !== null && said.seen === facts.use.fingerprint && outlived(facts, said).length === 0;
}

/** Of the certificates that the broker accepts still, those that must be withdrawn; oldest first. */
export function outlived(facts: IdentityFacts, { left }: SeenIdentity) {
  return allVersions(facts)
    .filter((version) => left.includes(version.fingerprint) && isOutlived(version, facts))
    .toSorted((a, b) => a.notBefore - b.notBefore || a.notAfter - b.notAfter);
}
