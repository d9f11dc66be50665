import { decide } from '#rollout/decide.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { reportedFor } from '#observe/reported.ts';
import { makePlan } from '#plan/plan.ts';
import { syntheticDeclared, syntheticFamily, syntheticReport, syntheticView } from '#test/support/synthetic.ts';

/** One case of the plan bench, in a process of its own so that its memory is its own. */
export interface PlanCase {
  readonly floor: number;
  readonly whole: number;
  readonly ratio: number;
  /** Resident set after the rounds, MB. */
  readonly residentMb: number;
}

const ROUNDS = 7;
const NOW = 1_790_000_200_000;

async function measure(devices: number, drift: number): Promise<PlanCase> {
  // Only its releases matter: what the groups run now.
  const old = syntheticDeclared({ devices: 10, version: '1.0.0' });
  const declared = syntheticDeclared({ devices, version: '2.0.0' });
  const drifting = { share: drift, version: '1.0.0' };
  const documents = Array.from({ length: devices }, (_, row) => JSON.stringify(syntheticReport(declared, row, drifting)));
  const view = syntheticView(declared, old);
  const families = new Map([['synthetic', syntheticFamily]]);
  const whole = (): number => {
    const reported = reportedFor(declared, parseAll(documents));
    const plan = makePlan({ declared, reported, view, families, older: new Map() });
    const decision = decide({ plan, declared, reported, view, families, now: NOW, nextPassMs: null, genesis: false });
    return decision.admitted.length + decision.held.length;
  };
  const floor = (): number => documents.reduce((sum, text) => sum + (JSON.parse(text) as ReportedDevice).device.length, 0);
  const times = { floor: [] as number[], whole: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    times.floor.push(await time(floor));
    times.whole.push(await time(whole));
  }
  const [floorMs, wholeMs] = [median(times.floor), median(times.whole)];
  const residentMb = Math.round(process.resourceUsage().maxRSS / 1024);
  return { floor: floorMs, whole: wholeMs, ratio: wholeMs / floorMs, residentMb };
}

function* parseAll(documents: readonly string[]): Generator<ReportedDevice> {
  for (const text of documents) yield JSON.parse(text) as ReportedDevice;
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

const [devices, drift] = process.argv.slice(2).map(Number);
if (devices === undefined || drift === undefined) throw new Error('plan-case DEVICES DRIFT');
process.stdout.write(JSON.stringify(await measure(devices, drift)));
