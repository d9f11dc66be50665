import { isJsonObject } from '#model/shadow.ts';
import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { BundleFlaw } from './bundle-problem.ts';
import { textOf } from './bundle-zip.ts';

/** One part of a firmware: docs/protocols/shadow-devices.md §7. */
export interface BundlePart {
  readonly name: string;
  readonly type: string | null;
  /** Name of the file that it is written from; null for a part that is only filled. */
  readonly src: string | null;
  /** In bytes, null when not said. */
  readonly size: number | null;
  /** Lower-case hex, null when not said. */
  readonly sha1: string | null;
  readonly sha256: string | null;
  /** Everything the manifest says of it. */
  readonly attributes: { readonly [key: string]: Json | undefined };
}

/** `manifest.json` of a bundle. Devices report `version` as fw_version and `buildId` as fw_id. */
export interface BundleManifest {
  readonly name: string | null;
  readonly platform: string;
  readonly description: string | null;
  readonly version: string;
  readonly buildId: string;
  /** As written, RFC 3339 by convention. */
  readonly buildTimestamp: string | null;
  /** Sorted by name. */
  readonly parts: readonly BundlePart[];
}

/** Guards the reader; boards have a few kilobytes of memory for a manifest. */
export const MANIFEST_MAX_BYTES = 64 * 1024;
/** A real one has about six. */
const MAX_PARTS = 64;
/** What a text of the manifest may have: reports carry it on. */
const MAX_TEXT = 256;

const HEX = { cs_sha1: 40, cs_sha256: 64 } as const;

interface ManifestPlace {
  readonly entry: string;
  readonly offset: number;
}

/** Reads a manifest. Throws BundleFlaw with the answer of a device: `Failed to parse manifest`, `Required manifest field missing`. */
export function readManifest(bytes: Uint8Array, at: ManifestPlace): BundleManifest {
  const document = parsed(bytes);
  if (!isJsonObject(document))
    throw new BundleFlaw('BAD_MANIFEST', 'the manifest is no JSON object', { ...at, deviceText: 'Failed to parse manifest' });
  const manifest = {
    name: optional(document, 'name', at),
    platform: required(document, 'platform', at),
    description: optional(document, 'description', at),
    version: required(document, 'version', at),
    buildId: required(document, 'build_id', at),
    buildTimestamp: optional(document, 'build_timestamp', at),
  };
  return { ...manifest, parts: partsOf(own(document, 'parts'), at) };
}

function parsed(bytes: Uint8Array): Json | undefined {
  const text = textOf(bytes);
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

type Members = { readonly [key: string]: Json | undefined };

/** A member that the text itself has: `constructor` is no member of an empty object. */
function own(members: Members, key: string): Json | undefined {
  return Object.hasOwn(members, key) ? members[key] : undefined;
}

function required(members: Members, key: string, at: ManifestPlace): string {
  const value = optional(members, key, at);
  if (value !== null && value.trim() !== '') return value;
  throw new BundleFlaw('FIELD_MISSING', `the manifest has no ${key}`, { ...at, deviceText: 'Required manifest field missing' });
}

function optional(members: Members, key: string, at: ManifestPlace): string | null {
  const value = own(members, key);
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw new BundleFlaw('BAD_MANIFEST', `${key} of the manifest is no text`, at);
  if (isUnfit(value)) throw new BundleFlaw('BAD_MANIFEST', `${key} of the manifest ${UNFIT}`, at);
  return value;
}

const UNFIT = `is longer than ${MAX_TEXT} characters or has control characters`;

/** What is shown to people and told in reports must be fit for a terminal. */
function isUnfit(text: string): boolean {
  return text.length > MAX_TEXT || /\p{Cc}/u.test(text);
}

function partsOf(value: Json | undefined, at: ManifestPlace): readonly BundlePart[] {
  if (value === undefined || value === null)
    throw new BundleFlaw('FIELD_MISSING', 'the manifest has no parts', { ...at, deviceText: 'Required manifest field missing' });
  if (!isJsonObject(value)) throw new BundleFlaw('BAD_MANIFEST', 'parts of the manifest is no object', at);
  const entries = Object.entries(value).toSorted(([a], [b]) => compareText(a, b));
  if (entries.length === 0) throw new BundleFlaw('FIELD_MISSING', 'the manifest has no part: nothing would be written', at);
  if (entries.length > MAX_PARTS) throw new BundleFlaw('TOO_MANY_PARTS', `the manifest has more than ${MAX_PARTS} parts`, at);
  return entries.map(([name, part]) => partOf(name, part ?? null, at));
}

function partOf(name: string, value: Json, at: ManifestPlace): BundlePart {
  const what = `part ${JSON.stringify(name.slice(0, MAX_TEXT))}`;
  if (!isJsonObject(value)) throw new BundleFlaw('BAD_MANIFEST', `${what} of the manifest is no object`, at);
  if (isUnfit(name)) throw new BundleFlaw('BAD_MANIFEST', `the name of ${what} ${UNFIT}`, at);
  const inPart = (member: string): string => `${member} of ${what}`;
  const size = own(value, 'size') ?? null;
  if (size !== null && !(typeof size === 'number' && Number.isSafeInteger(size) && size >= 0))
    throw new BundleFlaw('BAD_MANIFEST', `${inPart('size')} is no number of bytes`, at);
  return {
    name,
    type: textIn(value, 'type', { at, inPart }),
    src: textIn(value, 'src', { at, inPart }),
    size,
    sha1: sumOf(value, 'cs_sha1', { at, inPart }),
    sha256: sumOf(value, 'cs_sha256', { at, inPart }),
    attributes: value,
  };
}

interface PartPlace {
  readonly at: ManifestPlace;
  inPart(member: string): string;
}

function textIn(members: Members, key: string, { at, inPart }: PartPlace): string | null {
  const value = own(members, key) ?? null;
  if (value !== null && typeof value !== 'string') throw new BundleFlaw('BAD_MANIFEST', `${inPart(key)} is no text`, at);
  if (value !== null && isUnfit(value)) throw new BundleFlaw('BAD_MANIFEST', `${inPart(key)} ${UNFIT}`, at);
  return value;
}

function sumOf(members: Members, key: keyof typeof HEX, place: PartPlace): string | null {
  const value = textIn(members, key, place);
  if (value === null) return null;
  if (value.length !== HEX[key] || !/^[0-9a-fA-F]+$/.test(value))
    throw new BundleFlaw('BAD_MANIFEST', `${place.inPart(key)} is not ${HEX[key]} hex digits`, place.at);
  return value.toLowerCase();
}
