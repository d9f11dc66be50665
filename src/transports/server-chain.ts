import { connect, type DetailedPeerCertificate } from 'node:tls';
import { isIP } from 'node:net';
import { SECOND_MS } from '#kit/duration.ts';

const LIMIT_MS = 10 * SECOND_MS;
/** More links than any server shows; issuers of a chain may point in a circle. */
const MAX_LINKS = 10;
const TLS_PORT = 443;

/**
 * The certificates (DER, its own first) that a server shows to whoever connects by TLS, whether or not this machine trusts
 * them; null when it cannot be reached from here, or does not speak TLS. `endpoint` is `https://host` with or without a port.
 */
export async function serverChain(
  server: { readonly endpoint: string; readonly port: number | null },
  signal: AbortSignal,
): Promise<readonly Uint8Array[] | null> {
  const url = URL.parse(server.endpoint);
  if (url === null || url.protocol !== 'https:' || signal.aborted) return null;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = server.port ?? (url.port === '' ? TLS_PORT : Number(url.port));
  return await new Promise((resolve) => {
    // Nothing is sent over this connection: it ends as soon as the certificates are seen.
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: LIMIT_MS, ...(isIP(host) === 0 ? { servername: host } : {}) });
    const end = (chain: readonly Uint8Array[] | null): void => {
      signal.removeEventListener('abort', abandon);
      socket.destroy();
      resolve(chain);
    };
    const abandon = (): void => end(null);
    signal.addEventListener('abort', abandon, { once: true });
    socket.once('secureConnect', () => end(linksOf(socket.getPeerCertificate(true))));
    socket.once('timeout', abandon);
    socket.once('error', abandon);
  });
}

function linksOf(peer: DetailedPeerCertificate): readonly Uint8Array[] | null {
  const links: Uint8Array[] = [];
  let current: DetailedPeerCertificate | undefined = peer;
  const seen = new Set<string>();
  while (current?.raw !== undefined && !seen.has(current.fingerprint256) && links.length < MAX_LINKS) {
    seen.add(current.fingerprint256);
    links.push(Uint8Array.from(current.raw));
    current = current.issuerCertificate;
  }
  return links.length === 0 ? null : links;
}
