import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CampbellSimOptions } from '#adapters/campbell/sim-options.ts';
import { runCli } from '#cli/run.ts';
import type { SimDevice } from '#ports/sim.ts';
import { ScaledClock } from '#sim/clock.ts';
import { startSimWorld, type SimWorld } from '#sim/world.ts';
import { programText } from '#test/support/campbell.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { systemClock } from '#transports/clock.ts';
import { commitFiles, createRepository, networkClients } from '#world.ts';

/** Forty seconds pass in one: what is silent for its twenty seconds costs half of one, and real sockets have time enough. */
const clock = new ScaledClock(Date.UTC(2026, 10, 23, 10), 40);
const AUTHOR = { name: 'Field Team', email: 'field@example.org' };
const ADDRESS = 'QU8Q-9JTY-HVP8';
const TIMINGS = { programDownloadMs: 1000, compileMs: 1000, rebootMs: 2000, reconnectMs: 1000 };

const FLEET = {
  'fleet.yaml': `kind: Fleet
format: 1
name: bench
branch: main
ledger: { store: 'sqlite:ledger.db', id: bench, lasting: true }
connections: { field: { type: mqtt, url: '\${env:MQTT_URL}' } }
artifacts: { urls: serve, publicUrl: 'http://127.0.0.1:9' }
`,
  'devices/loggers.yaml': `kind: Devices
family: campbell
via: field
defaults: { model: CR1000X }
devices:
  moor-house: { serial: "70681", address: ${ADDRESS}, options: { dialect: v2 } }
`,
  'groups/met.yaml': `kind: Group
name: met
select: { family: campbell }
pins: { program: { file: files/met_v1.CR1X } }
rollout: at-once
`,
  'files/met_v1.CR1X': programText('met_v1'),
  'files/met_v2.CR1X': programText('met_v2'),
} as const;

let sim: SimWorld;
let dir: string;
let url: string;
let device: SimDevice;

beforeAll(async () => {
  const connections = [{ name: 'field', type: 'mqtt' }] as const;
  sim = await startSimWorld({ clock, seed: 1, transport: 'tcp', connections, clients: networkClients });
  url = sim.url('field') ?? '';
  dir = await mkdtemp(join(tmpdir(), 'headgate-bench-'));
  for (const [path, content] of Object.entries(FLEET)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), content);
  }
  await createRepository({ dir, branch: 'main', message: 'The bench', author: AUTHOR, at: clock.now() });
  const options: CampbellSimOptions = {
    id: 'moor-house',
    model: 'CR1000X',
    serial: '70681',
    address: ADDRESS,
    os: 'CR1000X.8.2.1',
    dialect: 'v2',
    program: { name: 'met_v1.CR1X', bytes: programText('met_v1') },
    settings: { MQTTStatusInterval: '30' },
    timings: TIMINGS,
  };
  device = sim.addDevice('campbell', { connection: 'field', name: 'moor-house' }, options);
  await device.powerOn();
});

afterAll(async () => {
  await sim.close();
  await rm(dir, { recursive: true, force: true });
});

async function headgate(args: readonly string[], signal = new AbortController().signal) {
  const process = fakeProcess({ env: { MQTT_URL: url }, cwd: dir, clock, wireClock: systemClock, signal });
  const code = await runCli(args, process);
  return { code, out: process.out(), err: process.err() };
}

/** A logger that no fleet repo declares: its broker and its address are told. */
const campbell = (command: string, ...args: readonly string[]) =>
  headgate(['campbell', command, '--url', url, '--dialect', 'v2', ADDRESS, ...args]);

describe('headgate campbell', { timeout: 60_000 }, () => {
  it('lists files, reads and sets settings and variables, and says that none can be fetched', async () => {
    expect(await campbell('ls')).toEqual({ code: 0, out: 'CPU:met_v1.CR1X\n', err: '' });
    expect(await campbell('setting', 'MQTTStatusInterval')).toEqual({ code: 0, out: 'MQTTStatusInterval = 30\n', err: '' });
    expect((await campbell('setting', 'MQTTStatusInterval', '5')).out).toContain('MQTTStatusInterval = 5\n');
    expect((await campbell('setvar', 'PTemp', '3')).code).toBe(0);
    expect((await campbell('getvar', 'PTemp')).out).toBe('PTemp = 3\n');
    expect(await campbell('get', 'met_v1.CR1X')).toMatchObject({ code: 1, out: expect.stringContaining('no command of the protocol') });
  });

  it('brings a program only when it is said that it runs, from a server of its own', async () => {
    expect(await campbell('put', 'files/met_v2.CR1X')).toMatchObject({ code: 1, err: expect.stringMatching(/^RUNS: /) });
    expect(await campbell('put', 'files/none.CR1X', '--runs')).toMatchObject({ code: 1, err: expect.stringMatching(/^NOT_FOUND: /) });
    const put = await campbell('put', 'files/met_v2.CR1X', '--runs');
    expect(put).toMatchObject({ code: 0, out: expect.stringContaining('it reports CPU:met_v2.CR1X\n') });
    expect(put.err).toContain('Program file download\noffline: Loading program\n');
    expect(device.truth()['program']).toBe('CPU:met_v2.CR1X');
    expect((await campbell('reboot')).out).toBe('Reboot complete\n');
    expect((await campbell('run', 'met_v1.CR1X')).code).toBe(0);
    expect((await campbell('rm', 'met_v2.CR1X')).code).toBe(0);
    expect((await campbell('rm', 'met_v2.CR1X')).code).toBe(1);
  });

  it('says what is wrong with what is asked', async () => {
    expect(await campbell('history', 'Hourly', '--start', '2026-11-23T08:00:00')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^BAD_RANGE: /),
    });
    expect(await campbell('history', 'Nothing')).toMatchObject({ code: 1, out: expect.stringContaining('Table does not exist') });
    expect((await headgate(['campbell', 'ls', 'nowhere'])).err).toMatch(/^UNKNOWN_DEVICE: /);
    expect((await headgate(['campbell', 'ls', '--url', 'mqtt://127.0.0.1:1', ADDRESS])).code).toBe(1);
  });

  it.each(['ls', 'get', 'put', 'rm', 'run', 'setting', 'getvar', 'setvar', 'reboot', 'history', 'watch'])(
    'has an example in the help of %s',
    async (part) => {
      expect((await headgate(['campbell', part, '--help'])).out).toMatch(/Example:\n {2}headgate campbell /);
    },
  );

  it('watches until it is stopped', async () => {
    const stop = new AbortController();
    const watching = headgate(['campbell', 'watch', '--url', url, ADDRESS], stop.signal);
    await clock.sleep(20_000);
    await campbell('setting', 'MQTTStatusInterval');
    stop.abort();
    const { code, out } = await watching;
    expect(code).toBe(0);
    expect(out).toMatch(/cs\/v2\/cr\/QU8Q-9JTY-HVP8\/setting/);
  });

  it('takes broker, address and dialect from the fleet repo, and leaves a logger alone that a rollout is changing', async () => {
    expect(await headgate(['campbell', 'ls', 'moor-house'])).toEqual({ code: 0, out: 'CPU:met_v1.CR1X\n', err: '' });
    expect(await headgate(['apply', '--new-ledger', '--listen', '70s'])).toMatchObject({ code: 0 });
    const text = FLEET['groups/met.yaml'].replace('met_v1', 'met_v2');
    const change = { 'groups/met.yaml': new TextEncoder().encode(text) };
    expect((await commitFiles({ dir, author: AUTHOR, message: 'met_v2', files: change })).ok).toBe(true);
    device.fault('slowDownload', 1_000_000);
    expect((await headgate(['apply', '--listen', '70s'])).code).toBe(2);
    const refused = await headgate(['campbell', 'setting', 'moor-house', 'MQTTStatusInterval']);
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^IN_FLIGHT: a rollout is changing program of moor-house/) });
  });
});
