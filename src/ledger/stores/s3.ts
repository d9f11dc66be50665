import { canonicalJson } from '#kit/canonical.ts';
import { type ChainHead, EMPTY_HEAD, type RecordRow, openRow, sealRecords } from '#ledger/chain.ts';
import { LEASE_TTL_MS, type LeaseCell, acquireLease } from '#ledger/lease.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import type { Clock } from '#ports/clock.ts';
import { type AppendProblem, LedgerError, type LedgerStore } from '#ports/ledger.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { isBroken, putAside } from './s3-anew.ts';
import { blobObjects, reportShards } from './s3-beside.ts';
import { type Head, type HeadStep, changeHead, leaseCell, readHead, readWitness, testify } from './s3-head.ts';
import { type LedgerPlace, ledgerPlace } from './s3-place.ts';
import { probeConditions } from './s3-probe.ts';
import { MANY_SMALL, compactSegments, isSmall, listSegments, readRows, writeSegment } from './s3-segments.ts';

export interface S3LedgerOptions {
  /** Opens the bucket; asked at the first use. The ledger closes what it gave. */
  readonly objects: () => Promise<ObjectStore>;
  /** Folder of the ledger in the bucket, with or without a slash at its end. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly leaseTtlMs?: number;
}

/** What this handle knows of the ledger: verified records, so that the next read looks only at what came after. */
interface Known {
  readonly place: LedgerPlace;
  /** One change of the head at a time: renewals and appends of one process would only make each other try again. */
  readonly turn: Queue;
  records: LedgerRecord[];
  chain: ChainHead;
  /** The largest fencing number seen: one that falls shows a head that was put back. */
  fencing: number;
  looked: boolean;
  /** Small objects, as far as this handle has met them. */
  small: number;
  tidying: boolean;
}

type Queue = <T>(work: () => Promise<T>) => Promise<T>;

/** A look meets a compaction at most so often; then something is missing for good. */
const LOOKS = 4;

/**
 * The ledger in a bucket, shared by runners anywhere; the server must honour conditional writes, which is tried out
 * before the first write (NO_CONDITIONS). Nothing is written by a look. Calls throw LedgerError (REWOUND when the head is
 * gone or older than what was written, BROKEN_CHAIN when records are missing or damaged), or WireError of the bucket:
 * an append that ends so is perhaps done, and the next read shows it. See docs/spec/ledger.md for the objects.
 */
export function openS3Ledger(options: S3LedgerOptions): LedgerStore {
  const { clock, leaseTtlMs: ttlMs = LEASE_TTL_MS } = options;
  const place = ledgerPlace(options);
  const turn = oneByOne();
  const known: Known = { place, turn, records: [], chain: EMPTY_HEAD, fencing: 0, looked: false, small: 0, tidying: false };
  const inOrder = oneByOne();
  let probed: Promise<void> | null = null;
  const beforeTaking = (): Promise<void> => {
    probed ??= probeConditions(place).catch((error: unknown) => {
      probed = null;
      throw error;
    });
    return probed;
  };
  const cell = leaseCell({ place, read: () => checkedHead(known) }, beforeTaking);
  const lease: LeaseCell = { read: () => cell.read(), swap: (seen, next) => turn(() => cell.swap(seen, next)) };
  return {
    kind: 's3',
    read: () => inOrder(() => catchUp(known).then(() => [...known.records])),
    head: () => inOrder(() => catchUp(known)),
    append: async (bodies, fencing) => {
      const kept = [...bodies];
      const answer = await inOrder(() => append(known, kept, fencing));
      if (known.small >= MANY_SMALL && !known.tidying) await tidy(known);
      return answer;
    },
    acquire: (holder, signal) => acquireLease(lease, { holder, clock, ttlMs, signal }),
    begun: () => inOrder(async () => (await catchUp(known)).seq > 0),
    beginAnew: () =>
      inOrder(async () => {
        const trouble = await catchUp(known).then(
          () => null,
          (error: unknown) => error,
        );
        if (trouble === null) return;
        if (!isBroken(trouble)) throw trouble;
        await beforeTaking();
        await turn(() => putAside(place));
        Object.assign(known, { records: [], chain: EMPTY_HEAD, fencing: 0, looked: false, small: 0 });
      }),
    reports: reportShards(place),
    blobs: blobObjects(place),
    close: () => place.close(),
  };
}

/** Runs what it is given one after the other, in the order in which it was given. */
function oneByOne(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
}

/**
 * The head, which must say no less than what was known before it was read. One that is gone while records are there, or
 * that was put back, was not written by Headgate: LedgerError REWOUND.
 */
async function checkedHead(known: Known): Promise<Head> {
  const { place, fencing, chain } = known;
  const head = await readHead(place);
  if (head.etag === null) {
    const there = fencing > 0 || (await readWitness(place)) !== null || (await listSegments(place, 0)).length > 0;
    // The first head may have come while we looked at what stands beside it.
    if (there && (await readHead(place)).etag === null) {
      throw new LedgerError('REWOUND', `${place.name('head.json')} is gone, what was written beside it is not`);
    }
    return there ? checkedHead(known) : head;
  }
  const older = head.lease.fencing < fencing || head.chain.seq < chain.seq;
  const other = head.chain.seq === chain.seq && head.chain.hash !== chain.hash;
  if (older || other) throw rewound(known, head);
  known.fencing = Math.max(known.fencing, head.lease.fencing);
  return head;
}

function rewound({ place, chain }: Known, head: Head): LedgerError {
  const until = chain.seq > head.chain.seq ? `record ${chain.seq} was seen before` : 'more was written since';
  return new LedgerError('REWOUND', `${place.name('head.json')} was put back: it ends with record ${head.chain.seq}, and ${until}`);
}

/** Reads and verifies what was added since the last look. */
async function catchUp(known: Known): Promise<ChainHead> {
  const { place } = known;
  known.looked = true;
  for (let look = 0; look < LOOKS; look += 1) {
    // Witness and list before the head: neither can know of more than the head does then.
    const witness = await readWitness(place);
    const listed = await listSegments(place, known.chain.seq);
    const head = await checkedHead(known);
    if (head.etag === null) return EMPTY_HEAD;
    const beyond = listed.some((segment) => segment.first > head.chain.seq + 1);
    if (beyond || contradicts(witness, head)) throw rewound(known, head);
    const ends = { from: known.chain, to: head.chain };
    // A list made after the head has all that the head leads to, unless small objects are put together just then.
    const rows = (await readRows(place, ends, listed)) ?? (await readRows(place, ends, await listSegments(place, known.chain.seq)));
    if (rows === null) continue;
    accept(known, rows);
    if (known.chain.hash !== head.chain.hash) break;
    known.small += listed.filter((segment) => segment.last <= head.chain.seq && isSmall(segment)).length;
    return known.chain;
  }
  throw new LedgerError('BROKEN_CHAIN', `records after number ${known.chain.seq} are missing in ${place.name('records/')}`);
}

function contradicts(witness: Awaited<ReturnType<typeof readWitness>>, head: Head): boolean {
  if (witness === null) return false;
  if (witness.fencing > head.lease.fencing || witness.chain.seq > head.chain.seq) return true;
  return witness.chain.seq === head.chain.seq && witness.chain.hash !== head.chain.hash;
}

function accept(known: Known, rows: readonly RecordRow[]): void {
  const added: LedgerRecord[] = [];
  let head = known.chain;
  for (const row of rows) {
    const record = openRow(row, head);
    added.push(record);
    head = { seq: record.seq, hash: record.hash };
  }
  for (const record of added) known.records.push(record);
  known.chain = head;
}

type Appended = readonly LedgerRecord[] | AppendProblem;

async function append(known: Known, bodies: readonly RecordBody[], fencing: number): Promise<Appended> {
  if (!known.looked) await catchUp(known);
  const { place, chain: expected } = known;
  const sealed = sealRecords(bodies, expected, fencing);
  const last = sealed.at(-1)?.record;
  const chain = last === undefined ? expected : { seq: last.seq, hash: last.hash };
  const records = sealed.map(({ record }) => record);
  const rows = sealed.map(({ row }) => row);
  let laid = false;
  const decide = async (head: Head, { before }: { readonly before: boolean }): Promise<HeadStep<Appended>> => {
    if (before && (await landed(known, head, chain))) return { kind: 'end', answer: records };
    if (head.lease.fencing !== fencing) {
      const message = `fencing number ${fencing} is not that of the lease (${head.lease.fencing})`;
      return { kind: 'end', answer: { code: 'FENCED', message } };
    }
    if (head.chain.seq !== expected.seq) {
      const message = `the ledger ends with record ${head.chain.seq}, not ${expected.seq} as last read`;
      return { kind: 'end', answer: { code: 'MOVED', message } };
    }
    if (last === undefined) return { kind: 'end', answer: records };
    // Before the head that names it: a crash in between leaves an object that no head names.
    if (!laid) await writeSegment(place, rows);
    laid = true;
    return { kind: 'put', lease: head.lease, chain, answer: records };
  };
  const answer = await known.turn(() => changeHead({ place, read: () => checkedHead(known), decide }));
  if (answer !== records || last === undefined) return answer;
  for (const record of records) known.records.push(record);
  known.chain = chain;
  known.small += 1;
  await testify(place, { fencing, chain });
  return records;
}

/** Whether an append whose answer was lost is part of the chain: at its end, or with others after it. */
async function landed(known: Known, head: Head, chain: ChainHead): Promise<boolean> {
  if (head.chain.seq <= chain.seq) return head.chain.seq === chain.seq && head.chain.hash === chain.hash;
  const listed = await listSegments(known.place, known.chain.seq);
  const rows = await readRows(known.place, { from: known.chain, to: head.chain }, listed);
  if (rows === null) throw new WireError('S3_CHANGING', 'later', `${known.place.name('records/')} changes while it is read`);
  return rows.some((row) => row.seq === chain.seq && row.hash === chain.hash);
}

/** What was appended stands whether this succeeds or not, and the next append tries again. */
async function tidy(known: Known): Promise<void> {
  known.tidying = true;
  try {
    known.small = await compactSegments(known.place, known.records.map(rowOf));
  } catch (error) {
    if (!(error instanceof WireError || error instanceof LedgerError)) throw error;
  } finally {
    known.tidying = false;
  }
}

function rowOf(record: LedgerRecord): RecordRow {
  const { version, seq, fencing, prev, hash, body } = record;
  return { version, seq, fencing, prev, hash, body: canonicalJson(body) };
}
