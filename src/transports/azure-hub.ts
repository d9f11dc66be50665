import { SECOND_MS } from '#kit/duration.ts';
import { makeSas } from '#kit/sas.ts';
import { AZURE_IOT, type AzureOperation } from '#model/azure-quotas.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection, HttpAnswer } from '#ports/wires.ts';
import { azureError } from './azure-errors.ts';
import { openHttpExchange, type NetworkExchange } from './http-exchange.ts';
import { TokenBuckets } from './token-bucket.ts';

const API_VERSION = '2021-04-12';
const CALL_LIMIT_MS = 30 * SECOND_MS;
/** A token is good for so long, and made anew when half of it has passed. */
const TOKEN_LIFE_MS = 3600 * SECOND_MS;
/** A page of a hundred twins of at most 72 KB each, with their times. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

export interface AzureHubOptions {
  /** Makes tokens and paces calls. */
  readonly clock: Clock;
  /** In the place of sockets: a hub that answers in this process. */
  readonly exchange?: HttpExchange;
}

export interface HubCall {
  readonly operation: AzureOperation;
  /** Begins the messages of errors. */
  readonly doing: string;
  readonly method: 'GET' | 'PATCH' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** How long the hub itself may wait before it answers, in ms. */
  readonly waitMs?: number;
}

/** The HTTP side of a hub: one call after its throttle, with a token of the connection. */
export interface AzureHub {
  call(call: HubCall, signal: AbortSignal | undefined): Promise<HttpAnswer>;
  close(): Promise<void>;
}

/**
 * A hub over HTTP (docs/protocols/shadow-devices.md §8.4, §8.6). Nothing is sent yet. Throws WireError `BAD_URL`; calls
 * throw `TIMEOUT`, what the network says, or the signal's reason.
 */
export function openAzureHub(connection: AzureIotConnection, { clock, exchange }: AzureHubOptions): AzureHub {
  const own = exchange === undefined ? openServer(connection) : { exchange, close: () => undefined };
  const tokenOf = tokensFor(connection, clock);
  const buckets = new TokenBuckets<AzureOperation>(clock, (operation) => AZURE_IOT.perSecond[operation]);
  return {
    call: async (one, signal) => {
      await buckets.take(one.operation, signal);
      return await send({ exchange: own.exchange, authorization: tokenOf(), limitMs: CALL_LIMIT_MS + (one.waitMs ?? 0) }, one, signal);
    },
    close: () => {
      own.close();
      return Promise.resolve();
    },
  };
}

function openServer({ host, name }: AzureIotConnection): NetworkExchange {
  const server = /^[A-Za-z0-9.-]+(:\d+)?$/.test(host) ? URL.parse(`https://${host}`) : null;
  if (server === null) throw new WireError('BAD_URL', 'never', `connection ${name}: the host is no host name`);
  return openHttpExchange(server, { maxBytes: MAX_ANSWER_BYTES });
}

interface Sending {
  readonly exchange: HttpExchange;
  readonly authorization: string;
  readonly limitMs: number;
}

async function send({ exchange, authorization, limitMs }: Sending, one: HubCall, signal: AbortSignal | undefined): Promise<HttpAnswer> {
  const limit = AbortSignal.timeout(limitMs);
  const body = one.body === undefined ? new Uint8Array() : new TextEncoder().encode(JSON.stringify(one.body));
  try {
    return await exchange({
      method: one.method,
      target: `${one.path}?api-version=${API_VERSION}`,
      headers: {
        authorization,
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

function tokensFor({ host, policy, key }: AzureIotConnection, clock: Clock): () => string {
  const [resource = host] = host.split(':');
  let token: { readonly text: string; readonly madeAt: number } | null = null;
  return () => {
    const now = clock.now();
    if (token !== null && Math.abs(now - token.madeAt) < TOKEN_LIFE_MS / 2) return token.text;
    const text = makeSas({ resource, key, policy, expiry: Math.ceil((now + TOKEN_LIFE_MS) / SECOND_MS) });
    token = { text, madeAt: now };
    return text;
  };
}

/** What an answer says; undefined where it is no JSON. */
export function jsonIn({ bytes }: HttpAnswer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
