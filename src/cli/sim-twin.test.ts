import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startCli, type RunningCli } from '#test/support/running-cli.ts';
import { makeSas } from '#kit/sas.ts';
import { SIM_DEVICE_KEY } from './sim-flags.ts';

const IS_CONNECTED = ' is connected\n';

let dir: string;
let hub: RunningCli;
let mqtt: string;
let https: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headgate-twin-'));
  const ports = ['--mqtt-port', '0', '--https-port', '0'];
  hub = startCli(['sim', 'azure', ...ports, '--ca', 'azure', 'logger-7', 'logger-8', 'logger-9', 'board-1'], dir);
  await hub.until((out) => out.includes('certificates in'));
  [, mqtt = '', https = ''] = /MQTT at (\S+), HTTPS at (\S+),/.exec(hub.out()) ?? [];
});
afterAll(async () => {
  await hub.stop();
  await rm(dir, { recursive: true, force: true });
});

/** A device of the command line, switched off in the end. */
async function withDevice(args: readonly string[], work: (cli: RunningCli) => Promise<void>): Promise<string> {
  const cli = startCli(['sim', ...args, '--url', mqtt, '--ca', 'azure/ca.pem'], dir);
  try {
    await work(cli);
  } finally {
    expect(await cli.stop()).toBe(0);
  }
  return cli.out();
}

/** Asks the hub as the owner of the fleet does; `desired` is written where it is given. */
async function twin(device: string, desired?: unknown): Promise<Readonly<Record<string, unknown>>> {
  const ca = await readFile(join(dir, 'azure', 'ca.pem'), 'utf8');
  const authorization = makeSas({
    resource: 'localhost',
    key: SIM_DEVICE_KEY,
    expiry: Math.floor(Date.now() / 1000) + 60,
    policy: 'service',
  });
  const body = desired === undefined ? '' : JSON.stringify({ properties: { desired } });
  const headers = { authorization, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const method = desired === undefined ? 'GET' : 'PATCH';
  const text = await new Promise<string>((resolve, reject) => {
    const call = request(`${https}/twins/${device}?api-version=2021-04-12`, { ca, method, headers, agent: false }, (answer) => {
      let all = '';
      answer.on('data', (chunk: Buffer) => (all += chunk.toString()));
      answer.on('end', () => resolve(all));
    });
    call.on('error', reject);
    call.end(body);
  });
  const { properties } = JSON.parse(text) as { readonly properties?: { readonly reported: Readonly<Record<string, unknown>> } };
  return properties?.reported ?? {};
}

/** What it reports once it says that. */
async function reported(
  device: string,
  says: (twin: Readonly<Record<string, unknown>>) => boolean,
): Promise<Readonly<Record<string, unknown>>> {
  for (;;) {
    const now = await twin(device);
    if (says(now)) return now;
  }
}

it('reports to a hub by its key, and does what desired of its twin says', async () => {
  const out = await withDevice(['twin', 'logger-7', '--host-name', 'localhost', '--firmware', '1.0.0', '--scale', '1000'], async (cli) => {
    await cli.until((text) => text.includes(IS_CONNECTED));
    expect(await reported('logger-7', ({ firmware }) => firmware !== undefined)).toMatchObject({ firmware: '1.0.0' });
    await twin('logger-7', { firmware: '1.1.0' });
    await reported('logger-7', ({ firmware }) => firmware === '1.1.0');
  });
  expect(out).toMatch(/^logger-7 is on: firmware 1\.0\.0, config none\nlogger-7 is connected\n/);
  expect(out).toContain('logger-7  flash 1.1.0\n');
});

it('reports by its certificate, with the mapping and the serial that it is given', async () => {
  await writeFile(join(dir, 'options.json'), JSON.stringify({ firmware: { reported: '/fw/running' }, serial: '/serial' }));
  const own = ['--cert', 'azure/logger-8.pem', '--key', 'azure/logger-8.key', '--options', 'options.json'];
  await withDevice(['twin', 'logger-8=4712', '--host-name', 'localhost', ...own], async () => {
    expect(await reported('logger-8', ({ serial }) => serial !== undefined)).toMatchObject({ serial: '4712', fw: { running: '1.0.0' } });
  });
});

it('lets a Mongoose OS board report to a hub', async () => {
  await withDevice(['mongoose', 'board-1', '--hub', 'localhost', '--firmware', '1.0 20260101-120000'], async () => {
    expect(JSON.stringify(await reported('board-1', ({ ota }) => ota !== undefined))).toContain('20260101-120000');
  });
});

it.each(['twin', 'mongoose'])('says why a hub does not let in %s with a wrong key, and not the key', async (family) => {
  const key = Buffer.from('the key of somebody else').toString('base64');
  const name = family === 'twin' ? '--host-name' : '--hub';
  const out = await withDevice([family, 'logger-9', name, 'localhost', '--device-key', key], (cli) =>
    cli.until((text) => text.includes(' cannot connect: ')),
  );
  expect(out).toMatch(/\nlogger-9 cannot connect: MQTT_NOT_AUTHORIZED: .*\(it goes on trying\)\n$/);
  expect(out).not.toContain(key);
  expect(out).not.toContain('SharedAccessSignature');
});

it.each([
  ['a key that is none', ['logger-9', '--device-key', 'no key!'], 'BAD_DEVICE: the device key is no base64'],
  ['options that map nothing', ['logger-9', '--options', 'empty.json'], 'BAD_DEVICE: the options map nothing'],
  ['nobody', [], 'BAD_DEVICE: no device is named'],
])('refuses %s', async (_, args, said) => {
  await writeFile(join(dir, 'empty.json'), '{}');
  const cli = startCli(['sim', 'twin', ...args], dir);
  await cli.until((text) => text.includes('\n'));
  expect([await cli.stop(), cli.out()]).toEqual([1, expect.stringContaining(said)]);
});
