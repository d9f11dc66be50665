import { describe, expect, test } from 'vitest';
import { presignUrl, signHeaders, trailerSignature, signingKey } from '#kit/sigv4.ts';
import { sha256 } from '#kit/digest.ts';
import { VirtualClock } from '#sim/clock.ts';
import { checksumOf } from './checksums.ts';
import { makeS3Endpoint, type S3EndpointOptions } from './endpoint.ts';
import { makeS3Faults, type S3Fault } from './faults.ts';
import type { S3Answer, S3Request } from './message.ts';
import { makeS3Store } from './store.ts';

const DOCS = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const START = Date.parse('2013-05-24T00:00:00Z');
const HOST = 's3.amazonaws.com';

function world(options: Partial<S3EndpointOptions> = {}) {
  const clock = new VirtualClock(START);
  const store = makeS3Store({ clock, buckets: ['examplebucket'] });
  const faults = makeS3Faults();
  const endpoint = makeS3Endpoint({ clock, store, faults, credentials: [DOCS], ...options });
  return { clock, store, faults, endpoint };
}

interface Ask {
  readonly method?: string;
  readonly target: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly region?: string;
}

function request({ method = 'GET', target, body = '', headers = {}, region = 'us-east-1' }: Ask): S3Request {
  const [path = '', search = ''] = target.split('?');
  const query = [...new URLSearchParams(search)];
  const all = { host: HOST, 'content-length': String(Buffer.byteLength(body)), ...headers };
  const signing = { credentials: DOCS, region, service: 's3', at: START };
  const added = signHeaders({ method, path, query, headers: all, payloadHash: sha256(body) }, signing);
  return { method, target, headers: { ...all, ...added }, body: Buffer.from(body) };
}

function told(answer: S3Answer): string {
  if (typeof answer === 'string') return answer;
  const code = /<Code>(.*?)<\/Code>/.exec(Buffer.from(answer.bytes).toString())?.[1];
  return code === undefined ? String(answer.status) : `${answer.status} ${code}`;
}

async function ask(endpoint: { handle(request: S3Request): Promise<S3Answer> }, how: Ask): Promise<string> {
  return told(await endpoint.handle(request(how)));
}

/** The upload of the page "Signature calculations … including trailing headers", byte for byte. */
function documentedUpload(): S3Request {
  const headers = {
    host: HOST,
    'x-amz-date': '20130524T000000Z',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer,Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '66560',
    'x-amz-trailer': 'x-amz-checksum-crc32c',
    'content-length': '66946',
  };
  const body = Buffer.concat([
    Buffer.from('10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n'),
    Buffer.alloc(65_536, 'a'),
    Buffer.from('\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n'),
    Buffer.alloc(1024, 'a'),
    Buffer.from('\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n'),
    Buffer.from('x-amz-checksum-crc32c:sOO8/Q==\r\n'),
    Buffer.from('x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n'),
  ]);
  return { method: 'PUT', target: '/examplebucket/chunkObject.txt', headers, body };
}

describe('the documented upload in signed chunks with a trailer', () => {
  test('is stored to the byte, and the framing leaves no trace', async () => {
    const { endpoint, store } = world();
    expect(told(await endpoint.handle(documentedUpload()))).toBe('200');
    const object = store.get('examplebucket', 'chunkObject.txt');
    expect(Buffer.from(object?.bytes ?? []).equals(Buffer.alloc(66_560, 'a'))).toBe(true);
    expect(object?.checksum).toEqual({ algorithm: 'crc32c', value: 'sOO8/Q==' });
    expect(object?.headers).toEqual({});
  });

  test.for([
    ['a byte of a chunk', 200, '403 SignatureDoesNotMatch'],
    ['a byte of a chunk signature', 30, '403 SignatureDoesNotMatch'],
    ['a byte of the trailer signature', -10, '403 SignatureDoesNotMatch'],
    ['the size of a chunk', 0, '400 IncompleteBody'],
  ] as const)('changed on the way: %s', async ([, at, expected]) => {
    const { endpoint, store } = world();
    const upload = documentedUpload();
    const body = Buffer.from(upload.body);
    const index = at < 0 ? body.length + at : at;
    body[index] = body[index] === 0x31 ? 0x32 : 0x31;
    expect(told(await endpoint.handle({ ...upload, body }))).toBe(expected);
    expect(store.get('examplebucket', 'chunkObject.txt')).toBeUndefined();
  });

  test('a trailer that is signed but wrong is refused', async () => {
    const { endpoint } = world();
    const upload = documentedUpload();
    const scope = { date: '20130524', region: 'us-east-1', service: 's3' };
    const chain = { key: signingKey(DOCS.secretAccessKey, scope), date: '20130524T000000Z', scope };
    const last = '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992';
    const signature = trailerSignature(chain, last, 'x-amz-checksum-crc32c:AAAAAA==\n');
    const text = Buffer.from(upload.body)
      .toString('latin1')
      .replace('sOO8/Q==', 'AAAAAA==')
      .replace(/d81f82fc\w+/, signature);
    expect(told(await endpoint.handle({ ...upload, body: Buffer.from(text, 'latin1') }))).toBe('400 BadDigest');
  });
});

describe('aws-chunked bodies without signatures', () => {
  const bytes = 'heartbeat';
  const trailer = `x-amz-checksum-crc32:${checksumOf('crc32', Buffer.from(bytes))}`;
  const put = async (body: string, more: Readonly<Record<string, string>> = {}): Promise<string> => {
    const { endpoint, store } = world();
    const headers = {
      'content-encoding': 'gzip,aws-chunked',
      'x-amz-decoded-content-length': '9',
      'x-amz-trailer': 'x-amz-checksum-crc32',
      ...more,
    };
    const all = { host: HOST, ...headers, 'content-length': String(body.length) };
    const signing = { credentials: DOCS, region: 'us-east-1', service: 's3', at: START };
    const signable = {
      method: 'PUT',
      path: '/examplebucket/k',
      query: [],
      headers: all,
      payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    };
    const signed = { ...all, ...signHeaders(signable, signing) };
    const answer = told(await endpoint.handle({ method: 'PUT', target: '/examplebucket/k', headers: signed, body: Buffer.from(body) }));
    const object = store.get('examplebucket', 'k');
    return object === undefined ? answer : `${answer} ${Buffer.from(object.bytes).toString()} ${object.headers['content-encoding'] ?? ''}`;
  };

  test.for([
    ['in one chunk', `9\r\n${bytes}\r\n0\r\n${trailer}\r\n\r\n`, '200 heartbeat gzip'],
    ['in two', `5\r\nheart\r\n4\r\nbeat\r\n0\r\n${trailer}\r\n\r\n`, '200 heartbeat gzip'],
    ['without the last line end', `9\r\n${bytes}\r\n0\r\n${trailer}`, '200 heartbeat gzip'],
    ['the trailer is missing', `9\r\n${bytes}\r\n0\r\n\r\n`, '400 InvalidRequest'],
    ['the trailer is of other bytes', `9\r\n${bytes}\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n`, '400 BadDigest'],
    ['the trailer is no checksum', `9\r\n${bytes}\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n`, '400 InvalidRequest'],
    ['cut off in a chunk', '9\r\nheart', '400 IncompleteBody'],
    ['cut off before the end', `9\r\n${bytes}\r\n`, '400 IncompleteBody'],
    ['shorter than declared', `5\r\nheart\r\n0\r\n${trailer}\r\n\r\n`, '400 IncompleteBody'],
    ['no chunks at all', bytes, '400 IncompleteBody'],
    ['a chunk without its line end', `9\r\n${bytes}0\r\n${trailer}\r\n\r\n`, '400 IncompleteBody'],
    ['a huge size', `fffffff0\r\n${bytes}\r\n0\r\n\r\n`, '400 IncompleteBody'],
  ] as const)('%s', async ([, body, expected]) => {
    expect(await put(body)).toBe(expected);
  });

  test('the decoded length must be said', async () => {
    expect(await put(`9\r\n${bytes}\r\n0\r\n${trailer}\r\n\r\n`, { 'x-amz-decoded-content-length': 'nine' })).toBe(
      '411 MissingContentLength',
    );
  });
});

describe('who may ask', () => {
  test('the documented GET, virtual-hosted', async () => {
    const { endpoint, store } = world();
    store.put('examplebucket', 'test.txt', { bytes: Buffer.from('Welcome to Amazon S3.') });
    const authorization =
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';
    const headers = {
      host: 'examplebucket.s3.amazonaws.com',
      range: 'bytes=0-9',
      'x-amz-date': '20130524T000000Z',
      'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      authorization,
    };
    const answer = await endpoint.handle({ method: 'GET', target: '/test.txt', headers, body: Buffer.alloc(0) });
    expect(typeof answer === 'string' ? answer : Buffer.from(answer.bytes).toString()).toBe('Welcome to');
  });

  test.for([
    ['BUCKET.localhost', { target: '/k', headers: { host: 'examplebucket.localhost:9000' } }, '404 NoSuchKey'],
    ['another region where ours is fixed', { target: '/examplebucket', region: 'eu-west-1' }, '400 AuthorizationHeaderMalformed'],
    ['a header outside the signature', { target: '/examplebucket' }, '403 AccessDenied'],
    ['a token we never gave', { target: '/examplebucket', headers: { 'x-amz-security-token': 'x' } }, '400 InvalidToken'],
    ['signature version 2', { target: '/examplebucket' }, '400 InvalidRequest'],
    ['another scheme', { target: '/examplebucket' }, '400 InvalidArgument'],
    ['a header that cannot be read', { target: '/examplebucket' }, '400 AuthorizationHeaderMalformed'],
    ['a payload hash that is none', { target: '/examplebucket' }, '400 InvalidArgument'],
    ['no payload hash', { target: '/examplebucket' }, '400 InvalidRequest'],
    ['no date', { target: '/examplebucket' }, '403 AccessDenied'],
  ] as const)('%s', async ([name, how, expected]) => {
    const { endpoint } = world({ region: 'us-east-1' });
    const asked = request(how);
    const headers: Record<string, string> = { ...asked.headers };
    if (name === 'a header outside the signature') headers['x-amz-meta-late'] = '1';
    if (name === 'signature version 2') headers['authorization'] = 'AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=';
    if (name === 'another scheme') headers['authorization'] = 'Bearer abc';
    if (name === 'a header that cannot be read') headers['authorization'] = 'AWS4-HMAC-SHA256 Credential=x';
    if (name === 'a payload hash that is none') headers['x-amz-content-sha256'] = 'abc';
    if (name === 'no payload hash') delete headers['x-amz-content-sha256'];
    if (name === 'no date') delete headers['x-amz-date'];
    expect(told(await endpoint.handle({ ...asked, headers }))).toBe(expected);
  });

  test('a presigned URL opens at its time and closes at its time', async () => {
    const { endpoint, store, clock } = world();
    store.put('examplebucket', 'os.obj', { bytes: Buffer.from('os') });
    const signing = { credentials: DOCS, region: 'eu-west-1', service: 's3', at: START + 3_600_000 };
    const url = new URL(presignUrl({ method: 'GET', url: `https://${HOST}/examplebucket/os.obj`, expiresSeconds: 60 }, signing));
    const get = async (): Promise<string> =>
      told(await endpoint.handle({ method: 'GET', target: url.pathname + url.search, headers: { host: HOST }, body: Buffer.alloc(0) }));
    expect(await get()).toBe('403 AccessDenied');
    await clock.advance(3_600_000);
    expect(await get()).toBe('200');
    await clock.advance(60_000);
    expect(await get()).toBe('200');
    await clock.advance(1);
    expect(await get()).toBe('403 AccessDenied');
  });

  test('an empty list of credentials lets everybody in', async () => {
    const { endpoint } = world({ credentials: [] });
    const answer = await endpoint.handle({ method: 'GET', target: '/examplebucket', headers: { host: HOST }, body: Buffer.alloc(0) });
    expect(told(answer)).toBe('200');
  });
});

describe('what is refused', () => {
  test.for([
    [{ target: '/examplebucket?acl' }, '501 NotImplemented'],
    [{ method: 'POST', target: '/examplebucket/k?uploads' }, '501 NotImplemented'],
    [{ method: 'PATCH', target: '/examplebucket/k' }, '405 MethodNotAllowed'],
    [{ target: '/examplebucket/%zz' }, '400 InvalidURI'],
    [{ method: 'PUT', target: '/examplebucket/k', body: 'x'.repeat(101) }, '400 EntityTooLarge'],
    [{ method: 'PUT', target: '/examplebucket/k', headers: { 'x-amz-meta-a': 'x'.repeat(2048) } }, '400 MetadataTooLarge'],
    [{ method: 'POST', target: '/examplebucket?delete=', body: '<Delete/>' }, '400 InvalidRequest'],
    [{ method: 'PUT', target: '/examplebucket/k', headers: { 'x-amz-sdk-checksum-algorithm': 'CRC32' } }, '400 InvalidRequest'],
    [{ target: '/examplebucket?list-type=2&continuation-token=nonsense' }, '400 InvalidArgument'],
    [{ method: 'PUT', target: '/examplebucket/k', headers: { 'x-amz-copy-source': 'examplebucket/none' } }, '404 NoSuchKey'],
  ] as const)('%j', async ([how, expected]) => {
    const { endpoint } = world({ maxBodyBytes: 100 });
    expect(await ask(endpoint, how)).toBe(expected);
  });

  test('two checksums at once', async () => {
    const { endpoint } = world();
    const headers = { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' };
    expect(await ask(endpoint, { method: 'PUT', target: '/examplebucket/k', headers })).toBe('400 InvalidRequest');
  });
});

describe('faults', () => {
  const put = { method: 'PUT', target: '/examplebucket/a/k', body: 'new' } as const;

  test.for([
    ['slow-down', '503 SlowDown', false],
    ['internal-error', '500 InternalError', false],
    ['reset-before', 'close', false],
    ['reset-after', 'close', true],
    ['lost-response', 'hang', true],
    ['deny', '403 AccessDenied', false],
  ] as const)('%s strikes once, and applies or not', async ([kind, expected, applied]) => {
    const { endpoint, store, faults } = world();
    faults.add({ kind }, { operations: ['PutObject'], prefix: 'a/', times: 1 });
    expect(await ask(endpoint, { ...put, target: '/examplebucket/b' })).toBe('200');
    expect(await ask(endpoint, put)).toBe(expected);
    expect(store.get('examplebucket', 'a/k') !== undefined).toBe(applied);
    expect(faults.struck).toBe(1);
    expect(await ask(endpoint, put)).toBe('200');
  });

  test('skip lets some pass first, and a fault can be taken back', async () => {
    const { endpoint, faults } = world();
    const takeBack = faults.add({ kind: 'internal-error' }, { skip: 1 });
    expect(await ask(endpoint, put)).toBe('200');
    expect(await ask(endpoint, put)).toBe('500 InternalError');
    takeBack();
    expect(await ask(endpoint, put)).toBe('200');
    faults.add({ kind: 'slow-down' });
    faults.clear();
    expect(await ask(endpoint, put)).toBe('200');
  });

  test('delay waits on the clock', async () => {
    const { endpoint, faults, clock } = world();
    faults.add({ kind: 'delay', ms: 5000 });
    expect(told(await clock.run(endpoint.handle(request(put))))).toBe('200');
    expect(clock.now()).toBe(START + 5000);
  });

  test('a stale list shows what was, a get what is', async () => {
    const { endpoint, store, faults } = world();
    store.put('examplebucket', 'old', { bytes: Buffer.from('1') });
    const stale: S3Fault = { kind: 'stale-list', view: store.snapshot() };
    faults.add(stale);
    store.delete('examplebucket', 'old');
    store.put('examplebucket', 'new', { bytes: Buffer.from('2') });
    const listed = await endpoint.handle(request({ target: '/examplebucket?list-type=2' }));
    const text = typeof listed === 'string' ? listed : Buffer.from(listed.bytes).toString();
    expect(text).toContain('<Key>old</Key>');
    expect(text).not.toContain('<Key>new</Key>');
    expect(await ask(endpoint, { target: '/examplebucket/new' })).toBe('200');
    expect(await ask(endpoint, { target: '/examplebucket/old' })).toBe('404 NoSuchKey');
  });

  test('a server that ignores conditions overwrites', async () => {
    const { endpoint, store, faults } = world();
    store.put('examplebucket', 'a/k', { bytes: Buffer.from('old') });
    const careful = { ...put, headers: { 'if-none-match': '*' } };
    expect(await ask(endpoint, careful)).toBe('412 PreconditionFailed');
    faults.ignoreConditions = true;
    expect(await ask(endpoint, careful)).toBe('200');
    expect(Buffer.from(store.get('examplebucket', 'a/k')?.bytes ?? []).toString()).toBe('new');
  });

  test('requests are counted by kind, and told to who listens', async () => {
    const seen: string[] = [];
    const { endpoint, store } = world({
      onRequest: (one) => seen.push(`${one.operation} ${one.key} ${one.answer} ${one.code ?? ''}`.trim()),
    });
    await ask(endpoint, put);
    await ask(endpoint, { target: '/examplebucket/a/k' });
    await ask(endpoint, { target: '/examplebucket/none' });
    await ask(endpoint, { target: '/' });
    await ask(endpoint, { target: '/examplebucket?location' });
    expect(Object.fromEntries(store.requests)).toEqual({ PutObject: 1, GetObject: 2, ListBuckets: 1, GetBucketLocation: 1 });
    expect(seen.slice(0, 3)).toEqual(['PutObject a/k 200', 'GetObject a/k 200', 'GetObject none 404 NoSuchKey']);
  });
});
