import type { Json } from '#kit/canonical.ts';
import type { WireAnswer, WireRequest, WireResponse } from '#sim/tls-wire.ts';
import { AwsError } from './errors.ts';
import { isObject, type JsonObject } from './shadow-document.ts';

/** One call over HTTP; a device may call the data plane by its certificate, unsigned (docs/protocols/aws-iot.md §2.1). */
export type AwsRequest = WireRequest;
export type AwsResponse = WireResponse;
export type AwsAnswer = WireAnswer;

/** A call with its labels and query taken apart. */
export interface AwsCall {
  readonly request: AwsRequest;
  /** Labels of the path by name, decoded once (§2.3). */
  readonly label: (name: string) => string;
  readonly query: (name: string) => string | null;
}

export interface AwsOperation {
  readonly name: string;
  readonly plane: 'control' | 'data';
  /** `GET /things/{thingName}/shadow`. */
  readonly at: string;
  /** Throws AwsError. */
  run(call: AwsCall): AwsResponse | Promise<AwsResponse>;
}

export function jsonAnswer(value: Json | object, status = 200): AwsResponse {
  return textAnswer(JSON.stringify(value), status);
}

export function textAnswer(text: string, status = 200): AwsResponse {
  return { status, headers: { 'content-type': 'application/json' }, bytes: Buffer.from(text) };
}

/** Both the header and the message, or the SDK makes no typed exception of it (§2.3). */
export function errorAnswer({ code, message, status }: AwsError, traceId: string): AwsResponse {
  const headers = { 'content-type': 'application/json', 'x-amzn-errortype': code, 'x-amzn-requestid': traceId };
  return { status, headers, bytes: Buffer.from(JSON.stringify({ message, traceId })) };
}

/** The body as a JSON object; an empty one has no members. */
export function bodyOf({ request }: AwsCall): JsonObject {
  try {
    const value: unknown = request.body.length === 0 ? {} : JSON.parse(Buffer.from(request.body).toString());
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new AwsError('InvalidRequestException', 'The body is no JSON object');
}

export function textIn(body: JsonObject, name: string): string {
  const value = body[name];
  if (typeof value === 'string') return value;
  throw new AwsError('InvalidRequestException', `1 validation error detected: ${name} must not be null`);
}

/** A whole number of the query within bounds; `otherwise` when it is not there. */
export function countIn(call: AwsCall, name: string, bounds: { readonly most: number; readonly otherwise: number }): number {
  const text = call.query(name);
  if (text === null) return bounds.otherwise;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= bounds.most) return value;
  throw new AwsError('InvalidRequestException', `${name} must be from 1 to ${bounds.most}`);
}

/** One page of a sorted list. The token is where to go on. */
export function pageOf<T>(
  all: readonly T[],
  size: number,
  token: string | null,
): { readonly page: readonly T[]; readonly next: { readonly nextToken?: string } } {
  const from = token === null ? 0 : Number(token);
  if (!Number.isInteger(from) || from < 0) throw new AwsError('InvalidRequestException', 'Invalid nextToken');
  const end = from + size;
  return { page: all.slice(from, end), next: end < all.length ? { nextToken: String(end) } : {} };
}
