import type { ObjectStore } from '#ports/object-store.ts';
import type { SimS3Address, SimS3Server } from '#ports/sim.ts';
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
  lookUp(address: SimS3Address): SimS3Server | null | undefined;
  readonly serverChain: NonNullable<Wires['serverChain']>;
}

export function makeAddresses(open: (connection: string) => Promise<ObjectStore>): Addresses {
  const served = new Map<string, ServedBucket>();
  let any = false;
  return {
    serve(one) {
      any = true;
      served.set(placeOf(one.endpoint, one.port), one);
    },
    lookUp({ endpoint, port, bucket }) {
      if (!any) return undefined;
      const found = served.get(placeOf(endpoint, port));
      return found === undefined || found.bucket !== bucket ? null : { chain: found.chain, open: () => open(found.connection) };
    },
    serverChain: ({ endpoint, port }) => Promise.resolve(served.get(placeOf(endpoint, port))?.chain ?? null),
  };
}

function placeOf(endpoint: string, port: number | null): string {
  const written = endpoint.toLowerCase().replace(/\/+$/, '');
  return `${written}:${port ?? (written.startsWith('https:') ? 443 : 80)}`;
}
