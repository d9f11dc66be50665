/** `MAJOR.MINOR.PATCH` as numbers. Two-digit decimals on the wire: `01.09.03` (docs/protocols/canedge-s3.md §1). */
export interface FirmwareVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** Reads `01.09.03`, and `1.9.3` as people write it; undefined for anything else. */
export function parseVersion(text: string): FirmwareVersion | undefined {
  const match = /^(\d{1,2})\.(\d{1,2})\.(\d{1,2})$/.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

/** The device's own spelling: `01.09.03`. */
export function versionText(version: FirmwareVersion): string {
  return [version.major, version.minor, version.patch].map(twoDigits).join('.');
}

/** The config series of a firmware: its `MAJOR.MINOR`, `01.09`. */
export function seriesText(version: FirmwareVersion): string {
  return `${twoDigits(version.major)}.${twoDigits(version.minor)}`;
}

/** The config series of a firmware version given as text, null when it is no version. */
export function seriesOf(firmware: string): string | null {
  const version = parseVersion(firmware);
  return version === undefined ? null : seriesText(version);
}

/** `01.09`, from itself or from `1.9`; undefined for anything else. */
export function parseSeries(text: string): string | undefined {
  const match = /^(\d{1,2})\.(\d{1,2})$/.exec(text);
  return match === null ? undefined : `${twoDigits(Number(match[1]))}.${twoDigits(Number(match[2]))}`;
}

/** Numeric order per part; null when one of the two is no version. */
export function compareVersions(a: string, b: string): number | null {
  const left = parseVersion(a);
  const right = parseVersion(b);
  if (left === undefined || right === undefined) return null;
  return left.major - right.major || left.minor - right.minor || left.patch - right.patch;
}

/** Order of two series in canonical spelling: two digits each, so text order is the numeric one. */
export function compareSeries(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function twoDigits(part: number): string {
  return String(part).padStart(2, '0');
}
