import { Readable } from 'node:stream';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { md5, putSignedChunks, seen, seenRaw, type Probe } from '#test/support/s3-probe.ts';
import type { S3Case } from './s3-cases.ts';

const OLD = 'series 01.08';
const NEW = 'series 01.09';
const CONDITIONAL_WRITES = 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html';
const CONDITIONAL_DELETES = 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html';
const INTEGRITY = 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html';

/** Puts over what is there (nothing, or OLD) under a condition, and says what is there afterwards. */
async function putUnder(
  probe: Probe,
  bucket: string,
  { before, ...condition }: { before: string | null; IfMatch?: string; IfNoneMatch?: string },
): ReturnType<typeof seen> {
  if (before !== null) await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'c', Body: before }));
  const answer = await seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'c', Body: NEW, ...condition })));
  return { ...answer, facts: { after: await textAt(probe, bucket, 'c') } };
}

async function textAt(probe: Probe, bucket: string, key: string): Promise<string | null> {
  const got = await seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: key })), async (output) => ({
    body: await output.Body?.transformToString(),
  }));
  return got.status === 200 ? String(got.facts['body']) : null;
}

const WRITTEN = { status: 200, code: null, facts: { after: NEW } };
const REFUSED = { status: 412, code: 'PreconditionFailed', facts: { after: OLD } };

export const writeCases: readonly S3Case[] = [
  {
    name: 'put If-None-Match *: nothing there',
    run: (probe, bucket) => putUnder(probe, bucket, { before: null, IfNoneMatch: '*' }),
    expect: WRITTEN,
  },
  {
    name: 'put If-None-Match *: something there',
    run: (probe, bucket) => putUnder(probe, bucket, { before: OLD, IfNoneMatch: '*' }),
    expect: REFUSED,
  },
  {
    name: 'put If-Match: the quoted ETag that is there',
    run: (probe, bucket) => putUnder(probe, bucket, { before: OLD, IfMatch: `"${md5(OLD)}"` }),
    expect: WRITTEN,
    known: {
      why: 'radosgw 16 compares the header with its quotes to the bare ETag',
      page: CONDITIONAL_WRITES,
      radosgw: { status: 412, code: 'PreconditionFailed' },
    },
  },
  {
    name: 'put If-Match: the bare ETag that is there',
    run: (probe, bucket) => putUnder(probe, bucket, { before: OLD, IfMatch: md5(OLD) }),
    expect: WRITTEN,
  },
  {
    name: 'put If-Match: another ETag',
    run: (probe, bucket) => putUnder(probe, bucket, { before: OLD, IfMatch: `"${md5('other')}"` }),
    expect: REFUSED,
  },
  {
    name: 'put If-Match: nothing there',
    run: (probe, bucket) => putUnder(probe, bucket, { before: null, IfMatch: `"${md5(OLD)}"` }),
    expect: { status: 404, code: 'NoSuchKey', facts: { after: null } },
    known: { why: 'radosgw 16 has another code for it', page: CONDITIONAL_WRITES, radosgw: { status: 412, code: 'PreconditionFailed' } },
  },
  {
    name: 'put If-None-Match with an ETag',
    run: (probe, bucket) => putUnder(probe, bucket, { before: OLD, IfNoneMatch: `"${md5('other')}"` }),
    expect: { status: 501, code: 'NotImplemented', facts: { after: OLD } },
    known: {
      why: 'radosgw 16 compares it',
      page: 'https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html',
      radosgw: { status: 200, code: null },
    },
  },
  {
    name: 'two writers with If-None-Match *: exactly one wins',
    async run(probe, bucket) {
      const writes = ['one', 'two', 'three', 'four'].map((Body) =>
        seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'lease', Body, IfNoneMatch: '*' }))),
      );
      const answers = await Promise.all(writes);
      return { status: 200, code: null, facts: { won: answers.filter((answer) => answer.status === 200).length } };
    },
    expect: { status: 200, code: null, facts: { won: 1 } },
  },
  {
    name: 'delete If-Match: another ETag',
    async run(probe, bucket) {
      await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'c', Body: OLD }));
      const answer = await seen(probe.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'c', IfMatch: `"${md5('other')}"` })));
      return { ...answer, facts: { after: await textAt(probe, bucket, 'c') } };
    },
    expect: REFUSED,
    known: { why: 'radosgw 16 does not look at it', page: CONDITIONAL_DELETES, radosgw: { status: 204, code: null } },
  },
  {
    name: 'delete If-Match: the ETag that is there',
    async run(probe, bucket) {
      await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'c', Body: OLD }));
      const answer = await seen(probe.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'c', IfMatch: `"${md5(OLD)}"` })));
      return { ...answer, facts: { after: await textAt(probe, bucket, 'c') } };
    },
    expect: { status: 204, code: null, facts: { after: null } },
  },
  {
    name: 'delete If-Match: nothing there',
    run: (probe, bucket) => seen(probe.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'c', IfMatch: `"${md5(OLD)}"` }))),
    expect: { status: 404, code: 'NoSuchKey', facts: {} },
    known: { why: 'radosgw 16 does not look at it', page: CONDITIONAL_DELETES, radosgw: { status: 204, code: null } },
  },
  {
    name: 'put from a stream: aws-chunked with a checksum trailer',
    async run(probe, bucket) {
      const bytes = Buffer.alloc(200_000, 'CANedge');
      const body = Readable.from([bytes.subarray(0, 70_001), bytes.subarray(70_001)]);
      const answer = await seen(
        probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 's', Body: body, ContentLength: bytes.length })),
        (output) => ({ etag: output.ETag }),
      );
      return answer.status === 200 ? answer : { ...answer, facts: {} };
    },
    expect: { status: 200, code: null, facts: { etag: `"${md5(Buffer.alloc(200_000, 'CANedge'))}"` } },
    known: {
      why: 'radosgw 16 does not take STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      page: INTEGRITY,
      radosgw: { status: 411, code: 'MissingContentLength' },
    },
  },
  {
    name: 'put in signed chunks',
    async run(probe, bucket) {
      const bytes = Buffer.alloc(150_000, 'Campbell');
      const answer = await putSignedChunks(probe, `/${bucket}/chunks`, { bytes, spoil: false });
      const there = await textAt(probe, bucket, 'chunks');
      return seenRaw(answer, { equal: there === bytes.toString() });
    },
    expect: { status: 200, code: null, facts: { equal: true } },
  },
  {
    name: 'put in signed chunks: one byte changed on the way',
    async run(probe, bucket) {
      const answer = await putSignedChunks(probe, `/${bucket}/chunks`, { bytes: Buffer.alloc(150_000, 'Campbell'), spoil: true });
      return seenRaw(answer, { after: await textAt(probe, bucket, 'chunks') });
    },
    expect: { status: 403, code: 'SignatureDoesNotMatch', facts: { after: null } },
  },
  {
    name: 'Content-MD5 that is right',
    run: (probe, bucket) => {
      const ContentMD5 = Buffer.from(md5(NEW), 'hex').toString('base64');
      return seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'm', Body: NEW, ContentMD5 })));
    },
    expect: { status: 200, code: null, facts: {} },
  },
  {
    name: 'Content-MD5 of other bytes',
    async run(probe, bucket) {
      const ContentMD5 = Buffer.from(md5(OLD), 'hex').toString('base64');
      const answer = await seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'm', Body: NEW, ContentMD5 })));
      return { ...answer, facts: { after: await textAt(probe, bucket, 'm') } };
    },
    expect: { status: 400, code: 'BadDigest', facts: { after: null } },
  },
  {
    name: 'Content-MD5 that is none',
    run: (probe, bucket) => seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'm', Body: NEW, ContentMD5: 'bm9uZQ==' }))),
    expect: { status: 400, code: 'InvalidDigest', facts: {} },
  },
  {
    name: 'checksum of other bytes',
    async run(probe, bucket) {
      const answer = await seen(
        probe.client.send(
          new PutObjectCommand({ Bucket: bucket, Key: 'x', Body: NEW, ChecksumSHA256: Buffer.alloc(32).toString('base64') }),
        ),
      );
      return { ...answer, facts: { after: await textAt(probe, bucket, 'x') } };
    },
    expect: { status: 400, code: 'BadDigest', facts: { after: null } },
    known: { why: 'radosgw 16 does not know x-amz-checksum-*', page: INTEGRITY, radosgw: { status: 200, code: null } },
  },
  {
    name: 'head bucket: there',
    run: (probe, bucket) => seen(probe.client.send(new HeadBucketCommand({ Bucket: bucket }))),
    expect: { status: 200, code: null, facts: {} },
  },
  {
    name: 'head bucket: not there',
    run: (probe, bucket) => seen(probe.client.send(new HeadBucketCommand({ Bucket: `${bucket}-none` }))),
    expect: { status: 404, code: 'NotFound', facts: {} },
  },
  {
    name: 'create bucket: a name that cannot be',
    run: async (probe) => seenRaw(await probe.raw({ method: 'PUT', path: '/a' })),
    expect: { status: 400, code: 'InvalidBucketName', facts: {} },
  },
  {
    name: 'create bucket: ours already',
    run: (probe, bucket) => seen(probe.client.send(new CreateBucketCommand({ Bucket: bucket }))),
    expect: { status: 200, code: null, facts: {} },
  },
  {
    name: 'delete bucket: it still holds an object',
    async run(probe, bucket) {
      await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'c', Body: OLD }));
      return seen(probe.client.send(new DeleteBucketCommand({ Bucket: bucket })));
    },
    expect: { status: 409, code: 'BucketNotEmpty', facts: {} },
  },
];
