import { WireError } from '#ports/wire-error.ts';
import { networkError } from './network-error.ts';
import { statusOf } from './s3-errors.ts';

/**
 * What the SDK throws for AWS IoT, as an error of the wire: `SHADOW_429` and the like by HTTP status, `INDEX_OFF` where
 * fleet indexing is not switched on, else the code of the socket. AWS's own message is left out: it may quote the request.
 */
export function awsIotError(error: unknown, doing: string): WireError {
  if (error instanceof WireError) return error;
  const name = error instanceof Error && /^[A-Za-z0-9]{1,64}$/.test(error.name) ? error.name : 'unknown';
  const status = statusOf(error);
  if (name === 'IndexNotReadyException') return new WireError('INDEX_NOT_READY', 'later', `${doing}: the index is being built`);
  if (name === 'InvalidQueryException') return new WireError('INDEX_QUERY', 'never', `${doing}: the index does not understand the query`);
  if (name === 'ResourceNotFoundException' && doing.startsWith('search'))
    return new WireError('INDEX_OFF', 'never', `${doing}: fleet indexing is not switched on`);
  if (status !== undefined && status >= 300) return shadowError(status, `${doing}: ${name}`);
  if (name === 'CredentialsProviderError')
    return new WireError('NO_CREDENTIALS', 'never', `${doing}: no AWS credentials were found in the environment`);
  const broken = networkError(error, doing);
  if (broken !== undefined) return broken;
  if (name === 'TimeoutError') return new WireError('TIMEOUT', 'later', `${doing}: no answer in time`);
  return new WireError('SHADOW_FAILED', 'later', `${doing}: the exchange failed`);
}

/** A refusal by its code, the same over HTTP and MQTT (docs/protocols/aws-iot.md §5.7). */
export function shadowError(code: number, text: string): WireError {
  const later = code === 408 || code === 409 || code === 429 || (code >= 500 && code !== 501);
  return new WireError(`SHADOW_${code}`, later ? 'later' : 'never', text);
}
