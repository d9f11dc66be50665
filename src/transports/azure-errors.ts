import { WireError } from '#ports/wire-error.ts';
import { shadowError } from './aws-iot-errors.ts';
import { networkError } from './network-error.ts';

/**
 * A refusal of a hub by its HTTP status: `SHADOW_401` and the like, the same codes as for every shadow service;
 * `INDEX_QUERY` for a query that it does not understand. Its message is left out: it may quote the request.
 */
export function azureRefusal(status: number, doing: string): WireError {
  if (status === 400 && doing.startsWith('query')) return new WireError('INDEX_QUERY', 'never', `${doing}: the hub does not understand it`);
  const why = status === 401 ? ': the hub refuses the token, by policy or key of the connection' : '';
  return shadowError(status, `${doing}: HTTP ${status}${why}`);
}

/** What broke on the way to a hub. */
export function azureError(error: unknown, doing: string): WireError {
  if (error instanceof WireError) return error;
  return networkError(error, doing) ?? new WireError('SHADOW_FAILED', 'later', `${doing}: the exchange failed`);
}
