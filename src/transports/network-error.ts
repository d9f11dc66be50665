import { WireError } from '#ports/wire-error.ts';

const UNTRUSTED: ReadonlySet<string> = new Set(
  (
    'DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT ' +
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY CERT_SIGNATURE_FAILURE CERT_UNTRUSTED CERT_REJECTED CERT_REVOKED CERT_CHAIN_TOO_LONG INVALID_CA'
  ).split(' '),
);

/**
 * An error of a socket or of TLS under HTTP, by its code alone: its message may quote the URL and so a signature.
 * Undefined when it has no code of the kind.
 */
export function networkError(error: unknown, doing: string): WireError | undefined {
  const code = codeOf(error);
  if (code === undefined) return undefined;
  if (UNTRUSTED.has(code))
    return new WireError('TLS_SERVER_UNTRUSTED', 'never', `${doing}: no CA we trust signed its certificate (${code})`);
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return new WireError('TLS_SERVER_EXPIRED', 'never', `${doing}: its certificate is not valid now (${code})`);
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new WireError('TLS_SERVER_NAME', 'never', `${doing}: its certificate is for another name`);
  if (/^(ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO)/.test(code)) return new WireError('TLS_FAILED', 'never', `${doing}: ${code}`);
  if (code === 'ETIMEDOUT') return new WireError('TIMEOUT', 'later', `${doing}: no answer`);
  return /^(E[A-Z]|HPE_)/.test(code) ? new WireError(code, 'later', `${doing}: ${code}`) : undefined;
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'cause' in error ? codeOf(error.cause) : undefined;
}
