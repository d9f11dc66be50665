import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ScaledClock } from '#sim/clock.ts';
import { buildAction } from '#test/support/action-run.ts';
import { startExampleWorld } from '#test/support/example-world.ts';
import type { ExampleWorld } from '#test/support/example-world.ts';

/** The bundle exists so that a job starts sooner: it may not be slower than the sources it is made of. */
const LIMIT = 1;

const ROUNDS = 9;
const UNBUNDLED = 'plan of fleet-example, node src/action/main.ts';
const BUNDLED = 'plan of fleet-example, the bundle';

/**
 * A plan of the example network in a new process, as a workflow runs it: the bundle against the same work unbundled, both
 * with all devices on real sockets. Rounds are interleaved and the lower quartiles compared.
 */
export async function actionBench(): Promise<{ name: string; results: { label: string; ms: number }[]; ratio: number; limit: number }> {
  const bundle = await buildAction();
  const world = await startExampleWorld(new ScaledClock(Date.now(), 60));
  try {
    await world.change('groups/vehicles.yaml', [['canedge2@01.08.05', 'canedge2@01.09.03']]);
    const programs: readonly (readonly [string, string])[] = [
      [UNBUNDLED, resolve('src/action/main.ts')],
      [BUNDLED, bundle.path],
    ];
    const samples = new Map<string, number[]>(programs.map(([label]) => [label, []]));
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [label, program] of programs) {
        const ms = await plan(program, world);
        // The first of each fills the caches of the file system.
        if (round > 0) samples.get(label)?.push(ms);
      }
    }
    const results = [...samples].map(([label, times]) => ({ label, ms: lowerQuartile(times) }));
    const [unbundled, bundled] = results.map(({ ms }) => ms);
    return { name: 'action', results, ratio: (bundled ?? Number.NaN) / (unbundled ?? Number.NaN), limit: LIMIT };
  } finally {
    await world.close();
    bundle.close();
  }
}

async function plan(program: string, world: ExampleWorld): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
  const [output, summary] = [join(dir, 'output'), join(dir, 'summary')];
  writeFileSync(output, '');
  writeFileSync(summary, '');
  const env = {
    ...world.env,
    PATH: process.env['PATH'] ?? '',
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    RUNNER_TEMP: dir,
    INPUT_COMMAND: 'plan',
  };
  const began = performance.now();
  const child = spawn(process.execPath, [program], {
    env: { ...env, GITHUB_WORKSPACE: world.dir, GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary },
    cwd: resolve('.'),
    stdio: 'ignore',
  });
  const code = await new Promise<number>((settle) => child.on('close', (status) => settle(status ?? -1)));
  const ms = performance.now() - began;
  rmSync(dir, { recursive: true, force: true });
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return ms;
}

function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? Number.NaN;
}
