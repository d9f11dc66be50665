import type { Json } from '#kit/canonical.ts';
import { issuerOf } from '#kit/certificate.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import { allVersions, identityFacts, isOlder, type IdentityFacts, type IdentityVersion } from '#model/identity.ts';
import type { OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsAnswer } from '#ports/family.ts';
import type { CampbellOptions } from './options.ts';
import { outlived, seenIdentity, twinOf, UNSEEN, type SeenIdentity } from './identity-report.ts';

/** How long a logger may take to load its configuration and to come back (docs/protocols/campbell-mqtt.md §9.5). */
export const ROTATION_DEADLINE_MS = 10 * MINUTE_MS;
/** A list of revocations is read again within seconds. */
const WITHDRAWAL_DEADLINE_MS = 2 * MINUTE_MS;

/** What an operation on an identity carries for the driver: no key, and of certificates what everybody may see. */
export type RotationFacts =
  | {
      readonly kind: 'load-identity';
      /** When the connection was accepted that the plan knew: only a later one proves anything. */
      readonly connectedAt: Instant | null;
      /** The connection whose broker told it. */
      readonly witness: string | null;
      readonly lostAfterMs: number;
    }
  | { readonly kind: 'withdraw-identity'; readonly fingerprint: string; readonly der: string; readonly name: string };

interface Request {
  readonly options: Pick<CampbellOptions, 'linkAccepted'>;
  readonly declared: DeclaredItem;
  readonly reported: ReportedDevice;
}

/**
 * Make before break (docs/protocols/campbell-mqtt.md §7): the new certificate is loaded while the old one is accepted still,
 * and that one is withdrawn once every logger of the group was seen with its new one.
 */
export function rotationOperations({ declared, reported, options }: Request): OperationsAnswer {
  const facts = identityFacts(declared.facts);
  const said = seenIdentity(reported.items.identity);
  if (facts === null || said === null) return { drafts: [], impossible: [] };
  const expected = reported.items.identity?.kind === 'value' ? reported.items.identity.value : null;
  if (said.seen !== facts.use.fingerprint) {
    const against = lockout(facts, said) ?? (options.linkAccepted === null ? strange(facts, said) : null);
    if (against !== null) return { drafts: [], impossible: [against] };
    return { drafts: [loadDraft(declared, { expected, said })], impossible: [] };
  }
  return { drafts: outlived(facts, said).map((version) => withdrawalDraft(declared, { expected, version })), impossible: [] };
}

/** What would leave the logger without a way back. */
function lockout(facts: IdentityFacts, said: SeenIdentity): Impossible | null {
  const refuse = (evidence: string): Impossible => ({ item: 'identity', reason: 'LOCKOUT_GUARD', evidence });
  const twin = twinOf(facts, said);
  if (twin !== undefined) {
    const evidence = `the record of the broker could not tell ${facts.use.name} from ${twin.name}: both have the ${said.by} ${facts.use.subject}; issue it with one of its own`;
    return { item: 'identity', reason: 'UNSUPPORTED', evidence };
  }
  if (said.states[facts.use.fingerprint] === 'withdrawn')
    return refuse(`${facts.use.name} is withdrawn at the broker: a logger that loads it never comes back; issue a new one`);
  if (said.seen === UNSEEN && facts.keep.length === 0)
    return refuse('nobody tells which certificate this logger uses, and none is kept: name the one in use in `keep`');
  const inUse = allVersions(facts).find(({ fingerprint }) => fingerprint === said.seen);
  const kept = facts.keep.some(({ fingerprint }) => fingerprint === said.seen);
  if (inUse !== undefined && !kept && isOlder(inUse, facts.use))
    return refuse(`${inUse.name} is in use and is not kept: add it to \`keep\` until every logger of the group is proven`);
  return null;
}

/**
 * Who connects with a certificate that is none of this logger's may be anybody who took its client id: the download of a new
 * key would be told to him. And a certificate of another CA than that in use, of which no broker says that it takes it
 * (docs/protocols/campbell-mqtt.md §7 step 1).
 */
function strange(facts: IdentityFacts, said: SeenIdentity): Impossible | null {
  const inUse = allVersions(facts).find(({ fingerprint }) => fingerprint === said.seen);
  if (inUse === undefined && said.seen !== UNSEEN) {
    const evidence = `the broker saw its client id with ${said.seen.startsWith('other ') ? said.seen.slice('other '.length) : said.seen}, no certificate of this logger: add it as a version, or say in options.linkAccepted who it is`;
    return { item: 'identity', reason: 'IDENTITY_MISMATCH', evidence };
  }
  if (inUse === undefined || said.states[facts.use.fingerprint] === 'accepted') return null;
  const [before, after] = [issuerOf(inUse.der), issuerOf(facts.use.der)];
  if (before === after) return null;
  const evidence = `${facts.use.name} is issued by ${after ?? 'nobody'}, ${inUse.name}, which is in use, by ${before ?? 'nobody'}: nothing tells that the broker takes both; say in options.linkAccepted why it does`;
  return { item: 'identity', reason: 'LOCKOUT_GUARD', evidence };
}

function loadDraft(
  declared: DeclaredItem,
  { expected, said }: { readonly expected: string | null; readonly said: SeenIdentity },
): OperationDraft {
  const facts: RotationFacts = {
    kind: 'load-identity',
    connectedAt: said.connectedAt,
    witness: said.witness,
    lostAfterMs: ROTATION_DEADLINE_MS,
  };
  return {
    item: 'identity',
    step: 'load-identity',
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected,
    facts: { ...facts },
    content: null,
    deadlineMs: ROTATION_DEADLINE_MS,
    effects: ['restarts the device', 'gives the device another key'],
    disturbs: true,
  };
}

/** One step per certificate, so that each withdrawal is an operation of its own in the ledger. */
function withdrawalDraft(
  declared: DeclaredItem,
  { expected, version }: { readonly expected: string | null; readonly version: IdentityVersion },
): OperationDraft {
  const { fingerprint, der, name } = version;
  const facts: RotationFacts = { kind: 'withdraw-identity', fingerprint, der, name };
  return {
    item: 'identity',
    step: `withdraw-${fingerprint.slice(0, 12)}`,
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected,
    facts: { ...facts },
    content: null,
    deadlineMs: WITHDRAWAL_DEADLINE_MS,
    effects: ['withdraws an old certificate'],
    disturbs: false,
    onceAllCarry: 'identity',
  };
}

/** Reads back what the drafts above carry; null for the facts of any other operation. */
export function rotationFacts(facts: Json): RotationFacts | null {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const { kind, connectedAt, witness, lostAfterMs, fingerprint, der, name } = facts as Readonly<Record<string, Json | undefined>>;
  if (kind === 'load-identity' && typeof lostAfterMs === 'number') {
    return {
      kind,
      connectedAt: typeof connectedAt === 'number' ? connectedAt : null,
      witness: typeof witness === 'string' ? witness : null,
      lostAfterMs,
    };
  }
  if (kind !== 'withdraw-identity' || typeof fingerprint !== 'string' || typeof der !== 'string') return null;
  return { kind, fingerprint, der, name: typeof name === 'string' ? name : fingerprint };
}

/** Whether the logger was seen at its broker with the certificate that it is to use. */
export function provesIdentity(declared: DeclaredItem, reported: ReportedDevice): boolean {
  const item = reported.items.identity;
  const use = identityFacts(declared.facts)?.use;
  if (item?.kind !== 'value' || item.madeNotBefore === null || use === undefined) return false;
  const { madeNotBefore } = item;
  // Since it began to load a file nobody knows what it has, until it was heard again.
  const begun = reported.signs.some(
    ({ code, item: of, at }) => of === 'identity' && at !== null && at > madeNotBefore && (code === 'DOWNLOADING' || code === 'RESTARTING'),
  );
  return !begun && seenIdentity(item)?.seen === use.fingerprint;
}
