import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import { digest } from '#model/ids.ts';
import type { RecordBody } from '#model/records.ts';
import { ScaledClock } from '#sim/clock.ts';

/** Appends batches of three until it is killed, and says each acknowledged number on a line of its own. */
async function main(path: string): Promise<void> {
  const store = openSqliteLedger({ path, clock: new ScaledClock(0, 1000) });
  const answer = await store.acquire(`writer ${process.pid}`);
  if (answer.kind !== 'held') throw new Error('busy');
  await store.read();
  for (let round = 0; ; round += 1) {
    const body: RecordBody = {
      type: 'pass',
      commit: `${round}`,
      tree: digest('0'.repeat(64)),
      engine: 'x'.repeat((round * 37) % 3000),
      planned: round,
      at: round,
    };
    const records = await store.append([body, body, body], answer.lease.fencing);
    if (!Array.isArray(records)) throw new Error('refused');
    process.stdout.write(`${records.at(-1).seq}\n`);
  }
}

await main(String(process.argv[2]));
