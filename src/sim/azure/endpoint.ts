import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { Clock } from '#ports/clock.ts';
import { CallLimits } from '#sim/call-limits.ts';
import type { WireAnswer, WireRequest, WireResponse } from '#sim/tls-wire.ts';
import type { HubAccess } from './access.ts';
import type { DeviceWire } from './device-wire.ts';
import { HubError } from './errors.ts';
import type { HubFaults } from './faults.ts';
import { parseQuery } from './query.ts';
import type { AzureSwitches } from './switches.ts';
import type { TwinStore, TwinWrite } from './twin-store.ts';

export interface HubEndpointOptions {
  readonly twins: TwinStore;
  readonly access: HubAccess;
  readonly wire: DeviceWire;
  readonly faults: HubFaults;
  readonly switches: AzureSwitches;
  readonly clock: Clock;
  /** Calls per second by name of the operation; those without are not limited. */
  readonly quotas: ReadonlyMap<string, number>;
}

/** The service-facing side of a hub over HTTP, without a socket (docs/protocols/shadow-devices.md §8.4, §8.5). */
export interface HubEndpoint {
  handle(request: WireRequest): Promise<WireAnswer>;
  /** How often each operation was asked for, refusals counted. */
  readonly calls: ReadonlyMap<string, number>;
}

const API_VERSION = /^20\d\d-\d\d-\d\d(-preview)?$/;
const PAGE = 100;
const MOST_PAGE = 1000;
const FEWEST_ANSWER_SECONDS = 5;
const MOST_METHOD_SECONDS = 300;
const MOST_METHOD_BYTES = 128 * 1024;

interface Found {
  readonly name: 'getTwin' | 'updateTwin' | 'replaceTwin' | 'invokeMethod' | 'queryTwins';
  readonly device: string;
}

export function makeHubEndpoint(options: HubEndpointOptions): HubEndpoint {
  const calls = new Map<string, number>();
  const limits = new CallLimits(options.clock, options.quotas);
  let counter = 0;
  return {
    calls,
    async handle(request) {
      counter += 1;
      try {
        const found = operationOf(request);
        calls.set(found.name, (calls.get(found.name) ?? 0) + 1);
        if (!limits.take(found.name)) throw new HubError('ThrottlingException', 'Throttling');
        return await faulty(request, found, options);
      } catch (error) {
        if (error instanceof HubError) return refusal(error, `trace-${counter}`);
        throw error;
      }
    },
  };
}

async function faulty(request: WireRequest, found: Found, options: HubEndpointOptions): Promise<WireAnswer> {
  const faults = options.faults.onCall(found.name, found.device);
  for (const fault of faults) if (fault.kind === 'delay') await options.clock.sleep(fault.ms);
  const kinds = new Set(faults.map(({ kind }) => kind));
  if (kinds.has('reset-before')) return 'close';
  if (kinds.has('throttle')) throw new HubError('ThrottlingException', 'Throttling');
  if (kinds.has('unavailable')) throw new HubError('ServiceUnavailable', 'The hub is temporarily unavailable');
  if (kinds.has('internal')) throw new HubError('ServerError', 'Internal error');
  if (kinds.has('deny')) throw new HubError('IotHubUnauthorizedAccess', 'Unauthorized');
  options.access.checkCall(request.headers['authorization']);
  const answer = await run(request, found, options);
  if (kinds.has('reset-after')) return 'close';
  if (kinds.has('timeout')) throw new HubError('GatewayTimeout', 'No answer in time');
  return kinds.has('lost-response') ? 'hang' : answer;
}

function operationOf({ method, target }: WireRequest): Found {
  const [path = '', query = ''] = target.split('?');
  if (!API_VERSION.test(new URLSearchParams(query).get('api-version') ?? ''))
    throw new HubError('ArgumentInvalid', 'api-version is missing');
  const segments = path.slice(1).split('/').map(decoded);
  const [first, device = '', last, ...more] = segments;
  if (segments.includes(null) || more.length > 0) throw new HubError('NotFound', 'There is nothing at this path');
  if (first === 'devices' && device === 'query' && last === undefined) return only({ POST: 'queryTwins' }, method, '');
  if (first !== 'twins' || device === null || device === '') throw new HubError('NotFound', 'There is nothing at this path');
  if (last === 'methods') return only({ POST: 'invokeMethod' }, method, device);
  if (last !== undefined) throw new HubError('NotFound', 'There is nothing at this path');
  return only({ GET: 'getTwin', PATCH: 'updateTwin', PUT: 'replaceTwin' }, method, device);
}

function only(names: Readonly<Record<string, Found['name']>>, method: string, device: string): Found {
  const name = Object.hasOwn(names, method) ? names[method] : undefined;
  if (name === undefined) throw new HubError('MethodNotAllowed', `${method} cannot be asked for here`);
  return { name, device };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

async function run(request: WireRequest, { name, device }: Found, options: HubEndpointOptions): Promise<WireResponse> {
  const { twins } = options;
  switch (name) {
    case 'getTwin':
      return twinAnswer(twins.read(device));
    case 'updateTwin':
      return twinAnswer(twins.write(device, writeOf(request, false)));
    case 'replaceTwin':
      return twinAnswer(twins.write(device, writeOf(request, true)));
    case 'invokeMethod':
      return await invoked(request, device, options);
    case 'queryTwins':
      return queried(request, options);
  }
}

function writeOf(request: WireRequest, replace: boolean): TwinWrite {
  const body = bodyOf(request);
  const properties = body['properties'] ?? {};
  if (!isJsonObject(properties)) throw new HubError('ArgumentInvalid', 'properties is no object');
  const section = (value: unknown, name: string): JsonObject | undefined => {
    if (value === undefined) return undefined;
    if (isJsonObject(value)) return Object.fromEntries(Object.entries(value).filter(([key]) => !OWN_KEYS.has(key)));
    throw new HubError('ArgumentInvalid', `${name} is no object`);
  };
  const tags = section(body['tags'], 'tags');
  const desired = section(properties['desired'], 'desired');
  return { ...(tags === undefined ? {} : { tags }), ...(desired === undefined ? {} : { desired }), replace, ifMatch: etagIn(request) };
}

/** What a client that sends a whole twin back has in it of the hub's own. */
const OWN_KEYS: ReadonlySet<string> = new Set(['$metadata', '$version']);

/** `"AAAAAAAAAAE="`, `W/"…"`, without quotes, or `*`; null where nothing is asked. */
function etagIn({ headers }: WireRequest): string | null {
  const written = headers['if-match'];
  return written === undefined ? null : written.replace(/^W\//, '').replace(/^"(.*)"$/, '$1');
}

function twinAnswer(twin: JsonObject): WireResponse {
  const { etag } = twin;
  return jsonAnswer(twin, typeof etag === 'string' ? { etag: `"${etag}"` } : {});
}

async function invoked(request: WireRequest, device: string, { twins, wire }: HubEndpointOptions): Promise<WireResponse> {
  if (!twins.has(device)) throw new HubError('DeviceNotFound', `${device} is not registered`);
  const { methodName, payload, responseTimeoutInSeconds, timeoutInSeconds, connectTimeoutInSeconds } = bodyOf(request);
  if (typeof methodName !== 'string' || methodName === '' || methodName.length > 100)
    throw new HubError('ArgumentInvalid', 'methodName is no name');
  if (Buffer.byteLength(JSON.stringify(payload ?? null)) > MOST_METHOD_BYTES)
    throw new HubError('ArgumentInvalid', `the payload is larger than ${MOST_METHOD_BYTES} bytes`);
  const answer = await wire.call(device, {
    name: methodName,
    payload,
    connectMs: secondsIn(connectTimeoutInSeconds, { least: 0, otherwise: 0 }) * SECOND_MS,
    answerMs: secondsIn(responseTimeoutInSeconds ?? timeoutInSeconds, { least: FEWEST_ANSWER_SECONDS, otherwise: 30 }) * SECOND_MS,
  });
  return jsonAnswer(answer);
}

function secondsIn(value: unknown, { least, otherwise }: { readonly least: number; readonly otherwise: number }): number {
  if (value === undefined || value === null) return otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= MOST_METHOD_SECONDS) return value;
  throw new HubError('ArgumentInvalid', `a time limit is from ${least} to ${MOST_METHOD_SECONDS} s`);
}

/** A page is a list of twins, sorted by id; where it goes on is said in a header. */
function queried(request: WireRequest, { twins, switches }: HubEndpointOptions): WireResponse {
  const { query } = bodyOf(request);
  if (typeof query !== 'string') throw new HubError('ArgumentInvalid', 'query is no text');
  const fits = parseQuery(query, switches.queryUndefined);
  const size = Number(request.headers['x-ms-max-item-count'] ?? PAGE);
  const from = Number(Buffer.from(request.headers['x-ms-continuation'] ?? '', 'base64').toString() || 0);
  if (!Number.isInteger(size) || size < 1 || size > MOST_PAGE) throw new HubError('ArgumentInvalid', 'x-ms-max-item-count is out of range');
  if (!Number.isInteger(from) || from < 0) throw new HubError('ArgumentInvalid', 'the continuation token is none of this hub');
  const found = twins.ids.map((id) => twins.queried(id)).filter(fits);
  const more = from + size < found.length ? { 'x-ms-continuation': Buffer.from(String(from + size)).toString('base64') } : {};
  return jsonAnswer(found.slice(from, from + size), { 'x-ms-item-type': 'Twin', ...more });
}

function bodyOf({ body }: WireRequest): JsonObject {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    if (isJsonObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new HubError('ArgumentInvalid', 'The body is no JSON object');
}

function jsonAnswer(value: object, headers: Readonly<Record<string, string>> = {}): WireResponse {
  return {
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    bytes: Buffer.from(JSON.stringify(value)),
  };
}

function refusal({ code, status, message }: HubError, trace: string): WireResponse {
  const body = { Message: `ErrorCode:${code};${message}`, ExceptionMessage: `Tracking ID:${trace}` };
  const headers = { 'content-type': 'application/json; charset=utf-8', 'iothub-errorcode': code };
  return { status, headers, bytes: Buffer.from(JSON.stringify(body)) };
}
