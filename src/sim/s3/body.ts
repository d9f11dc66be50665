import { createHash } from 'node:crypto';
import { chunkSignature, sameSignature, trailerSignature } from '#kit/sigv4.ts';
import { sha256 } from '#kit/digest.ts';
import type { Admission } from './auth.ts';
import { checksumAlgorithm, checksumOf, isChecksumValue, type Checksum } from './checksums.ts';
import { S3Error, type S3Request } from './message.ts';

type Headers = Readonly<Record<string, string>>;

export interface ReadBody {
  readonly bytes: Uint8Array;
  /** The checksum the client sent, verified; null when it sent none. */
  readonly checksum: Checksum | null;
}

/**
 * The bytes that the client meant: aws-chunked framing taken off, chunk signatures, digest, MD5 and checksum verified.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …-trailers.html. Throws S3Error.
 */
export function readBody(request: S3Request, headers: Headers, admission: Admission): ReadBody {
  const streaming = admission.payloadHash.startsWith('STREAMING-');
  const { bytes, trailers } = streaming ? decodeChunks(request.body, headers, admission) : { bytes: request.body, trailers: {} };
  if (!streaming && /^[0-9a-f]{64}$/.test(admission.payloadHash) && sha256(bytes) !== admission.payloadHash) {
    throw new S3Error('XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.", {
      ClientComputedContentSHA256: admission.payloadHash,
      S3ComputedContentSHA256: sha256(bytes),
    });
  }
  checkMd5(headers['content-md5'], bytes);
  return { bytes, checksum: checkChecksum(headers, trailers, bytes) };
}

interface Decoded {
  readonly bytes: Uint8Array;
  readonly trailers: Headers;
}

function decodeChunks(body: Uint8Array, headers: Headers, admission: Admission): Decoded {
  const declared = headers['x-amz-decoded-content-length'];
  if (declared === undefined || !/^\d{1,15}$/.test(declared)) {
    throw new S3Error('MissingContentLength', 'You must provide the x-amz-decoded-content-length HTTP header.');
  }
  const signed = admission.payloadHash.startsWith('STREAMING-AWS4-HMAC-SHA256-PAYLOAD');
  const chain = signed ? admission.chain : null;
  const source = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const chunks: Uint8Array[] = [];
  let previous = chain?.seed ?? '';
  let at = 0;
  for (;;) {
    const line = lineAt(source, at);
    const match = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line.text);
    if (match === null || (signed && match[2] === undefined)) throw incomplete();
    const size = Number.parseInt(match[1] ?? '', 16);
    const chunk = source.subarray(line.end, line.end + size);
    if (chunk.length !== size) throw incomplete();
    if (chain !== null) {
      const expected = chunkSignature(chain.signing, previous, chunk);
      if (!sameSignature(match[2] ?? '', expected)) throw badChunk();
      previous = expected;
    }
    at = line.end + size;
    if (size === 0) break;
    if (source[at] !== 13 || source[at + 1] !== 10) throw incomplete();
    at += 2;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length !== Number(declared)) throw incomplete();
  const trailers = readTrailers(source, at);
  if (chain !== null && admission.payloadHash.endsWith('-TRAILER')) checkTrailerSignature(trailers, chain, previous);
  return { bytes, trailers };
}

function readTrailers(source: Buffer, start: number): Headers {
  const trailers: Record<string, string> = {};
  let at = start;
  while (at < source.length) {
    const line = lineAt(source, at);
    at = line.end;
    const colon = line.text.indexOf(':');
    if (colon > 0) trailers[line.text.slice(0, colon).trim().toLowerCase()] = line.text.slice(colon + 1).trim();
  }
  return trailers;
}

function checkTrailerSignature(trailers: Headers, chain: NonNullable<Admission['chain']>, previous: string): void {
  const signed = Object.entries(trailers).filter(([name]) => name !== 'x-amz-trailer-signature');
  const text = signed.map(([name, value]) => `${name}:${value}\n`).join('');
  if (!sameSignature(trailers['x-amz-trailer-signature'] ?? '', trailerSignature(chain.signing, previous, text))) throw badChunk();
}

/** One line and where the next begins; a last line without its end counts. */
function lineAt(source: Buffer, at: number): { readonly text: string; readonly end: number } {
  const end = source.indexOf('\r\n', at);
  if (end < 0) return { text: source.toString('latin1', at), end: source.length };
  return { text: source.toString('latin1', at, end), end: end + 2 };
}

function checkMd5(header: string | undefined, bytes: Uint8Array): void {
  if (header === undefined) return;
  if (Buffer.from(header, 'base64').length !== 16) throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.');
  const actual = createHash('md5').update(bytes).digest('base64');
  if (actual === header) return;
  throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', {
    ExpectedDigest: header,
    CalculatedDigest: actual,
  });
}

function checkChecksum(headers: Headers, trailers: Headers, bytes: Uint8Array): Checksum | null {
  const announced = (headers['x-amz-trailer'] ?? '').split(',').map((name) => name.trim().toLowerCase());
  const missing = announced.find((name) => name !== '' && trailers[name] === undefined);
  if (missing !== undefined)
    throw new S3Error('InvalidRequest', `The value specified in the x-amz-trailer header is not supported: ${missing}`);
  const given = [...Object.entries(headers), ...Object.entries(trailers)].filter(([name]) => isChecksumHeader(name));
  const [first, second] = given;
  if (first === undefined) {
    if (headers['x-amz-sdk-checksum-algorithm'] === undefined) return null;
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    );
  }
  if (second !== undefined)
    throw new S3Error('InvalidRequest', 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.');
  const [name, value] = first;
  const algorithm = checksumAlgorithm(name);
  if (algorithm === undefined || !isChecksumValue(algorithm, value)) {
    throw new S3Error('InvalidRequest', `Value for ${name} header is invalid.`);
  }
  const actual = checksumOf(algorithm, bytes);
  if (actual === value) return { algorithm, value };
  throw new S3Error('BadDigest', `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`);
}

/** `x-amz-checksum-mode`, `-type` and `-algorithm` say something else. */
function isChecksumHeader(name: string): boolean {
  return name.startsWith('x-amz-checksum-') && !/-(mode|type|algorithm)$/.test(name);
}

function incomplete(): S3Error {
  return new S3Error('IncompleteBody', 'The request body terminated unexpectedly');
}

function badChunk(): S3Error {
  return new S3Error('SignatureDoesNotMatch', 'The chunk signature we calculated does not match the signature you provided.');
}
