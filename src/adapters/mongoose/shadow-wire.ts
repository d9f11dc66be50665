import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';

/** How a board writes its update into the shadow (docs/protocols/shadow-devices.md §3.2): oldest, README, 2018 and later. */
export type OtaGeneration = 'flat' | 'readme' | '2018';

/** Names of the `status` numbers of 2018 and later. */
const STATUSES = ['idle', 'progress', 'error', 'success'] as const;
export type OtaStatus = (typeof STATUSES)[number];

/** Longer than any version, id or error text of a board. */
const LONGEST_TEXT = 256;
/** A URL that a board keeps is no longer than the document; one that is presigned with a session token may have thousands of characters. */
const LONGEST_URL = 8192;

/** What a board reports of its update. Members that it does not say are null. */
export interface OtaReport {
  /** Null where nothing of an update is reported at all. */
  readonly generation: OtaGeneration | null;
  /** The last that it took, whether or not it runs that (§3.4, rules 4 and 5). */
  readonly url: string | null;
  readonly status: OtaStatus | null;
  /** `code` of the generations before 2018; its numbers are not documented. */
  readonly code: number | null;
  readonly message: string | null;
  readonly fwVersion: string | null;
  readonly fwId: string | null;
  readonly mac: string | null;
  readonly deviceId: string | null;
  readonly app: string | null;
  readonly arch: string | null;
  readonly isCommitted: boolean | null;
  /** Seconds. */
  readonly commitTimeout: number | null;
  /** The active slot. */
  readonly partition: number | null;
  readonly progressPercent: number | null;
  /** What could not be read, in words: `ota.fw_version is no text`. */
  readonly problems: readonly string[];
}

/** CRC-32 of the thing's name, 8 lower-case hex digits: the same with every message of a board (§3.3). */
export function clientTokenOf(thing: string): string {
  return crc32Hex(new TextEncoder().encode(thing)).toLowerCase();
}

/** The reported section of a board; whatever it holds, with a problem for each member that is not what it should be. */
export function readOta(reported: JsonObject): OtaReport {
  const problems: string[] = [];
  const whole = reported['ota'];
  const isFlat = whole === undefined && FLAT.some((name) => reported[name] !== undefined);
  if (whole !== undefined && !isJsonObject(whole)) problems.push('ota is no object');
  const ota = isJsonObject(whole) ? whole : {};
  const say: Asking = isFlat ? { members: reported, prefix: 'ota_', problems } : { members: ota, prefix: '', problems };
  const common = {
    generation: isFlat ? ('flat' as const) : generationOf(ota),
    url: member(say, 'url', (value) => textOf(value, LONGEST_URL)),
    code: member(say, 'code', wholeNumber),
    message: member(say, 'message', (value) => textOf(value)),
  };
  if (isFlat) return { ...NO_DETAILS, ...common, problems };
  return {
    ...common,
    status: member(say, 'status', statusOf),
    fwVersion: member(say, 'fw_version', textOf),
    fwId: member(say, 'fw_id', textOf),
    mac: member(say, 'mac', textOf),
    deviceId: member(say, 'device_id', textOf),
    app: member(say, 'app', textOf),
    arch: member(say, 'arch', textOf),
    isCommitted: member(say, 'is_committed', truthOf),
    commitTimeout: member(say, 'commit_timeout', countOf),
    partition: member(say, 'partition', countOf),
    progressPercent: member(say, 'progress_percent', countOf),
    problems,
  };
}

const FLAT = ['ota_url', 'ota_code', 'ota_message'] as const;

/** What the oldest generation never says. */
const NO_DETAILS = {
  status: null,
  fwVersion: null,
  fwId: null,
  mac: null,
  deviceId: null,
  app: null,
  arch: null,
  isCommitted: null,
  commitTimeout: null,
  partition: null,
  progressPercent: null,
} as const;

/** The README's has a `code`; a URL alone is of either. */
function generationOf(ota: JsonObject): OtaGeneration | null {
  if (Object.keys(ota).length === 0) return null;
  return ota['code'] !== undefined && ota['status'] === undefined && ota['fw_version'] === undefined ? 'readme' : '2018';
}

interface Asking {
  readonly members: JsonObject;
  readonly prefix: string;
  readonly problems: string[];
}

/** Null where the member is not there, or is not what it should be: then with a problem. */
function member<T>({ members, prefix, problems }: Asking, name: string, as: (value: Json) => Result<T, string>): T | null {
  const key = `${prefix}${name}`;
  const value = Object.hasOwn(members, key) ? members[key] : undefined;
  if (value === undefined || value === null) return null;
  const seen = as(value);
  if (seen.ok) return seen.value;
  problems.push(`${prefix === '' ? 'ota.' : ''}${key} ${seen.error}`);
  return null;
}

function textOf(value: Json, longest = LONGEST_TEXT): Result<string, string> {
  if (typeof value !== 'string') return err('is no text');
  if (value.length > longest) return err(`has ${value.length} characters`);
  return /^[^\p{Cc}]*$/u.test(value) ? ok(value) : err('has control characters');
}

function wholeNumber(value: Json): Result<number, string> {
  return typeof value === 'number' && Number.isSafeInteger(value) ? ok(value) : err('is no whole number');
}

function countOf(value: Json): Result<number, string> {
  const seen = wholeNumber(value);
  return seen.ok && seen.value < 0 ? err('is below zero') : seen;
}

function truthOf(value: Json): Result<boolean, string> {
  return typeof value === 'boolean' ? ok(value) : err('is neither true nor false');
}

function statusOf(value: Json): Result<OtaStatus, string> {
  const name = typeof value === 'number' ? STATUSES[value] : undefined;
  return name === undefined ? err('is none of 0 to 3') : ok(name);
}
