import { describe, expect, test } from 'vitest';
import {
  amzDate,
  canonicalRequest,
  chunkSignature,
  EMPTY_SHA256,
  parseAmzDate,
  parseAuthorization,
  parsePresigned,
  parseQuery,
  presignUrl,
  signHeaders,
  signingKey,
  stringToSign,
  trailerSignature,
  uriEncode,
  verifySignature,
  type SignableRequest,
} from './sigv4.ts';
import { sha256 } from './digest.ts';

// The suite that AWS published as aws4_testsuite: docs.aws.amazon.com, "Signature Version 4 test suite".
const SUITE = {
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
  region: 'us-east-1',
  service: 'service',
  at: Date.parse('2015-08-30T12:36:00Z'),
};
const UTF8 = '%E1%88%B4';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const LETTERS = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

interface Vector {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signature: string;
}

const VANILLA = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';
const VECTORS: readonly Vector[] = [
  { name: 'get-vanilla', signature: VANILLA },
  { name: 'get-slash', path: '//', signature: VANILLA },
  { name: 'get-slash-dot-slash', path: '/./', signature: VANILLA },
  { name: 'get-relative', path: '/example/..', signature: VANILLA },
  { name: 'get-relative-relative', path: '/example1/example2/../..', signature: VANILLA },
  { name: 'get-slash-pointless-dot', path: '/./example', signature: 'ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5' },
  { name: 'get-slashes', path: '//example//', signature: '9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84' },
  { name: 'get-unreserved', path: `/${LETTERS}`, signature: '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f' },
  {
    name: 'get-vanilla-empty-query-key',
    query: 'Param1=value1',
    signature: 'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
  },
  {
    name: 'get-vanilla-query-order-key-case',
    query: 'Param2=value2&Param1=value1',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  { name: 'get-vanilla-utf8-query', query: `${UTF8}=bar`, signature: '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04' },
  {
    name: 'get-header-key-duplicate',
    headers: { 'my-header1': 'value2,value2,value1' },
    signature: 'c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
  },
  {
    name: 'get-header-value-trim',
    headers: { 'my-header1': ' value1', 'my-header2': ' "a   b   c"' },
    signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  },
  {
    name: 'get-header-value-order',
    headers: { 'my-header1': 'value4,value1,value3,value2' },
    signature: '08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01',
  },
  { name: 'post-vanilla', method: 'POST', signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b' },
  {
    name: 'post-vanilla-query',
    method: 'POST',
    query: 'Param1=value1',
    signature: '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11',
  },
  {
    name: 'post-x-www-form-urlencoded',
    method: 'POST',
    headers: FORM,
    body: 'Param1=value1',
    signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  },
];

function signed(vector: Vector): string {
  const request: SignableRequest = {
    method: vector.method ?? 'GET',
    path: vector.path ?? '/',
    query: parseQuery(vector.query ?? '') ?? [],
    headers: { host: 'example.amazonaws.com', ...vector.headers },
    payloadHash: sha256(vector.body ?? ''),
  };
  return /Signature=(\w+)$/.exec(signHeaders(request, SUITE)['authorization'] ?? '')?.[1] ?? '';
}

describe('the AWS test suite', () => {
  test.for(VECTORS)('$name', (vector) => {
    expect(signed(vector)).toBe(vector.signature);
  });

  test('the Authorization header of get-vanilla, to the letter', () => {
    const request = { method: 'GET', path: '/', query: [], headers: { host: 'example.amazonaws.com' }, payloadHash: EMPTY_SHA256 };
    expect(signHeaders(request, SUITE)).toEqual({
      'x-amz-date': '20150830T123600Z',
      authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${VANILLA}`,
    });
  });
});

// The examples of the S3 API reference, "Signature Calculations for the Authorization Header" and its neighbours.
const S3 = {
  credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
  region: 'us-east-1',
  service: 's3',
  at: Date.parse('2013-05-24T00:00:00Z'),
};
const HOST = 'examplebucket.s3.amazonaws.com';
const S3_VECTORS: readonly Vector[] = [
  {
    name: 'GET Object with a range',
    path: '/test.txt',
    headers: { range: 'bytes=0-9' },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT Object',
    method: 'PUT',
    path: '/test%24file.text',
    headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    body: 'Welcome to Amazon S3.',
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'a $ that the client left bare signs like an encoded one',
    method: 'PUT',
    path: '/test$file.text',
    headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    body: 'Welcome to Amazon S3.',
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  { name: 'GET Bucket Lifecycle', query: 'lifecycle', signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543' },
  {
    name: 'List Objects',
    query: 'max-keys=2&prefix=J',
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

function s3Request(vector: Vector): SignableRequest {
  return {
    method: vector.method ?? 'GET',
    path: vector.path ?? '/',
    query: parseQuery(vector.query ?? '') ?? [],
    headers: { host: HOST, ...vector.headers },
    payloadHash: sha256(vector.body ?? ''),
  };
}

describe('the examples of the S3 documentation', () => {
  test.for(S3_VECTORS)('$name', (vector) => {
    const request = s3Request(vector);
    const added = signHeaders(request, S3);
    expect(added['authorization']).toContain(`Signature=${vector.signature}`);
    const headers = { ...request.headers, ...added };
    const claimed = parseAuthorization(headers);
    if (claimed === undefined) throw new Error('our own header cannot be read');
    expect(verifySignature({ ...request, headers }, claimed, S3.credentials.secretAccessKey)).toBe(true);
    expect(verifySignature({ ...request, headers }, claimed, 'another secret')).toBe(false);
    expect(verifySignature({ ...request, headers, method: 'DELETE' }, claimed, S3.credentials.secretAccessKey)).toBe(false);
  });

  test('a presigned GET', () => {
    const url = presignUrl({ method: 'GET', url: `https://${HOST}/test.txt`, expiresSeconds: 86_400 }, S3);
    expect(url).toBe(
      `https://${HOST}/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request` +
        '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
        '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
    const query = parseQuery(new URL(url).search.slice(1)) ?? [];
    const claimed = parsePresigned(query);
    if (claimed === undefined) throw new Error('our own query cannot be read');
    const request = { method: 'GET', path: '/test.txt', query, headers: { host: HOST }, payloadHash: 'UNSIGNED-PAYLOAD' };
    expect(verifySignature(request, claimed, S3.credentials.secretAccessKey)).toBe(true);
    expect(verifySignature({ ...request, path: '/other.txt' }, claimed, S3.credentials.secretAccessKey)).toBe(false);
  });

  const scope = { date: '20130524', region: 'us-east-1', service: 's3' };
  const chain = { key: signingKey(S3.credentials.secretAccessKey, scope), date: '20130524T000000Z', scope };
  const parts = [Buffer.alloc(65_536, 'a'), Buffer.alloc(1024, 'a'), Buffer.alloc(0)];

  test('a body in signed chunks', () => {
    let previous = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
    const signatures = parts.map((part) => (previous = chunkSignature(chain, previous, part)));
    expect(signatures).toEqual([
      'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
      '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
      'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
    ]);
  });

  test('a body in signed chunks with a trailer', () => {
    let previous = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';
    const signatures = parts.map((part) => (previous = chunkSignature(chain, previous, part)));
    expect(signatures.at(-1)).toBe('2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992');
    expect(trailerSignature(chain, previous, 'x-amz-checksum-crc32c:sOO8/Q==\n')).toBe(
      'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
    );
  });
});

describe('the parts', () => {
  test('the canonical request of get-vanilla has the published digest', () => {
    const headers = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' };
    const canonical = canonicalRequest(
      { method: 'GET', path: '/', query: [], headers, payloadHash: EMPTY_SHA256 },
      ['x-amz-date', 'host'],
      'service',
    );
    expect(stringToSign('20150830T123600Z', { date: '20150830', region: 'us-east-1', service: 'service' }, canonical)).toBe(
      'AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\nbb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63',
    );
  });

  test('the signing key of the documentation', () => {
    const scope = { date: '20150830', region: 'us-east-1', service: 'iam' };
    expect(Buffer.from(signingKey(SUITE.credentials.secretAccessKey, scope)).toString('hex')).toBe(
      'c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9',
    );
  });

  test.for([
    ["a b!'()*", 'a%20b%21%27%28%29%2A'],
    ['~-._', '~-._'],
    ['ü/🛰', '%C3%BC%2F%F0%9F%9B%B0'],
    ['\uD800', '%EF%BF%BD'],
  ] as const)('uriEncode %s', ([text, encoded]) => {
    expect(uriEncode(text)).toBe(encoded);
  });

  test('a query is read as AWS reads it', () => {
    expect(parseQuery('a=1&b&c=%2F+%3D&&d=x=y')).toEqual([
      ['a', '1'],
      ['b', ''],
      ['c', '/+='],
      ['d', 'x=y'],
    ]);
    expect(parseQuery('a=%zz')).toBeUndefined();
  });

  test('dates go both ways, and nonsense does not', () => {
    expect(amzDate(S3.at)).toBe('20130524T000000Z');
    expect(parseAmzDate('20130524T000000Z')).toBe(S3.at);
    for (const text of ['', '20130524', '20131324T000000Z', '20130524T000000', '2013-05-24T00:00:00Z']) {
      expect(parseAmzDate(text)).toBeUndefined();
    }
  });

  test.for(['', 'Basic dXNlcg==', 'AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c'])(
    'an Authorization header that is none: %s',
    (authorization) => {
      expect(parseAuthorization({ authorization })).toBeUndefined();
    },
  );
});
