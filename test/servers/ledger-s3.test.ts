import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { ledgerContract } from '#test/contract/ledger.ts';
import { s3LedgerCases } from '#test/contract/ledger-s3-cases.ts';
import { countOf } from '#test/support/long-share.ts';
import { type LedgerBucket, ledgerConnection, runner } from '#test/support/s3-ledger.ts';
import { openS3Store } from '#transports/s3.ts';
import { inject } from 'vitest';

const server = inject('radosgw');
let buckets = 0;

async function newBucket(): Promise<LedgerBucket> {
  buckets += 1;
  const { credentials, url } = server;
  const name = `ledger-${buckets}`;
  const client = new S3Client({ endpoint: url, forcePathStyle: true, region: 'us-east-1', credentials });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  client.destroy();
  return { connect: () => openS3Store(ledgerConnection(url, name), credentials), close: async () => undefined };
}

ledgerContract('s3 on radosgw', async () => {
  const bucket = await newBucket();
  return { handle: (clock) => runner(bucket, clock), clean: () => bucket.close() };
});

s3LedgerCases('radosgw', newBucket, {
  appends: countOf(200),
  shared: { appends: countOf(200), runners: 8 },
  races: countOf(100),
  stride: 3 * Math.ceil(100 / countOf(300)),
});
