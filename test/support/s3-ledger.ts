import { openS3Ledger } from '#ledger/stores/s3.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { S3Connection } from '#ports/wires.ts';
import type { VirtualClock } from '#sim/clock.ts';
import { startS3Server, type S3Server } from '#sim/s3/server.ts';
import { SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { openS3Store } from '#transports/s3.ts';

const LEDGER_PREFIX = 'ledger/upland';

/** A server with a bucket for ledgers, and a connection to it as the engine makes them. */
export interface LedgerBucket {
  connect(): Promise<ObjectStore>;
  close(): Promise<void>;
}

export function ledgerConnection(endpoint: string, bucket: string): S3Connection {
  const place = { file: 'fleet.yaml', line: 1, column: 1 };
  const keys = { accessKeyId: null, secretAccessKey: null };
  return { type: 's3', name: 'depot', place, bucket, region: 'us-east-1', endpoint, prefix: '', ...keys };
}

export interface SimBucket extends LedgerBucket {
  readonly server: S3Server;
}

/** Our own server, its clock apart from that of the leases. */
export async function simBucket(): Promise<SimBucket> {
  const server = await startS3Server({ buckets: ['ledgers'] });
  return {
    server,
    connect: () => openS3Store(ledgerConnection(server.url, 'ledgers'), SIM_CREDENTIALS),
    close: () => server.close(),
  };
}

/** One runner's handle. The clock stands still while a request is under way. */
export function runner(
  bucket: LedgerBucket,
  clock: VirtualClock,
  options: { readonly prefix?: string; readonly through?: (store: ObjectStore) => ObjectStore } = {},
): LedgerStore {
  const { prefix = LEDGER_PREFIX, through = (store: ObjectStore) => store } = options;
  return openS3Ledger({ objects: async () => through(clock.tracked(await bucket.connect())), prefix, clock });
}
