import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { OperationsAnswer } from '#ports/family.ts';
import { gatewayIdentity, identityKey, instantText, type GatewayIdentity } from './identity.ts';
import {
  activeOf,
  connectedOther,
  identityReport,
  isGood,
  isKept,
  outlivedOf,
  stageOf,
  type GatewayCertificate,
  type IdentityReport,
} from './identity-report.ts';

/** Provisioning and a restart take seconds; the claim connection may have to be tried again (docs/protocols/shadow-devices.md §2.8). */
const ORDER_DEADLINE_MS = 15 * MINUTE_MS;
const WITHDRAWAL_DEADLINE_MS = 2 * MINUTE_MS;

/** What an operation on an identity carries for driver and confirmation. */
export type RotationFacts = OrderFacts | WithdrawalFacts;

export interface OrderFacts {
  /** The order's own name on the wire. */
  readonly kind: 'reprovision' | 'switch';
  /** The ephemeral service that takes it. */
  readonly agent: string;
  readonly issuedAfter: Instant;
  /** Whether provisioning by itself makes the new certificate the one in use. */
  readonly switchesItself: boolean;
  /** Fingerprints of the certificates that were known when it was planned. */
  readonly known: readonly string[];
}

export interface WithdrawalFacts {
  readonly kind: 'withdraw-old';
  readonly fingerprint: string;
  /** `the certificate of 2025-11-20T08:30:00Z` */
  readonly name: string;
}

/**
 * CURRENT → NEW_ISSUED → SWITCHED → OLD_REVOKED, one step at a time (docs/protocols/shadow-devices.md §2.9): `reprovision`
 * brings a new certificate, `switch` makes it the one in use, and the old ones are withdrawn once all of the group are
 * proven to connect by new ones.
 */
export function rotationOperations(device: DeclaredDevice, declared: DeclaredItem, reported: ReportedDevice): OperationsAnswer {
  const identity = gatewayIdentity(declared.facts);
  const item = reported.items.identity;
  const said = identityReport(item);
  if (identity === null || said === null || item?.kind !== 'value') return { drafts: [], impossible: [] };
  const expected = item.value;
  const stage = stageOf(identity, said);
  if (stage === 'OLD_REVOKED') return { drafts: [], impossible: [] };
  if (stage === 'SWITCHED') return withdrawals(declared, { expected, outlived: outlivedOf(identity, said) });
  const against = lockout(identity, said);
  if (against !== null) return { drafts: [], impossible: [against] };
  const { switch: by, freshMs } = identityKey(device.options);
  if (stage === 'NEW_ISSUED' && by === 'itself' && connectedOther(said) === null) {
    const evidence = 'a new certificate lies in its store, and nobody points preferred to it: options.identity.switch is itself';
    return { drafts: [], impossible: [{ item: 'identity', reason: 'UNSUPPORTED', evidence }] };
  }
  const facts: OrderFacts = {
    kind: stage === 'CURRENT' ? 'reprovision' : 'switch',
    agent: typeof device.options['agent'] === 'string' ? device.options['agent'] : '',
    issuedAfter: identity.use.issuedAfter,
    switchesItself: by === 'itself',
    known: said.certificates.map(({ fingerprint }) => fingerprint),
  };
  return { drafts: [orderDraft(declared, { expected, facts, freshMs })], impossible: [] };
}

/** A certificate that another gateway connects by as well waits until that one has another. */
function withdrawals(
  declared: DeclaredItem,
  { expected, outlived }: { readonly expected: string; readonly outlived: readonly GatewayCertificate[] },
): OperationsAnswer {
  const own = outlived.filter(({ elsewhere }) => elsewhere === undefined);
  const [first] = outlived;
  if (own.length > 0 || first === undefined)
    return { drafts: own.map((one) => withdrawalDraft(declared, { expected, one })), impossible: [] };
  const evidence = `the certificate of ${instantText(first.issuedAt)} cannot be withdrawn: ${first.elsewhere ?? ''} connects by it too`;
  return { drafts: [], impossible: [{ item: 'identity', reason: 'LOCKOUT_GUARD', evidence }] };
}

/** The certificate in use must stay good until the new one is proven, and longer. */
function lockout(identity: GatewayIdentity, said: IdentityReport): Impossible | null {
  const used = activeOf(said);
  if (used === undefined || isKept(used, identity)) return null;
  const evidence = `the certificate in use was issued ${instantText(used.issuedAt)} and is of no version that is kept: add that to \`keep\` until every gateway of the group is proven`;
  return { item: 'identity', reason: 'LOCKOUT_GUARD', evidence };
}

function orderDraft(
  declared: DeclaredItem,
  { expected, facts, freshMs }: { readonly expected: string; readonly facts: OrderFacts; readonly freshMs: number },
): OperationDraft {
  const effects = facts.kind === 'reprovision' ? ['restarts the daemon', 'gives the device another key'] : ['restarts the daemon'];
  return {
    item: 'identity',
    step: facts.kind,
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected,
    facts: facts as unknown as Json,
    content: null,
    deadlineMs: ORDER_DEADLINE_MS,
    effects,
    disturbs: true,
    heardWithinMs: freshMs,
  };
}

/** One step for each certificate, so that each withdrawal is an operation of its own in the ledger. */
function withdrawalDraft(
  declared: DeclaredItem,
  { expected, one }: { readonly expected: string; readonly one: GatewayCertificate },
): OperationDraft {
  const issued = instantText(one.issuedAt);
  const facts: WithdrawalFacts = { kind: 'withdraw-old', fingerprint: one.fingerprint, name: `the certificate of ${issued}` };
  return {
    item: 'identity',
    step: `withdraw-${issued.replaceAll(/[-:]/g, '')}`,
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected,
    facts: { ...facts },
    content: null,
    deadlineMs: WITHDRAWAL_DEADLINE_MS,
    effects: ['withdraws an old certificate'],
    disturbs: false,
    heardWithinMs: null,
    onceAllCarry: 'identity',
  };
}

/** Reads back what the drafts above carry; null for the facts of any other operation. */
export function rotationFacts(facts: Json): RotationFacts | null {
  if (!isJsonObject(facts)) return null;
  const { kind, agent, issuedAfter, switchesItself, known, fingerprint, name } = facts;
  if (kind === 'withdraw-old') return typeof fingerprint === 'string' && typeof name === 'string' ? { kind, fingerprint, name } : null;
  if ((kind !== 'reprovision' && kind !== 'switch') || typeof agent !== 'string' || typeof issuedAfter !== 'number') return null;
  const texts = Array.isArray(known) ? known.filter((one) => typeof one === 'string') : [];
  return { kind, agent, issuedAfter, switchesItself: switchesItself === true, known: texts };
}

/** A nonce tells the order of one attempt from that of any other. */
export function nonceOf(operation: { readonly id: string }, attempt: number): string {
  return `${orderName(operation)}${attempt}`;
}

/** How the nonces of all attempts of an operation begin. */
export function orderName({ id }: { readonly id: string }): string {
  return `${id.slice(0, 12)}-`;
}

/** What the write of an order leaves: its nonce; null where nothing was recorded. */
export function nonceIn(undo: Json): string | null {
  const nonce = isJsonObject(undo) ? undo['nonce'] : undefined;
  return typeof nonce === 'string' ? nonce : null;
}

/** The certificate in use is new, and no connection says otherwise; nothing is left that must go. */
export function identityAgrees(declared: DeclaredItem, reported: ReportedItem): boolean {
  const identity = gatewayIdentity(declared.facts);
  const said = identityReport(reported);
  return identity !== null && said !== null && stageOf(identity, said) === 'OLD_REVOKED';
}

/**
 * Whether the gateway could do without its old certificate: it says that it uses a new one, and where its broker tells who
 * is connected, it was seen with that one; and no account says that it takes that one no more.
 */
export function provesIdentity(declared: DeclaredItem, reported: ReportedDevice): boolean {
  const identity = gatewayIdentity(declared.facts);
  const item = reported.items.identity;
  const said = identityReport(item);
  if (identity === null || said === null || item?.kind !== 'value' || item.madeNotBefore === null) return false;
  const used = activeOf(said);
  const witness = said.seen === 'none' || (said.seen !== null && said.seen.fingerprint === said.active);
  return used !== undefined && isGood(used, identity) && used.state !== 'withdrawn' && witness;
}
