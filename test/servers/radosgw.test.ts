import { isDeepStrictEqual } from 'node:util';
import { afterAll, expect, inject, test } from 'vitest';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { makeProbe } from '#test/support/s3-probe.ts';
import { S3_CASES } from './s3-cases.ts';

const { url, credentials } = inject('radosgw');
const probe = makeProbe(url, credentials);
let bucket = 0;

afterAll(() => probe.close());

// src/sim/s3/server.test.ts holds our server to the same table: equal to it is equal to ours.
test.for(S3_CASES)('$name', { timeout: 60_000 }, async (row) => {
  bucket += 1;
  const name = `case-${bucket}`;
  await probe.client.send(new CreateBucketCommand({ Bucket: name }));
  const answer = await row.run(probe, name);
  const alike = row.known === undefined;
  expect(alike ? answer : { status: answer.status, code: answer.code }).toEqual(alike ? row.expect : row.known?.radosgw);
  // A difference that is gone must leave the table.
  expect(isDeepStrictEqual(answer, row.expect)).toBe(alike);
});
