import { parseQuery, uriDecode, type SigningCredentials } from '#kit/sigv4.ts';
import type { Clock } from '#ports/clock.ts';
import { CallLimits } from '#sim/call-limits.ts';
import { AwsError } from './errors.ts';
import type { AwsCallFault, AwsFaults } from './faults.ts';
import { checkSignature } from './http-auth.ts';
import { errorAnswer, type AwsAnswer, type AwsCall, type AwsOperation, type AwsRequest, type AwsResponse } from './http-message.ts';
import { actOf, type PolicyAct } from './policy.ts';

export interface AwsEndpointOptions {
  readonly clock: Clock;
  readonly faults: AwsFaults;
  readonly operations: readonly AwsOperation[];
  /** An empty list lets everybody in, unsigned. */
  readonly credentials: readonly SigningCredentials[];
  readonly region: string;
  /** How far a request's clock may be off that of `signatureNow`. */
  readonly maxSkewMs: number;
  signatureNow(): number;
  /** Calls per second of an operation, with as many at once; those without are not limited (§14). */
  readonly quotas: ReadonlyMap<string, number>;
  /** Whether a device may make this call of the data plane by its certificate alone. */
  allows(request: AwsRequest, act: PolicyAct): boolean;
}

/** AWS IoT over HTTP without a socket: the HTTPS server wraps it. Planes are told apart by path and signature. */
export interface AwsEndpoint {
  handle(request: AwsRequest): Promise<AwsAnswer>;
  /** How often each operation was asked for, refusals counted: what quotas and bills go by (§14, §15). */
  readonly calls: ReadonlyMap<string, number>;
}

interface Found {
  readonly operation: AwsOperation;
  readonly call: AwsCall;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  /** What faults are told apart by: the first label. */
  readonly subject: string;
}

export function makeAwsEndpoint(options: AwsEndpointOptions): AwsEndpoint {
  const calls = new Map<string, number>();
  const limits = new CallLimits(options.clock, options.quotas);
  let counter = 0;
  return {
    calls,
    async handle(request) {
      counter += 1;
      const traceId = `trace-${counter}`;
      try {
        const found = findOperation(request, options.operations);
        calls.set(found.operation.name, (calls.get(found.operation.name) ?? 0) + 1);
        if (!limits.take(found.operation.name)) throw new AwsError('ThrottlingException', 'Rate exceeded');
        return await faulty(request, found, options);
      } catch (error) {
        if (error instanceof AwsError) return errorAnswer(error, traceId);
        throw error;
      }
    },
  };
}

async function faulty(request: AwsRequest, found: Found, options: AwsEndpointOptions): Promise<AwsAnswer> {
  const faults = options.faults.onCall(found.operation.name, found.subject);
  for (const fault of faults) if (fault.kind === 'delay') await options.clock.sleep(fault.ms);
  const kinds = new Set<AwsCallFault['kind']>(faults.map(({ kind }) => kind));
  if (kinds.has('reset-before')) return 'close';
  if (kinds.has('throttle')) throw new AwsError('ThrottlingException', 'Rate exceeded');
  if (kinds.has('unavailable')) throw new AwsError('ServiceUnavailableException', 'The service is temporarily unavailable.');
  if (kinds.has('internal')) throw new AwsError('InternalFailureException', 'Internal service failure');
  admit(request, found, options);
  if (kinds.has('deny')) throw new AwsError('ForbiddenException', 'Forbidden');
  const answer: AwsResponse = await found.operation.run(found.call);
  if (kinds.has('reset-after')) return 'close';
  if (kinds.has('timeout')) throw new AwsError('GatewayTimeoutException', 'No answer in time');
  return kinds.has('lost-response') ? 'hang' : answer;
}

function admit(request: AwsRequest, { operation, call, path, query }: Found, options: AwsEndpointOptions): void {
  const { credentials, region, maxSkewMs } = options;
  if (credentials.length === 0) return;
  const unsigned = request.headers['authorization'] === undefined;
  if (unsigned && operation.plane === 'data' && options.allows(request, actOf(operation.name, call))) return;
  checkSignature(request, { plane: operation.plane, path, query }, { credentials, region, maxSkewMs, now: options.signatureNow() });
}

function findOperation(request: AwsRequest, operations: readonly AwsOperation[]): Found {
  const mark = request.target.indexOf('?');
  const path = mark < 0 ? request.target : request.target.slice(0, mark);
  const query = parseQuery(mark < 0 ? '' : request.target.slice(mark + 1));
  const segments = path.split('/').map(uriDecode);
  if (query === undefined || segments.includes(undefined))
    throw new AwsError('InvalidRequestException', 'The path or the query is malformed');
  let otherMethod = false;
  for (const operation of operations) {
    const [method = '', pattern = ''] = operation.at.split(' ');
    const labels = labelsOf(pattern.split('/'), segments);
    if (labels === null) continue;
    if (method !== request.method) {
      otherMethod = true;
      continue;
    }
    const call = {
      request,
      label: (name: string) => labels.get(name) ?? '',
      query: (name: string) => query.find(([other]) => other === name)?.[1] ?? null,
    };
    return { operation, call, path, query, subject: [...labels.values()][0] ?? '' };
  }
  if (otherMethod) throw new AwsError('MethodNotAllowedException', 'The method is not allowed here');
  throw new AwsError('ResourceNotFoundException', `There is no operation at ${request.method} ${path}`);
}

/** Decoded segments by the names of the labels; null where the path is another. */
function labelsOf(pattern: readonly string[], segments: readonly (string | undefined)[]): ReadonlyMap<string, string> | null {
  if (pattern.length !== segments.length) return null;
  const labels = new Map<string, string>();
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    const [, label] = /^\{(\w+)\}$/.exec(part) ?? [];
    if (label === undefined ? part !== segment : segment === '') return null;
    if (label !== undefined) labels.set(label, segment);
  }
  return labels;
}
