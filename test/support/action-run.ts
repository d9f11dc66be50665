import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The bundle as a workflow runs it, built of the sources as they are now. */
export interface ActionBundle {
  readonly path: string;
  /** A folder of its own, removed with the bundle. */
  readonly scratch: string;
  close(): void;
}

export interface ActionRun {
  readonly code: number;
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
  /** The comment as a file, empty when none was written. */
  readonly comment: string;
}

export interface ActionRunOptions {
  readonly workspace: string;
  /** By name, as a workflow writes them. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** The event's file. */
  readonly event?: { readonly name: string; readonly payload: unknown };
  /** What the action takes for the time; the machine's when left out. */
  readonly now?: number;
}

export async function buildAction(): Promise<ActionBundle> {
  const scratch = mkdtempSync(join(tmpdir(), 'headgate-action-'));
  const cli = 'node_modules/rolldown/bin/cli.mjs';
  const child = spawn(process.execPath, [cli, '-c', 'rolldown.config.ts', '--log-level', 'silent', '--dir', scratch], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const code = await new Promise<number>((settle) => child.on('close', (status) => settle(status ?? -1)));
  if (code !== 0) throw new Error('the bundle cannot be built');
  const path = join(scratch, 'action.js');
  return { path, scratch, close: () => rmSync(scratch, { recursive: true, force: true }) };
}

/** Runs the bundle as a workflow's runner does: inputs in the environment, the event, outputs and summary in files. */
export async function runBundle(bundle: ActionBundle, options: ActionRunOptions): Promise<ActionRun> {
  const dir = mkdtempSync(join(bundle.scratch, 'run-'));
  const [output, summary, temp] = [join(dir, 'output'), join(dir, 'summary'), join(dir, 'temp')];
  writeFileSync(output, '');
  writeFileSync(summary, '');
  mkdirSync(temp);
  const env: Record<string, string> = { PATH: process.env['PATH'] ?? '', CI: 'true', GITHUB_ACTIONS: 'true', HOME: dir, ...options.env };
  // Compiling the bundle anew is a third of a run, and the same each time.
  env['NODE_COMPILE_CACHE'] = join(bundle.scratch, 'compiled');
  for (const [name, value] of Object.entries({ command: 'plan', ...options.inputs })) env[`INPUT_${name.toUpperCase()}`] = value;
  Object.assign(env, { GITHUB_WORKSPACE: options.workspace, GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary, RUNNER_TEMP: temp });
  if (options.event !== undefined) {
    writeFileSync(join(dir, 'event.json'), JSON.stringify(options.event.payload));
    Object.assign(env, { GITHUB_EVENT_NAME: options.event.name, GITHUB_EVENT_PATH: join(dir, 'event.json') });
  }
  const clock = options.now === undefined ? [] : ['--import', resolve('test/support/set-clock.ts')];
  if (options.now !== undefined) env['SET_CLOCK'] = String(options.now);
  const child = spawn(process.execPath, [...clock, bundle.path], { env, cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise<number>((settle) => child.on('close', (status) => settle(status ?? -1)));
  const log = Buffer.concat(chunks).toString('utf8');
  const comments = readdirSync(temp).filter((name) => name.endsWith('.md'));
  return {
    code,
    log,
    outputs: outputsOf(readFileSync(output, 'utf8')),
    summary: readFileSync(summary, 'utf8'),
    comment: comments.map((name) => readFileSync(join(temp, name), 'utf8')).join(''),
  };
}

/** `name<<delimiter`, the value, the delimiter: how runners read multi-line outputs. */
function outputsOf(text: string): Readonly<Record<string, string>> {
  const found = text.matchAll(/^([\w-]+)<<(\S+)\r?\n([\s\S]*?)\r?\n\2$/gm);
  return Object.fromEntries([...found].map(([, name = '', , value = '']) => [name, value]));
}
