import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { MdashDevice, MdashReply } from '#ports/mdash.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';

/** Longer than any text of an error that a device makes. */
const LONGEST_MESSAGE = 512;
/** Members of a whole RPC frame (docs/protocols/shadow-devices.md §4.2). */
const FRAME: ReadonlySet<string> = new Set(['id', 'src', 'dst', 'tag', 'jsonrpc', 'v', 'result', 'error']);

/** The body as JSON, null for an empty one; undefined for what is no JSON, an error page for one. */
export function jsonIn({ bytes }: HttpAnswer): Json | undefined {
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/**
 * What the device said, from the answer to a call. mDash gives its result as the body; whether an error comes as a status,
 * as a frame or both is not known, so each is read. Null where mDash itself speaks and not the device.
 */
export function replyIn(answer: HttpAnswer): MdashReply | null {
  const body = jsonIn(answer);
  const said = errorIn(body);
  if (answer.status >= 200 && answer.status < 300) {
    if (said !== null) return said;
    if (body === undefined) return null;
    return { kind: 'result', result: isFrame(body) ? (body['result'] ?? null) : body };
  }
  const mayBeDevice = answer.status === 400 || answer.status === 404 || answer.status === 500;
  return mayBeDevice && said?.kind === 'error' ? said : null;
}

/** `error` with code 0 is a success whose text is its result (§4.2). */
function errorIn(body: Json | undefined): MdashReply | null {
  if (!isJsonObject(body) || !isJsonObject(body['error']) || Object.keys(body).some((key) => !FRAME.has(key))) return null;
  const { code } = body['error'];
  if (typeof code !== 'number' || !Number.isSafeInteger(code)) return null;
  const message = textOf(body['error']['message']);
  return code === 0 ? { kind: 'result', result: message } : { kind: 'error', code, message };
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' ? value.slice(0, LONGEST_MESSAGE) : null;
}

function isFrame(body: Json): body is JsonObject {
  return (
    isJsonObject(body) && Object.hasOwn(body, 'result') && Object.hasOwn(body, 'id') && Object.keys(body).every((key) => FRAME.has(key))
  );
}

/** The list of `GET /devices`; null when it is none. What has no id is left out. */
export function devicesIn(body: Json | undefined): readonly MdashDevice[] | null {
  if (!Array.isArray(body)) return null;
  return (body as readonly Json[]).flatMap((one): readonly MdashDevice[] => {
    if (!isJsonObject(one) || typeof one['id'] !== 'string' || one['id'] === '') return [];
    const { id, online, shadow } = one;
    const state = isJsonObject(shadow) && isJsonObject(shadow['state']) ? shadow['state'] : {};
    const seconds = isJsonObject(shadow) ? shadow['timestamp'] : undefined;
    return [
      {
        id,
        online: typeof online === 'boolean' ? online : null,
        reported: isJsonObject(state['reported']) ? state['reported'] : null,
        at: typeof seconds === 'number' && Number.isFinite(seconds) ? Math.floor(seconds * 1000) : null,
      },
    ];
  });
}

/** What mDash's own status means for who asked; its text is not repeated. */
export function statusError(host: string, status: number, doing: string): WireError {
  if (status >= 200 && status < 300) return new WireError('BAD_ANSWER', 'later', `mDash at ${host}: its answer to ${doing} cannot be read`);
  const text = `mDash at ${host}: ${doing}: ${STATUS_TEXT[status] ?? `status ${status}`}`;
  return new WireError(`MDASH_${status}`, status === 429 || status >= 500 ? 'later' : 'never', text);
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  401: 'the key is not accepted (401)',
  403: 'the key may not do this (403)',
  404: 'the account has no such device (404)',
  429: 'too many calls (429)',
};
