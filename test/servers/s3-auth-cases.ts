import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { presignUrl } from '#kit/sigv4.ts';
import { REGION, seen, seenRaw, type Probe } from '#test/support/s3-probe.ts';
import type { S3Case } from './s3-cases.ts';

const TEXT = 'CR1000X.Std.08.02.01.obj';
const MINUTE = 60_000;

async function put(probe: Probe, bucket: string): Promise<void> {
  await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'os.obj', Body: TEXT }));
}

async function sdkUrl(probe: Probe, bucket: string, more: object = {}): Promise<string> {
  await put(probe, bucket);
  return getSignedUrl(probe.client, new GetObjectCommand({ Bucket: bucket, Key: 'os.obj', ...more }), { expiresIn: 600 });
}

async function fetched(url: string, init: RequestInit = {}): ReturnType<typeof seen> {
  const answer = await fetch(url, init);
  const body = await answer.text();
  const code = /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? null;
  return { status: answer.status, code: answer.ok ? null : code, facts: answer.ok ? { body } : {} };
}

function ownUrl(probe: Probe, bucket: string, how: { at: number; expiresSeconds: number }): string {
  const signing = { credentials: probe.credentials, region: REGION, service: 's3', at: how.at };
  return presignUrl({ method: 'GET', url: `${probe.url}/${bucket}/os.obj`, expiresSeconds: how.expiresSeconds }, signing);
}

const SERVED = { status: 200, code: null, facts: { body: TEXT } };
const refused = (status: number, code: string): S3Case['expect'] => ({ status, code, facts: {} });

export const authCases: readonly S3Case[] = [
  {
    name: 'presigned by the SDK: get',
    run: async (probe, bucket) => fetched(await sdkUrl(probe, bucket)),
    expect: SERVED,
  },
  {
    name: 'presigned by ourselves: get',
    async run(probe, bucket) {
      await put(probe, bucket);
      return fetched(ownUrl(probe, bucket, { at: Date.now(), expiresSeconds: 600 }));
    },
    expect: SERVED,
  },
  {
    name: 'presigned: put',
    async run(probe, bucket) {
      const plain = probe.clientWith({ requestChecksumCalculation: 'WHEN_REQUIRED' });
      const url = await getSignedUrl(plain, new PutObjectCommand({ Bucket: bucket, Key: 'up.bin' }), { expiresIn: 600 });
      const answer = await fetch(url, { method: 'PUT', body: TEXT });
      const there = await probe.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'up.bin' }));
      return { status: answer.status, code: null, facts: { body: await there.Body?.transformToString() } };
    },
    expect: SERVED,
  },
  {
    name: 'presigned: how the answer is to look',
    async run(probe, bucket) {
      const more = { ResponseContentType: 'application/x-os', ResponseContentDisposition: 'attachment; filename="os.obj"' };
      const answer = await fetch(await sdkUrl(probe, bucket, more));
      const facts = { type: answer.headers.get('content-type'), disposition: answer.headers.get('content-disposition') };
      return { status: answer.status, code: null, facts };
    },
    expect: { status: 200, code: null, facts: { type: 'application/x-os', disposition: 'attachment; filename="os.obj"' } },
  },
  {
    name: 'presigned: for another key',
    run: async (probe, bucket) => fetched((await sdkUrl(probe, bucket)).replace('/os.obj?', '/other.obj?')),
    expect: refused(403, 'SignatureDoesNotMatch'),
  },
  {
    name: 'presigned: for another method',
    run: async (probe, bucket) => fetched(await sdkUrl(probe, bucket), { method: 'DELETE' }),
    expect: refused(403, 'SignatureDoesNotMatch'),
  },
  {
    name: 'presigned: with the time stretched',
    run: async (probe, bucket) => fetched((await sdkUrl(probe, bucket)).replace('X-Amz-Expires=600', 'X-Amz-Expires=6000')),
    expect: refused(403, 'SignatureDoesNotMatch'),
  },
  {
    name: 'presigned: too late',
    async run(probe, bucket) {
      await put(probe, bucket);
      return fetched(ownUrl(probe, bucket, { at: Date.now() - 10 * MINUTE, expiresSeconds: 60 }));
    },
    expect: refused(403, 'AccessDenied'),
  },
  {
    name: 'presigned: an old one that is still good',
    async run(probe, bucket) {
      await put(probe, bucket);
      return fetched(ownUrl(probe, bucket, { at: Date.now() - 60 * MINUTE, expiresSeconds: 7200 }));
    },
    expect: SERVED,
  },
  {
    name: 'presigned: for more than a week',
    async run(probe, bucket) {
      await put(probe, bucket);
      return fetched(ownUrl(probe, bucket, { at: Date.now(), expiresSeconds: 604_801 }));
    },
    expect: refused(400, 'AuthorizationQueryParametersError'),
    known: {
      why: 'radosgw 16 answers AccessDenied',
      page: 'https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html',
      radosgw: { status: 403, code: 'AccessDenied' },
    },
  },
  {
    name: 'signed with the wrong secret',
    run: (probe, bucket) => {
      const credentials = { ...probe.credentials, secretAccessKey: 'not-the-secret' };
      return seen(probe.clientWith({ credentials }).send(new GetObjectCommand({ Bucket: bucket, Key: 'os.obj' })));
    },
    expect: refused(403, 'SignatureDoesNotMatch'),
  },
  {
    name: 'signed with a key that nobody has',
    run: (probe, bucket) => {
      const credentials = { ...probe.credentials, accessKeyId: 'NOBODYHASTHISKEY0001' };
      return seen(probe.clientWith({ credentials }).send(new GetObjectCommand({ Bucket: bucket, Key: 'os.obj' })));
    },
    expect: refused(403, 'InvalidAccessKeyId'),
  },
  {
    name: 'not signed at all',
    run: async (probe, bucket) => seenRaw(await probe.raw({ method: 'GET', path: `/${bucket}/os.obj`, sign: false })),
    expect: refused(403, 'AccessDenied'),
  },
  {
    name: 'signed 20 minutes ago',
    run: async (probe, bucket) => seenRaw(await probe.raw({ method: 'GET', path: `/${bucket}`, at: Date.now() - 20 * MINUTE })),
    expect: refused(403, 'RequestTimeTooSkewed'),
  },
  {
    name: 'signed 20 minutes ahead',
    run: async (probe, bucket) => seenRaw(await probe.raw({ method: 'GET', path: `/${bucket}`, at: Date.now() + 20 * MINUTE })),
    expect: refused(403, 'RequestTimeTooSkewed'),
  },
  {
    name: 'signed 10 minutes ago',
    run: async (probe, bucket) => seenRaw(await probe.raw({ method: 'GET', path: `/${bucket}`, at: Date.now() - 10 * MINUTE })),
    expect: { status: 200, code: null, facts: {} },
  },
  {
    name: 'a body other than the one that was signed',
    run: async (probe, bucket) =>
      seenRaw(await probe.raw({ method: 'PUT', path: `/${bucket}/os.obj`, body: TEXT, payloadHash: '0'.repeat(64) })),
    expect: refused(400, 'XAmzContentSHA256Mismatch'),
  },
  {
    name: 'a body outside the signature',
    run: async (probe, bucket) =>
      seenRaw(await probe.raw({ method: 'PUT', path: `/${bucket}/os.obj`, body: TEXT, payloadHash: 'UNSIGNED-PAYLOAD' })),
    expect: { status: 200, code: null, facts: {} },
  },
];
