import { randomBytes } from 'node:crypto';
import { compareText } from '#kit/diagnostics.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { Mdash, MdashCall, MdashDevice, MdashReply, MdashUpload } from '#ports/mdash.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import { systemClock } from './clock.ts';
import { openHttpExchange } from './http-exchange.ts';
import { Limit } from './limit.ts';
import { devicesIn, jsonIn, replyIn, statusError } from './mdash-answers.ts';
import { Turnstile } from './turnstile.ts';

const BASE = '/api/v2';
const LIST_LIMIT_MS = 30 * SECOND_MS;
/** The list says for so long who is connected: a pass over devices that are off asks for it a few times, not for each. */
const LIST_LIFE_MS = 10 * SECOND_MS;
/** The list of an account of ten thousand devices with their shadows. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** What mDash bears is not known; so many calls of ours are under way at once. */
const CALLS_AT_ONCE = 8;
/** What mDash answers to an upload when it takes none (docs/protocols/shadow-devices.md §11.5). */
const NO_UPLOADS: readonly number[] = [404, 405, 410, 501];
const NOTHING = new Uint8Array();

export interface MdashOptions {
  readonly url: string;
  readonly key: string;
  /** In the place of sockets: an mDash that answers in this process. */
  readonly exchange?: HttpExchange;
  /** Measures the limits of calls; the system's when left out. */
  readonly clock?: Clock;
}

interface Account {
  readonly host: string;
  readonly prefix: string;
  readonly authorization: string;
  readonly clock: Clock;
  readonly limit: Limit;
  readonly turnstile: Turnstile;
  readonly exchange: HttpExchange;
  listed: { readonly at: number; readonly offline: Promise<ReadonlySet<string>> } | null;
}

interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly contentType?: string;
  readonly body?: Uint8Array;
  readonly limitMs: number;
  /** What was sent is not cut off when its time is over: somebody may still be working at it. */
  readonly lingers?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * An account of mDash (docs/protocols/shadow-devices.md §5). The key goes in a header and never over plain HTTP but to this
 * machine. Throws WireError BAD_URL; nothing is sent yet.
 */
export function openMdash({ url, key, exchange, clock = systemClock }: MdashOptions): Mdash {
  const server = serverAt(url);
  const opened = openHttpExchange(server, { maxBytes: MAX_ANSWER_BYTES });
  const account: Account = {
    host: server.host,
    prefix: prefixOf(server),
    authorization: `Bearer ${key}`,
    clock,
    limit: new Limit(clock),
    turnstile: new Turnstile(CALLS_AT_ONCE),
    exchange: exchange ?? opened.exchange,
    listed: null,
  };
  return {
    devices: (signal) => listDevices(account, signal),
    call: (call) => callDevice(account, call),
    upload: (upload) => uploadBundle(account, upload),
    close: () => {
      opened.close();
      return Promise.resolve();
    },
  };
}

function serverAt(url: string): URL {
  const server = URL.parse(url);
  if (server === null || !/^https?:$/.test(server.protocol) || server.search !== '' || server.username !== '')
    throw new WireError('BAD_URL', 'never', 'mDash: its url is no https URL, or has more than host and path');
  if (server.protocol === 'http:' && !/^(localhost|127\.0\.0\.1|\[::1\])$/.test(server.hostname))
    throw new WireError('BAD_URL', 'never', `mDash at ${server.host}: the key would travel in clear, write https://`);
  return server;
}

function prefixOf({ pathname }: URL): string {
  const path = pathname.replace(/\/+$/, '');
  return path.endsWith(BASE) ? path : `${path}${BASE}`;
}

async function listDevices(account: Account, signal: AbortSignal | undefined): Promise<readonly MdashDevice[]> {
  const answer = await exchanged(account, {
    method: 'GET',
    path: '/devices',
    limitMs: LIST_LIMIT_MS,
    ...(signal === undefined ? {} : { signal }),
  });
  if (answer.status !== 200) throw statusError(account.host, answer.status, 'the list of devices');
  const devices = devicesIn(jsonIn(answer));
  if (devices === null) throw new WireError('BAD_ANSWER', 'later', `mDash at ${account.host}: its list of devices is none`);
  return devices.toSorted((a, b) => compareText(a.id, b.id));
}

async function callDevice(account: Account, call: MdashCall): Promise<MdashReply | 'silent'> {
  const { device, method, params, timeoutMs, signal } = call;
  const doing = `${method} of ${device}`;
  const answer = await orSilent(
    exchanged(account, {
      method: params === null ? 'GET' : 'POST',
      path: `/devices/${encodeURIComponent(device)}/rpc/${encodeURIComponent(method)}`,
      ...(params === null ? {} : { contentType: 'application/json', body: new TextEncoder().encode(JSON.stringify(params)) }),
      limitMs: timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  if (answer === 'silent') return 'silent';
  const reply = replyIn(answer);
  if (reply !== null) return reply;
  if (answer.status >= 500 && (await isOffline(account, device))) return 'silent';
  throw statusError(account.host, answer.status, doing);
}

/** What mDash answers for a device that is not connected is not known, and its list says who is not. */
async function isOffline(account: Account, device: string): Promise<boolean> {
  const now = account.clock.monotonicMs();
  if (account.listed === null || now - account.listed.at > LIST_LIFE_MS) account.listed = { at: now, offline: offlineIn(account) };
  return (await account.listed.offline).has(device);
}

async function offlineIn(account: Account): Promise<ReadonlySet<string>> {
  try {
    const devices = await listDevices(account, undefined);
    return new Set(devices.filter(({ online }) => online === false).map(({ id }) => id));
  } catch (error) {
    if (error instanceof WireError) return new Set();
    throw error;
  }
}

async function uploadBundle(account: Account, upload: MdashUpload): Promise<MdashReply | 'silent'> {
  const { device, timeoutMs, signal } = upload;
  const { contentType, body } = formOf(upload);
  const path = `/devices/${encodeURIComponent(device)}/ota`;
  const answer = await orSilent(
    exchanged(account, {
      method: 'POST',
      path,
      contentType,
      body,
      limitMs: timeoutMs,
      lingers: true,
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  if (answer === 'silent') return 'silent';
  const { status } = answer;
  const reply = replyIn(answer);
  if (NO_UPLOADS.includes(status) && reply === null)
    throw new WireError(
      'MDASH_NO_UPLOADS',
      'never',
      `mDash at ${account.host} takes no upload for ${device} (${status}): it does not know the device, or has no /ota any more`,
    );
  if (reply === null) throw statusError(account.host, status, `the upload to ${device}`);
  if (reply.kind === 'result' && reply.result !== true)
    return { kind: 'error', code: status, message: 'mDash answered something else than true to the upload' };
  return reply;
}

/** A form with one field, `file`. The name is for mDash's pages only, so what would end its quotes is left out. */
function formOf({ name, bytes }: MdashUpload): { readonly contentType: string; readonly body: Uint8Array } {
  const boundary = `headgate-${randomBytes(16).toString('hex')}`;
  const shown = name.replaceAll(/[^\w.+-]/g, '_');
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${shown}"\r\ncontent-type: application/zip\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { contentType: `multipart/form-data; boundary=${boundary}`, body };
}

async function orSilent(work: Promise<HttpAnswer>): Promise<HttpAnswer | 'silent'> {
  try {
    const answer = await work;
    return answer.status === 408 || answer.status === 504 ? 'silent' : answer;
  } catch (error) {
    if (error instanceof WireError && error.code === 'TIMEOUT') return 'silent';
    throw error;
  }
}

/** The limit begins when the call does: what waits for its turn is not silent. */
function exchanged(account: Account, exchange: Exchange): Promise<HttpAnswer> {
  const { method, path, contentType, body = NOTHING, limitMs, lingers = false, signal } = exchange;
  const headers = {
    accept: 'application/json',
    authorization: account.authorization,
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
  };
  return account.turnstile.pass(async () => {
    const over = new AbortController();
    const sent = account.exchange({ method, target: account.prefix + path, headers, body, signal: over.signal });
    try {
      return await account.limit.hold(sent, {
        ms: limitMs,
        doing: `${method} ${account.host}`,
        ...(signal === undefined ? {} : { signal }),
      });
    } finally {
      if (!lingers) over.abort(OVER);
    }
  }, signal);
}

/** Ends what is still under way when nobody waits for it any more. */
const OVER = new Error('nobody waits for this answer');
