import { err, ok, type Result } from '#kit/result.ts';
import type { Json } from '#kit/canonical.ts';
import { modelByMagic, modelByName, modelByType, type CanedgeModel } from './models.ts';
import { parseVersion, seriesText, versionText } from './versions.ts';

/** The header of `firmware.bin`: docs/protocols/canedge-s3.md §6.1. All integers are big-endian. */
const HEADER_BYTES = 40;
/** The vendor's images carry their blocks from here on; what fills the gap is not decoded by any tool. */
const FIRST_BLOCK_AT = 0x40;
const MAX_BLOCK_BYTES = 1024 * 1024;

export interface FirmwareImage {
  readonly model: CanedgeModel;
  /** `01.09.03`. */
  readonly version: string;
  /** `01.09`. */
  readonly series: string;
  /** The embedded Rule Schema and default config, as bytes and parsed. */
  readonly schema: { readonly bytes: Uint8Array; readonly document: Json };
  readonly config: { readonly bytes: Uint8Array; readonly document: Json };
}

export interface ImageProblem {
  readonly code: 'TOO_SHORT' | 'UNKNOWN_MODEL' | 'BAD_VERSION' | 'BAD_BLOCK' | 'OVERLAPPING_BLOCKS' | 'NOT_JSON';
  readonly message: string;
}

/**
 * Reads the header and the two embedded JSON documents of a firmware image. Says nothing of the machine code: its
 * integrity data is not known to anybody but the boot loader.
 */
export function parseFirmwareImage(bytes: Uint8Array): Result<FirmwareImage, ImageProblem> {
  if (bytes.length < HEADER_BYTES) {
    return err({ code: 'TOO_SHORT', message: `a firmware image has at least ${HEADER_BYTES} bytes, this one has ${bytes.length}` });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const model = modelByMagic(view.getUint32(0));
  if (model === undefined) return err({ code: 'UNKNOWN_MODEL', message: 'the first four bytes are those of no known model' });
  const version = { major: view.getUint8(4), minor: view.getUint8(5), patch: view.getUint8(6) };
  if (Math.max(version.major, version.minor, version.patch) > 99) {
    return err({ code: 'BAD_VERSION', message: `version ${version.major}.${version.minor}.${version.patch} has a part above 99` });
  }
  const schemaSpan = { at: view.getUint32(24), length: view.getUint32(28) };
  const configSpan = { at: view.getUint32(32), length: view.getUint32(36) };
  if (schemaSpan.at < configSpan.at + configSpan.length && configSpan.at < schemaSpan.at + schemaSpan.length) {
    return err({ code: 'OVERLAPPING_BLOCKS', message: 'the embedded Rule Schema and config overlap' });
  }
  const schema = readBlock(bytes, schemaSpan, 'Rule Schema');
  if (!schema.ok) return schema;
  const config = readBlock(bytes, configSpan, 'config');
  if (!config.ok) return config;
  return ok({ model, version: versionText(version), series: seriesText(version), schema: schema.value, config: config.value });
}

function readBlock(
  bytes: Uint8Array,
  span: { readonly at: number; readonly length: number },
  name: string,
): Result<{ readonly bytes: Uint8Array; readonly document: Json }, ImageProblem> {
  const end = span.at + span.length;
  if (span.at < HEADER_BYTES || span.length === 0 || span.length > MAX_BLOCK_BYTES || end > bytes.length) {
    return err({ code: 'BAD_BLOCK', message: `the embedded ${name} (${span.length} bytes at ${span.at}) lies outside of the image` });
  }
  const block = bytes.slice(span.at, end);
  try {
    const document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(block)) as Json;
    return ok({ bytes: block, document });
  } catch {
    return err({ code: 'NOT_JSON', message: `the embedded ${name} is not JSON in UTF-8` });
  }
}

export interface ImageParts {
  /** `CANedge2`, or its type code `0000001F`. */
  readonly model: string;
  /** `01.09.03`. */
  readonly version: string;
  /** Text and bytes are embedded as they are, anything else as compact JSON. */
  readonly schema: Json | Uint8Array;
  readonly config: Json | Uint8Array;
  /** Stands for the machine code; 16 bytes of 0xAA when left out. */
  readonly filler?: Uint8Array;
}

/**
 * A synthetic image with the header of §6.1: what tests and simulated devices flash, since the vendor's images may not
 * be handed on. Throws a RangeError for an unknown model or a version that is none.
 */
export function buildFirmwareImage(parts: ImageParts): Uint8Array {
  const model = modelByName(parts.model) ?? modelByType(parts.model);
  if (model === undefined) throw new RangeError(`no CANedge model or type ${parts.model}`);
  const version = parseVersion(parts.version);
  if (version === undefined) throw new RangeError(`no firmware version: ${parts.version}`);
  const schema = blockOf(parts.schema);
  const config = blockOf(parts.config);
  const filler = parts.filler ?? new Uint8Array(16).fill(0xaa);
  const configAt = FIRST_BLOCK_AT + schema.length;
  const image = new Uint8Array(configAt + config.length + filler.length);
  const view = new DataView(image.buffer);
  view.setUint32(0, model.magic);
  image.set([version.major, version.minor, version.patch], 4);
  [FIRST_BLOCK_AT, schema.length, configAt, config.length].forEach((number, index) => view.setUint32(24 + 4 * index, number));
  image.set(schema, FIRST_BLOCK_AT);
  image.set(config, configAt);
  image.set(filler, configAt + config.length);
  return image;
}

function blockOf(part: Json | Uint8Array): Uint8Array {
  if (part instanceof Uint8Array) return part;
  return new TextEncoder().encode(typeof part === 'string' ? part : JSON.stringify(part));
}
