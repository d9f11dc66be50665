import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

/** What a bench answers: times by label, and the ratio to its floor that is held to a limit. */
interface BenchAnswer {
  readonly name: string;
  readonly results: readonly { readonly label: string; readonly ms: number }[];
  readonly ratio: number;
  /** Null where nothing is promised. */
  readonly limit: number | null;
}

/** Loaded when asked for: what one bench imports must not weigh on another. */
const BENCHES: Readonly<Record<string, () => Promise<BenchAnswer>>> = {
  start: async () => (await import('./start.ts')).startBench(),
  inventory: async () => (await import('./inventory.ts')).inventoryBench(),
  ledger: async () => (await import('./ledger.ts')).ledgerBench(),
  comment: async () => (await import('./comment.ts')).commentBench(),
  action: async () => (await import('./action.ts')).actionBench(),
  plan: async () => (await import('./plan.ts')).planBench(),
  dfu: async () => (await import('./dfu.ts')).dfuBench(),
};

/** Runs the benches by name, prints ratios to the floors of the same run, and fails when one is over its limit. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'string' } } });
  const names = values.only === undefined ? Object.keys(BENCHES) : values.only.split(',');
  const unknown = names.filter((name) => BENCHES[name] === undefined);
  if (unknown.length > 0) {
    console.error(`no bench ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
    process.exitCode = 1;
    return;
  }
  const answers: BenchAnswer[] = [];
  for (const name of names) {
    const answer = await BENCHES[name]?.();
    if (answer === undefined) continue;
    answers.push(answer);
    print(answer);
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(reportOf(answers), null, 2)}\n`);
  if (answers.some(isOver)) process.exitCode = 1;
}

function isOver({ ratio, limit }: BenchAnswer): boolean {
  return limit !== null && !(ratio <= limit);
}

function print(answer: BenchAnswer): void {
  const { name, results, ratio, limit } = answer;
  const verdict = limit === null ? '' : ` of at most ${limit} x${isOver(answer) ? '  OVER' : ''}`;
  console.log(`${name}: ${ratio.toFixed(2)} x${verdict}`);
  for (const { label, ms } of results) console.log(`  ${ms.toFixed(1).padStart(10)} ms  ${label}`);
}

function reportOf(answers: readonly BenchAnswer[]): unknown {
  return {
    node: process.version,
    processors: availableParallelism(),
    benches: answers.map((answer) => ({ ...answer, over: isOver(answer) })),
  };
}

await main();
