import type { createServer } from 'node:tls';

export interface BrokerTls {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Given: clients need a certificate signed by it. */
  readonly ca?: string | Uint8Array;
}

export function tlsOptions(tls: BrokerTls): Parameters<typeof createServer>[0] {
  const text = (pem: string | Uint8Array): string => (typeof pem === 'string' ? pem : Buffer.from(pem).toString('utf8'));
  const own = { cert: text(tls.cert), key: text(tls.key), minVersion: 'TLSv1.2' as const };
  return tls.ca === undefined ? own : { ...own, ca: text(tls.ca), requestCert: true, rejectUnauthorized: true };
}
