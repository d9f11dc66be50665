import type { SigningCredentials } from '#kit/sigv4.ts';
import type { Clock } from '#ports/clock.ts';
import { admit, MAX_SKEW_MS } from './auth.ts';
import { readBody } from './body.ts';
import { makeS3Faults, type S3Fault, type S3Faults } from './faults.ts';
import { S3Error, type S3Answer, type S3Request, type S3Response } from './message.ts';
import { perform } from './operations.ts';
import { routeRequest, type S3Route } from './route.ts';
import { SIM_CREDENTIALS, type S3Store, type S3View } from './store.ts';

/** 64 MiB: far above any firmware of the families, far below what would hurt the machine. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

export interface S3EndpointOptions {
  readonly clock: Clock;
  readonly store: S3Store;
  readonly faults?: S3Faults;
  /** SIM_CREDENTIALS when left out; an empty list lets everybody in, unsigned. */
  readonly credentials?: readonly SigningCredentials[];
  /** Signatures must name it. Left out, any region will do, and us-east-1 is what the server says. */
  readonly region?: string;
  /** 15 minutes; infinite for a world whose clock runs faster than its clients'. */
  readonly maxSkewMs?: number;
  readonly maxBodyBytes?: number;
  onRequest?(seen: SeenRequest): void;
}

type Settled = Required<Omit<S3EndpointOptions, 'region' | 'onRequest'>> & { readonly region: string | null };

/** One answered request, for tests and for the log of `headgate sim s3`. */
export interface SeenRequest {
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  readonly answer: number | 'close' | 'hang';
  /** The error code, null for a success. */
  readonly code: string | null;
}

/** S3 without a socket: the HTTP server wraps it, scenarios call it. */
export interface S3Endpoint {
  handle(request: S3Request): Promise<S3Answer>;
}

export function makeS3Endpoint(options: S3EndpointOptions): S3Endpoint {
  const settled: Settled = {
    clock: options.clock,
    store: options.store,
    faults: options.faults ?? makeS3Faults(),
    credentials: options.credentials ?? [SIM_CREDENTIALS],
    region: options.region ?? null,
    maxSkewMs: options.maxSkewMs ?? MAX_SKEW_MS,
    maxBodyBytes: options.maxBodyBytes ?? MAX_BODY_BYTES,
  };
  let counter = 0;
  return {
    async handle(request) {
      counter += 1;
      const requestId = counter.toString(16).toUpperCase().padStart(16, '0');
      const outcome = await answerTo(request, requestId, settled);
      options.onRequest?.(outcome.seen);
      if (typeof outcome.answer === 'string') return outcome.answer;
      return finished(request, outcome.answer, { requestId, now: options.clock.now() });
    },
  };
}

async function answerTo(
  request: S3Request,
  requestId: string,
  options: Settled,
): Promise<{ readonly answer: S3Answer; readonly seen: SeenRequest }> {
  let route: S3Route | null = null;
  const seen = (answer: S3Answer, code: string | null): SeenRequest => ({
    operation: route?.operation ?? 'Unknown',
    bucket: route?.bucket ?? '',
    key: route?.key ?? '',
    answer: typeof answer === 'string' ? answer : answer.status,
    code,
  });
  try {
    route = routeRequest(request);
    options.store.count(route.operation);
    const answer = await faultyAnswer(request, route, options);
    return { answer, seen: seen(answer, null) };
  } catch (error) {
    if (!(error instanceof S3Error)) throw error;
    const answer = error.response(route?.path ?? request.target, requestId);
    return { answer, seen: seen(answer, error.code) };
  }
}

async function faultyAnswer(request: S3Request, route: S3Route, options: Settled): Promise<S3Answer> {
  const subject = route.key === '' ? (route.query.find(([name]) => name === 'prefix')?.[1] ?? '') : route.key;
  const faults = options.faults.strike(route.operation, subject);
  for (const fault of faults) {
    if (fault.kind === 'delay') await options.clock.sleep(fault.ms);
  }
  const kinds = new Set(faults.map((fault) => fault.kind));
  if (kinds.has('reset-before')) return 'close';
  if (kinds.has('slow-down')) throw new S3Error('SlowDown', 'Please reduce your request rate.');
  if (kinds.has('internal-error')) throw new S3Error('InternalError', 'We encountered an internal error. Please try again.');
  const answer = carryOut(request, route, { ...options, denied: kinds.has('deny'), listed: staleView(faults) ?? options.store });
  if (kinds.has('reset-after')) return 'close';
  return kinds.has('lost-response') ? 'hang' : answer;
}

function carryOut(
  request: S3Request,
  route: S3Route,
  options: Settled & { readonly denied: boolean; readonly listed: S3View },
): S3Response {
  if (request.body.length > options.maxBodyBytes) {
    throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
      ProposedSize: String(request.body.length),
      MaxSizeAllowed: String(options.maxBodyBytes),
    });
  }
  const { credentials, region, maxSkewMs } = options;
  const headers = withQueryHeaders(request, route);
  const admission = admit(request, route, { credentials, region, maxSkewMs, now: options.clock.now() });
  if (options.denied) throw new S3Error('AccessDenied', 'Access Denied');
  if (route.operation === 'PutObject' && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  }
  const { bytes, checksum } = readBody(request, headers, admission);
  return perform({
    store: options.store,
    listed: options.listed,
    route,
    headers,
    bytes,
    checksum,
    ignoreConditions: options.faults.ignoreConditions,
    region: region ?? 'us-east-1',
  });
}

function staleView(faults: readonly S3Fault[]): S3View | null {
  return faults.find((fault) => fault.kind === 'stale-list')?.view ?? null;
}

/** A presigned URL may carry x-amz-… headers as query parameters; they count as if they had been sent as headers. */
function withQueryHeaders(request: S3Request, route: S3Route): Readonly<Record<string, string>> {
  const hoisted = route.query
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => /^x-amz-(?!algorithm$|credential$|date$|expires$|signedheaders$|signature$|security-token$)/.test(name));
  return { ...Object.fromEntries(hoisted), ...request.headers };
}

function finished(request: S3Request, response: S3Response, context: { readonly requestId: string; readonly now: number }): S3Response {
  const headers: Record<string, string> = {
    'x-amz-request-id': context.requestId,
    date: new Date(context.now).toUTCString(),
    server: 'HeadgateS3',
    ...response.headers,
  };
  const bodiless = request.method === 'HEAD' || response.status === 304 || response.status === 204;
  if (!bodiless) headers['content-length'] = String(response.bytes.length);
  else if (response.status >= 400) delete headers['content-type'];
  return { status: response.status, headers, bytes: bodiless ? new Uint8Array() : response.bytes };
}
