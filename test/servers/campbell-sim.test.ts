import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startArtifactServer, type ArtifactServer } from '#sim/artifact-server.ts';
import { systemClock } from '#transports/clock.ts';
import { EXCHANGES, FILES, isWord, type Exchange, type LoggerSetUp, type Pair } from '#test/support/campbell-vectors.ts';
import { startMosquitto, type Mosquitto } from '#test/support/mosquitto.ts';

/** Short, but restarts take what they take at real loggers at the least. */
const TIMINGS = { osDownloadMs: 200, retryMs: 200, flashMs: 400, rebootMs: 2000, programDownloadMs: 200, compileMs: 200, reconnectMs: 300 };
/** What is said later than that after the last expected word is a word too many. */
const QUIET_MS = 300;
const LIMIT_MS = 60_000;

const brokers: Mosquitto[] = [];
let files: ArtifactServer;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headgate-campbell-'));
  files = await startArtifactServer({ clock: systemClock, errorPages: true });
  for (const [name, bytes] of Object.entries(FILES)) files.put(name, bytes);
});

afterAll(async () => {
  await Promise.all(children.map(stop));
  await files.close();
  for (const mosquitto of brokers) await mosquitto.close();
  await rm(folder, { recursive: true, force: true });
});

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

interface Started {
  readonly child: ChildProcess;
  readonly lines: string[];
}

function start(command: string, args: readonly string[]): Started {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const lines: string[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  return { child, lines };
}

const at = (mosquitto: Mosquitto): readonly string[] => ['-h', '127.0.0.1', '-p', String(mosquitto.port)];

/** `headgate sim campbell` as a person types it. */
async function startLogger(mosquitto: Mosquitto, logger: LoggerSetUp): Promise<Started> {
  const fileAt = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(await mkdtemp(join(folder, 'logger-')), name);
    await writeFile(path, bytes);
    return path;
  };
  const { program, files: more = {}, settings = {} } = logger;
  const args = ['src/cli/main.ts', 'sim', 'campbell', '--url', mosquitto.url, '--id', `${logger.address}=${logger.serial}`];
  args.push('--dialect', logger.dialect ?? 'os80', '--model', logger.model, '--os', logger.os, '--setting', 'MQTTStateInterval=0');
  if (program !== null && program !== undefined) args.push('--program', await fileAt(program.name, program.bytes));
  for (const [name, bytes] of Object.entries(more)) args.push('--file', await fileAt(name, bytes));
  for (const [name, value] of Object.entries(settings)) args.push('--setting', `${name}=${value}`);
  for (const [name, ms] of Object.entries(TIMINGS)) args.push('--timing', `${name}=${ms}`);
  if (logger.trailingSlash !== undefined) args.push(logger.trailingSlash ? '--trailing-slash' : '--no-trailing-slash');
  if (logger.retainState !== undefined) args.push(logger.retainState ? '--retain-state' : '--no-retain-state');
  const started = start(process.execPath, args);
  await until(() => started.lines.some((line) => line.includes(' is on: ')));
  return started;
}

/** What mosquitto_sub printed since, as topic and payload. */
function heard(lines: readonly string[], from: number): readonly Pair[] {
  return lines.slice(from).flatMap((line): Pair[] => {
    const [topic = '', ...payload] = line.split(' ');
    return isWord(topic) ? [[topic, JSON.parse(payload.join(' '))]] : [];
  });
}

async function publish(mosquitto: Mosquitto, [topic, payload]: Pair): Promise<void> {
  const text = JSON.stringify(payload).replaceAll('https://a.example', files.url);
  const { child } = start('mosquitto_pub', [...at(mosquitto), '-t', topic, '-m', text]);
  await new Promise((resolve) => child.once('exit', resolve));
}

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error('it did not come to that');
    await pause(20);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function exchange(mosquitto: Mosquitto, lines: readonly string[], { cc, before, all, last }: Exchange): Promise<readonly Pair[]> {
  if (before !== null) {
    const since = lines.length;
    await publish(mosquitto, before);
    await until(() => lines.slice(since).some((line) => line.includes('Program loaded successfully')));
    await pause(QUIET_MS);
  }
  const from = lines.length;
  await publish(mosquitto, cc);
  const enough = (): boolean => {
    const said = heard(lines, from);
    return all === null ? last === null || said.some(([topic]) => topic === last[0]) : said.length >= all.length;
  };
  await until(enough);
  await pause(QUIET_MS);
  return heard(lines, from);
}

const LOGGERS = [...Map.groupBy(EXCHANGES, ({ logger }) => `${logger.dialect} ${logger.address}`)];

/** Each logger at a broker of its own, side by side: restarts take what they take. */
describe('an outside client', () => {
  it.concurrent.each(LOGGERS)('gets exactly what the protocol page says: %s', { timeout: 120_000 }, async (_name, exchanges) => {
    const [first] = exchanges;
    if (first === undefined) throw new Error('no exchange');
    const { address } = first.logger;
    const mosquitto = await startMosquitto();
    brokers.push(mosquitto);
    const topics = ['state', 'cr', 'status', 'metadata'].flatMap((type) => ['-t', `cs/v2/${type}/${address}/#`]);
    const log = mosquitto.log().length;
    const { lines } = start('mosquitto_sub', [...at(mosquitto), '-R', '-F', '%t %p', ...topics]);
    await until(() => mosquitto.log().slice(log).includes('New client connected'));
    await startLogger(mosquitto, first.logger);
    await pause(QUIET_MS);
    for (const one of exchanges) {
      const began = performance.now();
      const said = await exchange(mosquitto, lines, one);
      if (one.all !== null) expect(said, one.name).toEqual(one.all);
      expect(said.findLast(([topic]) => topic.includes('/cr/')) ?? null, one.name).toEqual(one.last);
      const restarts = /^(os-ok|mqttconfig-ok|reboot)/.test(one.name);
      if (restarts) expect(performance.now() - began, one.name).toBeGreaterThan(2000);
    }
  });
});
