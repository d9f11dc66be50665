/**
 * An OS version as loggers write it (docs/protocols/campbell-mqtt.md §8.1). `parts` are at least one number, as many as
 * were written; `build` is the stamp of old and test builds (`2020.12.14.0955`).
 */
export interface OsVersion {
  readonly model: string | null;
  readonly parts: readonly number[];
  readonly build: string | null;
}

/** No version is longer; what comes over the wire is hostile. */
const LONGEST = 80;
/** A third part from here on is a year: old builds write date and time after two parts (§8.1). */
const FIRST_YEAR = 2000;

/** Reads every spelling of §8.1, with or without the model in front; null when it is none of them. */
export function parseOsVersion(text: string): OsVersion | null {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed.length > LONGEST) return null;
  const words = trimmed.split('.');
  const first = words[0] ?? '';
  const model = /^\d+$/.test(first) ? null : first;
  if (model !== null && !/^[A-Za-z][A-Za-z0-9 -]*$/.test(model)) return null;
  const rest = model === null ? words : words.slice(1);
  const numbers = rest[0]?.toLowerCase() === 'std' ? rest.slice(1) : rest;
  if (numbers.length === 0 || numbers.some((word) => !/^\d{1,6}$/.test(word))) return null;
  const parts = numbers.map(Number);
  if ((parts[2] ?? 0) < FIRST_YEAR) return { model, parts, build: null };
  return { model, parts: parts.slice(0, 2), build: numbers.slice(2).join('.') };
}

/** Numerically, missing parts as 0: `08.01` = `8.1` = `8.1.0` (§8.1). The build stamp has no order and is left out. */
export function compareOsVersions(a: OsVersion, b: OsVersion): number {
  const length = Math.max(a.parts.length, b.parts.length);
  for (let index = 0; index < length; index += 1) {
    const difference = (a.parts[index] ?? 0) - (b.parts[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The one spelling used in plans and reports: `CR1000X.8.1.0`, `CR6.10.2.2020.12.14.0955` for a build with a stamp. */
export function osVersionText(version: OsVersion): string {
  const model = version.model === null ? [] : [version.model];
  if (version.build !== null) return [...model, ...version.parts, version.build].join('.');
  const parts = [...version.parts];
  while (parts.length < 3) parts.push(0);
  while (parts.length > 3 && parts.at(-1) === 0) parts.pop();
  return [...model, ...parts].join('.');
}

/**
 * The name under which models share OS files: upper case, without spaces and the radio suffix (`CR310-CELL200` → `CR310`).
 * Whether a CR1000Xe writes `CR1000X` or `CR1000Xe` is not documented, so the two are one.
 */
export function osFamily(model: string): string {
  const bare = model.toUpperCase().replaceAll(' ', '').split('-')[0] ?? '';
  return bare === 'CR1000XE' ? 'CR1000X' : bare;
}

/** Equal versions for one model. A build stamp must agree only where both texts have one. */
export function sameOsVersion(a: string, b: string): boolean {
  if (a === b) return true;
  const left = parseOsVersion(a);
  const right = parseOsVersion(b);
  if (left === null || right === null || compareOsVersions(left, right) !== 0) return false;
  if (left.model !== null && right.model !== null && osFamily(left.model) !== osFamily(right.model)) return false;
  return left.build === null || right.build === null || left.build === right.build;
}
