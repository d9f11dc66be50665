import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { SimCredentials } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';

/** The certificate that a client showed. */
export interface PeerCertificate {
  /** SHA-256 of its DER, 64 lower-case hex digits. */
  readonly fingerprint: string;
  /** As RFC 2253 writes it without spaces: `CN=CR1000X_70681,O=Moor`. */
  readonly subject: string;
  readonly issuer: string;
  readonly validFrom: number;
  readonly validTo: number;
}

export function peerCertificate(certificate: X509Certificate): PeerCertificate {
  const line = (name: string): string => name.trim().split('\n').toReversed().join(',');
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: line(certificate.subject),
    issuer: line(certificate.issuer),
    validFrom: Date.parse(certificate.validFrom),
    validTo: Date.parse(certificate.validTo),
  };
}

/**
 * What a broker in memory sees of a client, as TLS would show it; null for one without a certificate. Throws WireError
 * with code TLS_BAD_CREDENTIALS where certificate and key are unreadable or do not belong together.
 */
export function shownCertificate(credentials: SimCredentials | undefined): PeerCertificate | null {
  if (credentials === undefined || (credentials.cert === null && credentials.key === null)) return null;
  const certificate = readPair(credentials.cert ?? '', credentials.key ?? '');
  if (certificate !== null) return peerCertificate(certificate);
  throw new WireError('TLS_BAD_CREDENTIALS', 'later', 'certificate and key are not PEM, or do not belong together');
}

function readPair(cert: string, key: string): X509Certificate | null {
  try {
    const certificate = new X509Certificate(cert);
    return certificate.checkPrivateKey(createPrivateKey(key)) ? certificate : null;
  } catch {
    return null;
  }
}
