import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, inject, it } from 'vitest';
import { race } from '#test/short-runs/race.ts';
import { expectFair, tallyOf } from '#test/short-runs/raced.ts';
import { countOf } from '#test/support/long-share.ts';

const ROUNDS = countOf(100);

describe('two runners that are started together', () => {
  it('with the ledger on radosgw double nothing and lose nothing', { timeout: 900_000 }, async () => {
    const { url, credentials } = inject('radosgw');
    const client = new S3Client({ endpoint: url, forcePathStyle: true, region: 'us-east-1', credentials });
    await client.send(new CreateBucketCommand({ Bucket: 'races' }));
    client.destroy();
    const raced = await race({ store: 's3', server: { endpoint: url, bucket: 'races', credentials }, rounds: ROUNDS });
    process.stdout.write(`radosgw: ${tallyOf(raced)}, ${raced.records.length} records\n`);
    expect(raced.rounds).toHaveLength(ROUNDS);
    expectFair(raced);
  });
});
