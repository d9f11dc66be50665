import { X509Certificate } from 'node:crypto';

/** What a certificate says of itself, apart from its key. */
export interface CertificateFacts {
  /** SHA-256 of the DER, 64 lower-case hex digits. */
  readonly fingerprint: string;
  /** As RFC 4514 and brokers write it: `CN=moor-house,O=Upland`, the last part first, bytes beyond ASCII as `\C3\A4`. */
  readonly subject: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** DER in base64. */
  readonly der: string;
}

/** Reads a certificate in PEM or DER; null when it is none. */
export function certificateFacts(bytes: Uint8Array): CertificateFacts | null {
  try {
    const certificate = new X509Certificate(bytes);
    return {
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      subject: rfc4514(certificate.subject),
      notBefore: Date.parse(certificate.validFrom),
      notAfter: Date.parse(certificate.validTo),
      der: certificate.raw.toString('base64'),
    };
  } catch {
    return null;
  }
}

/** Who signed a certificate, given as base64 of its DER: the issuer's name, null where it cannot be read. */
export function issuerOf(der: string): string | null {
  try {
    return rfc4514(new X509Certificate(Buffer.from(der, 'base64')).issuer);
  } catch {
    return null;
  }
}

/** Node gives one line per part, first part first. */
function rfc4514(lines: string): string {
  const parts = lines.split('\n').filter((line) => line !== '');
  return parts
    .toReversed()
    .map((part) => part.replaceAll(/[^\x20-\x7e]/gu, escaped))
    .join(',');
}

function escaped(character: string): string {
  return [...new TextEncoder().encode(character)].map((byte) => `\\${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('');
}

/** The value of the first `CN=` of a subject, unescaped as far as brokers do; null without one. */
export function commonNameOf(subject: string): string | null {
  const [, name] = /(?:^|,)CN=((?:[^\\,]|\\.)*)/.exec(subject) ?? [];
  return name?.replaceAll(/\\([^0-9A-Fa-f])/g, '$1') ?? null;
}
