import { createHash, X509Certificate } from 'node:crypto';
import { err, ok, type Result } from '#kit/result.ts';
import type { Instant } from '#model/ids.ts';
import { DER, encodeElement, readElements, readWithin, type DerElement } from './der.ts';

/** `certs_server.p7b`, the trusted server certificates: docs/protocols/canedge-s3.md §7. */

/** §7.1 and §7.2: what the vendor's own tool stays below. */
const MAX_CERTIFICATES = 10;
export const MAX_BUNDLE_BYTES = 256 * 1024;

export interface BundleCertificate {
  readonly der: Uint8Array;
  /** Its common name, else its whole subject; at most 100 characters. */
  readonly name: string;
  /** DER of the two names, in hex: what tells certificates apart on a CANedge2. */
  readonly subject: string;
  readonly issuer: string;
  readonly notBefore: Instant;
  readonly notAfter: Instant;
  readonly hashes: CertificateHashes;
}

/** Upper-case hex, as device.json has them (§7.4): of the DER certificate, and of the DER of its subject. */
export interface CertificateHashes {
  readonly sha1: string;
  readonly md5: string;
  readonly subjectSha1: string;
}

export interface BundleProblem {
  readonly code: 'EMPTY' | 'TOO_LARGE' | 'NOT_CERTIFICATES' | 'TOO_MANY' | 'TWICE' | 'SAME_SUBJECT';
  readonly message: string;
}

/**
 * Reads whatever the file may be: one certificate or several in PEM, one in DER, or a PKCS#7 "certificates only" bundle in
 * DER or PEM. An empty file is a problem of its own: it is valid and removes all trust. Never throws.
 */
export function parseBundle(bytes: Uint8Array): Result<readonly BundleCertificate[], BundleProblem> {
  if (bytes.length === 0) return err({ code: 'EMPTY', message: 'the bundle is empty: a device that takes it trusts nobody' });
  if (bytes.length > MAX_BUNDLE_BYTES) return err({ code: 'TOO_LARGE', message: `the bundle has ${bytes.length} bytes` });
  const blocks = pemBlocks(bytes);
  if (blocks === undefined) return err({ code: 'NOT_CERTIFICATES', message: 'the PEM blocks are not those of certificates' });
  const found: BundleCertificate[] = [];
  for (const block of blocks.length === 0 ? [{ kind: 'any' as const, bytes }] : blocks) {
    const certificates = block.kind === 'pkcs7' ? readSignedData(block.bytes) : readAny(block.bytes, block.kind);
    if (!certificates.ok) return certificates;
    found.push(...certificates.value);
  }
  if (found.length === 0) return err({ code: 'EMPTY', message: 'the bundle holds no certificate: a device that takes it trusts nobody' });
  return ok(found);
}

function readAny(bytes: Uint8Array, kind: 'any' | 'certificate'): Result<readonly BundleCertificate[], BundleProblem> {
  const single = readCertificate(bytes);
  if (single !== undefined) return ok([single]);
  return kind === 'any' ? readSignedData(bytes) : err(notCertificates('a PEM block'));
}

function notCertificates(what: string): BundleProblem {
  return { code: 'NOT_CERTIFICATES', message: `${what} is neither a certificate nor a PKCS#7 bundle of certificates` };
}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\s*([A-Za-z0-9+/=\s]*?)-----END \1-----/g;
const PEM_KINDS: Readonly<Record<string, 'certificate' | 'pkcs7'>> = {
  CERTIFICATE: 'certificate',
  'X509 CERTIFICATE': 'certificate',
  PKCS7: 'pkcs7',
};

/** The PEM blocks of a text; none when it holds no mark of one; undefined when one is broken or of another kind. */
function pemBlocks(bytes: Uint8Array): readonly { readonly kind: 'certificate' | 'pkcs7'; readonly bytes: Uint8Array }[] | undefined {
  const text = Buffer.from(bytes).toString('latin1');
  const begun = text.split('-----BEGIN ').length - 1;
  if (begun === 0) return [];
  const blocks = [...text.matchAll(PEM_BLOCK)].map(([, label = '', body = '']) => ({ kind: PEM_KINDS[label], bytes: fromBase64(body) }));
  const good = blocks.flatMap(({ kind, bytes: block }) => (kind === undefined || block === undefined ? [] : [{ kind, bytes: block }]));
  return good.length === begun ? good : undefined;
}

function fromBase64(body: string): Uint8Array | undefined {
  const text = body.replaceAll(/\s/g, '');
  return text.length > 0 && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

const SIGNED_DATA = '2a864886f70d010702';
const DATA = '2a864886f70d010701';

/**
 * A degenerate signedData (§14.4): version 1, no digest algorithms, type `data` without content, certificates, no
 * signers. Lists of revocations are passed over.
 */
function readSignedData(bytes: Uint8Array): Result<readonly BundleCertificate[], BundleProblem> {
  const outer = readElements(bytes);
  const [type, wrapped, ...more] = readWithin(outer?.length === 1 ? outer[0] : undefined, DER.sequence) ?? [];
  const inner = readWithin(wrapped, DER.context0);
  const body = readWithin(inner?.length === 1 ? inner[0] : undefined, DER.sequence);
  if (type === undefined || !isOid(type, SIGNED_DATA) || more.length > 0 || body === undefined) return err(notCertificates('the file'));
  const [version, algorithms, content, ...rest] = body;
  const certificates = rest[0];
  const others = rest.slice(1).filter(({ tag }) => tag !== DER.context1);
  const kind = readWithin(content, DER.sequence);
  const degenerate =
    hexOf(version, DER.integer) === '01' &&
    hexOf(algorithms, DER.set) === '' &&
    kind?.length === 1 &&
    isOid(kind[0], DATA) &&
    others.length === 1 &&
    hexOf(others[0], DER.set) === '';
  const members = readWithin(certificates, DER.context0);
  if (!degenerate || members === undefined) return err(notCertificates('the PKCS#7 file'));
  const read = members.map(({ whole }) => readCertificate(whole));
  const good = read.filter((one) => one !== undefined);
  return good.length === read.length ? ok(good) : err(notCertificates('a member of the PKCS#7 bundle'));
}

function hexOf(element: DerElement | undefined, tag: number): string | undefined {
  return element?.tag === tag ? Buffer.from(element.content).toString('hex') : undefined;
}

function isOid(element: DerElement | undefined, hex: string): boolean {
  return hexOf(element, DER.oid) === hex;
}

/** One certificate that fills these bytes exactly. */
function readCertificate(bytes: Uint8Array): BundleCertificate | undefined {
  const names = readNames(bytes);
  if (names === undefined) return undefined;
  try {
    const parsed = new X509Certificate(bytes);
    const [notBefore, notAfter] = [parsed.validFromDate.getTime(), parsed.validToDate.getTime()];
    if (!Number.isFinite(notBefore) || !Number.isFinite(notAfter)) return undefined;
    return {
      der: Uint8Array.from(bytes),
      name: nameOf(parsed.subject),
      subject: Buffer.from(names.subject).toString('hex'),
      issuer: Buffer.from(names.issuer).toString('hex'),
      notBefore,
      notAfter,
      hashes: { sha1: hash('sha1', bytes), md5: hash('md5', bytes), subjectSha1: hash('sha1', names.subject) },
    };
  } catch {
    return undefined;
  }
}

function hash(algorithm: 'sha1' | 'md5', bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex').toUpperCase();
}

/** Issuer and subject of the DER of a certificate (RFC 5280 §4.1): before them stand version, serial and algorithm. */
function readNames(bytes: Uint8Array): { readonly issuer: Uint8Array; readonly subject: Uint8Array } | undefined {
  const outer = readElements(bytes);
  const parts = readWithin(outer?.length === 1 ? outer[0] : undefined, DER.sequence);
  if (parts?.length !== 3 || parts[1]?.tag !== DER.sequence || parts[2]?.tag !== DER.bitString) return undefined;
  const fields = readWithin(parts[0], DER.sequence) ?? [];
  const [serial, algorithm, issuer, validity, subject] = fields[0]?.tag === DER.context0 ? fields.slice(1) : fields;
  const sequences = [algorithm, issuer, validity, subject].every((field) => field?.tag === DER.sequence);
  if (serial?.tag !== DER.integer || !sequences || issuer === undefined || subject === undefined) return undefined;
  return { issuer: issuer.whole, subject: subject.whole };
}

function nameOf(subject: string | undefined): string {
  const lines = (subject ?? '').split('\n');
  const common = lines.find((line) => line.startsWith('CN='))?.slice(3) ?? lines.join(', ');
  return (common === '' ? 'without a subject' : common).slice(0, 100);
}

/**
 * The file that installs these certificates (§7.2): one alone as itself, several as PKCS#7; in DER, the order of a DER
 * set, so that the same set always gives the same bytes. Refuses what a device would not take, and the empty bundle.
 */
export function buildBundle(
  certificates: readonly BundleCertificate[],
  limits: { readonly distinctSubjects: boolean },
): Result<Uint8Array, BundleProblem> {
  const problem = bundleProblem(certificates, limits);
  if (problem !== null) return err(problem);
  const sorted = certificates.map(({ der }) => der).toSorted((a, b) => Buffer.compare(a, b));
  const [only] = sorted;
  const bytes = sorted.length === 1 && only !== undefined ? only : encodeSignedData(sorted);
  if (bytes.length <= MAX_BUNDLE_BYTES) return ok(bytes);
  return err({ code: 'TOO_LARGE', message: `the bundle would have ${bytes.length} bytes, at most ${MAX_BUNDLE_BYTES} are taken` });
}

function bundleProblem(certificates: readonly BundleCertificate[], limits: { readonly distinctSubjects: boolean }): BundleProblem | null {
  if (certificates.length === 0) return { code: 'EMPTY', message: 'an empty bundle would remove all trust' };
  if (certificates.length > MAX_CERTIFICATES) {
    return { code: 'TOO_MANY', message: `${certificates.length} certificates; a CANedge takes at most ${MAX_CERTIFICATES}` };
  }
  const twice = certificates.find((one, index) => certificates.some((other, at) => at < index && other.hashes.sha1 === one.hashes.sha1));
  if (twice !== undefined) return { code: 'TWICE', message: `${twice.name} is there twice` };
  const same = limits.distinctSubjects ? sameName(certificates, 'subject') : undefined;
  if (same === undefined) return null;
  return { code: 'SAME_SUBJECT', message: `two certificates have the subject of ${same}; a CANedge2 tells them apart by nothing else` };
}

/** The name of a certificate whose subject or issuer another one has too; undefined when all differ. */
export function sameName(certificates: readonly BundleCertificate[], which: 'subject' | 'issuer'): string | undefined {
  return certificates.find((one, index) => certificates.some((other, at) => at < index && other[which] === one[which]))?.name;
}

function encodeSignedData(certificates: readonly Uint8Array[]): Uint8Array {
  const oid = (hex: string): Uint8Array => encodeElement(DER.oid, Buffer.from(hex, 'hex'));
  const body = encodeElement(
    DER.sequence,
    encodeElement(DER.integer, Uint8Array.of(1)),
    encodeElement(DER.set),
    encodeElement(DER.sequence, oid(DATA)),
    encodeElement(DER.context0, ...certificates),
    encodeElement(DER.set),
  );
  return encodeElement(DER.sequence, oid(SIGNED_DATA), encodeElement(DER.context0, body));
}

/** The same file in PEM, for tools and devices that want text. */
export function bundleText(bytes: Uint8Array, count: number): string {
  const label = count === 1 ? 'CERTIFICATE' : 'PKCS7';
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
