import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until, type DaemonFleet } from './daemon-fleet.ts';
import { samplesOf } from './daemon-run.ts';

/** `headgate daemon` as a process of its own. */
export interface DaemonProcess {
  readonly url: string;
  /** Everything it logged, line by line. */
  log(): string;
  metrics(): Promise<ReadonlyMap<string, number>>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>;
}

/** Starts it on a free port, with a state folder for each `--instance`, and waits until it is ready. */
export async function startDaemonProcess(fleet: DaemonFleet, flags: readonly string[]): Promise<DaemonProcess> {
  const instance = flags[flags.indexOf('--instance') + 1] ?? 'only';
  const state = join(fleet.state, flags.includes('--instance') ? instance : 'only');
  const args = ['daemon', '--repo', fleet.dir, '--listen', '0', '--state', state, '--schedule', '* * * * * *', ...flags];
  const child = spawn(process.execPath, ['src/cli/main.ts', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: fleet.dir, ...fleet.env },
  });
  const exited = once(child, 'exit');
  let out = '';
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString('utf8')));
  const url = (): string | undefined => /listens at (\S+)/.exec(out)?.[1];
  await until('the daemon listens', () => {
    if (child.exitCode !== null) throw new Error(`the daemon ended: ${log}`);
    return url() !== undefined;
  });
  const at = url() ?? '';
  await until('the daemon is ready', async () => (await fetch(`${at}/readyz`)).ok);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  return {
    url: at,
    log: () => log,
    metrics: async () => samplesOf(await (await fetch(`${at}/metrics`)).text()),
    kill: () => end('SIGKILL'),
    stop: async () => {
      await end('SIGTERM');
      return child.exitCode;
    },
  };
}
