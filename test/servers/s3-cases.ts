import type { Probe, Seen } from '#test/support/s3-probe.ts';
import { authCases } from './s3-auth-cases.ts';
import { listCases } from './s3-list-cases.ts';
import { objectCases } from './s3-object-cases.ts';
import { writeCases } from './s3-write-cases.ts';

/** One row of the table that every S3 server in these tests must answer alike. */
export interface S3Case {
  readonly name: string;
  /** Runs in a fresh, empty bucket. */
  run(probe: Probe, bucket: string): Promise<Seen>;
  /** What our server answers, and S3. */
  readonly expect: Seen;
  /** Why radosgw answers otherwise, and the page on which AWS says that S3 does as we do. */
  readonly known?: { readonly why: string; readonly page: string; readonly radosgw: Pick<Seen, 'status' | 'code'> };
}

export const S3_CASES: readonly S3Case[] = [...objectCases, ...writeCases, ...listCases, ...authCases];
