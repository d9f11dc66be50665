import type { Json } from '#kit/canonical.ts';
import { isJsonObject, pointerKeys } from '#model/shadow.ts';
import type { DeviceFacts, FamilyProblem } from '#ports/family.ts';
import type { IndexTerm } from '#shadows/mapped/match.ts';
import type { ItemMapping } from '#shadows/mapped/options.ts';
import type { Write } from '#shadows/mapped/values.ts';

/** What a twin can hold: docs/protocols/shadow-devices.md §8.2. */
const MAX_KEY_BYTES = 1024;
const MAX_TEXT_BYTES = 4096;
const MAX_LEVELS = 10;
const MAX_SECTION_BYTES = 32 * 1024;
const LEAST_INTEGER = -4_503_599_627_370_496;
const MOST_INTEGER = 4_503_599_627_370_495;

/** Why no key of a twin may be called so; null when it may. */
export function keyFlaw(key: string): string | null {
  if (key === '') return 'is empty';
  if (bytesOf(key) > MAX_KEY_BYTES) return `is longer than ${MAX_KEY_BYTES} bytes`;
  const [mark] = /[.$ \p{Cc}]/u.exec(key) ?? [];
  if (mark === undefined) return null;
  return mark === '.' ? 'has a dot' : mark === '$' ? 'has a $' : mark === ' ' ? 'has a space' : 'has a control character';
}

/** The first key on the way of a pointer that cannot be one of a twin, with what is wrong; null for none. */
export function pointerFlaw(pointer: string): string | null {
  for (const key of pointerKeys(pointer) ?? []) {
    const flaw = keyFlaw(key);
    if (flaw !== null) return `its key ${JSON.stringify(key)} ${flaw}`;
  }
  return null;
}

/** Why a twin cannot hold this config where the mapping says; null where it can. */
export function documentProblem(device: DeviceFacts, document: Json | undefined, mapping: ItemMapping): FamilyProblem | null {
  const whose = `the config of ${device.id}`;
  if (!isJsonObject(document)) return { code: 'NOT_A_DOCUMENT', summary: `${whose} is no JSON object`, fix: 'write it as one' };
  const places = mapping.desired.flatMap(([pointer, template]) => (template === '{document}' ? [pointer] : []));
  const above = Math.max(...[mapping.reported, ...places].map((pointer) => (pointerKeys(pointer) ?? []).length));
  const flaw = flawIn(document, '', MAX_LEVELS - above);
  if (flaw !== null) return { code: 'UNFIT_DOCUMENT', summary: `${whose} ${flaw.text}`, fix: flaw.fix };
  const own = twinSize(document);
  const desired = places.reduce((sum, pointer) => sum + own + keysSize(pointer), 0);
  const bytes = Math.max(own + keysSize(mapping.reported), desired);
  if (bytes <= MAX_SECTION_BYTES) return null;
  const summary = `${whose} takes ${bytes} bytes of the ${MAX_SECTION_BYTES} that desired has, and reported too`;
  return { code: 'DOCUMENT_TOO_LARGE', summary, fix: 'write {url} and {sha256} in the place of {document}' };
}

/** The same for one text or number that is written. */
export function valueProblem(device: DeviceFacts, write: Write): FamilyProblem | null {
  if (write.kind === 'document') return null;
  const value = write.kind === 'url' ? write.template : write.value;
  const flaw = flawIn(value, write.pointer, 0);
  if (flaw === null || value === null) return null;
  return { code: 'UNFIT_VALUE', summary: `what is written to desired${write.pointer} of ${device.id} ${flaw.text}`, fix: flaw.fix };
}

interface Flaw {
  readonly text: string;
  readonly fix: string;
}

/** `levels`: so many objects may still be nested in it. */
function flawIn(value: Json | undefined, at: string, levels: number): Flaw | null {
  const place = at === '' ? '/' : at;
  if (value === null || value === undefined) return { text: `has null at ${place}`, fix: 'leave the key out: in a twin null removes' };
  if (typeof value === 'number') return numberFlaw(value, place);
  if (typeof value === 'string') {
    const bytes = bytesOf(value);
    if (bytes <= MAX_TEXT_BYTES) return null;
    return {
      text: `has a text of ${bytes} bytes at ${place}`,
      fix: `keep each text within ${MAX_TEXT_BYTES} bytes, or deliver it by {url}`,
    };
  }
  if (typeof value !== 'object') return null;
  if (Array.isArray(value))
    return firstOf(
      value.map((item: Json, index) => [String(index), item] as const),
      at,
      levels,
    );
  if (levels < 0) return { text: `is nested too deep at ${place}`, fix: `keep it within ${MAX_LEVELS} levels of objects below desired` };
  for (const key of Object.keys(value)) {
    const flaw = key === '__proto__' ? 'is not allowed' : keyFlaw(key);
    if (flaw !== null)
      return { text: `has a key ${JSON.stringify(key)} at ${place}, which ${flaw}`, fix: 'call it otherwise: a twin has no such keys' };
  }
  return firstOf(Object.entries(value), at, levels - 1);
}

function firstOf(entries: readonly (readonly [string, Json | undefined])[], at: string, levels: number): Flaw | null {
  for (const [key, member] of entries) {
    const flaw = flawIn(member, `${at}/${key}`, levels);
    if (flaw !== null) return flaw;
  }
  return null;
}

function numberFlaw(value: number, place: string): Flaw | null {
  const fits = Number.isFinite(value) && (!Number.isInteger(value) || (value >= LEAST_INTEGER && value <= MOST_INTEGER));
  return fits ? null : { text: `has a number at ${place} that a twin does not take`, fix: 'write it as a text' };
}

/** As a hub counts: keys and texts by their bytes without control characters, numbers as 8, booleans as 4. */
export function twinSize(value: Json | undefined): number {
  if (typeof value === 'string') return bytesOf(value.replaceAll(/\p{Cc}/gu, ''));
  if (typeof value === 'number') return 8;
  if (typeof value === 'boolean') return 4;
  if (Array.isArray(value)) return value.reduce<number>((sum, item: Json) => sum + twinSize(item), 0);
  if (!isJsonObject(value)) return 0;
  return Object.entries(value).reduce((sum, [key, member]) => sum + twinSize(key) + twinSize(member), 0);
}

function keysSize(pointer: string): number {
  return (pointerKeys(pointer) ?? []).reduce((sum, key) => sum + twinSize(key), 0);
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Escapes are those of the language: `\'`, `\\`, and `\uXXXX`. */
function quoted(text: string): string {
  const escaped = text.replaceAll(/['\\]/g, String.raw`\$&`);
  return escaped.replaceAll(/\p{Cc}/gu, (mark) => String.raw`\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * A reported value in the query language of a hub (§8.5). What is not there is neither equal nor unequal, so it is asked
 * first whether it is. Null for a key that the language would read otherwise.
 */
export const twinTerm: IndexTerm = (pointer, { text, type }) => {
  if (!/^(\/[A-Za-z_][A-Za-z0-9_]*)+$/.test(pointer)) return null;
  const property = `properties.reported${pointer.replaceAll('/', '.')}`;
  const value = type === 'text' ? `'${quoted(text)}'` : text;
  return `(IS_DEFINED(${property}) AND ${property} = ${value})`;
};
