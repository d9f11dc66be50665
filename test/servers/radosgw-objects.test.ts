import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { openS3Store } from '#transports/s3.ts';
import type { S3Connection } from '#ports/wires.ts';
import { objectStoreContract } from '#test/contract/object-store.ts';
import { inject } from 'vitest';

objectStoreContract('the AWS SDK over radosgw', async () => {
  const { credentials, url } = inject('radosgw');
  const client = new S3Client({ endpoint: url, forcePathStyle: true, region: 'us-east-1', credentials });
  await client.send(new CreateBucketCommand({ Bucket: 'contract' }));
  client.destroy();
  const place = { file: 'fleet.yaml', line: 1, column: 1 };
  const fixed = { type: 's3', name: 'logs', place, bucket: 'contract', region: 'us-east-1', prefix: '' } as const;
  const open = (more: Partial<S3Connection>) =>
    openS3Store({ ...fixed, endpoint: url, accessKeyId: null, secretAccessKey: null, ...more }, credentials);
  const store = await open({});
  return {
    store,
    prefixed: (prefix) => open({ prefix }),
    missing: () => open({ bucket: 'none' }),
    fetch: async (signed) => {
      const answer = await fetch(signed);
      return { status: answer.status, bytes: await answer.bytes() };
    },
    now: () => Date.now(),
    close: () => store.close(),
  };
});
