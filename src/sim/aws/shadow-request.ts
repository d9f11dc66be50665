import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { isObject, type JsonObject } from './shadow-document.ts';
import type { ShadowSwitches } from './switches.ts';

export type ShadowErrorCode = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 503;

export interface ShadowProblem {
  readonly code: ShadowErrorCode;
  readonly message: string;
  /** That of the request, where one could be read. */
  readonly clientToken: string | null;
}

export interface UpdateRequest {
  /** null: both sections go. A section that is null goes; one that is undefined is not named. */
  readonly state: { readonly desired?: JsonObject | null; readonly reported?: JsonObject | null } | null;
  readonly version: number | null;
  readonly clientToken: string | null;
}

/** A request over HTTP may have so many bytes; one over MQTT is cut off by the broker before. */
const MAX_REQUEST_BYTES = 128 * 1024;
const MAX_TOKEN_BYTES = 64;
/** Keys and arrays together. What AWS says to arrays in arrays beyond that is not known; it keeps recursions off the stack's end. */
const MAX_NESTING = 500;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const TOO_LARGE = 'The payload exceeds the maximum size allowed';

/** Reads an update in the order of checks of aws-iot.md §18.2; the version lock and the size after the merge come later. */
export function readUpdate(
  bytes: Uint8Array,
  rules: Pick<ShadowSwitches, 'depthLimit' | 'deltaKeyInRequest'>,
): Result<UpdateRequest, ShadowProblem> {
  const read = readObject(bytes);
  if (!read.ok) return read;
  const request = read.value;
  const clientToken = tokenOf(request);
  const refuse = (message: string, code: ShadowErrorCode = 400): Result<never, ShadowProblem> => err({ code, message, clientToken });
  const state = request['state'];
  if (state === undefined) return refuse('Missing required node: state');
  if (state !== null && !isObject(state)) return refuse('State node must be an object');
  if (request['clientToken'] !== undefined && clientToken === null) return refuse('Invalid clientToken');
  const version = request['version'] ?? null;
  if (request['version'] !== undefined && !isVersion(version)) return refuse('Invalid version');
  const lock = isVersion(version) ? version : null;
  if (state === null) return ok({ state, version: lock, clientToken });
  const problem = sectionProblem(state, rules);
  if (problem !== null) return refuse(problem.message, problem.code);
  const { desired, reported } = state as { readonly desired?: JsonObject | null; readonly reported?: JsonObject | null };
  const sections = { ...(desired === undefined ? {} : { desired }), ...(reported === undefined ? {} : { reported }) };
  return ok({ state: sections, version: lock, clientToken });
}

/** Reads the body of a get or delete: nothing, or an object with a client token. What else is in it is not looked at. */
export function readPlain(bytes: Uint8Array): Result<{ readonly clientToken: string | null }, ShadowProblem> {
  if (bytes.length === 0) return ok({ clientToken: null });
  const read = readObject(bytes);
  if (!read.ok) return read;
  const clientToken = tokenOf(read.value);
  if (read.value['clientToken'] !== undefined && clientToken === null)
    return err({ code: 400, message: 'Invalid clientToken', clientToken });
  return ok({ clientToken });
}

function readObject(bytes: Uint8Array): Result<JsonObject, ShadowProblem> {
  const refuse = (code: ShadowErrorCode, message: string): Result<never, ShadowProblem> => err({ code, message, clientToken: null });
  const text = decoded(bytes);
  if (text === null) return refuse(415, 'Unsupported documented encoding; supported encoding is UTF-8');
  if (bytes.length > MAX_REQUEST_BYTES) return refuse(413, TOO_LARGE);
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? ok(value) : refuse(400, 'Invalid JSON');
  } catch {
    return refuse(400, 'Invalid JSON');
  }
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

function tokenOf(request: JsonObject): string | null {
  const token = request['clientToken'];
  return typeof token === 'string' && Buffer.byteLength(token) <= MAX_TOKEN_BYTES ? token : null;
}

function isVersion(value: Json): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function sectionProblem(
  state: JsonObject,
  rules: Pick<ShadowSwitches, 'depthLimit' | 'deltaKeyInRequest'>,
): { readonly code: ShadowErrorCode; readonly message: string } | null {
  const known = rules.deltaKeyInRequest === 'ignore' ? ['desired', 'reported', 'delta'] : ['desired', 'reported'];
  const stranger = Object.keys(state).find((key) => !known.includes(key));
  if (stranger !== undefined) return { code: 400, message: `State contains an invalid node: '${stranger}'` };
  for (const [key, name] of Object.entries({ desired: 'Desired', reported: 'Reported' })) {
    const section = state[key];
    if (section !== undefined && section !== null && !isObject(section)) return { code: 400, message: `${name} node must be an object` };
  }
  const shapes = [state['desired'], state['reported']].map((section) => shapeOf(section ?? {}));
  if (shapes.some(({ nullInArray }) => nullInArray)) return { code: 400, message: 'Invalid JSON' };
  if (shapes.some(({ depth, nesting }) => depth > rules.depthLimit || nesting > MAX_NESTING)) {
    return { code: 400, message: `JSON contains too many levels of nesting; maximum is ${rules.depthLimit}` };
  }
  return null;
}

interface Shape {
  readonly nullInArray: boolean;
  /** Keys on the longest way down: `{"a":{"b":1}}` has 2 (aws-iot.md §5.8). */
  readonly depth: number;
  /** The same with arrays. */
  readonly nesting: number;
}

/** Without recursion: a request may nest deeper than the stack is. */
function shapeOf(section: Json): Shape {
  let shape: Shape = { nullInArray: false, depth: 0, nesting: 0 };
  const left: { readonly value: Json; readonly depth: number; readonly nesting: number }[] = [{ value: section, depth: 0, nesting: 0 }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, depth, nesting } = next;
    const nullInArray = Array.isArray(value) && value.includes(null);
    shape = {
      nullInArray: shape.nullInArray || nullInArray,
      depth: Math.max(shape.depth, depth),
      nesting: Math.max(shape.nesting, nesting),
    };
    const deeper = Array.isArray(value) ? 0 : 1;
    const members = typeof value === 'object' && value !== null ? Object.values(value) : [];
    for (const member of members) left.push({ value: member ?? null, depth: depth + deeper, nesting: nesting + 1 });
  }
  return shape;
}
