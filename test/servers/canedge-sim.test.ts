import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { inject, it } from 'vitest';
import { assertServesAlone } from '#test/support/canedge-alone.ts';
import { openS3Store } from '#transports/s3.ts';

const NAME = 'canedge-sim';

it('headgate sim canedge fills and serves a bucket of radosgw alone', async () => {
  const { credentials, url } = inject('radosgw');
  const client = new S3Client({ endpoint: url, forcePathStyle: true, region: 'us-east-1', credentials });
  await client.send(new CreateBucketCommand({ Bucket: NAME }));
  client.destroy();
  const place = { file: 'fleet.yaml', line: 1, column: 1 };
  const connection = { type: 's3', name: 'logs', place, bucket: NAME, region: 'us-east-1', prefix: '', endpoint: url } as const;
  const store = await openS3Store({ ...connection, accessKeyId: null, secretAccessKey: null }, credentials);
  try {
    await assertServesAlone({ url, name: NAME, credentials, store });
  } finally {
    await store.close();
  }
});
