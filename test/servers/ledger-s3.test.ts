import { s3LedgerCases } from '#test/contract/ledger-s3-cases.ts';
import { countOf } from '#test/support/long-share.ts';
import { radosgwBucket } from './radosgw-bucket.ts';

s3LedgerCases('radosgw', () => radosgwBucket('ledger'), {
  appends: countOf(200),
  shared: { appends: countOf(200), runners: 8 },
  races: countOf(100),
  stride: 3 * Math.ceil(100 / countOf(300)),
});
