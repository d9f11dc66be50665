import { randomUUID } from 'node:crypto';
import { canonicalJson } from '#kit/canonical.ts';
import { type ChainHead, EMPTY_HEAD } from '#ledger/chain.ts';
import { type LeaseCell, type LeaseRow, NO_LEASE } from '#ledger/lease.ts';
import { digest } from '#model/ids.ts';
import { LedgerError } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import { type LedgerPlace, backOff, isPassing } from './s3-place.ts';

const HEAD_KEY = 'head.json';
const WITNESS_KEY = 'witness.json';
const FORMAT = 'headgate-ledger';
const VERSION = 1;
/** How often a change of the head is tried: losers of a race begin anew, lost answers are looked into. */
const ATTEMPTS = 7;

/**
 * The one object that decides: the lease and the end of the chain, swapped together by ETag. Whoever appends puts the
 * fence and the commit into the same write, so no append lands under a lease that another has taken.
 */
export interface Head {
  readonly lease: LeaseRow;
  readonly chain: ChainHead;
  /** Tells who wrote it: after a lost answer its writer finds its own. */
  readonly nonce: string;
  /** Null when there is no head yet. */
  readonly etag: string | null;
}

const NO_HEAD: Head = { lease: NO_LEASE, chain: EMPTY_HEAD, nonce: '', etag: null };

/** The head as it is now; one with `etag: null` when nothing was ever written. Throws LedgerError when it is none. */
export async function readHead(place: LedgerPlace): Promise<Head> {
  const found = await place.get(HEAD_KEY);
  if (found === 'missing') return NO_HEAD;
  const value = parsed(found.bytes, place.name(HEAD_KEY));
  const [lease, records] = [value['lease'], value['records']];
  if (!isLease(lease) || !isChainHead(records)) throw new LedgerError('BROKEN_CHAIN', `${place.name(HEAD_KEY)} is damaged`);
  const hash = records.hash === null ? null : digest(records.hash);
  return { lease, chain: { seq: records.seq, hash }, nonce: String(value['nonce']), etag: found.etag };
}

function parsed(bytes: Uint8Array, name: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new LedgerError('BROKEN_CHAIN', `${name} is damaged: it is not JSON`);
  }
  if (typeof value !== 'object' || value === null || !('format' in value) || value.format !== FORMAT) {
    throw new LedgerError('NOT_A_LEDGER', `${name} was not written by Headgate; name another prefix`);
  }
  const head = value as Readonly<Record<string, unknown>>;
  const version = head['version'];
  if (typeof version === 'number' && version > VERSION) {
    throw new LedgerError('TOO_NEW', `${name} has version ${version}; this engine reads up to ${VERSION}: use a newer Headgate`);
  }
  return head;
}

function isLease(value: unknown): value is LeaseRow {
  if (typeof value !== 'object' || value === null) return false;
  const lease = value as Readonly<Record<string, unknown>>;
  const numbered = Number.isSafeInteger(lease['fencing']) && Number.isSafeInteger(lease['beat']);
  return numbered && typeof lease['holder'] === 'string' && typeof lease['held'] === 'boolean';
}

function isChainHead(value: unknown): value is { readonly seq: number; readonly hash: string | null } {
  if (typeof value !== 'object' || value === null) return false;
  const { seq, hash } = value as Readonly<Record<string, unknown>>;
  return Number.isSafeInteger(seq) && (seq === 0 ? hash === null : typeof hash === 'string');
}

/** What to do about the head that was found: write another lease or end of the chain, or end with an answer. */
export type HeadStep<T> =
  | { readonly kind: 'put'; readonly lease: LeaseRow; readonly chain: ChainHead; readonly answer: T }
  | { readonly kind: 'end'; readonly answer: T };

interface HeadChange<T> extends HeadAccess {
  readonly decide: (head: Head, tried: { readonly nonce: string; readonly before: boolean }) => HeadStep<T> | Promise<HeadStep<T>>;
}

/** The head, read with whatever the reader checks of it. */
export interface HeadAccess {
  readonly place: LedgerPlace;
  readonly read: () => Promise<Head>;
}

/**
 * Changes the head by compare-and-swap. `decide` is asked anew for each head that is found; `tried` says that an earlier
 * try of this change may have been done. A 5xx or a lost answer means perhaps done (radosgw answers many who lose a race
 * with 500): the head is read again, and what stands there decides. A try that was overtaken can never land later: its
 * ETag is gone for good.
 */
export async function changeHead<T>({ place, read, decide }: HeadChange<T>): Promise<T> {
  const nonce = randomUUID();
  let trouble: WireError | null = null;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    // The first look back is made at once: it costs a round trip anyhow.
    if (trouble !== null && attempt > 1) await backOff(place.clock, attempt - 1);
    try {
      const head = await read();
      const step = await decide(head, { nonce, before: attempt > 0 });
      if (step.kind === 'end') return step.answer;
      const condition = head.etag === null ? { ifAbsent: true } : { ifMatch: head.etag };
      const written = await place.put(HEAD_KEY, headText(step, nonce), { contentType: 'application/json', ...condition });
      if (written !== 'conflict') return step.answer;
      trouble = null;
    } catch (error) {
      if (!isPassing(error)) throw error;
      trouble = error;
    }
  }
  throw trouble ?? new WireError('S3_CONTENDED', 'later', `${place.name(HEAD_KEY)} changes faster than it can be written`);
}

function headText({ lease, chain }: { readonly lease: LeaseRow; readonly chain: ChainHead }, nonce: string): string {
  return `${canonicalJson({ format: FORMAT, version: VERSION, nonce, lease, records: chain })}\n`;
}

/**
 * An empty head in the place of the one that is there, readable or not, if it is still that one; another runner that was
 * faster has done the same. Throws LedgerError NOT_A_LEDGER when it turned into something else.
 */
export async function replaceHead(place: LedgerPlace, lease: LeaseRow): Promise<void> {
  const text = headText({ lease, chain: EMPTY_HEAD }, randomUUID());
  const found = await place.get(HEAD_KEY);
  const condition = found === 'missing' ? { ifAbsent: true } : { ifMatch: found.etag };
  try {
    if ((await place.put(HEAD_KEY, text, { contentType: 'application/json', ...condition })) !== 'conflict') return;
  } catch (error) {
    if (!isPassing(error)) throw error;
  }
  const head = await readHead(place);
  if (head.chain.seq === 0 && head.etag !== null) return;
  throw new WireError('S3_CONTENDED', 'later', `${place.name(HEAD_KEY)} was written by somebody else; begin again`);
}

/** The lease in the head. `beforeTaking` is asked before each write. */
export function leaseCell(access: HeadAccess, beforeTaking: () => Promise<void>): LeaseCell {
  return {
    read: async () => (await access.read()).lease,
    swap: async (seen, next) => {
      await beforeTaking();
      let chain = EMPTY_HEAD;
      const decide = (head: Head, { nonce }: { readonly nonce: string }): HeadStep<boolean> => {
        chain = head.chain;
        // Only the holder itself writes a renewal, so one that stands there is ours; a lease is taken by whoever wrote it.
        if (head.nonce === nonce || (next.fencing === seen.fencing && sameRow(head.lease, next))) return { kind: 'end', answer: true };
        if (!sameRow(head.lease, seen)) return { kind: 'end', answer: false };
        return { kind: 'put', lease: next, chain, answer: true };
      };
      const swapped = await changeHead({ ...access, decide });
      if (swapped && next.fencing !== seen.fencing) await testify(access.place, { fencing: next.fencing, chain });
      return swapped;
    },
  };
}

function sameRow(a: LeaseRow, b: LeaseRow): boolean {
  return a.fencing === b.fencing && a.beat === b.beat && a.holder === b.holder && a.held === b.held;
}

/** What was once true of the head, kept apart from it: a head that says less was put back to an older state. */
export interface Witness {
  readonly fencing: number;
  readonly chain: ChainHead;
}

/** Written after the head, read before it, so that it never runs ahead. Null when there is none, or none to be read. */
export async function readWitness(place: LedgerPlace): Promise<Witness | null> {
  const found = await place.get(WITNESS_KEY);
  if (found === 'missing') return null;
  try {
    const { fencing, records } = JSON.parse(Buffer.from(found.bytes).toString()) as Readonly<Record<string, unknown>>;
    if (!Number.isSafeInteger(fencing) || !isChainHead(records)) return null;
    return { fencing: Number(fencing), chain: { seq: records.seq, hash: records.hash === null ? null : digest(records.hash) } };
  } catch {
    return null;
  }
}

/** Says what the head holds by now. One that cannot be written takes nothing from the append before it. */
export async function testify(place: LedgerPlace, { fencing, chain }: Witness): Promise<void> {
  const text = `${canonicalJson({ fencing, records: chain })}\n`;
  try {
    await place.put(WITNESS_KEY, text, { contentType: 'application/json' });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
}
