import { X509Certificate } from 'node:crypto';
import { isValidated, type TrustAnchor } from '#kit/certificate-chain.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimS3Address, SimS3Server } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import type { Wires } from '#ports/wires.ts';

/** How devices find the S3 server of a connection, and what it shows to whoever connects by TLS. */
export interface ServedBucket {
  readonly connection: string;
  readonly bucket: string;
  /** `https://s3.example.org`, without a port. */
  readonly endpoint: string;
  /** Null for the port that belongs to the scheme. */
  readonly port: number | null;
  /** DER, its own certificate first; null when nobody said. */
  readonly chain: readonly Uint8Array[] | null;
}

/** The addresses of the S3 servers of a world. As long as there is none, its devices know one server each: their own. */
export interface Addresses {
  /** The same address again is the same server with another certificate. */
  serve(served: ServedBucket): void;
  /** What the broker of a connection shows from now on to whoever connects by TLS at that URL (`mqtts://host:8883`). */
  serveBroker(connection: string, served: { readonly url: string; readonly chain: readonly Uint8Array[] | null }): void;
  /** As TLS does: throws WireError with code TLS_UNTRUSTED where none of these roots (PEM) vouches for that broker. */
  checkBroker(connection: string, roots: string, now: number): void;
  lookUp(address: SimS3Address): SimS3Server | null | undefined;
  readonly serverChain: NonNullable<Wires['serverChain']>;
}

export function makeAddresses(open: (connection: string) => Promise<ObjectStore>): Addresses {
  const served = new Map<string, ServedBucket>();
  const brokers = new Map<string, readonly Uint8Array[] | null>();
  const chains = new Map<string, readonly Uint8Array[] | null>();
  let any = false;
  return {
    serve(one) {
      any = true;
      served.set(placeOf(one.endpoint, one.port), one);
    },
    serveBroker(connection, { url, chain }) {
      brokers.set(connection, chain);
      const { hostname, port } = new URL(url);
      chains.set(placeOf(`https://${hostname}`, port === '' ? null : Number(port)), chain);
    },
    checkBroker(connection, roots, now) {
      const chain = brokers.get(connection) ?? null;
      if (chain === null || isValidated(chain, anchorsIn(roots), { now })) return;
      throw new WireError('TLS_UNTRUSTED', 'later', `the certificate of ${connection} is signed by none of the roots`);
    },
    lookUp({ endpoint, port, bucket }) {
      if (!any) return undefined;
      const found = served.get(placeOf(endpoint, port));
      return found === undefined || found.bucket !== bucket ? null : { chain: found.chain, open: () => open(found.connection) };
    },
    serverChain: ({ endpoint, port }) => {
      const place = placeOf(endpoint, port);
      return Promise.resolve(served.get(place)?.chain ?? chains.get(place) ?? null);
    },
  };
}

function anchorsIn(pem: string): readonly TrustAnchor[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => {
    const { raw, validFromDate, validToDate } = new X509Certificate(block);
    return { der: raw, notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() };
  });
}

function placeOf(endpoint: string, port: number | null): string {
  const written = endpoint.toLowerCase().replace(/\/+$/, '');
  return `${written}:${port ?? (written.startsWith('https:') ? 443 : 80)}`;
}
