import type { Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { DeclaredItem } from '#model/declared.ts';
import { digest, type Instant } from '#model/ids.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { buildBundle, bundleText, parseBundle, sameName, type BundleCertificate, type CertificateHashes } from './bundle.ts';
import { at, listAt, textAt } from './json.ts';
import { modelByName } from './models.ts';
import { BUNDLE_NAME } from './wire.ts';

/** Trusted server certificates, declared and reported: docs/protocols/canedge-s3.md §7.4. */

/** Which hash a model reports: the WiFi family SHA-1, the cellular one MD5. */
export type HashKind = 'sha1' | 'md5';

export interface KnownCertificate {
  readonly name: string;
  readonly hashes: CertificateHashes;
}

/** Facts of a declared trust. */
export interface DeclaredTrust {
  readonly kind: HashKind;
  readonly certificates: readonly KnownCertificate[];
  /** Two of them have one issuer, by the name of the first. */
  readonly sharedIssuer: string | null;
}

/** `certs_server.p7b` as it was last read; `certificates` null when it is no bundle. */
export interface TrustObject {
  readonly etag: string;
  readonly crc: string;
  readonly sha256: string;
  readonly certificates: readonly KnownCertificate[] | null;
}

/** Where a device in a move reports: still at the old bucket, or at the new one. `only` when it does not move. */
export type TrustPlace = 'only' | 'from' | 'to';

/** Facts of a reported trust. */
export interface ReportedTrust {
  readonly kind: HashKind;
  /** As reported, upper case, sorted. */
  readonly loaded: readonly string[];
  /** In the bucket in which the device reports. */
  readonly object: TrustObject | null;
  /** In the bucket to which it is to move, as long as it does not report there. */
  readonly there: TrustObject | null;
  readonly place: TrustPlace;
}

export function hashKindOf(model: string): HashKind {
  return modelByName(model)?.network === 'cellular' ? 'md5' : 'sha1';
}

/** What a report must show of the certificates of `use` and `keep`, and the bundle that installs them. */
export function trustExpectation(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const found: BundleCertificate[] = [];
  for (const file of pin.certificates) {
    const parsed = parseBundle(file);
    if (!parsed.ok) return err({ code: `TRUST_${parsed.error.code}`, summary: `trust of device ${device.id}: ${parsed.error.message}` });
    found.push(...parsed.value);
  }
  const kind = hashKindOf(device.model);
  const built = buildBundle(found, { distinctSubjects: kind === 'sha1' });
  if (!built.ok) return err({ code: `TRUST_${built.error.code}`, summary: `trust of device ${device.id}: ${built.error.message}` });
  const text = textAt(device.options, 'bundle') === 'pem';
  const bytes = text ? new TextEncoder().encode(bundleText(built.value, found.length)) : built.value;
  const certificates = found.map(({ name, hashes }) => ({ name, hashes: { ...hashes } }));
  const facts: Json = { kind, certificates, sharedIssuer: sameName(found, 'issuer') ?? null };
  return ok({
    value: setText(found.map(({ hashes }) => hashes[kind])),
    version: pin.artifact?.version ?? found.map(({ name }) => name).join(', '),
    facts,
    content: { kind: 'bytes', name: BUNDLE_NAME, bytes, size: bytes.length, digest: digest(sha256(bytes)) },
    certificates: found.map(({ name, notAfter }) => ({ name, notAfter })),
  });
}

/** `2 certificates 3f1c…`: the number, and a digest of the whole hashes in order. */
export function setText(hashes: readonly string[]): string {
  const sorted = hashes.toSorted();
  return `${sorted.length} ${sorted.length === 1 ? 'certificate' : 'certificates'} ${sha256(sorted.join(' ')).slice(0, 16)}`;
}

/** The canonical text of what a device trusts; it equals a declared one only when bucket and device agree with it. */
export function trustValue(trust: ReportedTrust): string {
  const shown = setText(trust.loaded);
  const there = trust.place === 'from' ? objectText(trust, trust.there, ', there') : '';
  return `${shown}${objectText(trust, trust.object, ', object')}${there}`;
}

function objectText(trust: ReportedTrust, object: TrustObject | null, what: string): string {
  if (object === null) return `${what} missing`;
  if (object.certificates === null) return `${what} unreadable`;
  const own = setText(object.certificates.map(({ hashes }) => hashes[trust.kind]));
  return own === setText(trust.loaded) ? '' : `${what} ${own}`;
}

/** How a list of hashes shows a set: by the DER of the certificates, by their subjects (a CANedge2 only, §7.4), or not. */
export function readingOf(
  certificates: readonly KnownCertificate[],
  trust: Pick<ReportedTrust, 'kind' | 'loaded'>,
): 'der' | 'subject' | null {
  if (sameSet(hashesOf(certificates, trust.kind), trust.loaded)) return 'der';
  return trust.kind === 'sha1' && sameSet(hashesOf(certificates, 'subjectSha1'), trust.loaded) ? 'subject' : null;
}

export function hashesOf(certificates: readonly KnownCertificate[], kind: keyof CertificateHashes): readonly string[] {
  return certificates.map(({ hashes }) => hashes[kind]);
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((hash) => b.includes(hash));
}

/** Whether an object holds just these certificates, in whatever order and encoding. */
export function holdsSet(object: TrustObject | null, certificates: readonly KnownCertificate[]): boolean {
  return object?.certificates != null && sameSet(hashesOf(object.certificates, 'sha1'), hashesOf(certificates, 'sha1'));
}

/**
 * What a device would take on its arrival holds all that is declared, and nothing besides that it does not trust already: a
 * bundle that was served for the way back, with what is to be withdrawn, does no harm.
 */
export function isServed(object: TrustObject | null, declared: DeclaredTrust, loaded: readonly string[]): boolean {
  const held = object?.certificates ?? [];
  const has = (certificates: readonly KnownCertificate[], one: KnownCertificate): boolean =>
    certificates.some(({ hashes }) => hashes.sha1 === one.hashes.sha1);
  const isLoaded = ({ hashes }: KnownCertificate): boolean => loaded.includes(hashes[declared.kind]) || loaded.includes(hashes.subjectSha1);
  return declared.certificates.every((one) => has(held, one)) && held.every((one) => has(declared.certificates, one) || isLoaded(one));
}

/**
 * The reported list shows the declared set, and no bucket holds another one. Without an object nothing is written: the
 * device has what it needs. Under the subject reading the object must hold the set: an older certificate may have the
 * same subject.
 */
export function trustAgrees(declared: DeclaredTrust, trust: ReportedTrust): boolean {
  const reading = readingOf(declared.certificates, trust);
  if (reading === null || declared.kind !== trust.kind) return false;
  const here = holdsSet(trust.object, declared.certificates) || (reading === 'der' && trust.object === null);
  return here && (trust.place !== 'from' || holdsSet(trust.there, declared.certificates));
}

/** Each declared certificate is among those that the device says it has loaded: it could do without any other one. */
export function carriesAll(declared: DeclaredTrust, trust: Pick<ReportedTrust, 'kind' | 'loaded'>): boolean {
  if (declared.kind !== trust.kind) return false;
  const within = (kind: keyof CertificateHashes): boolean =>
    hashesOf(declared.certificates, kind).every((hash) => trust.loaded.includes(hash));
  return within(trust.kind) || (trust.kind === 'sha1' && within('subjectSha1'));
}

/** Whether a device could do without what is not declared: it has said that it carries all that is. */
export function provesTrust(item: DeclaredItem, reported: ReportedDevice): boolean {
  const value = reported.items.trust;
  const [declared, trust] = [readDeclaredTrust(item), readReportedTrust(value)];
  if (declared === null || trust === null || value?.kind !== 'value' || value.madeNotBefore === null) return false;
  return carriesAll(declared, trust);
}

export function readDeclaredTrust(item: DeclaredItem | undefined): DeclaredTrust | null {
  return item?.item === 'trust' ? readTrustFacts(item.facts) : null;
}

export function readTrustFacts(facts: Json): DeclaredTrust | null {
  const certificates = readCertificates(at(facts, 'certificates'));
  const kind = textAt(facts, 'kind');
  if (certificates === null || (kind !== 'sha1' && kind !== 'md5')) return null;
  return { kind, certificates, sharedIssuer: textAt(facts, 'sharedIssuer') ?? null };
}

export function readReportedTrust(item: ReportedItem | undefined): ReportedTrust | null {
  if (item?.kind !== 'value') return null;
  const [kind, place] = [textAt(item.facts, 'kind'), textAt(item.facts, 'place')];
  if (kind !== 'sha1' && kind !== 'md5') return null;
  return {
    kind,
    loaded: listAt(item.facts, 'loaded').filter((hash) => typeof hash === 'string'),
    object: readTrustObject(at(item.facts, 'object')),
    there: readTrustObject(at(item.facts, 'there')),
    place: readPlace(place),
  };
}

export function readPlace(value: Json | undefined): TrustPlace {
  return value === 'from' || value === 'to' ? value : 'only';
}

export function readTrustObject(value: Json | undefined): TrustObject | null {
  const [etag, crc, bytes] = [textAt(value, 'etag'), textAt(value, 'crc'), textAt(value, 'sha256')];
  if (etag === undefined || crc === undefined || bytes === undefined) return null;
  return { etag, crc, sha256: bytes, certificates: readCertificates(at(value, 'certificates')) };
}

function readCertificates(value: Json | undefined): readonly KnownCertificate[] | null {
  if (!Array.isArray(value)) return null;
  return (value as readonly Json[]).flatMap((one) => {
    const [name, sha1, md5] = [textAt(one, 'name'), textAt(one, 'hashes', 'sha1'), textAt(one, 'hashes', 'md5')];
    const subjectSha1 = textAt(one, 'hashes', 'subjectSha1');
    return name === undefined || sha1 === undefined || md5 === undefined || subjectSha1 === undefined
      ? []
      : [{ name, hashes: { sha1, md5, subjectSha1 } }];
  });
}

/** What was read from under the key, for facts and memo. */
export function trustObjectOf(
  found: { readonly etag: string; readonly crc: string; readonly sha256: string },
  bytes: Uint8Array,
): TrustObject {
  const parsed = parseBundle(bytes);
  const certificates = parsed.ok ? parsed.value.map(({ name, hashes }) => ({ name, hashes })) : null;
  return { etag: found.etag, crc: found.crc, sha256: found.sha256, certificates };
}

export interface TrustReport {
  /** From device.json: null when this firmware does not say what it trusts. */
  readonly certificates: { readonly kind: HashKind; readonly hashes: readonly string[] } | null;
  readonly object: TrustObject | null;
  readonly there: TrustObject | null;
  readonly place: TrustPlace;
  readonly madeNotBefore: Instant;
  readonly source: string;
}

/** Legacy firmware does not say: unknown, which is not empty (§3.2). */
export function trustItem(report: TrustReport): ReportedItem {
  const { certificates, madeNotBefore, source } = report;
  if (certificates === null) {
    return { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: 'its device.json does not say which certificates it has loaded', source };
  }
  const trust: ReportedTrust = {
    kind: certificates.kind,
    loaded: certificates.hashes.toSorted(),
    object: report.object,
    there: report.there,
    place: report.place,
  };
  return { kind: 'value', value: trustValue(trust), facts: trust as unknown as Json, madeNotBefore, source };
}
