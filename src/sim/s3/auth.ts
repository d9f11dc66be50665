import {
  expectedSignature,
  MAX_PRESIGN_SECONDS,
  parseAmzDate,
  parseAuthorization,
  parsePresigned,
  sameSignature,
  signingKey,
  UNSIGNED_PAYLOAD,
  type ChunkSigning,
  type ClaimedSignature,
  type SigningCredentials,
} from '#kit/sigv4.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import { S3Error, type S3Request } from './message.ts';
import { queryValue, type S3Route } from './route.ts';

/** How far a request's clock may be off, as S3 has it (error RequestTimeTooSkewed). */
export const MAX_SKEW_MS = 15 * MINUTE_MS;

export interface S3Guard {
  /** None: everybody may do everything, signed or not. */
  readonly credentials: readonly SigningCredentials[];
  /** The region a signature must name; null accepts any, as most S3-compatible servers do. */
  readonly region: string | null;
  readonly now: Instant;
  readonly maxSkewMs: number;
}

/** Who asked, and how the body is bound to the signature. */
export interface Admission {
  /** `x-amz-content-sha256`: a digest, UNSIGNED-PAYLOAD or a STREAMING-… word. */
  readonly payloadHash: string;
  /** The first link of the chain of chunk signatures; null for an anonymous request. */
  readonly chain: { readonly signing: ChunkSigning; readonly seed: string } | null;
}

/** Verifies the signature of a request in either form. Throws S3Error with the code that S3 answers. */
export function admit(request: S3Request, route: S3Route, guard: S3Guard): Admission {
  const authorization = request.headers['authorization'];
  const presigned = route.query.some(([name]) => name === 'X-Amz-Algorithm' || name === 'X-Amz-Signature');
  if (guard.credentials.length === 0) return { payloadHash: request.headers['x-amz-content-sha256'] ?? UNSIGNED_PAYLOAD, chain: null };
  if (authorization === undefined && !presigned) throw new S3Error('AccessDenied', 'Access Denied');
  const claimed = authorization === undefined ? claimedInQuery(route) : claimedInHeader(request);
  checkScope(claimed, guard);
  checkTime(claimed, guard);
  const credentials = guard.credentials.find((known) => known.accessKeyId === claimed.accessKeyId);
  if (credentials === undefined) {
    throw new S3Error('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.', {
      AWSAccessKeyId: claimed.accessKeyId,
    });
  }
  if ((credentials.sessionToken ?? null) !== claimed.sessionToken) {
    throw new S3Error('InvalidToken', 'The provided token is malformed or otherwise invalid.');
  }
  checkSignedHeaders(request, claimed);
  const payloadHash = payloadHashOf(request, route, claimed);
  const signable = { method: request.method, path: route.path, query: route.query, headers: request.headers, payloadHash };
  const expected = expectedSignature(signable, claimed, credentials.secretAccessKey);
  if (!sameSignature(claimed.signature, expected.signature)) {
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
      { AWSAccessKeyId: claimed.accessKeyId, StringToSign: expected.stringToSign, CanonicalRequest: expected.canonicalRequest },
    );
  }
  const signing = { key: signingKey(credentials.secretAccessKey, claimed.scope), date: claimed.date, scope: claimed.scope };
  return { payloadHash, chain: { signing, seed: claimed.signature } };
}

function claimedInHeader(request: S3Request): ClaimedSignature {
  const authorization = request.headers['authorization'] ?? '';
  if (!authorization.startsWith('AWS4-HMAC-SHA256')) {
    throw new S3Error(
      authorization.startsWith('AWS ') ? 'InvalidRequest' : 'InvalidArgument',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  const claimed = parseAuthorization(request.headers);
  if (claimed === undefined) {
    throw new S3Error('AuthorizationHeaderMalformed', 'The authorization header is malformed.');
  }
  return claimed;
}

function claimedInQuery(route: S3Route): ClaimedSignature {
  const claimed = parsePresigned(route.query);
  if (claimed === undefined) {
    throw new S3Error(
      'AuthorizationQueryParametersError',
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  }
  if ((claimed.expires ?? 0) > MAX_PRESIGN_SECONDS) {
    throw new S3Error(
      'AuthorizationQueryParametersError',
      'X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds',
    );
  }
  return claimed;
}

function checkScope(claimed: ClaimedSignature, guard: S3Guard): void {
  const code = claimed.form === 'header' ? 'AuthorizationHeaderMalformed' : 'AuthorizationQueryParametersError';
  if (claimed.scope.service !== 's3') {
    throw new S3Error(code, `incorrect service "${claimed.scope.service}". This endpoint belongs to "s3".`);
  }
  if (guard.region !== null && claimed.scope.region !== guard.region) {
    throw new S3Error(code, `the region '${claimed.scope.region}' is wrong; expecting '${guard.region}'`, { Region: guard.region });
  }
}

function checkTime(claimed: ClaimedSignature, guard: S3Guard): void {
  const signedAt = parseAmzDate(claimed.date);
  if (signedAt === undefined) throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  if (!claimed.date.startsWith(claimed.scope.date)) {
    throw new S3Error('SignatureDoesNotMatch', `Invalid credential date "${claimed.scope.date}". It is not the day of X-Amz-Date.`);
  }
  const server = { ServerTime: new Date(guard.now).toISOString() };
  if (claimed.expires === null) {
    if (Math.abs(guard.now - signedAt) <= guard.maxSkewMs) return;
    throw new S3Error('RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.', {
      RequestTime: claimed.date,
      ...server,
      MaxAllowedSkewMilliseconds: String(guard.maxSkewMs),
    });
  }
  if (signedAt > guard.now + guard.maxSkewMs) throw new S3Error('AccessDenied', 'Request is not valid yet', server);
  const expiresAt = signedAt + claimed.expires * SECOND_MS;
  if (guard.now <= expiresAt) return;
  throw new S3Error('AccessDenied', 'Request has expired', {
    'X-Amz-Expires': String(claimed.expires),
    Expires: new Date(expiresAt).toISOString(),
    ...server,
  });
}

/** The host and every x-amz- header must be under the signature, or they could be changed on the way. */
function checkSignedHeaders(request: S3Request, claimed: ClaimedSignature): void {
  const signed = new Set(claimed.signedHeaders);
  const loose = Object.keys(request.headers).filter((name) => (name === 'host' || name.startsWith('x-amz-')) && !signed.has(name));
  if (loose.length === 0) return;
  throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
    HeadersNotSigned: loose.toSorted().join(', '),
  });
}

const STREAMING = [
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
];

function payloadHashOf(request: S3Request, route: S3Route, claimed: ClaimedSignature): string {
  const header = request.headers['x-amz-content-sha256'];
  if (claimed.form === 'query') return header ?? queryValue(route, 'X-Amz-Content-Sha256') ?? UNSIGNED_PAYLOAD;
  if (header === undefined) throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
  if (header !== UNSIGNED_PAYLOAD && !STREAMING.includes(header) && !/^[0-9a-f]{64}$/.test(header)) {
    throw new S3Error('InvalidArgument', 'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- word, or a valid sha256 value.', {
      ArgumentName: 'x-amz-content-sha256',
    });
  }
  return header;
}
