import { parseQuery, uriDecode } from '#kit/sigv4.ts';
import type { S3Operation } from './faults.ts';
import { S3Error, type S3Request } from './message.ts';

export interface S3Route {
  readonly operation: S3Operation;
  /** Empty for ListBuckets. */
  readonly bucket: string;
  readonly key: string;
  /** Percent-encoded, as sent: what the signature covers. */
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
}

/** Sub-resources that S3 has and this server does not. */
const UNSUPPORTED = [
  'acl',
  'attributes',
  'cors',
  'encryption',
  'lifecycle',
  'logging',
  'notification',
  'object-lock',
  'policy',
  'replication',
  'restore',
  'retention',
  'select',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
];

/**
 * Finds bucket, key and operation. Path style unless the Host is `BUCKET.localhost`, `BUCKET.s3.….amazonaws.com` or
 * `BUCKET.s3.localhost`. Throws S3Error for what S3 would refuse to read.
 */
export function routeRequest(request: S3Request): S3Route {
  const mark = request.target.indexOf('?');
  const path = mark < 0 ? request.target : request.target.slice(0, mark);
  const query = parseQuery(mark < 0 ? '' : request.target.slice(mark + 1));
  const decoded = uriDecode(path);
  if (query === undefined || decoded === undefined || !decoded.startsWith('/')) {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.", { URI: path });
  }
  const virtual = bucketOfHost(request.headers['host'] ?? '');
  const slash = decoded.indexOf('/', 1);
  const bucket = virtual ?? (slash < 0 ? decoded.slice(1) : decoded.slice(1, slash));
  const key = virtual === null ? (slash < 0 ? '' : decoded.slice(slash + 1)) : decoded.slice(1);
  const names = new Set(query.map(([name]) => name));
  const refused = UNSUPPORTED.find((name) => names.has(name));
  if (refused !== undefined) throw new S3Error('NotImplemented', `This server does not offer the sub-resource ${refused}.`);
  return { operation: operationOf(request, { bucket, key, names, query }), bucket, key, path, query };
}

export function queryValue(route: S3Route, name: string): string | undefined {
  return route.query.find(([other]) => other === name)?.[1];
}

function operationOf(
  request: S3Request,
  target: {
    readonly bucket: string;
    readonly key: string;
    readonly names: ReadonlySet<string>;
    readonly query: readonly (readonly [string, string])[];
  },
): S3Operation {
  const operation = target.key === '' ? bucketOperation(request.method, target) : objectOperation(request);
  if (operation === undefined) {
    throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', { Method: request.method });
  }
  return operation;
}

function bucketOperation(
  method: string,
  target: { readonly bucket: string; readonly names: ReadonlySet<string>; readonly query: readonly (readonly [string, string])[] },
): S3Operation | undefined {
  if (target.bucket === '') return method === 'GET' ? 'ListBuckets' : undefined;
  switch (method) {
    case 'GET':
      if (target.names.has('location')) return 'GetBucketLocation';
      return target.query.some(([name, value]) => name === 'list-type' && value === '2') ? 'ListObjectsV2' : 'ListObjects';
    case 'HEAD':
      return 'HeadBucket';
    case 'PUT':
      return 'CreateBucket';
    case 'DELETE':
      return 'DeleteBucket';
    case 'POST':
      return target.names.has('delete') ? 'DeleteObjects' : undefined;
    default:
      return undefined;
  }
}

function objectOperation(request: S3Request): S3Operation | undefined {
  switch (request.method) {
    case 'GET':
      return 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'PUT':
      return request.headers['x-amz-copy-source'] === undefined ? 'PutObject' : 'CopyObject';
    case 'DELETE':
      return 'DeleteObject';
    default:
      return undefined;
  }
}

function bucketOfHost(host: string): string | null {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const match = /^(.+?)\.(?:s3[.-][a-z0-9.-]*amazonaws\.com|s3\.localhost|localhost)$/.exec(name);
  return match?.[1] === 's3' ? null : (match?.[1] ?? null);
}
