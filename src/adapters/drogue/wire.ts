import { err, ok, type Result } from '#kit/result.ts';
import { CborError, CborReader, CborWriter, concat } from './cbor.ts';
import { versionBytes, versionText } from './version.ts';
import { readFields, type Draft } from './wire-fields.ts';
import { usualStatus } from './wire-usual.ts';

/** Statuses as bytes ⇄ typed values: docs/protocols/drogue-dfu.md §1.1. Versions are texts (version.ts). */

/** What a device asks with (§1.1). */
export interface Status {
  readonly version: string;
  /** Largest `data` the device takes; null when it does not say. */
  readonly mtu: number | null;
  readonly correlationId: number | null;
  readonly update: { readonly version: string; readonly offset: number } | null;
}

/** Text keys, integer keys (§1.3), or our own JSON form (§1.5). */
export type Encoding = 'named' | 'packed' | 'json';

export interface ReadStatus {
  readonly status: Status;
  readonly encoding: Encoding;
  /** STATUS_ALIAS: the documented `status` was taken for `update`. NOTHING_IN_STATUS: it could not be. */
  readonly warnings: readonly ('STATUS_ALIAS' | 'NOTHING_IN_STATUS')[];
}

export interface UnreadableStatus {
  /** TOO_OLD: a generation before 2022-06 (§1.6), whose version is still told. */
  readonly code: 'MALFORMED' | 'TOO_LARGE' | 'TOO_OLD';
  readonly message: string;
  readonly version: string | null;
}

/** No status needs more; a broker passes no more either (§2.1). */
export const MAX_STATUS_BYTES = 16 * 1024;

const UPDATE_KEYS = ['version', 'offset'] as const;
const STATUS_KEYS = ['version', 'mtu', 'correlation_id', 'update'] as const;

/** Takes everything that the reference server takes (§1.4), the documented `status`, and JSON (§1.5). Never throws. */
export function decodeStatus(payload: Uint8Array): Result<ReadStatus, UnreadableStatus> {
  if (payload.length > MAX_STATUS_BYTES) {
    return err({ code: 'TOO_LARGE', message: `a status of ${payload.length} bytes`, version: null });
  }
  const first = payload[0];
  // `{`, `"` and white space begin no CBOR status: they are a string of 27 bytes, one of 2, and integers.
  if (first === 0x7b || first === 0x22 || first === 0x20 || first === 0x0a || first === 0x0d || first === 0x09) return jsonStatus(payload);
  try {
    return cborStatus(payload);
  } catch (error) {
    if (!(error instanceof CborError)) throw error;
    return err({ code: 'MALFORMED', message: error.message, version: null });
  }
}

/** A version of an older generation: a text, or an array of integers (§1.6). */
class OldVersion extends CborError {
  readonly version: string;

  constructor(version: string, what: string) {
    super(`the protocol of this device is too old: its version is ${what}`);
    this.version = version;
  }
}

function cborStatus(payload: Uint8Array): Result<ReadStatus, UnreadableStatus> {
  const usual = usualStatus(payload);
  if (usual !== null) return ok({ status: usual, encoding: 'packed', warnings: [] });
  const reader = new CborReader(payload);
  const draft = new StatusDraft();
  try {
    reader.skipTags();
    readFields(reader, STATUS_KEYS, draft);
    if (!reader.atEnd) throw new CborError('there is more behind the status');
    return ok(draft.done());
  } catch (error) {
    if (!(error instanceof OldVersion)) throw error;
    return err({ code: 'TOO_OLD', message: error.message, version: error.version });
  }
}

class StatusDraft implements Draft<(typeof STATUS_KEYS)[number]> {
  #version: string | null = null;
  #mtu: number | null = null;
  #correlationId: number | null = null;
  #update: Status['update'] = null;
  #alias: Status['update'] | 'unreadable' = null;
  #encoding: Encoding = 'packed';

  named(named: boolean): void {
    if (named) this.#encoding = 'named';
  }

  value(key: (typeof STATUS_KEYS)[number], reader: CborReader): void {
    reader.skipTags();
    if (key === 'version') this.#version = readVersion(reader);
    else if (key === 'mtu') this.#mtu = reader.null() ? null : reader.uint32();
    else if (key === 'correlation_id') this.#correlationId = reader.null() ? null : reader.uint32();
    else this.#update = reader.null() ? null : readUpdate(reader);
  }

  foreign(key: string | number, reader: CborReader): void {
    const from = reader.position;
    reader.skip();
    if (key === 'status') this.#alias = aliasOf(reader.slice(from, reader.position));
  }

  done(): ReadStatus {
    const [version, alias] = [this.#version, this.#alias];
    if (version === null) throw new CborError('the version is missing');
    const said = { version, mtu: this.#mtu, correlationId: this.#correlationId };
    if (this.#update !== null || alias === null) {
      return { status: { ...said, update: this.#update }, encoding: this.#encoding, warnings: [] };
    }
    const usable = alias !== 'unreadable';
    const warnings = [usable ? 'STATUS_ALIAS' : 'NOTHING_IN_STATUS'] as const;
    return { status: { ...said, update: usable ? alias : null }, encoding: this.#encoding, warnings };
  }
}

/** The reference passes over `status` whatever it holds, so nothing in it makes a message unreadable. */
function aliasOf(bytes: Uint8Array): Status['update'] | 'unreadable' {
  try {
    const reader = new CborReader(bytes);
    reader.skipTags();
    return reader.null() ? null : readUpdate(reader);
  } catch (error) {
    if (error instanceof CborError) return 'unreadable';
    throw error;
  }
}

function readUpdate(reader: CborReader): { readonly version: string; readonly offset: number } {
  let version: string | null = null;
  let offset: number | null = null;
  readFields(reader, UPDATE_KEYS, {
    value: (key, from) => {
      from.skipTags();
      if (key === 'version') version = readVersion(from);
      else offset = from.uint32();
    },
    foreign: (_key, from) => from.skip(),
  });
  if (version === null || offset === null) throw new CborError('an update needs version and offset');
  return { version, offset };
}

function readVersion(reader: CborReader): string {
  if (reader.kind() === 'text') throw new OldVersion(versionText(Buffer.from(reader.textString(), 'utf8')), 'a text');
  if (reader.kind() === 'array') {
    const bytes: number[] = [];
    reader.array(() => {
      const byte = reader.uint32();
      if (byte > 255) throw new CborError('a version holds what is no byte');
      bytes.push(byte);
    });
    throw new OldVersion(versionText(Uint8Array.from(bytes)), 'an array of integers');
  }
  return versionText(reader.byteString());
}

/** An object, or a text that holds one: what Drogue Cloud makes of JSON (§1.5). */
function jsonStatus(payload: Uint8Array): Result<ReadStatus, UnreadableStatus> {
  const outer = parseJson(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'));
  const value = typeof outer === 'string' ? parseJson(outer) : outer;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return malformed('a JSON status is an object');
  const said = value as Readonly<Record<string, unknown>>;
  const { version, mtu = null, correlation_id: correlationId = null } = said;
  if (typeof version !== 'string') return malformed('the version of a JSON status is a text');
  if (!isOptional(mtu) || !isOptional(correlationId)) return malformed('mtu and correlation_id are whole numbers of 32 bits');
  const update = jsonUpdate(said['update'] ?? said['status'] ?? null);
  if (update === undefined) return malformed('an update needs version and offset');
  const status = { version: textOf(version), mtu, correlationId, update };
  const alias = said['update'] == null && update !== null;
  return ok({ status, encoding: 'json', warnings: alias ? ['STATUS_ALIAS'] : [] });
}

function jsonUpdate(value: unknown): Status['update'] | undefined {
  if (value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value)) return undefined;
  const { version, offset } = value as Readonly<Record<string, unknown>>;
  if (typeof version !== 'string' || !isUint32(offset)) return undefined;
  return { version: textOf(version), offset };
}

/** UTF-8 bytes of a JSON text as the text of a version. */
function textOf(text: string): string {
  return versionText(Buffer.from(text, 'utf8'));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isUint32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function isOptional(value: unknown): value is number | null {
  return value === null || isUint32(value);
}

function malformed(message: string): { readonly ok: false; readonly error: UnreadableStatus } {
  return err({ code: 'MALFORMED', message, version: null });
}

/** What the devices of the reference send (§1.3): definite maps, keys in order, null for what is absent. */
export function encodeStatus(status: Status, encoding: 'named' | 'packed'): Uint8Array {
  const { version, update } = status;
  const running = versionBytes(version);
  const next = update === null ? null : versionBytes(update.version);
  const writer = new CborWriter(96 + running.length + (next?.length ?? 0));
  const key = keyWriter(writer, encoding);
  writer.head(5, 4);
  key(STATUS_KEYS, 'version');
  writer.bytes(running);
  key(STATUS_KEYS, 'mtu');
  writer.optional(status.mtu);
  key(STATUS_KEYS, 'correlation_id');
  writer.optional(status.correlationId);
  key(STATUS_KEYS, 'update');
  if (next === null || update === null) writer.optional(null);
  else {
    writer.head(5, 2);
    key(UPDATE_KEYS, 'version');
    writer.bytes(next);
    key(UPDATE_KEYS, 'offset');
    writer.head(0, update.offset);
  }
  return writer.done();
}

function keyWriter(writer: CborWriter, encoding: 'named' | 'packed'): <Key extends string>(keys: readonly Key[], key: Key) => void {
  return (keys, key) => {
    if (encoding === 'named') writer.name(key);
    else writer.head(0, keys.indexOf(key));
  };
}

/** What an older generation sends (§1.6), for the simulator. */
export function encodeOldStatus(status: Status): Uint8Array {
  const text = Buffer.from(versionBytes(status.version)).toString('utf8');
  const named = encodeStatus({ ...status, version: '', update: null }, 'named');
  const head = new CborWriter(text.length * 4 + 16);
  head.head(5, 4);
  head.name('version');
  head.head(3, Buffer.byteLength(text));
  // Behind the map's head, the key and the empty version of the form that is known.
  return concat([head.done(), Buffer.from(text, 'utf8'), named.subarray(1 + 8 + 1)]);
}
