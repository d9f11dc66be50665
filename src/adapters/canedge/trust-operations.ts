import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { Reason } from '#model/reasons.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { ConnectSummary } from './connect.ts';
import { deadlineMs } from './deadline.ts';
import type { LinkFacts } from './facts.ts';
import { readMemo } from './memo.ts';
import {
  carriesAll,
  hashesOf,
  holdsSet,
  isServed,
  readDeclaredTrust,
  readingOf,
  readReportedTrust,
  type DeclaredTrust,
  type ReportedTrust,
} from './trust.ts';

/** The sequences of docs/protocols/canedge-s3.md §7.3, one step at a time: add, prove, move, withdraw. */

export interface TrustSituation {
  readonly device: DeclaredDevice;
  readonly reported: ReportedDevice;
  readonly item: DeclaredItem;
  readonly declared: DeclaredTrust;
  readonly trust: ReportedTrust;
  readonly running: ConnectSummary | null;
  readonly link: LinkFacts;
}

export interface TrustAnswer {
  /** What must come before config and firmware: certificates that the device is still to load. */
  readonly first: readonly OperationDraft[];
  /** What must come after everything else: the withdrawal of certificates. */
  readonly last: readonly OperationDraft[];
  readonly impossible: readonly Impossible[];
  /** What the certificates wait for, where nothing else is to be done either. */
  readonly waits: Impossible | null;
}

export function trustSituation(
  of: Omit<TrustSituation, 'item' | 'declared' | 'trust'> & { readonly items: readonly DeclaredItem[] },
): TrustSituation | null {
  const item = of.items.find((one) => one.item === 'trust');
  const [declared, trust] = [readDeclaredTrust(item), readReportedTrust(of.reported.items.trust)];
  if (item === undefined || declared === null || trust === null) return null;
  return { device: of.device, reported: of.reported, running: of.running, link: of.link, item, declared, trust };
}

export const NOTHING: TrustAnswer = { first: [], last: [], impossible: [], waits: null };

/** The next step of the certificates of one device. */
export function trustOperations(situation: TrustSituation): TrustAnswer {
  const refused = refusal(situation);
  if (refused !== null) return { ...NOTHING, impossible: [{ item: 'trust', ...refused }] };
  const { declared, trust } = situation;
  if (lost(declared, trust).length > 0 && carriesAll(declared, trust)) {
    if (trust.place !== 'from') return { ...NOTHING, last: [draft(situation, 'trust-remove')] };
    return {
      ...NOTHING,
      first: isServed(trust.there, declared, trust.loaded) ? [] : [draft(situation, 'trust-there')],
      waits: { item: 'trust', reason: 'WAITS_FOR_ITEM', evidence: 'certificates are withdrawn once it reports where it moves to' },
    };
  }
  const there = trust.place === 'from' && !holdsSet(trust.there, declared.certificates) ? [draft(situation, 'trust-there')] : [];
  const loaded = carriesAll(declared, trust) && (trust.object === null || holdsSet(trust.object, declared.certificates));
  return { ...NOTHING, first: [...there, ...(loaded ? [] : [draft(situation, 'trust')])] };
}

/** Certificates that the device has loaded and that are not declared, by their hashes; under whichever reading leaves fewer. */
function lost(declared: DeclaredTrust, trust: ReportedTrust): readonly string[] {
  const without = (kind: 'sha1' | 'md5' | 'subjectSha1'): readonly string[] =>
    trust.loaded.filter((hash) => !hashesOf(declared.certificates, kind).includes(hash));
  const der = without(trust.kind);
  if (trust.kind === 'md5') return der;
  const subject = without('subjectSha1');
  return subject.length < der.length ? subject : der;
}

/** What could leave a device that trusts nobody it can reach (F7, F8), and what no report could show. Null when neither. */
function refusal(situation: TrustSituation): { readonly reason: Reason; readonly evidence: string } | null {
  const { declared, trust, running } = situation;
  if (declared.kind !== trust.kind)
    return { reason: 'REPORT_UNREADABLE', evidence: `reports ${trust.kind} hashes, ${declared.kind} was expected` };
  const unseen = notShown(declared, trust);
  if (unseen !== null) return { reason: 'UNSUPPORTED', evidence: unseen };
  const gone = lost(declared, trust);
  if (gone.length === 0 || (running !== null && isPlain(running.endpoint))) return null;
  const names = namesOf(gone, trust);
  if (trust.loaded.length === gone.length) {
    return {
      reason: 'LOCKOUT_GUARD',
      evidence: `nothing of what it trusts would be left; add ${names} to keep: until it carries the new ones`,
    };
  }
  if (carriesAll(declared, trust)) return null;
  return { reason: 'LOCKOUT_GUARD', evidence: `certificates are added before others are withdrawn; add ${names} to keep:` };
}

/** A renewed certificate with its old subject: a CANedge2 may tell certificates apart by nothing else (§7.4). */
function notShown(declared: DeclaredTrust, trust: ReportedTrust): string | null {
  if (trust.kind !== 'sha1') return null;
  const old = trust.object?.certificates ?? [];
  const twin = declared.certificates.find(({ hashes }) =>
    old.some((other) => other.hashes.subjectSha1 === hashes.subjectSha1 && other.hashes.sha1 !== hashes.sha1),
  );
  if (twin !== undefined)
    return `no report could tell the new ${twin.name} from the old one: both have one subject; give the new one another`;
  if (readingOf(declared.certificates, trust) !== 'subject' || holdsSet(trust.object, declared.certificates)) return null;
  return 'it may have loaded older certificates of the same subjects: no report could tell them from the declared ones';
}

function namesOf(hashes: readonly string[], trust: ReportedTrust): string {
  const known = [...(trust.object?.certificates ?? [])];
  const name = (hash: string): string =>
    known.find(({ hashes: own }) => own[trust.kind] === hash || own.subjectSha1 === hash)?.name ?? hash.slice(0, 12);
  return hashes.map(name).toSorted().join(', ');
}

function draft(situation: TrustSituation, step: 'trust' | 'trust-there' | 'trust-remove'): OperationDraft {
  const { device, reported, item, declared, trust, link } = situation;
  const target = step === 'trust-there' ? trust.there : trust.object;
  const value = reported.items.trust;
  const removes = step === 'trust-remove';
  const facts: Json = {
    series: '',
    want: item.facts,
    loaded: [...trust.loaded],
    object: target === null ? null : { crc: target.crc, sha256: target.sha256 },
    ...(step === 'trust-there' ? { at: readMemo(reported).towards ?? device.via.to } : {}),
  };
  const shared =
    declared.sharedIssuer === null
      ? []
      : [`holds two certificates of the issuer of ${declared.sharedIssuer}: firmware before 01.06 may not tell them apart`];
  return {
    item: 'trust',
    step,
    kind: 'change',
    delivery: 'offer',
    declared: item.value,
    expected: value?.kind === 'value' ? value.value : null,
    facts,
    content: item.content,
    deadlineMs: deadlineMs(link, device),
    effects:
      step === 'trust-there' ? [] : ['restarts the device', ...(removes ? ['withdraws certificates that it trusts'] : []), ...shared],
    disturbs: step !== 'trust-there',
    ...(removes ? { onceAllCarry: 'trust' as const } : {}),
  };
}

/** How a config changes the server of a device. */
export type LinkChange = 'none' | 'tls' | 'move' | 'other' | 'unknown';

export function linkChangeOf(running: ConnectSummary | null, next: ConnectSummary, moves: boolean): LinkChange {
  if (running === null || running.endpoint === null || next.endpoint === null) return 'unknown';
  if (running.endpoint === next.endpoint && running.port === next.port && running.bucket === next.bucket) return 'none';
  if (moves) return 'move';
  // On or off: the same server, told to listen for it.
  const onlyTls = isTls(running.endpoint) !== isTls(next.endpoint) && hostOf(running.endpoint) === hostOf(next.endpoint);
  return onlyTls && running.bucket === next.bucket ? 'tls' : 'other';
}

/**
 * Why a config that turns TLS on, or leads to another server, must wait or must not be sent (§7.3 A and C); null when the
 * certificates that it needs are loaded, and served at both ends of a move. `adds`: their own steps stand before it.
 */
export function linkRefusal(
  next: ConnectSummary,
  of: { readonly change: LinkChange; readonly trust: TrustSituation | null; readonly adds: boolean; readonly network: string },
): { readonly reason: Reason; readonly evidence: string } | null {
  const { change, trust, adds, network } = of;
  if (change === 'none' || change === 'unknown' || !isTls(next.endpoint)) return null;
  if (trust === null) {
    // Of what a cellular device trusts from the factory nothing is known, and what a person allows is allowed.
    if (network === 'cellular' || change === 'other') return null;
    return {
      reason: 'LOCKOUT_GUARD',
      evidence: 'the server is reached by TLS: the certificates that the device is to trust must be pinned, and reported',
    };
  }
  const value = trust.reported.items.trust;
  const proven = carriesAll(trust.declared, trust.trust) && value?.kind === 'value' && value.madeNotBefore !== null;
  const served = trust.trust.place !== 'from' || isServed(trust.trust.there, trust.declared, trust.trust.loaded);
  if (adds || (proven && served)) return null;
  return { reason: 'WAITS_FOR_ITEM', evidence: 'the certificates of the server must be reported first' };
}

function isPlain(endpoint: string | null): boolean {
  return endpoint?.startsWith('http://') === true;
}

export function isTls(endpoint: string | null): boolean {
  return endpoint?.startsWith('https://') === true;
}

function hostOf(endpoint: string): string {
  return endpoint.replace(/^[a-z]+:\/\//, '').toLowerCase();
}
