import { canonicalJson, type Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { Reading, ReportedDevice } from '#model/reported.ts';
import { isJsonObject, valueAt, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import { agedAt } from './ages.ts';

/** Longer than any version that a device says. */
const LONGEST_TEXT = 256;
/** A report keeps texts of a document up to this length. */
const LONGEST_KEPT = 200;
/** A reading is a number or a word. */
const LONGEST_READING = 100;

/**
 * A text as a device says it, null for nothing; what is none, too long or not printable is an error in words. `because` says
 * why a number is none: 1.10 and 1.1 are one (docs/protocols/aws-iot.md §5.9).
 */
export function textAt(value: Json | undefined, because = 'numbers lose their zeros'): Result<string | null, string> {
  if (value === undefined || value === null) return ok(null);
  if (typeof value === 'number') return err(`is the number ${value}: ${because}, versions must be texts`);
  if (typeof value !== 'string') return err('is no text');
  if (value.length > LONGEST_TEXT) return err(`has ${value.length} characters`);
  return /^[^\p{Cc}]*$/u.test(value) ? ok(value) : err('has control characters');
}

/** `sha256:0123456789abcdef` of a document, whatever the order of its keys. */
export function documentDigest(document: Json): string {
  return `sha256:${sha256(canonicalJson(document)).slice(0, 16)}`;
}

/** The object in a message; null for what is none. */
export function objectIn(payload: Uint8Array): JsonObject | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** The JSON pointer of a path of keys: `/a~1b/c`. */
export function pointerOf(...keys: readonly string[]): string {
  return keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A value in the index's query language (docs/protocols/aws-iot.md §12). */
export function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** Short plain values of an object. URLs hold signatures: nothing of them is kept. */
export function keptOf(file: JsonObject): JsonObject {
  const kept = Object.entries(file).flatMap(([name, value]): readonly (readonly [string, Json])[] => {
    if (typeof value === 'number' || typeof value === 'boolean') return [[name, value]];
    return typeof value === 'string' && value.length <= LONGEST_KEPT && !/^\w+:\/\//.test(value) ? [[name, value]] : [];
  });
  return Object.fromEntries(kept);
}

/** `measures:` by name, read of `reported`. What is no short plain value is left out. `now` is ours. */
export function measuresOf(
  pointers: ReadonlyMap<string, string>,
  document: ShadowDocument,
  now: Instant,
): Readonly<Record<string, Reading>> {
  const readings = [...pointers].flatMap(([name, pointer]): readonly (readonly [string, Reading])[] => {
    const value = valueAt(document.reported, pointer);
    if ((typeof value !== 'string' || value.length > LONGEST_READING) && typeof value !== 'number' && typeof value !== 'boolean') return [];
    return [[name, { value: String(value), madeNotBefore: agedAt(document.reported, pointer, now) }]];
  });
  return Object.fromEntries(readings);
}

/** Pointers into `reported` at which a device says what it is; null where it does not. */
export interface HardwarePointers {
  readonly serial: string | null;
  readonly model: string | null;
}

/** What the device says it is, and whether that is what is declared. Nothing is written to one that is not. */
export function hardwareOf(
  device: Pick<DeclaredDevice, 'serial' | 'model'>,
  document: ShadowDocument,
  pointers: HardwarePointers,
): Pick<ReportedDevice, 'serial' | 'model' | 'problem'> {
  const [serial, model] = [said(document, pointers.serial), said(document, pointers.model)];
  const strange =
    serial !== null && device.serial !== null && serial !== device.serial
      ? `reports serial ${serial}, ${device.serial} is declared`
      : model !== null && model.toUpperCase() !== device.model.toUpperCase()
        ? `reports model ${model}, ${device.model} is declared`
        : null;
  return { serial, model, problem: strange === null ? null : { reason: 'IDENTITY_MISMATCH', detail: strange } };
}

function said(document: ShadowDocument, pointer: string | null): string | null {
  const text = pointer === null ? null : textAt(valueAt(document.reported, pointer));
  return text?.ok === true ? text.value : null;
}

/** Whether the device has said nothing at all in this shadow. */
export function isSilent(document: ShadowDocument): boolean {
  return Object.keys(document.reported.state).length === 0;
}

/** The thing whose shadow it is: its `address:`, its id without one. */
export function thingOf(device: { readonly id: string; readonly address: string | null }): string {
  return device.address ?? device.id;
}
