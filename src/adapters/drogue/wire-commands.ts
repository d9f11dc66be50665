import { err, ok, type Result } from '#kit/result.ts';
import { CborError, CborReader, CborWriter, concat } from './cbor.ts';
import { versionBytes, versionText } from './version.ts';
import { readFields, readKey } from './wire-fields.ts';
import type { Encoding } from './wire.ts';

/** Commands as bytes ⇄ typed values: docs/protocols/drogue-dfu.md §1.2. Versions are texts (version.ts). */

/** What a device is told (§1.2). `poll` is in seconds. */
export type Command = { readonly correlationId: number | null } & (
  | { readonly kind: 'Wait'; readonly poll: number | null }
  | { readonly kind: 'Sync'; readonly version: string; readonly poll: number | null }
  | { readonly kind: 'Write'; readonly version: string; readonly offset: number; readonly data: Uint8Array }
  /** Raw SHA-256 of the whole image; empty when it is not known. */
  | { readonly kind: 'Swap'; readonly version: string; readonly checksum: Uint8Array }
);

/** Variants by number, and their fields in order (§1.2). */
const VARIANTS = ['Wait', 'Sync', 'Write', 'Swap'] as const;
const FIELDS = {
  Wait: ['correlation_id', 'poll'],
  Sync: ['version', 'correlation_id', 'poll'],
  Write: ['version', 'correlation_id', 'offset', 'data'],
  Swap: ['version', 'correlation_id', 'checksum'],
} as const;

/** Names of the longest command, and heads: what stands around versions, data and checksum. */
const FRAME_BYTES = 96;

/** One message for one device. `data` is copied once, into the message. */
export function encodeCommand(command: Command, encoding: Encoding): Uint8Array {
  const { head, tail } = encodeParts(command, encoding);
  return tail.length === 0 ? head : concat([head, tail]);
}

/** The same in two parts: `tail` is the data of a block as it lies in the image, not copied, and empty for all else. */
export function encodeParts(command: Command, encoding: Encoding): { readonly head: Uint8Array; readonly tail: Uint8Array } {
  if (encoding === 'json') return { head: jsonCommand(command), tail: NO_DATA };
  const version = command.kind === 'Wait' ? null : versionBytes(command.version);
  const body = command.kind === 'Swap' ? command.checksum.length : 0;
  const writer = new CborWriter(FRAME_BYTES + (version?.length ?? 0) + body);
  // A map of exactly one entry, whose first byte is a1: devices compare that byte (§0.3).
  writer.head(5, 1);
  if (encoding === 'named') writer.name(command.kind);
  else writer.head(0, VARIANTS.indexOf(command.kind));
  const fields: readonly string[] = FIELDS[command.kind];
  writer.head(5, fields.length);
  for (const [index, field] of fields.entries()) {
    if (encoding === 'named') writer.name(field);
    else writer.head(0, index);
    writeField(writer, command, field);
  }
  return { head: writer.done(), tail: command.kind === 'Write' ? command.data : NO_DATA };
}

const NO_DATA = new Uint8Array();

/** The data of a block is the last field: its bytes follow in the tail. */
function writeField(writer: CborWriter, command: Command, field: string): void {
  if (field === 'correlation_id') writer.optional(command.correlationId);
  else if (field === 'poll') writer.optional(command.kind === 'Wait' || command.kind === 'Sync' ? command.poll : null);
  else if (field === 'offset') writer.head(0, command.kind === 'Write' ? command.offset : 0);
  else if (field === 'data' && command.kind === 'Write') writer.head(2, command.data.length);
  else if (field === 'checksum' && command.kind === 'Swap') writer.bytes(command.checksum);
  else if (command.kind !== 'Wait') writer.bytes(versionBytes(command.version));
}

function jsonCommand(command: Command): Uint8Array {
  const base = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const correlation_id = command.correlationId;
  const fields = ((): object => {
    switch (command.kind) {
      case 'Wait':
        return { correlation_id, poll: command.poll };
      case 'Sync':
        return { version: command.version, correlation_id, poll: command.poll };
      case 'Write':
        return { version: command.version, correlation_id, offset: command.offset, data: base(command.data).toString('base64') };
      case 'Swap':
        return { version: command.version, correlation_id, checksum: base(command.checksum).toString('hex') };
    }
  })();
  return Uint8Array.from(Buffer.from(JSON.stringify({ [command.kind]: fields })));
}

/** As the reference device reads a command (§1.4, §9.6): for the simulator, and to hold the encoder to it. Never throws. */
export function decodeCommand(payload: Uint8Array): Result<Command, string> {
  try {
    const reader = new CborReader(payload);
    const first = payload[0];
    if (first !== 0xa1 && first !== 0x82) throw new CborError('a command begins with a1');
    let command: Command | null = null;
    if (first === 0xa1) reader.map(() => (command = readVariant(reader)));
    else reader.array((index) => (command = index === 0 ? readVariant(reader) : command));
    if (command === null || !reader.atEnd) throw new CborError('there is more behind the command');
    return ok(command);
  } catch (error) {
    if (!(error instanceof CborError)) throw error;
    return err(error.message);
  }
}

interface CommandFields {
  version?: string;
  correlation_id?: number | null;
  poll?: number | null;
  offset?: number;
  data?: Uint8Array;
  checksum?: Uint8Array;
}

function readVariant(reader: CborReader): Command {
  const key = readKey(reader);
  const kind = typeof key === 'number' ? VARIANTS[key] : VARIANTS.find((one) => one === key);
  if (kind === undefined) throw new CborError(`no command is called ${String(key)}`);
  const fields: CommandFields = {};
  readFields<keyof CommandFields>(reader, FIELDS[kind], {
    value: (field, from) => readCommandField(fields, field, from),
    foreign: (_key, from) => from.skip(),
  });
  return commandOf(kind, fields);
}

function readCommandField(fields: CommandFields, field: keyof CommandFields, reader: CborReader): void {
  reader.skipTags();
  if (field === 'version') fields.version = versionText(reader.byteString(true));
  else if (field === 'offset') fields.offset = reader.uint32();
  else if (field === 'data' || field === 'checksum') fields[field] = reader.byteString(true);
  else fields[field] = reader.null() ? null : reader.uint32();
}

function commandOf(kind: Command['kind'], fields: CommandFields): Command {
  const { version, correlation_id: correlationId = null, poll = null, offset, data, checksum } = fields;
  if (kind === 'Wait') return { kind, correlationId, poll };
  if (version === undefined) throw new CborError('the version is missing');
  if (kind === 'Sync') return { kind, version, correlationId, poll };
  if (kind === 'Write' && offset !== undefined && data !== undefined) return { kind, version, correlationId, offset, data };
  if (kind === 'Swap' && checksum !== undefined) return { kind, version, correlationId, checksum };
  throw new CborError(`a field of ${kind} is missing`);
}
