import { expect } from 'vitest';
import { verifyChain } from '#ledger/chain.ts';
import { digest } from '#model/ids.ts';
import type { RecordBody } from '#model/records.ts';
import type { LedgerStore } from '#ports/ledger.ts';

/** Appends through all handles at once, each reading again when it was too late; gives what each handle finds then. */
export async function appendConcurrently(
  handles: readonly LedgerStore[],
  request: { readonly fencing: number; readonly appends: number },
): Promise<{ readonly wanted: readonly string[]; readonly found: readonly (readonly string[])[] }> {
  const { fencing, appends } = request;
  const body = (name: string): RecordBody => ({
    type: 'pass',
    commit: name,
    tree: digest('0'.repeat(64)),
    engine: '0.1.0',
    planned: 0,
    at: 0,
  });
  const names = Array.from({ length: appends }, (_, index) => `append ${index}`);
  await Promise.all(
    names.map(async (name, index) => {
      const handle = handles[index % handles.length];
      for (;;) {
        await handle?.read();
        const answer = await handle?.append([body(name)], fencing);
        if (answer === undefined || !('code' in answer)) return;
        expect(answer.code).toBe('MOVED');
      }
    }),
  );
  const found: (readonly string[])[] = [];
  for (const handle of handles) {
    const records = await handle.read();
    expect(verifyChain(records).ok).toBe(true);
    found.push(records.map((record) => (record.body.type === 'pass' ? (record.body.commit ?? '') : '')).toSorted());
  }
  return { wanted: names.toSorted(), found };
}
