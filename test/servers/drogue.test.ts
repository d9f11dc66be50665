import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import sessions from '#adapters/drogue/fixtures/sessions.json' with { type: 'json' };
import { ended } from '#test/support/child.ts';
import { startMosquitto, type Mosquitto } from '#test/support/mosquitto.ts';

/** The session of docs/protocols/drogue-dfu.md §9.3 without its correlation id, which that command gives behind gateways alone. */
const withId = (id: number) => (hex: string) =>
  hex.replace('02070', `02${id.toString(16).padStart(2, '0')}0`).replace('0107', `01${id.toString(16).padStart(2, '0')}`);

const children: ChildProcess[] = [];
let mosquitto: Mosquitto | null = null;

afterEach(async () => {
  for (const child of children.splice(0)) await ended(child);
  await mosquitto?.close();
});

/** A client in C, by which a person would look: one line of hex for each message. */
function listen(port: number, topic: string, onLine: (hex: string) => void): Promise<unknown> {
  const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', '-h', '127.0.0.1', '-p', String(port), '-t', topic, '-F', '%x', '-d'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  let rest = '';
  const subscribed = Promise.withResolvers<null>();
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('Subscribed')) subscribed.resolve(null);
      if (/^(?:[0-9a-f]{2})+$/.test(line)) onLine(line);
    }
  });
  return subscribed.promise;
}

function publish(port: number, topic: string, hex: string): void {
  const child = execFile('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), '-t', topic, '-s']);
  child.stdin?.end(Buffer.from(hex, 'hex'));
}

describe('headgate sim drogue', () => {
  it('runs a node that a server made of foreign programs can update, byte for byte', { timeout: 120_000 }, async () => {
    const broker = (mosquitto = await startMosquitto());
    const own = withId(1);
    const wanted = sessions.packed.map(({ from, hex }) => ({ from, hex: own(hex) }));
    const answers = wanted.filter(({ from }) => from === 'server').map(({ hex }) => hex);
    const said: string[] = [];
    const done = Promise.withResolvers<null>();
    await listen(broker.port, 'dfu/barn', (hex) => {
      said.push(hex);
      const answer = answers[said.length - 1];
      if (answer !== undefined) publish(broker.port, 'command/inbox/barn/dfu', answer);
      if (said.length === answers.length) done.resolve(null);
    });
    const flags = ['--url', broker.url, '--gateway', 'barn', '--mtu', '8', '--timing', 'backoffMs=0', '--timing', 'rebootMs=100'];
    const sim = spawn(process.execPath, ['src/cli/main.ts', 'sim', 'drogue', ...flags, 'valve'], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(sim);
    let out = '';
    sim.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await done.promise;
    while (!out.includes('markGood')) await once(sim.stdout, 'data');
    expect(said).toEqual(wanted.filter(({ from }) => from === 'device').map(({ hex }) => hex));
    expect(out).toContain('flash 0.1.1 cb0b638f9fd1fd3d3a5310ef9160d16a8a50e30b8ff1bbeba11897246ebc3275');
  });
});
