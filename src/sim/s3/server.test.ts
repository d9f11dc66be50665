import { Agent } from 'node:http';
import { connect, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
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

const FIRMWARE = Buffer.alloc(300_000, 'MMfirmware');

test.for(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)('the SDK and the server agree on %s', async (ChecksumAlgorithm) => {
  const name = `sums-${ChecksumAlgorithm.toLowerCase()}`;
  await probe.client.send(new CreateBucketCommand({ Bucket: name }));
  const put = await probe.client.send(new PutObjectCommand({ Bucket: name, Key: 'whole', Body: FIRMWARE, ChecksumAlgorithm }));
  const stream = Readable.from([FIRMWARE.subarray(0, 100_001), FIRMWARE.subarray(100_001)]);
  const input = { Bucket: name, Key: 'streamed', Body: stream, ContentLength: FIRMWARE.length, ChecksumAlgorithm };
  await probe.client.send(new PutObjectCommand(input));
  expect(put[`Checksum${ChecksumAlgorithm}`]).toMatch(/=$/);
  for (const Key of ['whole', 'streamed']) {
    const got = await probe.client.send(new GetObjectCommand({ Bucket: name, Key, ChecksumMode: 'ENABLED' }));
    expect(got[`Checksum${ChecksumAlgorithm}`]).toBe(put[`Checksum${ChecksumAlgorithm}`]);
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(FIRMWARE)).toBe(true);
  }
});

test('the SDK refuses bytes that were changed under their checksum', async () => {
  server.store.createBucket('rotten');
  const checksum = { algorithm: 'crc32' as const, value: 'AAAAAA==' };
  server.store.put('rotten', 'k', { bytes: FIRMWARE, checksum });
  const got = await probe.client.send(new GetObjectCommand({ Bucket: 'rotten', Key: 'k' }));
  await expect(got.Body?.transformToByteArray()).rejects.toThrow(/[Cc]hecksum/);
});

test('the SDK with its virtual-hosted addressing', async () => {
  const toLoopback: LookupFunction = (_, options, answer) => {
    if (options.all === true) answer(null, [{ address: '127.0.0.1', family: 4 }]);
    else answer(null, '127.0.0.1', 4);
  };
  const agent = new Agent({ lookup: toLoopback });
  const endpoint = server.url.replace('127.0.0.1', 'localhost');
  const client = probe.clientWith({ endpoint, forcePathStyle: false, requestHandler: { httpAgent: agent } });
  await client.send(new CreateBucketCommand({ Bucket: 'hosted' }));
  await client.send(new PutObjectCommand({ Bucket: 'hosted', Key: 'a/b c', Body: FIRMWARE }));
  expect(server.store.get('hosted', 'a/b c')?.bytes.length).toBe(FIRMWARE.length);
  const got = await client.send(new GetObjectCommand({ Bucket: 'hosted', Key: 'a/b c' }));
  expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(FIRMWARE)).toBe(true);
  agent.destroy();
});

test('a body over the limit is refused, and the client hears it', async () => {
  const small = await startS3Server({ buckets: ['b'], maxBodyBytes: 1000 });
  const other = makeProbe(small.url, SIM_CREDENTIALS);
  const answer = await other.raw({ method: 'PUT', path: '/b/k', body: Buffer.alloc(100_000) });
  expect([answer.status, answer.code]).toEqual([400, 'EntityTooLarge']);
  other.close();
  await small.close();
});

test('a lost response keeps the connection open and silent; closing the server ends it', async () => {
  const lossy = await startS3Server({ buckets: ['b'], credentials: [] });
  lossy.faults.add({ kind: 'lost-response' });
  const { hostname, port } = new URL(lossy.url);
  const socket = connect(Number(port), hostname);
  let heard = 0;
  socket.on('data', (chunk) => (heard += chunk.length));
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.write('PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok');
  await expect.poll(() => lossy.store.get('b', 'k')?.bytes.length).toBe(2);
  expect(socket.destroyed).toBe(false);
  await lossy.close();
  await ended;
  expect(heard).toBe(0);
});

test('a port that is taken is an error', async () => {
  await expect(startS3Server({ port: Number(new URL(server.url).port) })).rejects.toThrow('EADDRINUSE');
});
