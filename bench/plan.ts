import { decide } from '#rollout/decide.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { reportedFor } from '#observe/reported.ts';
import { makePlan } from '#plan/plan.ts';
import { syntheticDeclared, syntheticFamily, syntheticReports, syntheticView } from '#test/support/synthetic.ts';

interface Measured {
  readonly label: string;
  readonly ms: number;
}

const ROUNDS = 7;
const NOW = 1_790_000_200_000;

/**
 * Report documents to decision, over synthetic fleets of four items a device, against JSON.parse of the same documents
 * in the same run. The rounds of both are interleaved and the medians compared, because the machine is noisy.
 */
export async function planBench(): Promise<{ name: string; results: Measured[]; ratio: number; limit: number }> {
  const results: Measured[] = [];
  let judged = Number.NaN;
  for (const { devices, drift } of [
    { devices: 10_000, drift: 0.02 },
    { devices: 10_000, drift: 1 },
    { devices: 100_000, drift: 0.02 },
    { devices: 100_000, drift: 1 },
  ]) {
    const measured = await measure(devices, drift);
    results.push(
      { label: `${devices} devices, ${drift * 100} % drift: JSON.parse`, ms: measured.floor },
      { label: `${devices} devices, ${drift * 100} % drift: documents to decision (${measured.ratio.toFixed(2)} x)`, ms: measured.whole },
    );
    if (devices === 100_000 && drift === 0.02) judged = measured.ratio;
  }
  results.push({ label: `peak resident set, MB`, ms: Math.round(process.resourceUsage().maxRSS / 1024) });
  return { name: 'plan', results, ratio: judged, limit: 2 };
}

async function measure(devices: number, drift: number): Promise<{ floor: number; whole: number; ratio: number }> {
  const old = syntheticDeclared({ devices, version: '1.0.0' });
  const declared = syntheticDeclared({ devices, version: '2.0.0' });
  const documents = syntheticReports(declared, { share: drift, version: '1.0.0' }).map((report) => JSON.stringify(report));
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
  return { floor: floorMs, whole: wholeMs, ratio: wholeMs / floorMs };
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
