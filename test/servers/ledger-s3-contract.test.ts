import { ledgerContract } from '#test/contract/ledger.ts';
import { runner } from '#test/support/s3-ledger.ts';
import { radosgwBucket } from './radosgw-bucket.ts';

ledgerContract('s3 on radosgw', async () => {
  const bucket = await radosgwBucket('contract-of-ledgers');
  return { handle: (clock) => runner(bucket, clock), clean: () => bucket.close() };
});
