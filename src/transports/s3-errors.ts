import { WireError } from '#ports/wire-error.ts';
import { networkError } from './network-error.ts';

/** HTTP status of an error that the SDK threw; undefined when no answer came. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata as { readonly httpStatusCode?: unknown } | undefined;
  return typeof metadata?.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/**
 * What the SDK throws, as an error of the wire: `S3_403` and the like by HTTP status, else the code of the socket. Only
 * S3's error code goes into the message; S3's own message may quote what was signed.
 */
export function s3Error(error: unknown, doing: string): WireError {
  if (error instanceof WireError) return error;
  const name = error instanceof Error ? error.name : '';
  const status = statusOf(error);
  if (status !== undefined && status >= 300) {
    // After RequestTimeTooSkewed the SDK has learned the server's time: the next attempt is signed by it.
    const passes = status === 408 || status === 409 || status === 429 || name === 'RequestTimeTooSkewed';
    const later = passes || (status >= 500 && status !== 501);
    const code = /^[A-Za-z0-9]{1,64}$/.test(name) ? name : 'unknown';
    return new WireError(`S3_${status}`, later ? 'later' : 'never', `${doing}: ${code}`);
  }
  if (name === 'CredentialsProviderError') {
    return new WireError('NO_CREDENTIALS', 'never', `${doing}: no AWS credentials are declared, and none were found in the environment`);
  }
  // The SDK calls a cut connection a TimeoutError too: the code of the socket says which it was.
  const broken = networkError(error, doing);
  if (broken !== undefined) return broken;
  if (name === 'TimeoutError') return new WireError('TIMEOUT', 'later', `${doing}: no answer in time`);
  return new WireError('S3_FAILED', 'later', `${doing}: the exchange failed`);
}
