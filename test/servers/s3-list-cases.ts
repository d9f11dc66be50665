import { ListObjectsCommand, ListObjectsV2Command, PutObjectCommand, type ListObjectsV2CommandInput } from '@aws-sdk/client-s3';
import { md5, seen, seenRaw, type Probe } from '#test/support/s3-probe.ts';
import type { S3Case } from './s3-cases.ts';

const KEYS = [
  'A1B2C3D4/config-01.09.json',
  'A1B2C3D4/device.json',
  'A1B2C3D4/firmware.bin',
  'E5F6A7B8/device.json',
  'readme.txt',
  'tail/x',
];

async function fill(probe: Probe, bucket: string, keys: readonly string[]): Promise<void> {
  for (const key of keys) await probe.client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: key }));
}

async function listed(probe: Probe, bucket: string, input: Omit<ListObjectsV2CommandInput, 'Bucket'>): ReturnType<typeof seen> {
  await fill(probe, bucket, KEYS);
  return seen(probe.client.send(new ListObjectsV2Command({ Bucket: bucket, ...input })), (output) => ({
    keys: output.Contents?.map((entry) => entry.Key) ?? [],
    prefixes: output.CommonPrefixes?.map((entry) => entry.Prefix) ?? [],
    truncated: output.IsTruncated,
    count: output.KeyCount,
  }));
}

/** Every page in turn, each as keys and prefixes. */
async function pages(probe: Probe, bucket: string, input: Omit<ListObjectsV2CommandInput, 'Bucket'>): ReturnType<typeof seen> {
  await fill(probe, bucket, KEYS);
  const found: string[][] = [];
  let ContinuationToken: string | undefined;
  do {
    const token = ContinuationToken === undefined ? {} : { ContinuationToken };
    const output = await probe.client.send(new ListObjectsV2Command({ Bucket: bucket, ...input, ...token }));
    found.push([
      ...(output.Contents ?? []).map((entry) => entry.Key ?? ''),
      ...(output.CommonPrefixes ?? []).map((entry) => entry.Prefix ?? ''),
    ]);
    ContinuationToken = output.NextContinuationToken;
  } while (ContinuationToken !== undefined && found.length < 20);
  return { status: 200, code: null, facts: { found } };
}

const all = (facts: object): S3Case['expect'] => ({ status: 200, code: null, facts: { prefixes: [], truncated: false, ...facts } });

export const listCases: readonly S3Case[] = [
  {
    name: 'list: everything, in order of the keys',
    run: (probe, bucket) => listed(probe, bucket, {}),
    expect: all({ keys: KEYS, count: 6 }),
  },
  {
    name: 'list: sizes, ETags and times',
    async run(probe, bucket) {
      await fill(probe, bucket, ['readme.txt']);
      return seen(probe.client.send(new ListObjectsV2Command({ Bucket: bucket })), (output) => ({
        size: output.Contents?.[0]?.Size,
        etag: output.Contents?.[0]?.ETag,
        recent: Math.abs(Date.now() - (output.Contents?.[0]?.LastModified?.getTime() ?? 0)) < 60_000,
      }));
    },
    expect: { status: 200, code: null, facts: { size: 10, etag: `"${md5('readme.txt')}"`, recent: true } },
  },
  {
    name: 'list: a prefix',
    run: (probe, bucket) => listed(probe, bucket, { Prefix: 'A1B2C3D4/' }),
    expect: all({ keys: KEYS.slice(0, 3), count: 3 }),
  },
  {
    name: 'list: the folders of the bucket',
    run: (probe, bucket) => listed(probe, bucket, { Delimiter: '/' }),
    expect: all({ keys: ['readme.txt'], prefixes: ['A1B2C3D4/', 'E5F6A7B8/', 'tail/'], count: 4 }),
  },
  {
    name: 'list: one folder',
    run: (probe, bucket) => listed(probe, bucket, { Prefix: 'A1B2C3D4/', Delimiter: '/' }),
    expect: all({ keys: KEYS.slice(0, 3), count: 3 }),
  },
  {
    name: 'list: after a key',
    run: (probe, bucket) => listed(probe, bucket, { StartAfter: 'A1B2C3D4/device.json' }),
    expect: all({ keys: KEYS.slice(2), count: 4 }),
  },
  {
    name: 'list: after a key that is not there',
    run: (probe, bucket) => listed(probe, bucket, { StartAfter: 'B' }),
    expect: all({ keys: KEYS.slice(3), count: 3 }),
  },
  {
    name: 'list: nothing has the prefix',
    run: (probe, bucket) => listed(probe, bucket, { Prefix: 'zzz' }),
    expect: all({ keys: [], count: 0 }),
  },
  {
    name: 'list: a first page',
    run: (probe, bucket) => listed(probe, bucket, { MaxKeys: 2 }),
    expect: all({ keys: KEYS.slice(0, 2), truncated: true, count: 2 }),
  },
  {
    name: 'list: page by page',
    run: (probe, bucket) => pages(probe, bucket, { MaxKeys: 2 }),
    expect: { status: 200, code: null, facts: { found: [KEYS.slice(0, 2), KEYS.slice(2, 4), KEYS.slice(4)] } },
  },
  {
    name: 'list: folders page by page, each named once',
    run: (probe, bucket) => pages(probe, bucket, { MaxKeys: 1, Delimiter: '/' }),
    expect: { status: 200, code: null, facts: { found: [['A1B2C3D4/'], ['E5F6A7B8/'], ['readme.txt'], ['tail/']] } },
  },
  {
    name: 'list: no keys wanted',
    run: (probe, bucket) => listed(probe, bucket, { MaxKeys: 0 }),
    expect: all({ keys: [], count: 0 }),
  },
  {
    name: 'list: the order is that of UTF-8 bytes',
    async run(probe, bucket) {
      await fill(probe, bucket, ['\u{1F6F0}', '\uFF21', 'é', 'z', 'Z', 'a/b', 'a-b', 'a']);
      return seen(probe.client.send(new ListObjectsV2Command({ Bucket: bucket })), (output) => ({
        keys: output.Contents?.map((entry) => entry.Key),
      }));
    },
    expect: { status: 200, code: null, facts: { keys: ['Z', 'a', 'a-b', 'a/b', 'z', 'é', '\uFF21', '\u{1F6F0}'] } },
  },
  {
    name: 'list: keys as URLs',
    async run(probe, bucket) {
      await fill(probe, bucket, ['a b/ü', 'c&d<e>']);
      return seen(probe.client.send(new ListObjectsV2Command({ Bucket: bucket, EncodingType: 'url' })), (output) => ({
        keys: output.Contents?.map((entry) => decodeURIComponent((entry.Key ?? '').replaceAll('+', ' '))),
        encoding: output.EncodingType,
      }));
    },
    expect: { status: 200, code: null, facts: { keys: ['a b/ü', 'c&d<e>'], encoding: 'url' } },
  },
  {
    name: 'list: a bucket that is not there',
    run: (probe, bucket) => seen(probe.client.send(new ListObjectsV2Command({ Bucket: `${bucket}-none` }))),
    expect: { status: 404, code: 'NoSuchBucket', facts: {} },
  },
  {
    name: 'list: max-keys that is no number',
    run: async (probe, bucket) =>
      seenRaw(
        await probe.raw({
          method: 'GET',
          path: `/${bucket}`,
          query: [
            ['list-type', '2'],
            ['max-keys', 'many'],
          ],
        }),
      ),
    expect: { status: 400, code: 'InvalidArgument', facts: {} },
  },
  {
    name: 'list version 1: a marker',
    async run(probe, bucket) {
      await fill(probe, bucket, KEYS);
      return seen(probe.client.send(new ListObjectsCommand({ Bucket: bucket, Marker: 'A1B2C3D4/firmware.bin', MaxKeys: 2 })), (output) => ({
        keys: output.Contents?.map((entry) => entry.Key),
        truncated: output.IsTruncated,
      }));
    },
    expect: { status: 200, code: null, facts: { keys: ['E5F6A7B8/device.json', 'readme.txt'], truncated: true } },
  },
];
