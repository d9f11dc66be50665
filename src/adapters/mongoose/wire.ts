import { sha256 } from '#kit/digest.ts';
import type { Json } from '#kit/canonical.ts';
import type { Content } from '#model/declared.ts';
import { isJsonObject } from '#model/shadow.ts';

/** What a firmware is called: the manifest's `version` and `build_id`, which boards report as fw_version and fw_id (§7). */
export interface FirmwareName {
  readonly version: string;
  readonly buildId: string;
}

const ON_TRIAL = ' (on trial)';
const LONGEST_TEXT = 256;

/** `2.0.1 20261101-120000/main@abc1234`: what a committed firmware is reported as. */
export function firmwareText({ version, buildId }: FirmwareName): string {
  return `${version} ${buildId}`;
}

/** The same firmware, which its board does not keep unless it is committed (docs/protocols/shadow-devices.md §3.4). */
export function onTrial(text: string): string {
  return `${text}${ON_TRIAL}`;
}

/** The firmware that a value says is on trial; null for one that is not. */
export function triedIn(value: string): string | null {
  return value.endsWith(ON_TRIAL) ? value.slice(0, -ON_TRIAL.length) : null;
}

/** Whether two values name one firmware, on trial or not. */
export function isSameFirmware(a: string, b: string): boolean {
  return (triedIn(a) ?? a) === (triedIn(b) ?? b);
}

/** `VERSION BUILD_ID` as a person writes it; null for anything else: a version alone does not tell two builds apart. */
export function readFirmwareName(text: string): FirmwareName | null {
  const [, version, buildId] = /^(\S{1,128}) (\S{1,128})$/.exec(text) ?? [];
  return version === undefined || buildId === undefined ? null : { version, buildId };
}

/** What is kept of a URL: it may hold a signature. */
export function urlDigest(url: string): string {
  return sha256(url).slice(0, 16);
}

/** Boards write their MAC without separators. */
export function macText(mac: string): string {
  return mac.replaceAll(/[:\-.\s]/g, '').toUpperCase();
}

/** What the two calls of a look answer (§4.3). Members that are missing or of another kind are null. */
export interface BoardInfo {
  readonly firmware: FirmwareName | null;
  readonly arch: string | null;
  readonly mac: string | null;
  /** Seconds since it started. */
  readonly uptime: number | null;
  readonly memory: { readonly free: number | null; readonly least: number | null; readonly storage: number | null };
}

export interface BoardStatus {
  readonly state: 'idle' | 'progress' | 'error' | 'success';
  readonly message: string | null;
  readonly isCommitted: boolean;
  readonly progress: number | null;
  /** Seconds; 0 when nothing is on trial. */
  readonly commitTimeout: number | null;
  readonly partition: number | null;
}

const STATES = ['idle', 'progress', 'error', 'success'] as const;

/** The answer to Sys.GetInfo; null for what is none. */
export function readInfo(result: Json): BoardInfo | null {
  if (!isJsonObject(result)) return null;
  return {
    firmware: readNamed(result),
    arch: textOf(result['arch']),
    mac: textOf(result['mac']),
    uptime: countOf(result['uptime']),
    memory: { free: countOf(result['ram_free']), least: countOf(result['ram_min_free']), storage: countOf(result['fs_free']) },
  };
}

/** `fw_version` and `fw_id` of an object, both or nothing. */
export function readNamed(result: Json | undefined): FirmwareName | null {
  if (!isJsonObject(result)) return null;
  const [version, buildId] = [textOf(result['fw_version']), textOf(result['fw_id'])];
  return version === null || buildId === null ? null : readFirmwareName(`${version} ${buildId}`);
}

/** The answer to OTA.Status; null for what is none. */
export function readStatus(result: Json): BoardStatus | null {
  if (!isJsonObject(result)) return null;
  const { state, is_committed: isCommitted } = result;
  const name = typeof state === 'number' ? STATES[state] : undefined;
  if (name === undefined || typeof isCommitted !== 'boolean') return null;
  return {
    state: name,
    message: textOf(result['message']),
    isCommitted,
    progress: countOf(result['progress_percent']),
    commitTimeout: countOf(result['commit_timeout']),
    partition: countOf(result['partition']),
  };
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_TEXT && /^[^\p{Cc}]*$/u.test(value) ? value : null;
}

function countOf(value: Json | undefined): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** What an error text of a board comes to (§3.4): a verdict on the bundle, or trouble that another attempt may not meet. */
export interface Told {
  readonly class: 'verdict' | 'trouble';
  readonly code: string;
}

/** Texts that no second attempt with the same bytes can change; all others may. */
const VERDICTS: readonly (readonly [RegExp, string])[] = [
  [/^Wrong platform/i, 'WRONG_PLATFORM'],
  [
    /^(Malformed archive|Cannot handle compressed|Too long file name|Failed to parse manifest|Required manifest field missing)/i,
    'BAD_BUNDLE',
  ],
  [/^OTA aborted by/i, 'ABORTED_BY_FIRMWARE'],
];
const TROUBLES: readonly (readonly [RegExp, string])[] = [
  [/^(Invalid HTTP response code|Failed to connect|Invalid content-length|Incomplete update package|Not all data)/i, 'DOWNLOAD_FAILED'],
  [/^(Invalid CRC|Digest mismatch)/i, 'DOWNLOAD_FAILED'],
  [/^Failed to init updater/i, 'BUSY'],
];

export function toldBy(message: string | null): Told {
  const text = message ?? '';
  const verdict = VERDICTS.find(([pattern]) => pattern.test(text));
  if (verdict !== undefined) return { class: 'verdict', code: verdict[1] };
  return { class: 'trouble', code: TROUBLES.find(([pattern]) => pattern.test(text))?.[1] ?? 'UPDATE_FAILED' };
}

/** A success that wrote a new firmware, in the words of every generation (§3.4). */
export function isApplied(message: string | null): boolean {
  return /^Update applied/i.test(message ?? '');
}

/** A success that wrote nothing and restarts nothing (§3.4). */
export function appliesNothing(message: string | null): boolean {
  return /^(Not Modified|Version is the same)/i.test(message ?? '');
}

/**
 * A URL that no attempt had before (docs/protocols/shadow-devices.md §3.4, rule 5): presigned and served ones are new each
 * time and take nothing more; one of the artifact's own is given the attempt.
 */
export function freshUrl(url: string, { content, attempt }: { readonly content: Content | null; readonly attempt: string }): string {
  if (content?.kind !== 'url' || content.url !== url) return url;
  const [address = '', ...fragment] = url.split('#');
  const tail = fragment.length === 0 ? '' : `#${fragment.join('#')}`;
  return `${address}${address.includes('?') ? '&' : '?'}attempt=${attempt}${tail}`;
}
