import { afterAll, beforeAll, expect, test } from 'vitest';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { S3_CASES } from '#test/servers/s3-cases.ts';
import { makeProbe, type Probe } from '#test/support/s3-probe.ts';
import { startS3Server, type S3Server } from './server.ts';
import { SIM_CREDENTIALS } from './store.ts';

let server: S3Server;
let probe: Probe;
let bucket = 0;

beforeAll(async () => {
  server = await startS3Server();
  probe = makeProbe(server.url, SIM_CREDENTIALS);
});

afterAll(async () => {
  probe.close();
  await server.close();
});

test('the table names no case twice, and has enough of them', () => {
  expect(new Set(S3_CASES.map((row) => row.name)).size).toBe(S3_CASES.length);
  expect(S3_CASES.length).toBeGreaterThanOrEqual(35);
});

test.for(S3_CASES)('$name', async (row) => {
  bucket += 1;
  const name = `case-${bucket}`;
  await probe.client.send(new CreateBucketCommand({ Bucket: name }));
  expect(await row.run(probe, name)).toEqual(row.expect);
});
