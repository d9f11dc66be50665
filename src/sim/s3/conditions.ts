import type { S3Object } from './store.ts';

type Headers = Readonly<Record<string, string>>;

/**
 * Conditional GET and HEAD in the order of RFC 9110 §13.2.2, which S3 follows (API reference, GetObject).
 */
export function readCondition(headers: Headers, object: S3Object): 'ok' | 'not-modified' | 'failed' {
  const match = headers['if-match'];
  const unmodifiedSince = httpDate(headers['if-unmodified-since']);
  if (match !== undefined) {
    if (!etagListed(match, object.etag)) return 'failed';
  } else if (unmodifiedSince !== undefined && object.lastModified > unmodifiedSince) return 'failed';
  const noneMatch = headers['if-none-match'];
  const modifiedSince = httpDate(headers['if-modified-since']);
  if (noneMatch !== undefined) return etagListed(noneMatch, object.etag) ? 'not-modified' : 'ok';
  return modifiedSince !== undefined && object.lastModified <= modifiedSince ? 'not-modified' : 'ok';
}

/**
 * Conditional PUT: `If-None-Match: *` and `If-Match: ETAG`. `missing` is S3's 404 for an If-Match over nothing;
 * `unsupported` its 501 for an If-None-Match with an ETag.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
export function writeCondition(headers: Headers, object: S3Object | undefined): 'ok' | 'failed' | 'missing' | 'unsupported' {
  const noneMatch = headers['if-none-match'];
  const match = headers['if-match'];
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== '*' || match !== undefined) return 'unsupported';
    return object === undefined ? 'ok' : 'failed';
  }
  if (match === undefined) return 'ok';
  if (object === undefined) return 'missing';
  return etagListed(match, object.etag) ? 'ok' : 'failed';
}

/** Whether `"a", "b"` or `*` names the ETag. S3 takes them quoted or not; a weak one matches nothing. */
export function etagListed(list: string, etag: string): boolean {
  return list.split(',').some((part) => {
    const text = part.trim();
    return text === '*' || text === etag || text === `"${etag}"`;
  });
}

/** Milliseconds of an HTTP date; undefined when it is none, and the condition is then ignored. */
function httpDate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
