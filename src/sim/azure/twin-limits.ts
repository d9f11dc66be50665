import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import { HubError } from './errors.ts';

const MAX_KEY_BYTES = 1024;
const MAX_TEXT_BYTES = 4096;
/** Objects within a section, the section itself not counted. */
const MAX_DEPTH = 10;
const LEAST_INTEGER = -4_503_599_627_370_496;
const MOST_INTEGER = 4_503_599_627_370_495;

export const MOST_BYTES = { tags: 8 * 1024, desired: 32 * 1024, reported: 32 * 1024 } as const;
export type SectionName = keyof typeof MOST_BYTES;

/** Throws HubError ArgumentInvalid for a patch with keys or values that a twin cannot hold (§8.2). */
export function checkPatch(patch: JsonObject): void {
  checkObject(patch, 0);
}

function checkObject(object: JsonObject, depth: number): void {
  if (depth > MAX_DEPTH) throw new HubError('ArgumentInvalid', `Objects are nested deeper than ${MAX_DEPTH} levels`);
  for (const [key, value] of Object.entries(object)) {
    const flaw = keyFlaw(key);
    if (flaw !== null) throw new HubError('ArgumentInvalid', `The key ${JSON.stringify(key)} ${flaw}`);
    checkValue(value, depth + 1);
  }
}

function keyFlaw(key: string): string | null {
  if (key === '') return 'is empty';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `is longer than ${MAX_KEY_BYTES} bytes`;
  return /[.$ \p{Cc}]/u.test(key) ? 'has a character that no key may have' : null;
}

function checkValue(value: unknown, depth: number): void {
  if (typeof value === 'string' && Buffer.byteLength(value) > MAX_TEXT_BYTES)
    throw new HubError('ArgumentInvalid', `A text is longer than ${MAX_TEXT_BYTES} bytes`);
  if (typeof value === 'number' && Number.isInteger(value) && (value < LEAST_INTEGER || value > MOST_INTEGER))
    throw new HubError('ArgumentInvalid', 'An integer is out of range');
  if (Array.isArray(value)) for (const item of value as readonly unknown[]) checkValue(item, depth);
  else if (isJsonObject(value)) checkObject(value, depth);
}

/** Keys and texts by their UTF-8 bytes without control characters, numbers as 8, booleans as 4 (§8.2). */
export function sizeOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value.replaceAll(/\p{Cc}/gu, ''));
  if (typeof value === 'number') return 8;
  if (typeof value === 'boolean') return 4;
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + sizeOf(item), 0);
  if (!isJsonObject(value)) return 0;
  return Object.entries(value).reduce((sum, [key, member]) => sum + sizeOf(key) + sizeOf(member), 0);
}
