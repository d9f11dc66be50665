import { SECOND_MS } from '#kit/duration.ts';
import { makeSas } from '#kit/sas.ts';
import { AZURE_IOT, type AzureOperation } from '#model/azure-quotas.ts';
import type { ShadowDocument } from '#model/shadow.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { FoundPage, ShadowPlace, ShadowQuery, Shadows, ShadowUpdate, ShadowWritten } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection, HttpAnswer } from '#ports/wires.ts';
import { desiredAt, readTwin, type TwinAnswer } from './azure-document.ts';
import { azureError, azureRefusal } from './azure-errors.ts';
import { openHttpExchange, type NetworkExchange } from './http-exchange.ts';
import { TokenBuckets } from './token-bucket.ts';

const API_VERSION = '2021-04-12';
const CALL_LIMIT_MS = 30 * SECOND_MS;
/** A token is good for so long, and made anew when half of it has passed. */
const TOKEN_LIFE_MS = 3600 * SECOND_MS;
/** Twins that are asked for at once (docs/protocols/shadow-devices.md §8.5). */
const PAGE = 100;
/** A page of a hundred twins of at most 72 KB each, with their times. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
/** Versions of twins are remembered for so many that were read last. */
const MOST_REMEMBERED = 10_000;

export interface AzureTwinsOptions {
  /** Makes tokens and paces calls. */
  readonly clock: Clock;
  /** In the place of sockets: a hub that answers in this process. */
  readonly exchange?: HttpExchange;
  readonly callLimitMs?: number;
}

interface Remembered {
  readonly version: number;
  readonly etag: string;
}

interface Hub {
  readonly connection: AzureIotConnection;
  readonly clock: Clock;
  readonly exchange: HttpExchange;
  readonly callLimitMs: number;
  readonly buckets: TokenBuckets<AzureOperation>;
  /** By device: what was read of it last, so that a write can name it. */
  readonly remembered: Map<string, Remembered>;
  token: { readonly text: string; readonly madeAt: number } | null;
}

/**
 * Twins of an Azure IoT hub over HTTP: docs/protocols/shadow-devices.md §8. The twin of a device is its classic shadow; a
 * hub has no named ones. Nothing is sent yet.
 */
export function openAzureTwins(connection: AzureIotConnection, options: AzureTwinsOptions): Shadows {
  const { clock, callLimitMs = CALL_LIMIT_MS } = options;
  const own = options.exchange === undefined ? openHub(connection) : { exchange: options.exchange, close: () => undefined };
  const hub: Hub = {
    connection,
    clock,
    exchange: own.exchange,
    callLimitMs,
    buckets: new TokenBuckets(clock, (operation) => AZURE_IOT.perSecond[operation]),
    remembered: new Map(),
    token: null,
  };
  return {
    get: (place, signal) => get(hub, place, signal),
    update: (update, signal) => write(hub, update, signal),
    search: (query, signal) => search(hub, query, signal),
    close: () => {
      own.close();
      return Promise.resolve();
    },
  };
}

function openHub({ host, name }: AzureIotConnection): NetworkExchange {
  const server = /^[A-Za-z0-9.-]+(:\d+)?$/.test(host) ? URL.parse(`https://${host}`) : null;
  if (server === null) throw new WireError('BAD_URL', 'never', `connection ${name}: the host is no host name`);
  return openHttpExchange(server, { maxBytes: MAX_ANSWER_BYTES });
}

interface Call {
  readonly operation: AzureOperation;
  readonly doing: string;
  readonly method: 'GET' | 'PATCH' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** Waits for the throttle, then makes one call under its limit. */
async function call(hub: Hub, one: Call, signal: AbortSignal | undefined): Promise<HttpAnswer> {
  await hub.buckets.take(one.operation, signal);
  const limit = AbortSignal.timeout(hub.callLimitMs);
  const body = one.body === undefined ? new Uint8Array() : new TextEncoder().encode(JSON.stringify(one.body));
  try {
    return await hub.exchange({
      method: one.method,
      target: `${one.path}?api-version=${API_VERSION}`,
      headers: {
        authorization: tokenOf(hub),
        accept: 'application/json',
        ...(one.body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
        ...one.headers,
      },
      body,
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.aborted) throw new WireError('TIMEOUT', 'later', `${one.doing}: no complete answer in time`);
    throw azureError(error, one.doing);
  }
}

function tokenOf(hub: Hub): string {
  const now = hub.clock.now();
  if (hub.token !== null && Math.abs(now - hub.token.madeAt) < TOKEN_LIFE_MS / 2) return hub.token.text;
  const { host, policy, key } = hub.connection;
  const [resource = host] = host.split(':');
  const text = makeSas({ resource, key, policy, expiry: Math.ceil((now + TOKEN_LIFE_MS) / SECOND_MS) });
  hub.token = { text, madeAt: now };
  return text;
}

function pathOf({ thing, shadow }: ShadowPlace): string {
  if (shadow !== null) throw new WireError('SHADOW_400', 'never', `twin of ${thing}: an Azure IoT hub has no named shadows`);
  return `/twins/${encodeURIComponent(thing)}`;
}

async function get(hub: Hub, place: ShadowPlace, signal: AbortSignal | undefined): Promise<ShadowDocument | 'missing'> {
  const doing = `get twin of ${place.thing}`;
  const answer = await call(hub, { operation: 'get', doing, method: 'GET', path: pathOf(place) }, signal);
  if (answer.status === 404) return 'missing';
  if (answer.status !== 200) throw azureRefusal(answer.status, doing);
  const twin = readTwin(jsonIn(answer.bytes));
  if (twin === null || twin.document.version === null) throw unreadable(place);
  remember(hub, place.thing, twin);
  return twin.document;
}

function remember({ remembered }: Hub, thing: string, { document, etag }: TwinAnswer): void {
  remembered.delete(thing);
  if (etag === null || document.version === null) return;
  remembered.set(thing, { version: document.version, etag });
  const [oldest] = remembered.keys();
  if (remembered.size > MOST_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
}

/**
 * Merges into desired where the twin still has that version: the ETag that was read with it goes along. What the device
 * reports in between does not change the ETag, and so does no harm to a write.
 */
async function write(hub: Hub, update: ShadowUpdate, signal: AbortSignal | undefined): Promise<ShadowWritten | 'conflict'> {
  const { thing, desired, version } = update;
  const doing = `update twin of ${thing}`;
  const path = pathOf(update);
  const etag = version === null ? '*' : await etagOf(hub, { place: update, version }, signal);
  if (etag === null) return 'conflict';
  const answer = await call(
    hub,
    { operation: 'update', doing, method: 'PATCH', path, headers: { 'if-match': `"${etag}"` }, body: { properties: { desired } } },
    signal,
  );
  hub.remembered.delete(thing);
  if (answer.status === 412) return 'conflict';
  if (answer.status !== 200) throw azureRefusal(answer.status, doing);
  const value = jsonIn(answer.bytes);
  const twin = readTwin(value);
  const at = desiredAt(value);
  if (twin === null || twin.document.version === null || at === null) throw unreadable(update);
  remember(hub, thing, twin);
  return { version: twin.document.version, at };
}

/** The ETag of that version; null where the twin has another one by now. One that was forgotten is read again. */
async function etagOf(
  hub: Hub,
  { place, version }: { readonly place: ShadowPlace; readonly version: number },
  signal: AbortSignal | undefined,
): Promise<string | null> {
  if (!hub.remembered.has(place.thing)) await get(hub, place, signal);
  const known = hub.remembered.get(place.thing);
  return known?.version === version ? known.etag : null;
}

async function search(hub: Hub, { query, shadow, next }: ShadowQuery, signal: AbortSignal | undefined): Promise<FoundPage> {
  const where = query === '*' ? '' : ` WHERE ${query}`;
  const headers = { 'x-ms-max-item-count': String(PAGE), ...(next === null ? {} : { 'x-ms-continuation': next }) };
  const body = { query: `SELECT * FROM devices${where}` };
  const doing = 'query twins';
  const answer = await call(hub, { operation: 'search', doing, method: 'POST', path: '/devices/query', headers, body }, signal);
  if (answer.status !== 200) throw azureRefusal(answer.status, doing);
  const twins = jsonIn(answer.bytes);
  if (!Array.isArray(twins)) throw new WireError('SHADOW_UNREADABLE', 'later', `${doing}: the answer is no list`);
  const found = twins.flatMap((value: unknown): FoundPage['found'] => {
    const twin = readTwin(value);
    const thing = (value as { readonly deviceId?: unknown } | null)?.deviceId;
    if (twin === null || typeof thing !== 'string') return [];
    return [{ thing, document: shadow === null ? twin.document : null, connected: twin.connected, connectedSince: null }];
  });
  const continuation = answer.headers['x-ms-continuation'] ?? '';
  return { found, next: continuation === '' ? null : continuation };
}

function unreadable({ thing }: ShadowPlace): WireError {
  return new WireError('SHADOW_UNREADABLE', 'later', `twin of ${thing}: the answer is no twin`);
}

function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
