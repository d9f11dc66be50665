import { X509Certificate } from 'node:crypto';

/** A certificate that somebody trusts: DER and validity, in ms since 1970. */
export interface TrustAnchor {
  readonly der: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** More links than any server shows; an end for a chain that loops. */
const MAX_LINKS = 10;

/**
 * Whether what a server shows (DER, its own certificate first) leads to one of the trusted certificates, by their
 * signatures (docs/protocols/canedge-s3.md §7.1). Expired ones are not trusted. `names`: it must be made out to one of
 * these; to anybody when left out.
 */
export function isValidated(
  chain: readonly Uint8Array[],
  trusted: readonly TrustAnchor[],
  asked: { readonly now: number; readonly names?: readonly string[] },
): boolean {
  const { now, names } = asked;
  const shown = chain.flatMap(readOne);
  const anchors = trusted.filter(({ notBefore, notAfter }) => notBefore <= now && now <= notAfter).flatMap(({ der }) => readOne(der));
  let current = shown[0];
  if (current !== undefined && names !== undefined && !names.some((name) => isMadeOutTo(shown[0], name))) return false;
  for (let links = 0; current !== undefined && links < MAX_LINKS; links += 1) {
    const link: X509Certificate = current;
    if (!isCurrent(link, now)) return false;
    if (anchors.some((anchor) => anchor.fingerprint256 === link.fingerprint256 || isIssuedBy(link, anchor))) return true;
    current = shown.find((other) => other.fingerprint256 !== link.fingerprint256 && isIssuedBy(link, other));
  }
  return false;
}

const IS_ADDRESS = /^[0-9.]+$|:/;

/** By its alternative names, or its common name where it has none of them (§7.1). */
function isMadeOutTo(certificate: X509Certificate | undefined, name: string): boolean {
  if (certificate === undefined || name === '') return false;
  if (!IS_ADDRESS.test(name)) return certificate.checkHost(name) !== undefined;
  return certificate.checkIP(name) !== undefined || certificate.subject.split('\n').includes(`CN=${name}`);
}

function isCurrent(certificate: X509Certificate, now: number): boolean {
  return certificate.validFromDate.getTime() <= now && now <= certificate.validToDate.getTime();
}

/** A thousand devices trust the same few roots, and are held against the same server: each signature is verified once. */
const verdicts = new WeakMap<X509Certificate, WeakMap<X509Certificate, boolean>>();

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  const known = verdicts.get(certificate) ?? new WeakMap<X509Certificate, boolean>();
  verdicts.set(certificate, known);
  const verdict = known.get(issuer) ?? isSignedBy(certificate, issuer);
  known.set(issuer, verdict);
  return verdict;
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

const certificates = new WeakMap<Uint8Array, readonly X509Certificate[]>();

function readOne(der: Uint8Array): readonly X509Certificate[] {
  const read = certificates.get(der) ?? parsed(der);
  certificates.set(der, read);
  return read;
}

function parsed(der: Uint8Array): readonly X509Certificate[] {
  try {
    return [new X509Certificate(der)];
  } catch {
    return [];
  }
}
