import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { inject } from 'vitest';
import { type LedgerBucket, ledgerConnection } from '#test/support/s3-ledger.ts';
import { openS3Store } from '#transports/s3.ts';

let buckets = 0;

/** A new bucket of the radosgw that all tests of servers share; `of` tells those of one test file apart. */
export async function radosgwBucket(of: string): Promise<LedgerBucket> {
  buckets += 1;
  const { credentials, url } = inject('radosgw');
  const name = `${of}-${buckets}`;
  const client = new S3Client({ endpoint: url, forcePathStyle: true, region: 'us-east-1', credentials });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  client.destroy();
  return { connect: () => openS3Store(ledgerConnection(url, name), credentials), close: async () => undefined };
}
