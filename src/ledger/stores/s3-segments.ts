import { sha256 } from '#kit/digest.ts';
import { type ChainHead, EMPTY_HEAD, type RecordRow } from '#ledger/chain.ts';
import { parseRecordLines, recordLines } from '#ledger/lines.ts';
import { LedgerError } from '#ports/ledger.ts';
import { type LedgerPlace, inParallel, persistently } from './s3-place.ts';

const FOLDER = 'records/';
const CONTENT_TYPE = 'application/x-ndjson';
const DIGITS = 12;

/**
 * An object with some records, `records/LAST-FIRST-HASH.jsonl`: the numbers of its last and first record and the first
 * 16 digits of the last one's hash. The name follows from the content, so to write it twice is to write it once.
 */
export interface Segment {
  readonly key: string;
  readonly first: number;
  readonly last: number;
  readonly hash: string;
  readonly size: number;
}

function numbered(seq: number): string {
  return String(seq).padStart(DIGITS, '0');
}

function shortHash(hash: string | null): string {
  return (hash ?? '').slice(0, 16);
}

function parseKey(key: string, size: number): Segment | null {
  const match = /^records\/(\d{12})-(\d{12})-([0-9a-f]{16})\.jsonl$/.exec(key);
  if (match === null) return null;
  const [, last = '', first = '', hash = ''] = match;
  return { key, first: Number(first), last: Number(last), hash, size };
}

/** The objects that end after record `after`, in order of their last record; those that are no part of the chain too. */
export async function listSegments(place: LedgerPlace, after: number): Promise<readonly Segment[]> {
  const found = await place.list(FOLDER, `${FOLDER}${numbered(after + 1)}`);
  return found.flatMap(({ key, size }) => parseKey(key, size) ?? []);
}

/**
 * Lays rows down as one object, before any head names them. What lies there under the same name is the same, or was
 * damaged: only these rows have that hash, so they may replace it.
 */
export async function writeSegment(place: LedgerPlace, rows: readonly RecordRow[]): Promise<Segment | null> {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return null;
  const text = recordLines(rows);
  const key = `${FOLDER}${numbered(last.seq)}-${numbered(first.seq)}-${shortHash(last.hash)}.jsonl`;
  const written = await persistently(place.clock, async () => {
    const answer = await place.put(key, text, { contentType: CONTENT_TYPE, ifAbsent: true });
    if (answer !== 'conflict' || (await holds(place, key, text))) return true;
    await place.put(key, text, { contentType: CONTENT_TYPE });
    return holds(place, key, text);
  });
  if (!written) throw new LedgerError('BROKEN_CHAIN', `${place.name(key)} does not keep what is written to it`);
  return { key, first: first.seq, last: last.seq, hash: shortHash(last.hash), size: Buffer.byteLength(text) };
}

async function holds(place: LedgerPlace, key: string, text: string): Promise<boolean> {
  const found = await place.get(key);
  return found !== 'missing' && sha256(found.bytes) === sha256(text);
}

/**
 * The rows after `from` up to `to`, in order; null when an object is missing, as happens for a moment while small ones
 * are put together. Rows are not verified yet. Throws LedgerError BROKEN_CHAIN when an object of the chain is damaged.
 */
export async function readRows(
  place: LedgerPlace,
  ends: { readonly from: ChainHead; readonly to: ChainHead },
  listed: readonly Segment[],
): Promise<readonly RecordRow[] | null> {
  const widest = [...widestByEnd(listed.filter((segment) => segment.last <= ends.to.seq)).values()];
  const read = await inParallel(widest, (segment) => readSegment(place, segment));
  const byEnd = new Map(widest.map((segment, index) => [endOf(segment.last, segment.hash), read[index]]));
  const parts: (readonly RecordRow[])[] = [];
  let at: { readonly seq: number; readonly hash: string | null } = ends.to;
  while (at.seq > ends.from.seq) {
    const part = byEnd.get(endOf(at.seq, shortHash(at.hash)));
    if (part === undefined || part === 'missing') return null;
    if (part instanceof LedgerError) throw part;
    const first = part[0];
    if (first === undefined) return null;
    parts.push(part);
    at = { seq: first.seq - 1, hash: first.prev };
  }
  return parts.toReversed().flatMap((part) => part.filter((row) => row.seq > ends.from.seq));
}

function endOf(last: number, hash: string): string {
  return `${last} ${hash}`;
}

/** Of the objects that end with the same record the one that holds most. */
function widestByEnd(listed: readonly Segment[]): ReadonlyMap<string, Segment> {
  const widest = new Map<string, Segment>();
  for (const segment of listed) {
    const end = endOf(segment.last, segment.hash);
    const known = widest.get(end);
    if (known === undefined || segment.first < known.first) widest.set(end, segment);
  }
  return widest;
}

/** A damaged object is an answer, not an error yet: it may be one that was never made part of the chain. */
async function readSegment(place: LedgerPlace, segment: Segment): Promise<readonly RecordRow[] | 'missing' | LedgerError> {
  const name = place.name(segment.key);
  const found = await place.get(segment.key);
  if (found === 'missing') return 'missing';
  try {
    const rows = parseRecordLines(Buffer.from(found.bytes).toString(), name);
    const whole = rows[0]?.seq === segment.first && rows.at(-1)?.seq === segment.last;
    return whole ? rows : new LedgerError('BROKEN_CHAIN', `${name} does not hold the records that its name says`);
  } catch (error) {
    if (error instanceof LedgerError) return error;
    throw error;
  }
}

/** Below this an object counts as small; a larger one is left as it is. */
const SMALL_BYTES = 1024 * 1024;
const COMPACTED_BYTES = 4 * 1024 * 1024;
/** So many small objects are put together: a short run then reads some tens of objects at most. */
export const MANY_SMALL = 64;

export function isSmall(segment: Segment): boolean {
  return segment.size < SMALL_BYTES;
}

/**
 * Puts runs of small objects together into larger ones, and removes what is no part of the chain any more. Each larger
 * object is written and read back before a small one goes; the head is not touched, since only the way in which the
 * records are laid out changes. `rows` are all records of the chain. Gives the number of small objects that are left.
 */
export async function compactSegments(place: LedgerPlace, rows: readonly RecordRow[]): Promise<number> {
  const listed = await listSegments(place, 0);
  const cover = coverOf(listed, rows);
  if (cover === null) return 0;
  const kept: Segment[] = [];
  for (const run of runsOf(cover)) {
    if (run.length === 1) {
      kept.push(...run);
      continue;
    }
    const [first, last] = [run[0]?.first ?? 1, run.at(-1)?.last ?? 0];
    const merged = rows.slice(first - 1, last);
    const written = await writeSegment(place, merged);
    if (written === null || !(await holds(place, written.key, recordLines(merged)))) return cover.filter(isSmall).length;
    kept.push(written);
  }
  const stays = new Set(kept.map((segment) => segment.key));
  // What ends after the last known record may be an append that is under way.
  const gone = listed.filter((segment) => segment.last <= rows.length && !stays.has(segment.key));
  await inParallel(gone, (segment) => place.delete(segment.key));
  return kept.filter(isSmall).length;
}

/** The objects that together hold the chain, in order, the widest taken first from the end; null when there is a gap. */
function coverOf(listed: readonly Segment[], rows: readonly RecordRow[]): readonly Segment[] | null {
  const widest = widestByEnd(listed);
  const cover: Segment[] = [];
  let last = rows.length;
  while (last > EMPTY_HEAD.seq) {
    const segment = widest.get(endOf(last, shortHash(rows[last - 1]?.hash ?? null)));
    if (segment === undefined) return null;
    cover.push(segment);
    last = segment.first - 1;
  }
  return cover.toReversed();
}

/** Neighbours that are small, in runs up to the size of a compacted object; large ones alone. */
function runsOf(cover: readonly Segment[]): readonly (readonly Segment[])[] {
  const runs: Segment[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const segment of cover) {
    const fits = isSmall(segment) && size + segment.size <= COMPACTED_BYTES;
    if (fits) runs.at(-1)?.push(segment);
    else runs.push([segment]);
    size = isSmall(segment) ? (fits ? size : 0) + segment.size : Number.POSITIVE_INFINITY;
  }
  return runs;
}
