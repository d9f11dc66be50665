import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedItem } from '#model/reported.ts';
import { isJsonObject, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import { agedAt } from '#shadows/ages.ts';
import { pointerOf } from '#shadows/values.ts';
import { instantText, type GatewayIdentity, type IdentityKey } from './identity.ts';

/** What an account says of one certificate. */
export type CertificateState = 'accepted' | 'withdrawn' | 'unknown';

/** A certificate that the gateway has, or had. */
export interface GatewayCertificate {
  /** SHA-256 of its DER in lower-case hex, which is also its id at AWS. */
  readonly fingerprint: string;
  /** By the account where it was asked, else by the gateway's word; null where nobody says. */
  readonly issuedAt: Instant | null;
  /** The account said when. */
  readonly told: boolean;
  /** It lies in the store of the gateway, as that says. */
  readonly held: boolean;
  readonly state: CertificateState;
  /** Another gateway that connects by it, as that or its broker says; left out where none does. */
  readonly elsewhere?: string;
}

/** By which certificate it is connected: `none` where no broker tells, null where nothing was heard yet. */
export type Seen = 'none' | null | { readonly fingerprint: string; readonly at: Instant };

/** What the report of an identity says beside its value. */
export interface IdentityReport {
  readonly version: number | null;
  /** The nonce of the order that lies in the mailbox; empty for anything else there, null for nothing. */
  readonly pending: string | null;
  /** The nonce of the order that the agent took last. */
  readonly order: string | null;
  readonly orderAt: Instant | null;
  /** Fingerprint of the certificate that chariotd uses, by the gateway's word. */
  readonly active: string;
  /** Oldest first; the active one is among them. */
  readonly certificates: readonly GatewayCertificate[];
  readonly seen: Seen;
  /** There is an account that withdraws certificates: what it was not asked for yet may be accepted. */
  readonly account: boolean;
}

type Value = Extract<ReportedItem, { kind: 'value' }>;

/** More than any store holds that somebody looks after: the oldest are forgotten. */
const MOST_CERTIFICATES = 16;
const LONGEST_NONCE = 100;

export interface IdentityRead {
  readonly key: IdentityKey;
  readonly agent: string | null;
  readonly now: Instant;
  readonly last: ReportedItem | undefined;
}

/** What a gateway says of its certificates, over what was known of them: who it is connected as is put in later. */
export function saidIdentity(document: ShadowDocument, { key, agent, now, last }: IdentityRead): ReportedItem {
  const section = document.reported.state[key.key];
  const source = `reported${pointerOf(key.key)}`;
  const said = isJsonObject(section) ? section : {};
  if (said[key.active] === undefined) {
    const detail = `no agent says at ${pointerOf(key.key, key.active)} which certificate chariotd uses`;
    return last?.kind === 'value' ? last : { kind: 'unknown', why: 'NEVER_REPORTED', detail, source };
  }
  const active = fingerprintOf(said[key.active]);
  if (active === null) {
    const detail = 'is no SHA-256 fingerprint of a certificate in hex';
    return { kind: 'unknown', why: 'REPORT_UNREADABLE', detail, source: `reported${pointerOf(key.key, key.active)}` };
  }
  const before = identityReport(last);
  const order = said[key.order];
  const report: IdentityReport = {
    version: document.version,
    pending: agent === null ? null : pendingIn(document.desired.state[agent]),
    order: typeof order === 'string' ? order.slice(0, LONGEST_NONCE) : null,
    orderAt: agedAt(document.reported, pointerOf(key.key, key.order), now),
    active,
    certificates: merged(before?.certificates ?? [], heldIn(said, { key, active }), active),
    seen: before?.seen ?? null,
    account: before?.account === true,
  };
  return itemOf(report, agedAt(document.reported, pointerOf(key.key), now), source);
}

/** `aa:BB…` and `aabb…`, 32 bytes. */
function fingerprintOf(value: Json | undefined): string | null {
  const text = typeof value === 'string' ? value.replaceAll(':', '').toLowerCase() : '';
  return /^[0-9a-f]{64}$/.test(text) ? text : null;
}

function instantOf(value: Json | undefined): Instant | null {
  const at = typeof value === 'string' && value.length <= 40 ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

function pendingIn(order: Json | undefined): string | null {
  if (order === undefined) return null;
  const nonce = isJsonObject(order) ? order['nonce'] : undefined;
  return typeof nonce === 'string' ? nonce.slice(0, LONGEST_NONCE) : '';
}

function heldIn(
  said: JsonObject,
  { key, active }: { readonly key: IdentityKey; readonly active: string },
): ReadonlyMap<string, Instant | null> {
  const held = new Map<string, Instant | null>();
  const listed = said[key.held];
  for (const [name, issued] of Object.entries(isJsonObject(listed) ? listed : {})) {
    const fingerprint = fingerprintOf(name);
    if (fingerprint !== null && issued !== null) held.set(fingerprint, instantOf(issued));
  }
  return held.set(active, instantOf(said[key.issued]) ?? held.get(active) ?? null);
}

function merged(
  known: readonly GatewayCertificate[],
  held: ReadonlyMap<string, Instant | null>,
  active: string,
): readonly GatewayCertificate[] {
  const all = new Map<string, GatewayCertificate>(known.map((one) => [one.fingerprint, { ...one, held: false }]));
  for (const [fingerprint, issuedAt] of held) {
    const before = all.get(fingerprint);
    const told = before?.told === true;
    const now = { fingerprint, issuedAt: told ? before.issuedAt : issuedAt, told, held: true, state: before?.state ?? 'unknown' };
    all.set(fingerprint, { ...before, ...now });
  }
  const used = [...all.values()].filter(({ fingerprint }) => fingerprint === active);
  const others = sorted([...all.values()].filter(({ fingerprint }) => fingerprint !== active));
  return sorted([...used, ...others.slice(used.length - MOST_CERTIFICATES)]);
}

function sorted(certificates: readonly GatewayCertificate[]): readonly GatewayCertificate[] {
  return certificates.toSorted((a, b) => (a.issuedAt ?? 0) - (b.issuedAt ?? 0) || compareText(a.fingerprint, b.fingerprint));
}

/** What brokers and accounts tell beside the gateway itself. */
export interface Witnessed {
  /** Null: nothing was heard since; what was known before stands. */
  readonly seen: Seen;
  /** By fingerprint, those that were asked for. */
  readonly told: ReadonlyMap<string, { readonly state: CertificateState; readonly issuedAt: Instant | null }>;
  readonly account: boolean;
}

/** Fingerprints of the certificates that a gateway needs now: that which it says it uses, and that of its connection. */
export function usedCertificates(item: ReportedItem | undefined): readonly string[] {
  const report = identityReport(item);
  if (report === null) return [];
  const connected = connectedOther(report);
  return connected === null ? [report.active] : [report.active, connected];
}

/** The item with who else needs its certificates, by fingerprint; the same object where that changes nothing. */
export function shared(item: Value, elsewhere: (fingerprint: string) => string | undefined): Value {
  const report = identityReport(item);
  if (report === null || report.certificates.every((one) => one.elsewhere === elsewhere(one.fingerprint))) return item;
  const certificates = report.certificates.map(({ fingerprint, issuedAt, told, held, state }): GatewayCertificate => {
    const other = elsewhere(fingerprint);
    return { fingerprint, issuedAt, told, held, state, ...(other === undefined ? {} : { elsewhere: other }) };
  });
  return itemOf({ ...report, certificates }, item.madeNotBefore, item.source);
}

/** The item with what is known from elsewhere; the same object where that changes nothing. Never goes back to an older connection. */
export function witnessed(item: Value, { seen, told, account }: Witnessed): Value {
  const report = identityReport(item);
  if (report === null) return item;
  const certificates = report.certificates.map((one) => {
    const answer = told.get(one.fingerprint);
    if (answer === undefined) return one;
    return { ...one, state: answer.state, ...(answer.issuedAt === null ? {} : { issuedAt: answer.issuedAt, told: true }) };
  });
  const next = itemOf(
    { ...report, certificates: sorted(certificates), seen: newerOf(report.seen, seen), account },
    item.madeNotBefore,
    item.source,
  );
  return JSON.stringify(next) === JSON.stringify(item) ? item : next;
}

function newerOf(known: Seen, seen: Seen): Seen {
  if (seen === 'none' || known === 'none' || known === null) return seen;
  return seen === null || seen.at < known.at ? known : seen;
}

function itemOf(report: IdentityReport, madeNotBefore: Instant | null, source: string): Value {
  return { kind: 'value', value: valueText(report), facts: report as unknown as Json, madeNotBefore, source };
}

/** `issued 2025-11-20T08:30:00Z, stored 2026-11-23T09:00:00Z`: by time, because fingerprints say nothing to people. */
function valueText({ active, certificates, seen, account }: IdentityReport): string {
  const used = certificates.find(({ fingerprint }) => fingerprint === active);
  const connected = connectedOther({ active, seen });
  const stored = certificates.findLast((one) => one.held && (one.issuedAt ?? 0) > (used?.issuedAt ?? 0));
  const also = certificates.filter((one) => one !== used && one !== stored && mayConnect(one, account));
  const by = connected === null ? undefined : certificates.find(({ fingerprint }) => fingerprint === connected);
  return [
    `issued ${instantText(used?.issuedAt ?? null)}`,
    ...(connected === null ? [] : [`connects with ${by === undefined ? 'another' : `that of ${instantText(by.issuedAt)}`}`]),
    ...(stored === undefined ? [] : [`stored ${instantText(stored.issuedAt)}`]),
    ...also.map(({ issuedAt }) => `also ${instantText(issuedAt)}`),
  ].join(', ');
}

/** What an account was not asked for counts as accepted: only its word takes a certificate off the list. */
function mayConnect({ state }: GatewayCertificate, account: boolean): boolean {
  return state === 'accepted' || (account && state === 'unknown');
}

/** The certificate of its connection, where that is known and is not the one that it says it uses. */
export function connectedOther({ active, seen }: Pick<IdentityReport, 'active' | 'seen'>): string | null {
  return seen === null || seen === 'none' || seen.fingerprint === active ? null : seen.fingerprint;
}

/** Reads back what a report keeps; null for one that says no identity. */
export function identityReport(item: ReportedItem | undefined): IdentityReport | null {
  if (item?.kind !== 'value' || !isJsonObject(item.facts)) return null;
  const { active, certificates } = item.facts;
  return typeof active === 'string' && Array.isArray(certificates) ? (item.facts as unknown as IdentityReport) : null;
}

/** Issued since the instant of the version to use. */
export function isGood({ issuedAt }: GatewayCertificate, { use }: GatewayIdentity): boolean {
  return issuedAt !== null && issuedAt >= use.issuedAfter;
}

/** Older than what is to be used, and not of a version that is kept. */
function isOutlived({ issuedAt }: GatewayCertificate, { use, keep }: GatewayIdentity): boolean {
  return issuedAt !== null && issuedAt < use.issuedAfter && !keep.some(({ issuedAfter }) => issuedAfter <= issuedAt);
}

export function activeOf({ active, certificates }: IdentityReport): GatewayCertificate | undefined {
  return certificates.find(({ fingerprint }) => fingerprint === active);
}

/** Whether it may stay as it is; else why it may not, and what would leave the gateway without a way back. */
export function isKept(certificate: GatewayCertificate, identity: GatewayIdentity): boolean {
  return isGood(certificate, identity) || (certificate.issuedAt !== null && !isOutlived(certificate, identity));
}

/** Certificates that may be accepted still and must be withdrawn, oldest first; never one that it uses or is connected by. */
export function outlivedOf(identity: GatewayIdentity, report: IdentityReport): readonly GatewayCertificate[] {
  const connected = connectedOther(report);
  return report.certificates.filter(
    (one) =>
      mayConnect(one, report.account) && one.fingerprint !== report.active && one.fingerprint !== connected && isOutlived(one, identity),
  );
}

/** How far a rotation is (docs/protocols/shadow-devices.md §2.9). */
export type RotationStage = 'CURRENT' | 'NEW_ISSUED' | 'SWITCHED' | 'OLD_REVOKED';

export function stageOf(identity: GatewayIdentity, report: IdentityReport): RotationStage {
  const used = activeOf(report);
  if (used !== undefined && isGood(used, identity)) {
    if (connectedOther(report) !== null) return 'NEW_ISSUED';
    return outlivedOf(identity, report).length > 0 ? 'SWITCHED' : 'OLD_REVOKED';
  }
  return report.certificates.some((one) => one.held && isGood(one, identity)) ? 'NEW_ISSUED' : 'CURRENT';
}
