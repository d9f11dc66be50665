import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { join } from 'node:path';
import type { PlanCase } from './plan-case.ts';

const run = promisify(execFile);

/**
 * Report documents to decision, over synthetic fleets of four items a device, against JSON.parse of the same documents
 * in the same run. Each case runs in a process of its own; the rounds of both are interleaved and their medians compared.
 */
export async function planBench(): Promise<{ name: string; results: { label: string; ms: number }[]; ratio: number; limit: number }> {
  const results: { label: string; ms: number }[] = [];
  let judged = Number.NaN;
  for (const { devices, drift } of [
    { devices: 10_000, drift: 0.02 },
    { devices: 10_000, drift: 1 },
    { devices: 100_000, drift: 0.02 },
    { devices: 100_000, drift: 1 },
  ]) {
    const { stdout } = await run(process.execPath, ['--expose-gc', join(import.meta.dirname, 'plan-case.ts'), `${devices}`, `${drift}`]);
    const measured = JSON.parse(stdout) as PlanCase;
    const name = `${devices} devices, ${drift * 100} % drift`;
    results.push(
      { label: `${name}: JSON.parse`, ms: measured.floor },
      { label: `${name}: documents to decision (${measured.ratio.toFixed(2)} x, ${measured.residentMb} MB resident)`, ms: measured.whole },
    );
    if (devices === 100_000 && drift === 0.02) judged = measured.ratio;
  }
  return { name: 'plan', results, ratio: judged, limit: 2 };
}
