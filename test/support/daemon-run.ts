import { runDaemon } from '#daemon/daemon.ts';
import { makeLog } from '#daemon/log.ts';
import { readSettings } from '#daemon/settings.ts';
import type { Clock } from '#ports/clock.ts';
import { systemClock } from '#transports/clock.ts';
import { until, type DaemonFleet } from './daemon-fleet.ts';

/** A daemon in this process, on real time. */
export interface DaemonRun {
  readonly url: string;
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** The samples of `/metrics`, `name{label="value"}` as it stands there. */
  metrics(): Promise<ReadonlyMap<string, number>>;
  reload(): void;
  /** As SIGTERM does; gives the exit code and how long it took. */
  stop(): Promise<{ readonly code: number; readonly ms: number }>;
}

/** Between two looks of the responder whether the broker stalls bursts, and what it is here. */
const LOOK_MS = 60_000;
const LOOK_HERE_MS = 400;

/** Real time, apart from the minute between those looks. */
const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms === LOOK_MS ? LOOK_HERE_MS : ms, signal) };

export type RunFlags = Parameters<typeof readSettings>[0];

/** Starts it on a free port with the fleet's own environment; throws what it throws when it cannot begin. */
export async function startDaemon(
  fleet: DaemonFleet,
  flags: RunFlags = {},
  env: Readonly<Record<string, string>> = {},
): Promise<DaemonRun> {
  const given = { repo: fleet.dir, listen: '0', state: fleet.state, ...flags };
  const settings = readSettings(given, {}, fleet.dir);
  if (!settings.ok) throw new Error(settings.error.join('\n'));
  const stopping = new AbortController();
  const log: Readonly<Record<string, unknown>>[] = [];
  const listening = Promise.withResolvers<string>();
  let reload = (): void => undefined;
  const ended = runDaemon({
    settings: settings.value,
    env: { ...fleet.env, ...env },
    clock,
    signal: stopping.signal,
    log: makeLog({ write: (text) => log.push(JSON.parse(text) as Readonly<Record<string, unknown>>) }, 'debug'),
    onListening: listening.resolve,
    onReload: (act) => (reload = act),
  });
  ended.catch(listening.reject);
  const url = await listening.promise;
  return {
    url,
    log,
    metrics: async () => samplesOf(await (await fetch(`${url}/metrics`)).text()),
    reload: () => reload(),
    stop: async () => {
      const began = performance.now();
      stopping.abort(new Error('SIGTERM'));
      return { code: await ended, ms: performance.now() - began };
    },
  };
}

/** Reads the text format line by line; throws on a line that is none of it. */
export function samplesOf(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ') || line.startsWith('# TYPE ')) continue;
    const [, name = '', value = ''] = /^([a-z_:]+(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)$/.exec(line) ?? [];
    if (name === '' || samples.has(name)) throw new Error(`no sample: ${line}`);
    samples.set(name, Number(value));
  }
  return samples;
}

/** Until `/readyz` says so. */
export async function untilReady(daemon: DaemonRun): Promise<void> {
  await until('the daemon is ready', async () => (await fetch(`${daemon.url}/readyz`)).ok);
}
