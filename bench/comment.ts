import { makePlan } from '#plan/plan.ts';
import { decide } from '#rollout/decide.ts';
import { reportedFor } from '#observe/reported.ts';
import { syntheticDeclared, syntheticFamily, syntheticReports, syntheticView } from '#test/support/synthetic.ts';
import { planComment } from '#view/comment.ts';

const DEVICES = 10_000;
const ROUNDS = 9;
const NOW = 1_790_000_200_000;

interface BenchAnswer {
  readonly name: string;
  readonly results: readonly { readonly label: string; readonly ms: number }[];
  readonly ratio: number;
  readonly limit: number;
}

/**
 * The comment of a plan in which all of 10,000 devices change, against making that plan from the same values in the same
 * run. The rounds of both are interleaved and their medians compared: telling must cost less than planning.
 */
export async function commentBench(): Promise<BenchAnswer> {
  const old = syntheticDeclared({ devices: 10, version: '1.0.0' });
  const declared = syntheticDeclared({ devices: DEVICES, version: '2.0.0' });
  const reported = reportedFor(declared, syntheticReports(declared, { share: 1, version: '1.0.0' }));
  const view = syntheticView(declared, old);
  const families = new Map([['synthetic', syntheticFamily]]);
  const floor = () => makePlan({ declared, reported, view, families, older: new Map() });
  const plan = floor();
  const decision = decide({ plan, declared, reported, view, families, now: NOW, nextPassMs: null, genesis: false });
  const links = ({ file, line }: { file: string; line: number }): string => `https://git.example.org/fleet/blob/main/${file}#L${line}`;
  const times = { plan: [] as number[], comment: [] as number[] };
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    times.plan.push(await time(() => floor().devices.length));
    times.comment.push(await time(() => (bytes = Buffer.byteLength(planComment({ declared, plan, decision, before: view }, { links })))));
  }
  const [planMs, commentMs] = [median(times.plan), median(times.comment)];
  return {
    name: 'comment',
    results: [
      { label: `${DEVICES} devices, all change: the plan`, ms: planMs },
      { label: `the comment of it, ${bytes} bytes`, ms: commentMs },
    ],
    ratio: commentMs / planMs,
    limit: 1,
  };
}

async function time(work: () => number): Promise<number> {
  globalThis.gc?.();
  await new Promise((resolve) => setImmediate(resolve));
  const began = performance.now();
  const answer = work();
  const took = performance.now() - began;
  if (answer === 0) throw new Error('the bench did nothing');
  return took;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
