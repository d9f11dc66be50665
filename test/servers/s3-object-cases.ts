import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { md5, seen, type Probe } from '#test/support/s3-probe.ts';
import type { S3Case } from './s3-cases.ts';

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);
const TEXT = 'station Moor House';
const ETAG = md5(TEXT);

function put(probe: Probe, bucket: string, key = 'a.txt', body: string | Uint8Array = TEXT): Promise<unknown> {
  return probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
}

async function getText(probe: Probe, bucket: string, more: object = {}): ReturnType<typeof seen> {
  await put(probe, bucket);
  return seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a.txt', ...more })), async (output) => ({
    body: await output.Body?.transformToString(),
    range: output.ContentRange,
  }));
}

const WHOLE = { status: 200, code: null, facts: { body: TEXT, range: undefined } };

function lastModified(probe: Probe, bucket: string, seconds: number): Promise<Date> {
  return probe.client
    .send(new HeadObjectCommand({ Bucket: bucket, Key: 'a.txt' }))
    .then((output) => new Date((output.LastModified?.getTime() ?? 0) + seconds * 1000));
}

export const objectCases: readonly S3Case[] = [
  {
    name: 'put and get: every byte value comes back',
    async run(probe, bucket) {
      await put(probe, bucket, 'bytes.bin', ALL_BYTES);
      return seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'bytes.bin' })), async (output) => ({
        equal: Buffer.from((await output.Body?.transformToByteArray()) ?? []).equals(ALL_BYTES),
        etag: output.ETag,
        length: output.ContentLength,
      }));
    },
    expect: { status: 200, code: null, facts: { equal: true, etag: `"${md5(ALL_BYTES)}"`, length: 256 } },
  },
  {
    name: 'put: the ETag is the MD5',
    run: (probe, bucket) =>
      seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a.txt', Body: TEXT })), (output) => ({ etag: output.ETag })),
    expect: { status: 200, code: null, facts: { etag: `"${ETAG}"` } },
  },
  {
    name: 'put and get: nothing at all',
    async run(probe, bucket) {
      await put(probe, bucket, 'empty', new Uint8Array());
      return seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'empty' })), async (output) => ({
        length: (await output.Body?.transformToByteArray())?.length,
        etag: output.ETag,
      }));
    },
    expect: { status: 200, code: null, facts: { length: 0, etag: '"d41d8cd98f00b204e9800998ecf8427e"' } },
  },
  {
    name: 'put and get: a mebibyte',
    async run(probe, bucket) {
      const bytes = Buffer.alloc(1024 * 1024, ALL_BYTES);
      await put(probe, bucket, 'firmware.bin', bytes);
      return seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'firmware.bin' })), async (output) => ({
        equal: Buffer.from((await output.Body?.transformToByteArray()) ?? []).equals(bytes),
      }));
    },
    expect: { status: 200, code: null, facts: { equal: true } },
  },
  {
    name: 'put and get: type, metadata and headers come back',
    async run(probe, bucket) {
      const kept = { ContentType: 'application/json', CacheControl: 'no-cache', Metadata: { fw: '01.09.02', 'put-index': '7' } };
      await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a.json', Body: '{}', ...kept }));
      return seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a.json' })), (output) => ({
        type: output.ContentType,
        cache: output.CacheControl,
        metadata: output.Metadata,
      }));
    },
    expect: {
      status: 200,
      code: null,
      facts: { type: 'application/json', cache: 'no-cache', metadata: { fw: '01.09.02', 'put-index': '7' } },
    },
  },
  {
    name: 'put: the second object replaces the first',
    async run(probe, bucket) {
      await put(probe, bucket, 'a.txt', 'first');
      return getText(probe, bucket);
    },
    expect: WHOLE,
  },
  {
    name: 'keys may hold any character',
    async run(probe, bucket) {
      const key = "ä/ü %20+&=?#;:@,'(1)*!~é 🛰 .txt";
      await put(probe, bucket, key);
      return seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: key })), async (output) => ({
        body: await output.Body?.transformToString(),
      }));
    },
    expect: { status: 200, code: null, facts: { body: TEXT } },
  },
  {
    name: 'a key of 1024 bytes is taken',
    run: (probe, bucket) => seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k'.repeat(1024), Body: TEXT }))),
    expect: { status: 200, code: null, facts: {} },
  },
  {
    name: 'a key of 1025 bytes is refused',
    run: (probe, bucket) => seen(probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k'.repeat(1025), Body: TEXT }))),
    expect: { status: 400, code: 'KeyTooLongError', facts: {} },
    known: {
      why: 'radosgw 16 has another code for it',
      page: 'https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html',
      radosgw: { status: 400, code: 'InvalidObjectName' },
    },
  },
  {
    name: 'get: a key that is not there',
    run: (probe, bucket) => seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'nothing' }))),
    expect: { status: 404, code: 'NoSuchKey', facts: {} },
  },
  {
    name: 'get: a bucket that is not there',
    run: (probe, bucket) => seen(probe.client.send(new GetObjectCommand({ Bucket: `${bucket}-none`, Key: 'a.txt' }))),
    expect: { status: 404, code: 'NoSuchBucket', facts: {} },
  },
  {
    name: 'put: a bucket that is not there',
    run: (probe, bucket) => seen(probe.client.send(new PutObjectCommand({ Bucket: `${bucket}-none`, Key: 'a.txt', Body: TEXT }))),
    expect: { status: 404, code: 'NoSuchBucket', facts: {} },
  },
  {
    name: 'head: size, ETag and a Last-Modified in whole seconds',
    async run(probe, bucket) {
      await put(probe, bucket);
      return seen(probe.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'a.txt' })), (output) => ({
        size: output.ContentLength,
        etag: output.ETag,
        whole: (output.LastModified?.getTime() ?? 1) % 1000,
        recent: Math.abs(Date.now() - (output.LastModified?.getTime() ?? 0)) < 60_000,
      }));
    },
    expect: { status: 200, code: null, facts: { size: TEXT.length, etag: `"${ETAG}"`, whole: 0, recent: true } },
  },
  {
    name: 'head: a key that is not there',
    run: (probe, bucket) => seen(probe.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'nothing' }))),
    expect: { status: 404, code: 'NotFound', facts: {} },
  },
  {
    name: 'range: the first bytes',
    run: (probe, bucket) => getText(probe, bucket, { Range: 'bytes=0-6' }),
    expect: { status: 206, code: null, facts: { body: 'station', range: 'bytes 0-6/18' } },
  },
  {
    name: 'range: the last bytes',
    run: (probe, bucket) => getText(probe, bucket, { Range: 'bytes=-5' }),
    expect: { status: 206, code: null, facts: { body: 'House', range: 'bytes 13-17/18' } },
  },
  {
    name: 'range: from a byte to the end, and beyond it',
    run: (probe, bucket) => getText(probe, bucket, { Range: 'bytes=13-999' }),
    expect: { status: 206, code: null, facts: { body: 'House', range: 'bytes 13-17/18' } },
  },
  {
    name: 'range: past the end',
    run: (probe, bucket) => getText(probe, bucket, { Range: 'bytes=18-' }),
    expect: { status: 416, code: 'InvalidRange', facts: {} },
  },
  {
    name: 'get If-None-Match: the ETag that is there',
    run: (probe, bucket) => getText(probe, bucket, { IfNoneMatch: `"${ETAG}"` }),
    expect: { status: 304, code: null, facts: {} },
  },
  {
    name: 'get If-None-Match: another ETag',
    run: (probe, bucket) => getText(probe, bucket, { IfNoneMatch: `"${md5('other')}"` }),
    expect: WHOLE,
  },
  {
    name: 'get If-Match: the ETag that is there',
    run: (probe, bucket) => getText(probe, bucket, { IfMatch: `"${ETAG}"` }),
    expect: WHOLE,
  },
  {
    name: 'get If-Match: another ETag',
    run: (probe, bucket) => getText(probe, bucket, { IfMatch: `"${md5('other')}"` }),
    expect: { status: 412, code: 'PreconditionFailed', facts: {} },
  },
  {
    name: 'get If-Modified-Since: unchanged since',
    async run(probe, bucket) {
      await put(probe, bucket);
      const since = await lastModified(probe, bucket, 0);
      return seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a.txt', IfModifiedSince: since })));
    },
    expect: { status: 304, code: null, facts: {} },
  },
  {
    name: 'get If-Modified-Since: changed since',
    async run(probe, bucket) {
      await put(probe, bucket);
      return getText(probe, bucket, { IfModifiedSince: await lastModified(probe, bucket, -3600) });
    },
    expect: WHOLE,
  },
  {
    name: 'get If-Unmodified-Since: changed since',
    async run(probe, bucket) {
      await put(probe, bucket);
      return getText(probe, bucket, { IfUnmodifiedSince: await lastModified(probe, bucket, -3600) });
    },
    expect: { status: 412, code: 'PreconditionFailed', facts: {} },
  },
  {
    name: 'delete: the object is gone',
    async run(probe, bucket) {
      await put(probe, bucket);
      const deleted = await seen(probe.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'a.txt' })));
      const after = await seen(probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a.txt' })));
      return { ...deleted, facts: { after: after.code } };
    },
    expect: { status: 204, code: null, facts: { after: 'NoSuchKey' } },
  },
  {
    name: 'delete: a key that is not there',
    run: (probe, bucket) => seen(probe.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'nothing' }))),
    expect: { status: 204, code: null, facts: {} },
  },
  {
    name: 'delete many: those there and those not',
    async run(probe, bucket) {
      for (const key of ['a&b', 'c']) await put(probe, bucket, key);
      const Objects = ['a&b', 'c', 'nothing'].map((Key) => ({ Key }));
      return seen(probe.client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } })), (output) => ({
        deleted: output.Deleted?.map((one) => one.Key).toSorted(),
        errors: output.Errors?.length ?? 0,
      }));
    },
    expect: { status: 200, code: null, facts: { deleted: ['a&b', 'c', 'nothing'], errors: 0 } },
  },
  {
    name: 'copy: the bytes and the type go along',
    async run(probe, bucket) {
      await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'from.json', Body: TEXT, ContentType: 'application/json' }));
      const copied = await seen(
        probe.client.send(new CopyObjectCommand({ Bucket: bucket, Key: 'to.json', CopySource: `${bucket}/from.json` })),
        (output) => ({ etag: output.CopyObjectResult?.ETag?.replaceAll('"', '') }),
      );
      const there = await probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'to.json' }));
      return { ...copied, facts: { ...copied.facts, body: await there.Body?.transformToString(), type: there.ContentType } };
    },
    expect: { status: 200, code: null, facts: { etag: ETAG, body: TEXT, type: 'application/json' } },
  },
];
