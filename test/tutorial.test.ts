import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '#cli/run.ts';
import { ScaledClock } from '#sim/clock.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { blocksOf, normalised, patched, withTexts, wordsOf, type Block } from '#test/support/tutorial.ts';
import { systemClock } from '#transports/clock.ts';

const PAGE = 'docs/tutorial.md';
/** How many times as fast as the reader's the time of this test passes. The simulated devices go along. */
const FASTER = 15;

const AUTHOR = {
  GIT_AUTHOR_NAME: 'Ada Field',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada Field',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
};

const clock = new ScaledClock(Date.now(), FASTER);
const stop = new AbortController();
const terminals: Promise<number>[] = [];
let dir: string;
/** Ports of the page, and the free ones in their place. */
let ports: ReadonlyMap<string, string>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'headgate-tutorial-'));
  ports = new Map([
    ['1883', await freePort()],
    ['9000', await freePort()],
  ]);
});

afterAll(async () => {
  stop.abort();
  await Promise.all(terminals);
  rmSync(dir, { recursive: true, force: true });
});

function freePort(): Promise<string> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => done(String(port)));
    });
  });
}

/** A reader at a shell: the folder and the variables stay from line to line. */
interface Shell {
  cwd: string;
  env: Record<string, string>;
}

/** What the commands of a block print, both streams in order. */
async function run(shell: Shell, block: Block): Promise<string> {
  let out = '';
  for (const line of block.text.split('\n')) out += await runLine(shell, line);
  return out.trimEnd();
}

async function runLine(shell: Shell, line: string): Promise<string> {
  const [command = '', ...args] = wordsOf(line);
  switch (command) {
    case 'headgate':
      return headgate(shell, args);
    case 'cd':
      shell.cwd = resolve(shell.cwd, args[0] ?? '');
      return '';
    case 'export':
      for (const one of args) shell.env[one.slice(0, one.indexOf('='))] = one.slice(one.indexOf('=') + 1);
      return '';
    default:
      return execFileSync('sh', ['-ec', line], {
        cwd: shell.cwd,
        env: { ...process.env, ...AUTHOR },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
  }
}

async function headgate(shell: Shell, args: readonly string[]): Promise<string> {
  let out = '';
  const write = (text: string): unknown => (out += text);
  const streams = { stdout: { write }, stderr: { write } };
  await runCli(args, fakeProcess({ env: { ...AUTHOR, ...shell.env }, cwd: shell.cwd, clock, wireClock: systemClock, ...streams }));
  if (args[0] === 'init') usePorts(join(shell.cwd, args.at(-1) ?? '', 'fleet.yaml'));
  return out;
}

function usePorts(path: string): void {
  let text = readFileSync(path, 'utf8');
  for (const [from, to] of ports) text = text.replaceAll(`127.0.0.1:${from}`, `127.0.0.1:${to}`);
  writeFileSync(path, text);
}

/** Starts a simulator, which stays on until the end of the test, and gives what it has printed once it is as much as the page shows. */
async function start(shell: Shell, block: Block): Promise<string> {
  const [, ...args] = wordsOf(block.text);
  const process = fakeProcess({ cwd: shell.cwd, signal: stop.signal });
  const expected = nextText(block)?.text.split('\n').length ?? 1;
  terminals.push(runCli([...args.map(scaled), ...placed(args[1])], process));
  await expect.poll(() => process.out().trimEnd().split('\n').filter(Boolean).length, { timeout: 10_000, interval: 20 }).toBe(expected);
  return process.out().trimEnd();
}

function scaled(word: string, index: number, words: readonly string[]): string {
  return words[index - 1] === '--scale' ? String(Number(word) * FASTER) : word;
}

function placed(simulator: string | undefined): readonly string[] {
  if (simulator === 'campbell') return ['--url', `mqtt://127.0.0.1:${ports.get('1883') ?? ''}`];
  return ['--port', ports.get(simulator === 'broker' ? '1883' : '9000') ?? ''];
}

const page = readFileSync(PAGE, 'utf8');
const blocks = blocksOf(page);

/** The block that shows what this one prints. */
function nextText(block: Block): Block | undefined {
  const next = blocks[blocks.indexOf(block) + 1];
  return next?.kind === 'text' ? next : undefined;
}

it('the tutorial prints what it says it does, block by block', { timeout: 180_000 }, async () => {
  const shell: Shell = { cwd: dir, env: {} };
  const printed = new Map<number, string>();
  for (const block of blocks) {
    if (block.kind === 'text') continue;
    if (block.kind === 'diff') {
      const { path, text } = patched(block.text, (file) => readFileSync(join(shell.cwd, file), 'utf8'));
      writeFileSync(join(shell.cwd, path), text);
      continue;
    }
    const out = block.terminal ? await start(shell, block) : await run(shell, block);
    const shown = nextText(block);
    if (shown === undefined) expect(out, `line ${block.line} prints something that is not shown`).toBe('');
    else printed.set(shown.line, out);
  }
  if (process.env['GOLDEN'] === 'write') writeFileSync(PAGE, withTexts(page, asOnThePage(printed)));
  const [known, shown] = [new Map<string, string>(), new Map<string, string>()];
  const lasting = blocksOf(readFileSync(PAGE, 'utf8'));
  const told = lasting.filter(({ kind }) => kind === 'text');
  expect([...printed.values()].map((text) => normalised(text, known))).toEqual(told.map(({ text }) => normalised(text, shown)));
  expect(lasting.filter(({ kind, terminal }) => kind === 'sh' && !terminal).length).toBeGreaterThan(8);
});

/** The ports of a reader in the place of the free ones. */
function asOnThePage(printed: ReadonlyMap<number, string>): ReadonlyMap<number, string> {
  return new Map(
    [...printed].map(([line, text]) => {
      let there = text;
      for (const [written, free] of ports) there = there.replaceAll(`127.0.0.1:${free}`, `127.0.0.1:${written}`);
      return [line, there];
    }),
  );
}
