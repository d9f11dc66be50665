import { runner, simBucket } from '#test/support/s3-ledger.ts';
import { ledgerContract } from './ledger.ts';

ledgerContract('s3', async () => {
  const bucket = await simBucket();
  return { handle: (clock) => runner(bucket, clock), clean: () => bucket.close() };
});
