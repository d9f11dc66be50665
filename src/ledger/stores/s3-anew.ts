import { EMPTY_HEAD } from '#ledger/chain.ts';
import { LedgerError } from '#ports/ledger.ts';
import { type Head, readHead, readWitness, replaceHead, testify } from './s3-head.ts';
import { type LedgerPlace, inParallel, persistently } from './s3-place.ts';

const BROKEN: ReadonlySet<string> = new Set(['REWOUND', 'BROKEN_CHAIN']);

export function isBroken(error: unknown): boolean {
  return error instanceof LedgerError && BROKEN.has(error.code);
}

/**
 * Copies what is left of a ledger below `aside/FENCING/`, puts an empty head in the place of its own, and only then
 * removes the records that were copied. The fencing number goes on, so that nobody who held the old one can write to the
 * new one. Ended half-way it leaves a ledger that is refused as before, and can be done again.
 */
export async function putAside(place: LedgerPlace): Promise<void> {
  const records = await place.list('records/');
  const head = await readHead(place).catch((error: unknown): Head | null => {
    if (isBroken(error)) return null;
    throw error;
  });
  const witness = await readWitness(place);
  const fencing = Math.max(head?.lease.fencing ?? 0, witness?.fencing ?? 0) + 1;
  const kept = [...records.map(({ key }) => key), 'head.json', 'witness.json'];
  await inParallel(kept, (key) => copy(place, key, `aside/${String(fencing).padStart(6, '0')}/${key}`));
  const lease = { fencing, beat: (head?.lease.beat ?? 0) + 1, holder: '', held: false };
  await replaceHead(place, lease);
  await persistently(place.clock, async () => {
    await inParallel(records, ({ key }) => place.delete(key));
    await place.delete('witness.json');
  });
  await testify(place, { fencing, chain: EMPTY_HEAD });
}

async function copy(place: LedgerPlace, from: string, to: string): Promise<void> {
  await persistently(place.clock, async () => {
    const found = await place.get(from);
    if (found !== 'missing') await place.put(to, found.bytes);
  });
}
