import { spawn, type ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import rows from '#adapters/mongoose/fixtures/rpc.json' with { type: 'json' };
import { startArtifactServer, type ArtifactServer } from '#sim/artifact-server.ts';
import { systemClock } from '#transports/clock.ts';
import { ended } from '#test/support/child.ts';
import { BOARD, bundleOf, CALLER } from '#test/support/mongoose-bench.ts';
import { startMosquitto, type Mosquitto } from '#test/support/mosquitto.ts';

const LIMIT_MS = 60_000;
/** Of calls whose answers may come late. */
const POLL_ID = 98;
/** An answer that comes at all comes sooner. */
const QUIET_MS = 150;

let mosquitto: Mosquitto;
let files: ArtifactServer;
const children: ChildProcess[] = [];
/** What mosquitto_sub printed: replies to the caller. */
const heard: string[] = [];

beforeAll(async () => {
  mosquitto = await startMosquitto();
  files = await startArtifactServer({ clock: systemClock });
  files.put('f.zip', bundleOf());
  start('mosquitto_sub', ['-h', '127.0.0.1', '-p', String(mosquitto.port), '-q', '1', '-t', `${CALLER}/rpc`], heard);
  await until(() => mosquitto.log().includes('New client connected'));
});

afterAll(async () => {
  await Promise.all(children.map(ended));
  await files.close();
  await mosquitto.close();
});

function start(command: string, args: readonly string[], lines: string[]): ChildProcess {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  return child;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`it did not come to that: ${heard.join(' ')}`);
    await pause(20);
  }
}

async function publish(text: string, topic = `${BOARD}/rpc`): Promise<void> {
  const child = start('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(mosquitto.port), '-q', '1', '-t', topic, '-m', text], []);
  await new Promise((resolve) => child.once('exit', resolve));
}

/** Waits for an answer where one is due, and then whether a second one comes. */
async function ask(text: string, isAnswered = true): Promise<readonly string[]> {
  const from = heard.length;
  await publish(text.replace('http://h', files.url));
  const answers = (): readonly string[] => heard.slice(from).filter((reply) => !reply.startsWith(`{"id":${POLL_ID},`));
  if (isAnswered) await until(() => answers().length > 0);
  await pause(QUIET_MS);
  return answers();
}

/** A call of our own, its result read. */
async function result(method: string): Promise<unknown> {
  const [reply] = await ask(JSON.stringify({ id: 99, src: CALLER, method }));
  return (JSON.parse(reply ?? '{}') as { readonly result?: unknown }).result;
}

/** Until it answers that it runs a new firmware that nobody has committed. */
async function trial(slot: number): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (;;) {
    const from = heard.length;
    await publish(JSON.stringify({ id: POLL_ID, src: CALLER, method: 'OTA.GetBootState' }));
    await pause(QUIET_MS);
    if (heard.slice(from).some((reply) => reply.includes(`"active_slot":${slot},"is_committed":false`))) return;
    if (performance.now() > end) throw new Error('it did not come back');
  }
}

const [state, commit, again, nope, update, noSource, elsewhere, noId] = rows;

it('answers an outside client exactly as the page has it', { timeout: 120_000 }, async () => {
  const lines: string[] = [];
  const args = ['src/cli/main.ts', 'sim', 'mongoose', '--url', mosquitto.url, '--scale', '10', `${BOARD}=A4CF12AABBCC`];
  start(process.execPath, args, lines);
  await until(() => lines.some((line) => line.includes(' is on: firmware 1.0 20260101-120000')));
  for (const row of [state, again, nope, update]) {
    expect(await ask(row?.request ?? ''), row?.request).toEqual([JSON.stringify(JSON.parse(row?.reply ?? ''))]);
  }
  await trial(1);
  expect(await result('Sys.GetInfo')).toMatchObject({ id: BOARD, mac: 'A4CF12AABBCC', fw_version: '2.0', fw_id: '20261101-120000' });
  for (const row of [noSource, elsewhere]) expect(await ask(row?.request ?? '', false), row?.request).toEqual([]);
  expect(await result('OTA.GetBootState')).toMatchObject({ is_committed: false });
  expect(await ask(commit?.request ?? '')).toEqual([commit?.reply]);
  expect(await result('OTA.GetBootState')).toMatchObject({ is_committed: true });

  await ask((update?.request ?? '').replace('f.zip', 'f.zip?attempt=2'));
  await trial(0);
  expect(await ask(noId?.request ?? '', false)).toEqual([]);
  expect(await result('OTA.GetBootState')).toMatchObject({ active_slot: 0, is_committed: true });
  expect(lines.map((line) => line.replace(/^\S+ +/, '').split(' ')[0])).toEqual(
    expect.arrayContaining(['download', 'flash', 'reboot', 'commit']),
  );
});

it('takes the method from the topic', { timeout: 120_000 }, async () => {
  const from = heard.length;
  await publish(JSON.stringify({ id: 'x-1', src: CALLER }), `${BOARD}/rpc/RPC.List`);
  await until(() => heard.slice(from).some((reply) => reply.startsWith('{"id":"x-1"')));
  expect(JSON.parse(heard.find((reply) => reply.startsWith('{"id":"x-1"')) ?? '')).toMatchObject({
    id: 'x-1',
    src: BOARD,
    dst: CALLER,
    result: expect.arrayContaining(['OTA.Update']) as unknown,
  });
});
