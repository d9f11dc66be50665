import type { IoTClient, ThingDocument } from '@aws-sdk/client-iot';
import type { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { SECOND_MS } from '#kit/duration.ts';
import type { SigningCredentials } from '#kit/sigv4.ts';
import { quotaOf, type AwsOperation } from '#model/aws-quotas.ts';
import { EMPTY_SHADOW, isJsonObject, readShadowDocument, type ShadowDocument } from '#model/shadow.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { FoundPage, FoundShadow, ShadowPlace, ShadowQuery, Shadows, ShadowUpdate, ShadowWritten } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AwsIotConnection } from '#ports/wires.ts';
import { awsIotError } from './aws-iot-errors.ts';
import { exchangeRequests } from './aws-iot-exchange.ts';
import type { awsIotSdk } from './aws-iot-sdk.ts';
import { systemClock } from './clock.ts';
import { statusOf } from './s3-errors.ts';
import { TokenBuckets } from './token-bucket.ts';

const CONNECT_LIMIT_MS = 10 * SECOND_MS;
const CALL_LIMIT_MS = 30 * SECOND_MS;
/** Attempts of a read. An update has one: a lost answer is for the engine to find out about, not to be papered over. */
const READ_ATTEMPTS = 3;
/** The most that a page of the index holds (docs/protocols/aws-iot.md §12). */
const PAGE = 100;

export interface AwsIotOptions {
  /** For signatures and quotas; the system's when left out. */
  readonly clock?: Clock;
  /** In the place of the default chain of the SDK (§17.2). */
  readonly credentials?: SigningCredentials;
  /** The control plane (`https://iot.REGION.amazonaws.com`), for one that is not AWS's. */
  readonly controlEndpoint?: string;
  readonly callLimitMs?: number;
  /** In the place of sockets: a service that answers in this process. */
  readonly exchange?: HttpExchange;
}

interface Service {
  readonly region: string;
  readonly clock: Clock;
  readonly callLimitMs: number;
  readonly requests: RequestLimits | ReturnType<typeof exchangeRequests>;
  readonly buckets: TokenBuckets<AwsOperation>;
  readonly sdk: typeof awsIotSdk;
  readonly config: { readonly region: string; readonly credentials?: SigningCredentials; readonly systemClockOffset: number };
  readonly controlClient: IoTClient;
  /** Made when first needed: a pass that the index alone answers does not even look the endpoint up. */
  clients: Promise<DataClients> | null;
  readonly endpoint: string | null;
}

interface RequestLimits {
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  readonly throwOnRequestTimeout: boolean;
}

interface DataClients {
  readonly reads: IoTDataPlaneClient;
  readonly writes: IoTDataPlaneClient;
}

/**
 * Shadows of AWS IoT over HTTP, for runs that end: docs/protocols/aws-iot.md §2, §5, §12. Credentials come from the default
 * chain of the SDK unless they are given. Nothing is sent yet.
 */
export async function openAwsIot(connection: AwsIotConnection, options: AwsIotOptions = {}): Promise<Shadows> {
  const { awsIotSdk: sdk } = await import('./aws-iot-sdk.ts');
  const { clock = systemClock, credentials, controlEndpoint, callLimitMs = CALL_LIMIT_MS } = options;
  const { region, endpoint } = connection;
  const offset = clock.now() - Date.now();
  const config = { region, systemClockOffset: offset, ...(credentials === undefined ? {} : { credentials }) };
  const requests = options.exchange === undefined ? requestLimits(callLimitMs) : exchangeRequests(options.exchange);
  const service: Service = {
    requests,
    region,
    clock,
    callLimitMs,
    sdk,
    config,
    buckets: new TokenBuckets(clock, (operation) => quotaOf(region, operation)),
    controlClient: new sdk.IoTClient({
      ...config,
      maxAttempts: READ_ATTEMPTS,
      requestHandler: requests,
      ...(controlEndpoint === undefined ? {} : { endpoint: controlEndpoint }),
    }),
    clients: null,
    endpoint,
  };
  return {
    get: (place, signal) =>
      called(service, { operation: 'get', doing: `get ${textOf(place)}`, signal }, (abort) => get(service, place, abort)),
    update: (one, signal) =>
      called(service, { operation: 'update', doing: `update ${textOf(one)}`, signal }, (abort) => update(service, one, abort)),
    search: (query, signal) =>
      called(service, { operation: 'search', doing: 'search the index', signal }, (abort) => search(service, query, abort)),
    async close() {
      service.controlClient.destroy();
      const clients = await service.clients?.catch(() => null);
      clients?.reads.destroy();
      clients?.writes.destroy();
    },
  };
}

function requestLimits(callLimitMs: number): RequestLimits {
  return { connectionTimeout: CONNECT_LIMIT_MS, requestTimeout: callLimitMs, throwOnRequestTimeout: true };
}

function textOf({ thing, shadow }: ShadowPlace): string {
  return shadow === null ? `shadow of ${thing}` : `shadow ${shadow} of ${thing}`;
}

interface Call {
  readonly operation: AwsOperation;
  readonly doing: string;
  readonly signal: AbortSignal | undefined;
}

/** Waits for the quota, then runs one call under its limit; whatever it throws leaves as WireError, or as the signal's reason. */
async function called<T>(service: Service, call: Call, run: (abort: AbortSignal) => Promise<T>): Promise<T> {
  const { doing, signal } = call;
  await service.buckets.take(call.operation, signal);
  const limit = AbortSignal.timeout(service.callLimitMs);
  try {
    return await run(signal === undefined ? limit : AbortSignal.any([signal, limit]));
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.aborted) throw new WireError('TIMEOUT', 'later', `${doing}: no complete answer in time`);
    throw awsIotError(error, doing);
  }
}

async function dataClients(service: Service): Promise<DataClients> {
  service.clients ??= openDataClients(service);
  try {
    return await service.clients;
  } catch (error) {
    service.clients = null;
    throw error;
  }
}

async function openDataClients(service: Service): Promise<DataClients> {
  const endpoint = service.endpoint ?? (await askEndpoint(service));
  const open = (maxAttempts: number): IoTDataPlaneClient =>
    new service.sdk.IoTDataPlaneClient({
      ...service.config,
      endpoint: /^https?:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`,
      maxAttempts,
      requestHandler: service.requests,
    });
  return { reads: open(READ_ATTEMPTS), writes: open(1) };
}

/** The account's own prefix (§2.1). */
async function askEndpoint({ sdk, controlClient }: Service): Promise<string> {
  const answer = await controlClient.send(new sdk.DescribeEndpointCommand({ endpointType: 'iot:Data-ATS' }));
  if (answer.endpointAddress === undefined) throw new WireError('NO_ENDPOINT', 'never', 'AWS names no data endpoint for this account');
  return answer.endpointAddress;
}

function named({ thing, shadow }: ShadowPlace): { readonly thingName: string; readonly shadowName?: string } {
  return { thingName: thing, ...(shadow === null ? {} : { shadowName: shadow }) };
}

async function get(service: Service, place: ShadowPlace, abortSignal: AbortSignal): Promise<ShadowDocument | 'missing'> {
  const { reads } = await dataClients(service);
  try {
    const answer = await reads.send(new service.sdk.GetThingShadowCommand(named(place)), { abortSignal });
    const document = readShadowDocument(jsonIn(answer.payload));
    if (document === null || document.version === null) throw unreadable(place);
    return document;
  } catch (error) {
    if (statusOf(error) === 404) return 'missing';
    throw error;
  }
}

async function update(service: Service, one: ShadowUpdate, abortSignal: AbortSignal): Promise<ShadowWritten | 'conflict'> {
  const { writes } = await dataClients(service);
  const { desired, version } = one;
  const payload = new TextEncoder().encode(JSON.stringify({ state: { desired }, ...(version === null ? {} : { version }) }));
  try {
    const answer = await writes.send(new service.sdk.UpdateThingShadowCommand({ ...named(one), payload }), { abortSignal });
    return readWritten(jsonIn(answer.payload)) ?? refuse(one);
  } catch (error) {
    if (statusOf(error) === 409) return 'conflict';
    throw error;
  }
}

function refuse(place: ShadowPlace): never {
  throw unreadable(place);
}

/** Version and time of `update/accepted`; null where the answer is none. */
export function readWritten(answer: unknown): ShadowWritten | null {
  if (!isJsonObject(answer)) return null;
  const { version, timestamp } = answer;
  if (typeof version !== 'number' || !Number.isSafeInteger(version)) return null;
  return typeof timestamp === 'number' && Number.isSafeInteger(timestamp) ? { version, at: timestamp * SECOND_MS } : null;
}

function unreadable(place: ShadowPlace): WireError {
  return new WireError('SHADOW_UNREADABLE', 'later', `${textOf(place)}: the answer is no shadow document`);
}

function jsonIn(payload: Uint8Array | undefined): unknown {
  return parsed(new TextDecoder().decode(payload ?? new Uint8Array()));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function search(service: Service, query: ShadowQuery, abortSignal: AbortSignal): Promise<FoundPage> {
  const command = new service.sdk.SearchIndexCommand({
    indexName: 'AWS_Things',
    queryString: query.query,
    queryVersion: '2017-09-30',
    maxResults: PAGE,
    ...(query.next === null ? {} : { nextToken: query.next }),
  });
  const answer = await service.controlClient.send(command, { abortSignal });
  return { found: (answer.things ?? []).flatMap((thing) => foundOf(thing, query.shadow)), next: answer.nextToken ?? null };
}

function foundOf(thing: ThingDocument, shadow: string | null): readonly FoundShadow[] {
  if (thing.thingName === undefined) return [];
  const { connected, timestamp } = thing.connectivity ?? {};
  return [
    {
      thing: thing.thingName,
      document: indexedShadow(thing.shadow, shadow),
      connected: connected ?? null,
      connectedSince: timestamp ?? null,
    },
  ];
}

/** Of the JSON text that holds all indexed shadows of a thing: the classic one at its root, named ones below `name` (§12). */
function indexedShadow(text: string | undefined, shadow: string | null): ShadowDocument | null {
  const all = text === undefined ? undefined : parsed(text);
  if (!isJsonObject(all)) return null;
  if (shadow === null) {
    const has = all['reported'] !== undefined || all['desired'] !== undefined || all['version'] !== undefined;
    return has ? (readShadowDocument(all) ?? EMPTY_SHADOW) : null;
  }
  const own = isJsonObject(all['name']) && Object.hasOwn(all['name'], shadow) ? all['name'][shadow] : undefined;
  return own === undefined ? null : (readShadowDocument(own) ?? EMPTY_SHADOW);
}
