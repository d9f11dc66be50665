import { DAY_MS, SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import { DEFAULT_HEARTBEAT_SECONDS, DEFAULT_OTA_SECONDS } from './connect.ts';
import type { OnlineSpan } from './facts.ts';
import type { DeviceMemo } from './memo.ts';

/** How regularly a device reports: its spans online, and its usual gap. */
export interface Rhythm {
  readonly gapMs: number | null;
  readonly steadySince: Instant;
  readonly memo: Pick<DeviceMemo, 'online' | 'beats' | 'silences' | 'silentSeen'>;
}

const MAX_SPANS = 8;
const MAX_BEATS = 3;
const MAX_SILENCES = 8;
const SILENCES_COUNT_FOR_MS = 14 * DAY_MS;
const MARGIN_MS = 60 * SECOND_MS;
/** A busy device may stretch its period up to this much. */
const BUSIEST = 5;

/**
 * Folds a heartbeat into what is known of the device's rhythm. A gap of up to twice its usual beat is time online. A
 * longer one is, when every look on the way found the device alive (looks are further apart than heartbeats), worth at
 * most one poll and one heartbeat; when a look found it silent, nothing: a vehicle that slept was not refusing.
 */
export function rhythmOf(before: DeviceMemo, look: { readonly lastModified: Instant }, now: Instant): Rhythm {
  const beatMs = usualBeatMs(before);
  const limit = 2 * beatMs + MARGIN_MS;
  const to = look.lastModified;
  const silentNow = now - to > limit;
  const from = before.lastModified;
  if (from === null) return { gapMs: null, steadySince: to, memo: { online: [[to, to]], beats: [], silences: [], silentSeen: silentNow } };
  if (to <= from) {
    const memo = { online: before.online, beats: before.beats, silences: before.silences, silentSeen: before.silentSeen || silentNow };
    return { gapMs: gapOf({ ...before, ...memo }, from), steadySince: before.steadySince ?? from, memo };
  }
  const gap = to - from;
  const heartbeatMs = periods(before).heartbeatMs;
  const beats = gap <= BUSIEST * heartbeatMs + MARGIN_MS ? [...before.beats, gap].slice(-MAX_BEATS) : before.beats;
  const asleep = gap > limit && before.silentSeen;
  const silences = asleep ? [...before.silences, { at: to, ms: gap }].slice(-MAX_SILENCES) : before.silences;
  const worth = gap <= limit ? gap : asleep ? 0 : Math.min(gap, periods(before).otaMs + heartbeatMs);
  const online = addSpan(before.online, [to - worth, to]);
  const memo = { online, beats, silences, silentSeen: silentNow };
  return { gapMs: gapOf({ ...before, ...memo }, to), steadySince: asleep ? to : (before.steadySince ?? from), memo };
}

function periods(memo: DeviceMemo): { readonly otaMs: number; readonly heartbeatMs: number } {
  const heartbeat = memo.running?.summary.heartbeat ?? DEFAULT_HEARTBEAT_SECONDS;
  const ota = memo.running?.summary.ota ?? DEFAULT_OTA_SECONDS;
  return { otaMs: ota * SECOND_MS, heartbeatMs: (heartbeat || DEFAULT_HEARTBEAT_SECONDS) * SECOND_MS };
}

/** The median of the last beats, never below its configured period. */
function usualBeatMs(memo: DeviceMemo): number {
  const sorted = memo.beats.toSorted((a, b) => a - b);
  return Math.max(sorted[Math.floor(sorted.length / 2)] ?? 0, periods(memo).heartbeatMs);
}

function addSpan(spans: readonly OnlineSpan[], span: OnlineSpan): readonly OnlineSpan[] {
  const newest = spans.at(-1);
  if (newest === undefined || span[0] > newest[1]) return [...spans, span].slice(-MAX_SPANS);
  return [...spans.slice(0, -1), [newest[0], span[1]]];
}

/** Devices that sleep often are used to their longest sleep of two weeks; all others to their beat. */
function gapOf(memo: DeviceMemo, now: Instant): number | null {
  const recent = memo.silences.filter((silence) => now - silence.at <= SILENCES_COUNT_FOR_MS);
  if (recent.length >= 2) return Math.max(...recent.map((silence) => silence.ms));
  return memo.beats.length === 0 ? null : usualBeatMs(memo);
}
