import { durationText, MINUTE_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Confirmation, OpenOperation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { instantText } from './identity.ts';
import { activeOf, connectedOther, identityReport, type GatewayCertificate, type IdentityReport } from './identity-report.ts';
import { nonceIn, orderName, type OrderFacts, type RotationFacts } from './rotation.ts';

/** An agent that was heard so long after its mailbox was emptied, and says nothing of the order, never got it (§2.12 F7). */
const ACKNOWLEDGED_MS = 2 * MINUTE_MS;
/** Provisioning ends within a minute, with what it has or exit 1 (docs/protocols/shadow-devices.md §2.8, §2.11). */
const PROVISIONED_MS = 5 * MINUTE_MS;
/** A daemon that restarted goes on with what `preferred` points to; so long after that nothing changes by itself any more. */
const SWITCHED_MS = 5 * MINUTE_MS;
/** An agent that was heard after so many orders to switch, and took none of them, does not know that one. */
const MOST_SWITCHES = 2;

interface Look {
  readonly open: OpenOperation;
  readonly reported: ReportedDevice;
  readonly said: IdentityReport;
  readonly facts: OrderFacts;
  /** Of the order that was sent. */
  readonly nonce: string | null;
  readonly reference: Instant;
}

/** What the gateway, its broker and its account say of a step of a rotation; an emptied mailbox by itself says nothing. */
export function confirmRotation(open: OpenOperation, reported: ReportedDevice, facts: RotationFacts): Confirmation {
  const said = identityReport(reported.items.identity);
  if (said === null) return waits(open, 'nothing readable was reported since');
  if (facts.kind === 'withdraw-old') return confirmWithdrawal(open, { said, name: facts.name, fingerprint: facts.fingerprint });
  const nonce = sentNonce(open, said);
  if (open.reference === null && nonce === null) {
    const { heardAt } = reported;
    const evidence = 'not known whether it was sent: looked for before it is repeated';
    return { ...waits(open, evidence), oldValueSeenAt: heardAt !== null && heardAt > open.intendedAt ? heardAt : null };
  }
  const look: Look = { open, reported, said, facts, nonce, reference: open.reference ?? open.intendedAt };
  return facts.kind === 'reprovision' ? confirmProvisioning(look) : confirmSwitch(look);
}

/** What the last attempt left; where no outcome was recorded, what the mailbox or the agent knows of it. */
function sentNonce({ operation, reference, undo }: OpenOperation, said: IdentityReport): string | null {
  const sent = nonceIn(undo);
  if (reference !== null) return sent;
  return [said.pending, said.order].find((one) => one?.startsWith(orderName(operation)) === true && one !== sent) ?? null;
}

function confirmWithdrawal(
  open: OpenOperation,
  { said, name, fingerprint }: { readonly said: IdentityReport; readonly name: string; readonly fingerprint: string },
): Confirmation {
  const state = said.certificates.find((one) => one.fingerprint === fingerprint)?.state;
  if (state === 'withdrawn') return { kind: 'confirmed', evidence: `${name} is accepted no more` };
  const evidence = state === 'accepted' ? `${name} is accepted still` : `nothing tells whether ${name} is accepted`;
  return { ...waits(open, evidence), oldValueSeenAt: state === 'accepted' ? (open.reference ?? open.intendedAt) + 1 : null };
}

function confirmProvisioning(look: Look): Confirmation {
  const { open, said, facts } = look;
  const fresh = said.certificates.filter(({ fingerprint, held }) => held && !facts.known.includes(fingerprint));
  const good = fresh.findLast((one) => isSince(one, facts));
  const used = activeOf(said);
  if (used !== undefined && isSince(used, facts))
    return { kind: 'confirmed', evidence: `uses the certificate of ${instantText(used.issuedAt)}` };
  if (good !== undefined && !facts.switchesItself)
    return { kind: 'confirmed', evidence: `the certificate of ${instantText(good.issuedAt)} lies in its store` };
  if (good !== undefined) return keepsOld(look, good.issuedAt);
  const early = fresh.at(-1);
  if (early !== undefined && early.issuedAt !== null) {
    const evidence = `its new certificate was issued ${instantText(early.issuedAt)}, before ${instantText(facts.issuedAfter)}`;
    return { kind: 'failed', code: 'ISSUED_BEFORE', evidence };
  }
  const taken = takenBy(look);
  if (taken !== null) return taken;
  const sinceMs = heardAfter(look, orderAt(look));
  if (sinceMs < PROVISIONED_MS) return waits(open, 'the agent took the order; no new certificate yet', orderAt(look));
  const evidence = `the agent took the order, and ${durationText(sinceMs)} later no new certificate lies in its store`;
  return { kind: 'trouble', code: 'PROVISIONING_FAILED', evidence };
}

function confirmSwitch(look: Look): Confirmation {
  const { said, facts } = look;
  const used = activeOf(said);
  if (used !== undefined && isSince(used, facts) && connectedOther(said) === null)
    return { kind: 'confirmed', evidence: `uses the certificate of ${instantText(used.issuedAt)}${witnessText(said)}` };
  const taken = takenBy(look);
  if (taken === null) return keepsOld(look, orderAt(look));
  if (taken.kind !== 'trouble' || look.open.attempt < MOST_SWITCHES) return taken;
  const evidence = `told ${look.open.attempt} times to use its new certificate, and its agent does not know of the order`;
  return { kind: 'failed', code: 'KEEPS_OLD_CERTIFICATE', evidence };
}

function witnessText({ seen }: IdentityReport): string {
  if (seen === 'none') return '; nobody but the gateway tells';
  return seen === null ? '; its connection was not heard of yet' : ', and is connected by it';
}

/** Null once the agent has said that it took the order. */
function takenBy(look: Look): Confirmation | null {
  const { open, said, nonce } = look;
  if (nonce !== null && said.order === nonce) return null;
  if (said.pending !== null && said.pending === nonce) return waits(open, 'the order lies in the mailbox');
  const sinceMs = heardAfter(look, look.reference);
  if (sinceMs < ACKNOWLEDGED_MS) return waits(open, 'sent; the agent has not said that it took the order');
  return {
    kind: 'trouble',
    code: 'ORDER_LOST',
    evidence: `heard ${durationText(sinceMs)} later, and the agent does not know of the order`,
  };
}

/** It has the new one and goes on with the old one: what chariotd does of itself (docs/protocols/shadow-devices.md §2.9). */
function keepsOld(look: Look, since: Instant | null): Confirmation {
  const { open, said, reference } = look;
  const old = connectedOther(said) ?? said.active;
  const certificate = said.certificates.find(({ fingerprint }) => fingerprint === old);
  const sinceMs = heardAfter(look, Math.max(since ?? reference, reference));
  const evidence = `the new certificate is there, and it connects with that of ${instantText(certificate?.issuedAt ?? null)}`;
  if (sinceMs < SWITCHED_MS) return waits(open, evidence, since);
  return { kind: 'failed', code: 'KEEPS_OLD_CERTIFICATE', evidence };
}

function isSince({ issuedAt }: GatewayCertificate, { issuedAfter }: OrderFacts): boolean {
  return issuedAt !== null && issuedAt >= issuedAfter;
}

function orderAt({ said, reference }: Look): Instant {
  return Math.max(said.orderAt ?? reference, reference);
}

/** How long after that instant it was last heard; 0 where it was not. */
function heardAfter({ reported }: Look, since: Instant): number {
  return Math.max(0, (reported.heardAt ?? since) - since);
}

function waits(open: OpenOperation, evidence: string, takenAt: Instant | null = null): Extract<Confirmation, { kind: 'open' }> {
  const phase = takenAt === null ? 'IN_FLIGHT' : 'VERIFYING';
  return { kind: 'open', phase, takenAt: open.takenAt ?? takenAt, oldValueSeenAt: null, evidence };
}
