import { createServer, connect, type AddressInfo, type Server } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '#cli/run.ts';
import { fakeProcess } from '#test/support/fake-process.ts';

const HOST = '127.0.0.1';
const dir = mkdtempSync(join(tmpdir(), 'headgate-ports-'));
let squatter: Server;
let taken: string;

beforeAll(async () => {
  squatter = createServer();
  taken = String(await portOf(squatter));
});

afterAll(async () => {
  await gone(squatter);
  rmSync(dir, { recursive: true });
});

function portOf(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, HOST, () => resolve((server.address() as AddressInfo).port)));
}

function gone(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** A port that nobody has, for now. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await portOf(server);
  await gone(server);
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => socket.destroy());
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
}

it.each(['aws', 'azure'])('sim %s says in a line that its folder is a file', async (what) => {
  writeFileSync(join(dir, 'file'), '');
  const process = fakeProcess({ cwd: dir, env: {} });
  expect(await runCli(['sim', what, '--ca', 'file', '--mqtt-port', '0', '--https-port', '0'], process)).toBe(1);
  expect(process.err()).toMatch(/^EEXIST: .*file'\n$/);
});

describe('a port that is taken', () => {
  it.each([
    ['sim', 'broker', '--port'],
    ['sim', 's3', '--port'],
    ['sim', 'aws', '--mqtt-port'],
    ['sim', 'azure', '--mqtt-port'],
  ])('%s %s says so in a line', async (...words) => {
    const process = fakeProcess({ cwd: dir, env: {} });
    expect(await runCli([...words, taken], process)).toBe(1);
    expect(process.err()).toMatch(new RegExp(`^EADDRINUSE: .*${HOST}:${taken}\n$`));
    expect(process.out()).toBe('');
  });

  it.each(['aws', 'azure'])('sim %s does not keep its other one', async (what) => {
    const other = await freePort();
    const process = fakeProcess({ cwd: dir, env: {} });
    expect(await runCli(['sim', what, '--mqtt-port', String(other), '--https-port', taken], process)).toBe(1);
    expect(process.err()).toMatch(/^EADDRINUSE: /);
    expect(await answers(other)).toBe(false);
  });
});
