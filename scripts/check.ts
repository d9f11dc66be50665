import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

interface Step {
  readonly name: string;
  /** Arguments for the Node that runs this file. */
  readonly args: readonly string[];
}

interface Outcome {
  readonly step: Step;
  readonly code: number;
  readonly output: string;
  readonly ms: number;
}

const SOURCES = ['src', 'test', 'scripts', 'bench', 'vitest.config.ts', 'rolldown.config.ts'];

const oxfmt = fileURLToPath(new URL('bin/oxfmt', import.meta.resolve('oxfmt/package.json')));
const oxlint = fileURLToPath(new URL('bin/oxlint', import.meta.resolve('oxlint/package.json')));

const STEPS: readonly Step[] = [
  { name: 'format', args: [oxfmt, '--check', ...SOURCES] },
  { name: 'lint', args: [oxlint, '--type-aware', '--deny-warnings', ...SOURCES] },
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '-p', '.', '--incremental', '--tsBuildInfoFile', '.cache/tsc.tsbuildinfo'] },
  { name: 'dead code', args: ['node_modules/knip/bin/knip.js', '--no-progress', '--treat-config-hints-as-errors'] },
  { name: 'tests', args: ['scripts/check-tests.ts'] },
];

function run(step: Step): Promise<Outcome> {
  const began = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, step.args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('close', (code) => {
      resolve({ step, code: code ?? 1, output: Buffer.concat(chunks).toString('utf8'), ms: performance.now() - began });
    });
  });
}

/** Runs the steps side by side, as many as there are processors, and prints them in their own order. */
async function main(): Promise<void> {
  const only = process.argv.slice(2);
  const steps = only.length === 0 ? STEPS : STEPS.filter((step) => only.includes(step.name));
  const waiting = [...steps];
  const outcomes = new Map<string, Outcome>();
  const worker = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) outcomes.set(step.name, await run(step));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  for (const step of steps) {
    const outcome = outcomes.get(step.name);
    if (outcome === undefined) continue;
    const failed = outcome.code !== 0;
    console.log(`${failed ? 'FAIL' : 'ok  '} ${step.name.padEnd(10)} ${(outcome.ms / 1000).toFixed(1)} s`);
    if (failed) {
      console.log(outcome.output.trimEnd());
      process.exitCode = 1;
    }
  }
}

await main();
