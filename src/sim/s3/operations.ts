import { uriDecode, uriEncode } from '#kit/sigv4.ts';
import { checksumOf, type Checksum } from './checksums.ts';
import { etagListed, readCondition, writeCondition } from './conditions.ts';
import type { S3Operation } from './faults.ts';
import { continuationToken, parseContinuationToken, type Listing } from './list.ts';
import { element, elementTexts, S3Error, s3Document, unescapeXml, xmlResponse, type Markup, type S3Response } from './message.ts';
import { queryValue, type S3Route } from './route.ts';
import type { S3Object, S3Store, S3View } from './store.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html and …/UsingMetadata.html */
const MAX_KEY_BYTES = 1024;
const MAX_METADATA_BYTES = 2048;
const MAX_LIST_KEYS = 1000;
const KEPT_HEADERS = ['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'expires'];
const EMPTY = new Uint8Array();

/** A request that has been let in: route, headers with those of a presigned query, verified bytes. */
export interface S3Call {
  readonly store: S3Store;
  /** What lists show. */
  readonly listed: S3View;
  readonly route: S3Route;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  readonly checksum: Checksum | null;
  readonly ignoreConditions: boolean;
  readonly region: string;
}

const OPERATIONS: Readonly<Record<S3Operation, (call: S3Call) => S3Response>> = {
  ListBuckets: listBuckets,
  CreateBucket: createBucket,
  HeadBucket: headBucket,
  DeleteBucket: deleteBucket,
  GetBucketLocation: bucketLocation,
  ListObjects: listObjects,
  ListObjectsV2: listObjectsV2,
  PutObject: putObject,
  CopyObject: copyObject,
  GetObject: getObject,
  HeadObject: headObject,
  DeleteObject: deleteObject,
  DeleteObjects: deleteObjects,
};

/** Carries out one call on the store. Throws S3Error for what S3 refuses. */
export function perform(call: S3Call): S3Response {
  const { operation, bucket, key } = call.route;
  if (operation !== 'ListBuckets' && operation !== 'CreateBucket' && !call.store.hasBucket(bucket)) {
    throw new S3Error('NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucket });
  }
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new S3Error('KeyTooLongError', 'Your key is too long', {
      Size: String(Buffer.byteLength(key)),
      MaxSizeAllowed: String(MAX_KEY_BYTES),
    });
  }
  return OPERATIONS[operation](call);
}

function listBuckets({ store }: S3Call): S3Response {
  const buckets = store
    .bucketNames()
    .map((name) => element('Bucket', element('Name', name), element('CreationDate', new Date(store.createdAt(name)).toISOString())));
  return xmlResponse(200, s3Document('ListAllMyBucketsResult', owner(), element('Buckets', ...buckets)));
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
function createBucket({ store, route, region }: S3Call): S3Response {
  if (!/^[a-z0-9](?:[a-z0-9]|[.-](?![.-])){1,61}[a-z0-9]$/.test(route.bucket) || /^\d+\.\d+\.\d+\.\d+$/.test(route.bucket)) {
    throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', { BucketName: route.bucket });
  }
  if (!store.createBucket(route.bucket) && region !== 'us-east-1') {
    throw new S3Error('BucketAlreadyOwnedByYou', 'Your previous request to create the named bucket succeeded and you already own it.', {
      BucketName: route.bucket,
    });
  }
  return empty(200, { location: `/${route.bucket}` });
}

function headBucket({ region }: S3Call): S3Response {
  return empty(200, { 'x-amz-bucket-region': region });
}

function deleteBucket({ store, route }: S3Call): S3Response {
  if (!store.deleteBucket(route.bucket)) {
    throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty', { BucketName: route.bucket });
  }
  return empty(204);
}

/** us-east-1 is said by an empty element: API reference, GetBucketLocation. */
function bucketLocation({ region }: S3Call): S3Response {
  return xmlResponse(200, s3Document('LocationConstraint', region === 'us-east-1' ? '' : region));
}

function listObjectsV2(call: S3Call): S3Response {
  const { route } = call;
  const token = queryValue(route, 'continuation-token');
  const startAfter = queryValue(route, 'start-after') ?? '';
  const from = token === undefined ? { after: startAfter, skip: '' } : parseContinuationToken(token);
  if (from === undefined) throw invalidArgument('continuation-token', token ?? '', 'The continuation token provided is incorrect');
  const { listing, maxKeys, encode } = listFrom(call, from);
  return xmlResponse(
    200,
    s3Document(
      'ListBucketResult',
      element('Name', route.bucket),
      element('Prefix', encode(queryValue(route, 'prefix') ?? '')),
      ...optional('StartAfter', startAfter === '' ? undefined : encode(startAfter)),
      ...optional('ContinuationToken', token),
      ...optional('NextContinuationToken', listing.next === null ? undefined : continuationToken(listing.next)),
      element('KeyCount', String(listing.keys.length + listing.prefixes.length)),
      element('MaxKeys', String(maxKeys)),
      ...listTail(call, listing, encode),
    ),
  );
}

function listObjects(call: S3Call): S3Response {
  const { route } = call;
  const marker = queryValue(route, 'marker') ?? '';
  const delimiter = queryValue(route, 'delimiter') ?? '';
  const skip = delimiter !== '' && marker.endsWith(delimiter) ? marker : '';
  const { listing, maxKeys, encode } = listFrom(call, { after: marker, skip });
  const next = listing.next === null ? undefined : listing.next.skip || listing.next.after;
  return xmlResponse(
    200,
    s3Document(
      'ListBucketResult',
      element('Name', route.bucket),
      element('Prefix', encode(queryValue(route, 'prefix') ?? '')),
      element('Marker', encode(marker)),
      ...optional('NextMarker', next === undefined || delimiter === '' ? undefined : encode(next)),
      element('MaxKeys', String(maxKeys)),
      ...listTail(call, listing, encode),
    ),
  );
}

function listFrom(
  { listed, route }: S3Call,
  from: { readonly after: string; readonly skip: string },
): { readonly listing: Listing; readonly maxKeys: number; readonly encode: (text: string) => string } {
  const asked = queryValue(route, 'max-keys') ?? '';
  if (asked !== '' && !/^\d{1,10}$/.test(asked))
    throw invalidArgument('max-keys', asked, 'Provided max-keys not an integer or within integer range');
  const encoding = queryValue(route, 'encoding-type');
  if (encoding !== undefined && encoding !== 'url')
    throw invalidArgument('encoding-type', encoding, 'Invalid Encoding Method specified in Request');
  const maxKeys = asked === '' ? MAX_LIST_KEYS : Math.min(Number(asked), MAX_LIST_KEYS);
  const prefix = queryValue(route, 'prefix') ?? '';
  const delimiter = queryValue(route, 'delimiter') ?? '';
  const listing = listed.list(route.bucket, { prefix, delimiter, ...from, maxKeys });
  return { listing, maxKeys, encode: encoding === 'url' ? encodeKey : (text) => text };
}

function listTail({ listed, route }: S3Call, listing: Listing, encode: (text: string) => string): readonly Markup[] {
  const objects = listing.keys.map((key) => listed.get(route.bucket, key)).filter((object) => object !== undefined);
  const delimiter = queryValue(route, 'delimiter');
  return [
    ...optional('Delimiter', delimiter === undefined || delimiter === '' ? undefined : encode(delimiter)),
    ...optional('EncodingType', queryValue(route, 'encoding-type')),
    element('IsTruncated', String(listing.next !== null)),
    ...objects.map((object) =>
      element(
        'Contents',
        element('Key', encode(object.key)),
        element('LastModified', new Date(object.lastModified).toISOString()),
        element('ETag', `"${object.etag}"`),
        element('Size', String(object.bytes.length)),
        element('StorageClass', 'STANDARD'),
      ),
    ),
    ...listing.prefixes.map((prefix) => element('CommonPrefixes', element('Prefix', encode(prefix)))),
  ];
}

function putObject(call: S3Call): S3Response {
  const { store, route, headers, bytes } = call;
  checkWriteCondition(call);
  const kept = keptHeaders(headers);
  const checksum = call.checksum ?? { algorithm: 'crc64nvme' as const, value: checksumOf('crc64nvme', bytes) };
  const contentType = headers['content-type'];
  const object = store.put(route.bucket, route.key, { bytes, headers: kept, checksum, ...(contentType ? { contentType } : {}) });
  return empty(200, { etag: `"${object.etag}"`, ...checksumHeaders(object) });
}

function checkWriteCondition({ store, route, headers, ignoreConditions }: S3Call): void {
  if (ignoreConditions) return;
  const verdict = writeCondition(headers, store.get(route.bucket, route.key));
  if (verdict === 'failed') throw preconditionFailed(headers['if-match'] === undefined ? 'If-None-Match' : 'If-Match');
  if (verdict === 'missing') throw noSuchKey(route.key);
  if (verdict === 'unsupported') {
    throw new S3Error('NotImplemented', 'A header you provided asks for something that S3 does not offer.', { Header: 'If-None-Match' });
  }
}

function copyObject(call: S3Call): S3Response {
  const { store, route, headers } = call;
  const source = uriDecode((headers['x-amz-copy-source'] ?? '').replace(/\?.*$/, ''))?.replace(/^\//, '') ?? '';
  const slash = source.indexOf('/');
  if (slash < 1)
    throw invalidArgument('x-amz-copy-source', source, 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey');
  const bucket = source.slice(0, slash);
  if (!store.hasBucket(bucket)) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucket });
  const original = store.get(bucket, source.slice(slash + 1));
  if (original === undefined) throw noSuchKey(source.slice(slash + 1));
  const match = headers['x-amz-copy-source-if-match'];
  if (match !== undefined && !etagListed(match, original.etag)) throw preconditionFailed('x-amz-copy-source-If-Match');
  checkWriteCondition(call);
  const replace = headers['x-amz-metadata-directive'] === 'REPLACE';
  const contentType = replace ? headers['content-type'] : original.contentType;
  const copy = store.put(route.bucket, route.key, {
    bytes: original.bytes,
    headers: replace ? keptHeaders(headers) : original.headers,
    checksum: original.checksum,
    ...(contentType ? { contentType } : {}),
  });
  const modified = element('LastModified', new Date(copy.lastModified).toISOString());
  return xmlResponse(200, s3Document('CopyObjectResult', modified, element('ETag', `"${copy.etag}"`)));
}

function getObject(call: S3Call): S3Response {
  const object = readable(call);
  if ('status' in object) return object;
  const size = object.bytes.length;
  const range = parseRange(call.headers['range'], size);
  const headers = { ...objectHeaders(object, call), ...overrides(call.route) };
  if (range === null) return { status: 200, headers, bytes: object.bytes };
  const [first, last] = range;
  // A checksum covers the whole object, so that a part is sent without one.
  const partial = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-amz-checksum-')));
  return {
    status: 206,
    headers: { ...partial, 'content-range': `bytes ${first}-${last}/${size}` },
    bytes: object.bytes.subarray(first, last + 1),
  };
}

function headObject(call: S3Call): S3Response {
  const answer = getObject(call);
  return { ...answer, headers: { ...answer.headers, 'content-length': String(answer.bytes.length) }, bytes: EMPTY };
}

function readable(call: S3Call): S3Object | S3Response {
  const object = call.store.get(call.route.bucket, call.route.key);
  if (object === undefined) throw noSuchKey(call.route.key);
  const verdict = readCondition(call.headers, object);
  if (verdict === 'failed') throw preconditionFailed(call.headers['if-match'] === undefined ? 'If-Unmodified-Since' : 'If-Match');
  if (verdict === 'ok') return object;
  return empty(304, { etag: `"${object.etag}"`, 'last-modified': new Date(object.lastModified).toUTCString() });
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html */
function deleteObject({ store, route, headers, ignoreConditions }: S3Call): S3Response {
  const match = headers['if-match'];
  const object = store.get(route.bucket, route.key);
  if (match !== undefined && !ignoreConditions) {
    if (object === undefined) throw noSuchKey(route.key);
    if (!etagListed(match, object.etag)) throw preconditionFailed('If-Match');
  }
  store.delete(route.bucket, route.key);
  return empty(204);
}

function deleteObjects({ store, route, headers, bytes, checksum }: S3Call): S3Response {
  if (headers['content-md5'] === undefined && checksum === null) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
  }
  const xml = Buffer.from(bytes).toString();
  const objects = elementTexts(xml, 'Object');
  if (!/<Delete[\s>]/.test(xml) || objects.length === 0 || objects.length > MAX_LIST_KEYS) {
    throw new S3Error('MalformedXML', 'The XML you provided was not well-formed or did not validate against our published schema');
  }
  const quiet = elementTexts(xml, 'Quiet')[0] === 'true';
  const results = objects.map((object) => {
    const key = unescapeXml(elementTexts(object, 'Key')[0] ?? '');
    const match = elementTexts(object, 'ETag')[0];
    const etag = store.get(route.bucket, key)?.etag;
    if (match !== undefined && (etag === undefined || !etagListed(unescapeXml(match), etag))) {
      return element('Error', element('Key', key), element('Code', 'PreconditionFailed'), element('Message', PRECONDITION));
    }
    store.delete(route.bucket, key);
    return quiet ? null : element('Deleted', element('Key', key));
  });
  return xmlResponse(200, s3Document('DeleteResult', ...results.filter((result) => result !== null)));
}

/** `bytes=FIRST-LAST` over `size`; null for a whole object, also where the header makes no sense or names several ranges. */
function parseRange(header: string | undefined, size: number): readonly [number, number] | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return null;
  const [, first = '', last = ''] = match;
  if (first !== '' && last !== '' && Number(first) > Number(last)) return null;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start >= size || (first === '' && last === '0')) {
    throw new S3Error('InvalidRange', 'The requested range is not satisfiable', {
      RangeRequested: header ?? '',
      ActualObjectSize: String(size),
    });
  }
  return [start, end];
}

function keptHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (KEPT_HEADERS.includes(name) || name.startsWith('x-amz-meta-')) kept[name] = value;
  }
  const encoding = (kept['content-encoding'] ?? '').split(',').map((part) => part.trim());
  const rest = encoding.filter((part) => part !== '' && part !== 'aws-chunked').join(',');
  delete kept['content-encoding'];
  if (rest !== '') kept['content-encoding'] = rest;
  const metadata = Object.entries(kept).filter(([name]) => name.startsWith('x-amz-meta-'));
  const size = metadata.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) - 'x-amz-meta-'.length + Buffer.byteLength(value), 0);
  if (size > MAX_METADATA_BYTES) {
    throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size', {
      Size: String(size),
      MaxSizeAllowed: String(MAX_METADATA_BYTES),
    });
  }
  return kept;
}

function objectHeaders(object: S3Object, call: S3Call): Record<string, string> {
  return {
    'content-type': object.contentType,
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.lastModified).toUTCString(),
    'accept-ranges': 'bytes',
    ...object.headers,
    ...(call.headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED' ? checksumHeaders(object) : {}),
  };
}

function checksumHeaders({ checksum }: S3Object): Readonly<Record<string, string>> {
  if (checksum === null) return {};
  return { [`x-amz-checksum-${checksum.algorithm}`]: checksum.value, 'x-amz-checksum-type': 'FULL_OBJECT' };
}

/** `response-content-type` and the like, by which a presigned URL says how its answer is to look. */
function overrides(route: S3Route): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, value] of route.query) {
    const match = /^response-(content-type|content-language|expires|cache-control|content-disposition|content-encoding)$/.exec(name);
    if (match?.[1] !== undefined) found[match[1]] = value;
  }
  return found;
}

const PRECONDITION = 'At least one of the pre-conditions you specified did not hold';

function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', PRECONDITION, { Condition: condition });
}

function noSuchKey(key: string): S3Error {
  return new S3Error('NoSuchKey', 'The specified key does not exist.', { Key: key });
}

function invalidArgument(name: string, value: string, message: string): S3Error {
  return new S3Error('InvalidArgument', message, { ArgumentName: name, ArgumentValue: value });
}

function empty(status: number, headers: Readonly<Record<string, string>> = {}): S3Response {
  return { status, headers, bytes: EMPTY };
}

function optional(name: string, text: string | undefined): readonly Markup[] {
  return text === undefined ? [] : [element(name, text)];
}

function owner(): Markup {
  return element('Owner', element('ID', 'headgate'), element('DisplayName', 'headgate'));
}

/** encoding-type=url leaves slashes alone. */
function encodeKey(text: string): string {
  return text.split('/').map(uriEncode).join('/');
}
