/** One S3 request, free of any socket. Header names in lower case, repeated ones joined with a comma. */
export interface S3Request {
  readonly method: string;
  /** The request target as sent: percent-encoded path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface S3Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

/** `close` cuts the connection; `hang` never says anything. */
export type S3Answer = S3Response | 'close' | 'hang';

const STATUS = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  EntityTooLarge: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidDigest: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidToken: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MetadataTooLarge: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  XAmzContentSHA256Mismatch: 400,
} as const;

export type S3ErrorCode = keyof typeof STATUS;

/** An answer that is an error: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly code: S3ErrorCode;
  readonly fields: Readonly<Record<string, string>>;

  constructor(code: S3ErrorCode, message: string, fields: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.fields = fields;
  }

  response(resource: string, requestId: string): S3Response {
    const fields = { Code: this.code, Message: this.message, ...this.fields, Resource: resource, RequestId: requestId };
    return xmlResponse(STATUS[this.code], element('Error', ...Object.entries(fields).map(([name, text]) => element(name, text))));
  }
}

/** Markup that is already escaped. */
export interface Markup {
  readonly xml: string;
}

export function element(name: string, ...content: readonly (Markup | string)[]): Markup {
  const inner = content.map((part) => (typeof part === 'string' ? escapeXml(part) : part.xml)).join('');
  return { xml: inner === '' ? `<${name}/>` : `<${name}>${inner}</${name}>` };
}

export function xmlResponse(status: number, root: Markup): S3Response {
  const bytes = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${root.xml}`);
  return { status, headers: { 'content-type': 'application/xml' }, bytes };
}

/** The root element of a successful answer, in S3's namespace. */
export function s3Document(name: string, ...content: readonly (Markup | string)[]): Markup {
  const { xml } = element(name, ...content);
  return { xml: xml.replace(`<${name}`, `<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`) };
}

/** Reads the text of each element of that name, in order: enough for the flat documents that S3 is sent. */
export function elementTexts(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([^]*?)</${name}>`, 'g'))].map((match) => match[1] ?? '');
}

const NAMED = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" } as const;

export function unescapeXml(text: string): string {
  return text.replaceAll(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|lt|gt|amp|quot|apos);/g, (_, name: string) => {
    if (name.startsWith('#x')) return codePoint(Number.parseInt(name.slice(2), 16));
    return name.startsWith('#') ? codePoint(Number(name.slice(1))) : NAMED[name as keyof typeof NAMED];
  });
}

function codePoint(code: number): string {
  return code <= 0x10_ffff ? String.fromCodePoint(code) : '\uFFFD';
}

function escapeXml(text: string): string {
  return text.replaceAll(/[<>&"'\p{Cc}]/gu, (char) => `&#${char.charCodeAt(0)};`);
}
