import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Bench } from 'tinybench';

/** `--help` may cost so many times what a bare Node does: with Node 24 on PATH, and with the one in the cache. */
const LIMIT_ON_PATH = 1.6;
const LIMIT_CACHED = 2;

const ROUNDS = 15;
const BARE = 'bare node -e 0';
const ON_PATH = 'headgate --help, Node 24 on PATH';
const CACHED = 'headgate --help, Node 24 in the cache';

/**
 * Start of the CLI against a bare Node of the same version. Rounds are interleaved and the lower
 * quartiles compared: whatever else the machine does can only make a start slower. The ratio and the
 * limit are those with Node on PATH; the label of the other case carries its own.
 */
export async function startBench(): Promise<{ name: string; results: { label: string; ms: number }[]; ratio: number; limit: number }> {
  const tools = mkdtempSync(join(tmpdir(), 'headgate-tools-'));
  try {
    const system = '/usr/bin:/bin';
    const withNode = `${dirname(process.execPath)}:${system}`;
    const cases: (readonly [string, () => void])[] = [
      [BARE, () => start(process.execPath, ['-e', '0'], withNode)],
      [ON_PATH, () => start('bin/headgate', ['--help'], withNode)],
    ];
    const without = pathWithoutNode(tools);
    if (without !== null) cases.push([CACHED, () => start('bin/headgate', ['--help'], without)]);
    const typical = await interleaved(cases);
    const [floor = 1, onPath = Number.NaN, cached] = cases.map(([name]) => typical.get(name) ?? Number.NaN);
    const results = [
      { label: BARE, ms: floor },
      { label: ON_PATH, ms: onPath },
    ];
    if (cached !== undefined) results.push({ label: `${CACHED} (${(cached / floor).toFixed(2)} x, limit ${LIMIT_CACHED} x)`, ms: cached });
    return { name: 'start', results, ratio: onPath / floor, limit: LIMIT_ON_PATH };
  } finally {
    rmSync(tools, { recursive: true, force: true });
  }
}

async function interleaved(cases: readonly (readonly [string, () => void])[]): Promise<ReadonlyMap<string, number>> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const bench = new Bench({ iterations: 2, time: 0, warmup: round === 0, warmupIterations: 2, warmupTime: 0 });
    for (const [name, call] of cases) bench.add(name, call);
    await bench.run();
    for (const task of bench.tasks) {
      if (task.result.state === 'errored') throw task.result.error;
      if (task.result.state === 'completed') samples.set(task.name, [...(samples.get(task.name) ?? []), task.result.latency.min]);
    }
  }
  return new Map(
    [...samples].map(([name, values]) => [name, values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? Number.NaN]),
  );
}

function start(command: string, args: readonly string[], path: string): void {
  const { status } = spawnSync(command, args, { env: { PATH: path, HOME: tmpdir() }, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}

/** What the launcher needs of a system, and no Node; null where no Node lies in the cache. */
function pathWithoutNode(folder: string): string | null {
  if (!existsSync('.cache') || !process.execPath.includes('.cache')) return null;
  for (const tool of ['sh', 'dirname', 'readlink', 'uname', 'cat', 'mkdir']) {
    const found = ['/usr/bin', '/bin'].map((dir) => join(dir, tool)).find((path) => existsSync(path));
    if (found !== undefined) symlinkSync(found, join(folder, tool));
  }
  return folder;
}
