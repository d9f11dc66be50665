import { randomUUID } from 'node:crypto';
import { LedgerError } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import { type LedgerPlace, persistently } from './s3-place.ts';

/** Statuses of servers that know no conditional writes and say so: 400 and 501. */
const UNKNOWN_TO_SERVER: ReadonlySet<string> = new Set(['S3_400', 'S3_501']);

/**
 * Whether the server honours If-None-Match and If-Match on writes, tried out on an object of our own that is removed
 * again: five small requests. Throws LedgerError NO_CONDITIONS when it does not: on such a server two runners would both
 * believe to hold the lease.
 */
export async function probeConditions(place: LedgerPlace): Promise<void> {
  // A new object each time: an answer that was lost leaves it open what lies there.
  const missing = await persistently(place.clock, () => whatIsMissing(place, `probe-${randomUUID()}.txt`));
  if (missing === null) return;
  throw new LedgerError(
    'NO_CONDITIONS',
    `the server of ${place.name('')} ${missing}: a ledger there could be written by two runners at once; use a server with conditional writes, or another store`,
  );
}

async function whatIsMissing(place: LedgerPlace, key: string): Promise<string | null> {
  const written: string[] = [];
  const put = async (text: string, condition: { readonly ifAbsent?: boolean; readonly ifMatch?: string }): Promise<boolean> => {
    const answer = await place.put(key, text, { contentType: 'text/plain', ...condition });
    if (answer === 'conflict') return false;
    written.push(answer.etag);
    return true;
  };
  try {
    if (!(await put('first', { ifAbsent: true }))) return 'refuses If-None-Match where nothing lies';
    if (await put('second', { ifAbsent: true })) return 'ignores If-None-Match on writes';
    const [etag = ''] = written;
    if (!(await put('third', { ifMatch: etag }))) return 'refuses If-Match with the ETag that it gave';
    if (await put('fourth', { ifMatch: etag })) return 'ignores If-Match on writes';
    return null;
  } catch (error) {
    if (error instanceof WireError && UNKNOWN_TO_SERVER.has(error.code)) return 'knows no conditional writes';
    throw error;
  } finally {
    // A leftover is a few bytes under a name that nobody reads.
    await place.delete(key).catch(() => undefined);
  }
}
