import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { Answer } from '#sim/in-process-get.ts';
import { deviceBody, sortedRecords, type MdashRecord } from './devices.ts';
import { fileIn } from './form.ts';
import type { CallEnd, MdashHub } from './hub.ts';
import type { MdashSwitches } from './switches.ts';

export interface MdashRequest {
  readonly method: string;
  /** Path and query as they stand in the request line. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface MdashEndpointOptions {
  readonly hub: MdashHub;
  readonly switches: MdashSwitches;
  /** Keys of the account; any of them may do anything. */
  readonly keys: Set<string>;
}

const BASE = '/api/v2';

/** The REST API of docs/protocols/shadow-devices.md §5, without a socket. */
export async function answerMdash(options: MdashEndpointOptions, request: MdashRequest): Promise<Answer> {
  const at = URL.parse(request.target, 'http://mdash');
  if (at === null || !at.pathname.startsWith(`${BASE}/`)) return failure(404, 'Not found');
  const bearer = /^Bearer (.+)$/i.exec(request.headers['authorization'] ?? '')?.[1];
  if (!options.keys.has(bearer ?? at.searchParams.get('access_token') ?? '')) return failure(401, 'Unauthorized');
  const labels = at.pathname
    .slice(BASE.length + 1)
    .split('/')
    .map(decoded);
  const [resource, ...rest] = labels;
  if (resource === 'keys') return answerKeys(options, request.method, rest);
  if (resource === 'devices') return await answerDevices(options, request, rest);
  return failure(404, 'Not found');
}

function decoded(label: string): string {
  try {
    return decodeURIComponent(label);
  } catch {
    return label;
  }
}

function answerKeys({ keys }: MdashEndpointOptions, method: string, [key]: readonly string[]): Answer {
  if (method === 'GET' && key === undefined) return json([...keys].toSorted().map((id) => ({ id })));
  if (method === 'POST' && key === undefined) {
    const made = `key-${keys.size + 1}`;
    keys.add(made);
    return json({ id: made });
  }
  if (method === 'DELETE' && key !== undefined) return keys.delete(key) ? json(true) : failure(404, 'No such key');
  return failure(404, 'Not found');
}

async function answerDevices(options: MdashEndpointOptions, request: MdashRequest, rest: readonly string[]): Promise<Answer> {
  const { hub } = options;
  const [id, what, ...more] = rest;
  if (id === undefined) return answerList(hub, request);
  const record = hub.records.get(id);
  if (record === undefined) return failure(404, 'No such device');
  if (what === undefined) return answerDevice(hub, record, request);
  const [method] = more;
  if (what === 'data' && request.method === 'GET') return json(record.data);
  if (what === 'rpc' && method !== undefined && more.length === 1) return await answerCall(options, request, { id, method });
  if (what === 'ota' && request.method === 'POST' && options.switches.ota === 'served') return await answerUpload(options, id, request);
  return failure(404, 'Not found');
}

function answerList(hub: MdashHub, { method, body }: MdashRequest): Answer {
  if (method === 'GET') return json(sortedRecords(hub.records.values()).map((record) => deviceBody(record, hub.isOnline(record.id))));
  if (method !== 'POST') return failure(405, 'Method not allowed');
  const wanted = bodyOf(body);
  const record = hub.register(`device${hub.records.size + 1}`);
  if (typeof wanted?.['name'] === 'string') record.name = wanted['name'];
  return json({ ...deviceBody(record, hub.isOnline(record.id)), token: record.token });
}

function answerDevice(hub: MdashHub, record: MdashRecord, { method, body }: MdashRequest): Answer {
  if (method === 'DELETE') return json(hub.remove(record.id));
  if (method === 'GET') return json(deviceBody(record, hub.isOnline(record.id)));
  const change = method === 'POST' ? bodyOf(body) : null;
  if (change === null) return failure(400, 'Bad request');
  const { name, shared_with: sharedWith, shadow } = change;
  if (typeof name === 'string') record.name = name;
  if (typeof sharedWith === 'string') record.sharedWith = sharedWith;
  const state = isJsonObject(shadow) && isJsonObject(shadow['state']) ? shadow['state'] : {};
  if (isJsonObject(state['desired'])) hub.desire(record, state['desired']);
  return json(deviceBody(record, hub.isOnline(record.id)));
}

interface Call {
  readonly id: string;
  readonly method: string;
}

async function answerCall(options: MdashEndpointOptions, request: MdashRequest, { id, method }: Call): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'POST') return failure(405, 'Method not allowed');
  const params = request.method === 'POST' && request.body.length > 0 ? parsed(request.body) : null;
  if (params === undefined) return failure(400, 'The parameters are no JSON');
  return endAnswer(await options.hub.call(id, method, params), options.switches);
}

async function answerUpload(options: MdashEndpointOptions, id: string, { headers, body }: MdashRequest): Promise<Answer> {
  const file = fileIn(headers['content-type'] ?? '', body);
  if (file === null) return failure(400, 'No file in the form');
  const end = await options.hub.update(id, file);
  return end === null ? json(true) : endAnswer(end, options.switches);
}

function endAnswer(end: CallEnd, { errors }: MdashSwitches): Answer {
  switch (end.kind) {
    case 'result':
      return json(end.result);
    case 'error':
      return json({ error: end.error }, errors === 'frame' ? 200 : 500);
    case 'offline':
      return failure(503, 'Device is offline');
    case 'timeout':
      return failure(504, 'Device did not answer');
    default:
      return end satisfies never;
  }
}

function bodyOf(body: Uint8Array): JsonObject | null {
  const value = body.length === 0 ? {} : parsed(body);
  return isJsonObject(value) ? value : null;
}

function parsed(body: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as Json;
  } catch {
    return undefined;
  }
}

function json(value: Json, status = 200): Answer {
  const bytes = Buffer.from(JSON.stringify(value));
  return { status, headers: { 'content-type': 'application/json', 'content-length': String(bytes.length) }, bytes };
}

/** A word for people, and no frame: mDash speaks, not the device. */
function failure(status: number, text: string): Answer {
  const bytes = Buffer.from(`${text}\n`);
  return { status, headers: { 'content-type': 'text/plain', 'content-length': String(bytes.length) }, bytes };
}
