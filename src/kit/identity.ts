import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { Secret } from './secret.ts';

export interface IdentityProblem {
  readonly code: 'BAD_CERTIFICATE' | 'BAD_KEY' | 'KEY_MISMATCH';
  /** Says nothing of the key. */
  readonly text: string;
}

/** Whether a certificate (PEM or DER) and a private key (PEM, or DER as PKCS#8) belong together; null when they do. */
export function identityProblem(certificate: Uint8Array, key: Secret): IdentityProblem | null {
  const parsed = certificateOf(certificate);
  if (parsed === null) return { code: 'BAD_CERTIFICATE', text: 'this is no X.509 certificate' };
  const own = privateKeyOf(key);
  if (own === null) return { code: 'BAD_KEY', text: 'the sealed file holds no private key in PEM or PKCS#8' };
  return parsed.checkPrivateKey(own) ? null : { code: 'KEY_MISMATCH', text: 'the key is not that of the certificate' };
}

function certificateOf(bytes: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(bytes);
  } catch {
    return null;
  }
}

function privateKeyOf(key: Secret): KeyObject | null {
  const bytes = Buffer.from(key.reveal());
  try {
    if (bytes.subarray(0, 64).toString('latin1').includes('-----BEGIN')) return createPrivateKey({ key: bytes, format: 'pem' });
    return createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
}
