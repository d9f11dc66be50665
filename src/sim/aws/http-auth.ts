import { createHash } from 'node:crypto';
import {
  expectedSignature,
  parseAmzDate,
  parseAuthorization,
  sameSignature,
  UNSIGNED_PAYLOAD,
  type SigningCredentials,
} from '#kit/sigv4.ts';
import { AwsError } from './errors.ts';
import type { AwsOperation, AwsRequest } from './http-message.ts';

export interface AwsGuard {
  readonly credentials: readonly SigningCredentials[];
  readonly region: string;
  /** ms. */
  readonly now: number;
  readonly maxSkewMs: number;
}

/** By which name a plane is signed for: docs/protocols/aws-iot.md §2.1. */
const SERVICES: Readonly<Record<AwsOperation['plane'], readonly string[]>> = {
  control: ['iot'],
  data: ['iotdata', 'iotdevicegateway'],
};

/** Verifies the signature of a call (Signature Version 4 in its header). Throws AwsError as AWS does: 403, without saying why. */
export function checkSignature(
  request: AwsRequest,
  call: { readonly plane: AwsOperation['plane']; readonly path: string; readonly query: readonly (readonly [string, string])[] },
  guard: AwsGuard,
): void {
  const claimed = parseAuthorization(request.headers);
  const refuse = (why: string): AwsError =>
    call.plane === 'data' ? new AwsError('ForbiddenException', 'Forbidden') : new AwsError('UnrecognizedClientException', why);
  if (claimed === undefined) throw refuse('Missing Authentication Token');
  const { scope } = claimed;
  if (!SERVICES[call.plane].includes(scope.service))
    throw refuse(`Credential should be scoped to correct service: '${SERVICES[call.plane][0]}'.`);
  if (scope.region !== guard.region) throw refuse(`Credential should be scoped to a valid region, not '${scope.region}'.`);
  const signedAt = parseAmzDate(claimed.date);
  if (signedAt === undefined || !claimed.date.startsWith(scope.date) || Math.abs(guard.now - signedAt) > guard.maxSkewMs) {
    throw refuse('Signature expired');
  }
  const credentials = guard.credentials.find(({ accessKeyId }) => accessKeyId === claimed.accessKeyId);
  if (credentials === undefined || (credentials.sessionToken ?? null) !== claimed.sessionToken) {
    throw refuse('The security token included in the request is invalid.');
  }
  if (!claimed.signedHeaders.includes('host')) throw refuse('Host is not signed');
  const body = createHash('sha256').update(request.body).digest('hex');
  const payloadHash = request.headers['x-amz-content-sha256'] ?? body;
  if (payloadHash !== body && payloadHash !== UNSIGNED_PAYLOAD) throw refuse('The body is not the one that was signed');
  const signable = { method: request.method, path: call.path, query: call.query, headers: request.headers, payloadHash };
  const { signature } = expectedSignature(signable, claimed, credentials.secretAccessKey);
  if (!sameSignature(claimed.signature, signature))
    throw refuse('The request signature we calculated does not match the signature you provided.');
}
