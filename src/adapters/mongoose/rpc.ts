import { createHash } from 'node:crypto';
import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';

/** `rpc.max_frame_size` of a device: what is longer is not read (docs/protocols/shadow-devices.md §4.2). */
export const DEVICE_FRAME_BYTES = 4096;
/** Longer than any reply of a device; what is longer is none. */
const REPLY_FRAME_BYTES = 64 * 1024;
/** Deeper than any frame of a device. */
const MAX_DEPTH = 24;
/** Longer than any text that a device says of an error. */
const LONGEST_MESSAGE = 512;

export type RpcId = number | string;

/** What a caller shows to a device that asks for it (§4.2). */
export interface RpcAuth {
  readonly realm: string;
  readonly username: string;
  readonly nonce: number;
  readonly cnonce: number;
  readonly response: string;
  readonly algorithm?: DigestAlgorithm;
}

export interface RpcRequest {
  /** Null for a notification: it is executed and not answered. */
  readonly id: RpcId | null;
  readonly src: string | null;
  readonly dst: string | null;
  readonly tag: string | null;
  /** Null where the frame names none: the topic may. */
  readonly method: string | null;
  readonly params: JsonObject;
  readonly auth: Json | undefined;
}

/** What came of a call: a value, a text that stands for success (`error.code` 0, §4.2), or an error. */
export type RpcOutcome =
  | { readonly kind: 'result'; readonly value: Json }
  | { readonly kind: 'done'; readonly message: string | null }
  | { readonly kind: 'error'; readonly code: number; readonly message: string | null };

export interface RpcReply {
  readonly id: RpcId;
  readonly src: string | null;
  readonly dst: string | null;
  readonly tag: string | null;
  readonly outcome: RpcOutcome;
}

export interface RpcCall {
  /** Left out for a notification. */
  readonly id?: RpcId;
  /** Answers go to `<src>/rpc`. */
  readonly src?: string;
  readonly dst?: string;
  readonly tag?: string;
  /** Left out where the topic names it. */
  readonly method?: string;
  readonly params?: JsonObject;
  readonly auth?: RpcAuth;
}

/** Where a device takes requests (§4.1). */
export function requestTopic(device: string): string {
  return `${device}/rpc`;
}

/** Where the answers to `src` go (§4.1). */
export function replyTopic(src: string): string {
  return `${src}/rpc`;
}

/** A request frame, members in the order of the transcripts (§4.5). */
export function requestText({ id, src, dst, tag, method, params, auth }: RpcCall): string {
  return JSON.stringify({ id, src, dst, tag, method, params, auth });
}

/** A reply frame: always `id, src, dst, tag?, result|error` (§4.2). */
export function replyText({ id, src, dst, tag, outcome }: RpcReply): string {
  const named = { id, src: src ?? undefined, dst: dst ?? undefined, tag: tag ?? undefined };
  if (outcome.kind === 'result') return JSON.stringify({ ...named, result: outcome.value });
  const code = outcome.kind === 'done' ? 0 : outcome.code;
  return JSON.stringify({ ...named, error: { code, message: outcome.message ?? undefined } });
}

/**
 * A request as the device reads it (§4.2): `args` is an old name of `params`, ids of digits alone are numbers and all others
 * texts. Null for what it drops without a word: no JSON, too long, an id that is neither number nor text, a reply.
 */
export function readRequest(bytes: Uint8Array, maxBytes = DEVICE_FRAME_BYTES): RpcRequest | null {
  const frame = frameOf(bytes, maxBytes);
  if (frame === null || frame['result'] !== undefined || frame['error'] !== undefined) return null;
  const id = frame['id'] === undefined ? null : idOf(frame['id']);
  if (id === undefined) return null;
  const params = frame['params'] ?? frame['args'];
  return {
    id,
    src: textOf(frame['src']),
    dst: textOf(frame['dst']),
    tag: textOf(frame['tag']),
    method: textOf(frame['method']),
    params: isJsonObject(params) ? params : {},
    auth: frame['auth'],
  };
}

/** A reply as a caller reads it; null for what is none. `error` with code 0 is success (§4.2). */
export function readReply(bytes: Uint8Array, maxBytes = REPLY_FRAME_BYTES): RpcReply | null {
  const frame = frameOf(bytes, maxBytes);
  if (frame === null || frame['method'] !== undefined) return null;
  const id = idOf(frame['id']);
  const outcome = outcomeOf(frame);
  if (id === undefined || outcome === null) return null;
  return { id, src: textOf(frame['src']), dst: textOf(frame['dst']), tag: textOf(frame['tag']), outcome };
}

function outcomeOf({ result, error }: JsonObject): RpcOutcome | null {
  if (isJsonObject(error)) {
    const { code } = error;
    const message = typeof error['message'] === 'string' ? error['message'].slice(0, LONGEST_MESSAGE) : null;
    if (typeof code !== 'number' || !Number.isSafeInteger(code)) return null;
    return code === 0 ? { kind: 'done', message } : { kind: 'error', code, message };
  }
  if (error !== undefined && error !== null) return null;
  return result === undefined ? null : { kind: 'result', value: result };
}

function frameOf(bytes: Uint8Array, maxBytes: number): JsonObject | null {
  if (bytes.length === 0 || bytes.length > maxBytes) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return isJsonObject(value) && !deeper(value, MAX_DEPTH) ? value : null;
  } catch {
    return null;
  }
}

function deeper(value: unknown, left: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return left === 0 || Object.values(value).some((member) => deeper(member, left - 1));
}

/** Undefined for what no frame may have. */
function idOf(value: Json | undefined): RpcId | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : String(value);
  if (typeof value !== 'string') return undefined;
  return /^\d{1,15}$/.test(value) ? Number(value) : value;
}

/** An empty text is as good as none. */
function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

export type DigestAlgorithm = 'MD5' | 'SHA-256';

/** What a device asks for with its 401. */
export interface DigestChallenge {
  readonly nonce: number;
  readonly realm: string;
  readonly algorithm: DigestAlgorithm;
}

export interface DigestAccount {
  readonly username: string;
  readonly password: string;
}

const METHOD_AND_URI = 'dummy_method:dummy_uri';

/** The challenge in the text of a 401 (§4.2); null for any other outcome, and for a challenge that is not of this kind. */
export function challengeOf(outcome: RpcOutcome): DigestChallenge | null {
  if (outcome.kind !== 'error' || outcome.code !== 401 || outcome.message === null) return null;
  const told = frameOf(new TextEncoder().encode(outcome.message), LONGEST_MESSAGE);
  if (told === null || told['auth_type'] !== 'digest') return null;
  const { nonce, realm, algorithm = 'MD5' } = told;
  const isKnown = algorithm === 'MD5' || algorithm === 'SHA-256';
  if (!isKnown || typeof realm !== 'string' || typeof nonce !== 'number' || !Number.isSafeInteger(nonce)) return null;
  return { nonce, realm, algorithm };
}

/** The text of a 401 as a device sends it. */
export function challengeText({ nonce, realm, algorithm }: DigestChallenge): string {
  return JSON.stringify({ auth_type: 'digest', nonce, nc: 1, realm, algorithm });
}

/** What to show with the next call; `cnonce` is the caller's own number. */
export function authFor(challenge: DigestChallenge, account: DigestAccount, cnonce: number): RpcAuth {
  const { realm, nonce, algorithm } = challenge;
  const { username } = account;
  const named = { realm, username, nonce, cnonce, response: digestResponse(challenge, account, cnonce) };
  return algorithm === 'MD5' ? named : { ...named, algorithm };
}

/** H(HA1:nonce:1:cnonce:auth:HA2) in lower-case hex, HA1 = H(user:realm:password) (§4.2). */
export function digestResponse({ realm, nonce, algorithm }: DigestChallenge, account: DigestAccount, cnonce: number): string {
  const h = (text: string): string =>
    createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');
  const ha1 = h(`${account.username}:${realm}:${account.password}`);
  return h(`${ha1}:${nonce}:1:${cnonce}:auth:${h(METHOD_AND_URI)}`);
}
